"""What a caller can choose about learning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from csgs_codec.encoder.meaning import FEATURE_STEP
from csgs_codec.errors import UsageError


@dataclass(frozen=True)
class LearnOptions:
    """Options of :func:`csgs_codec.semantics.learn.learn`.

    Attributes
    ----------
    dim : int
        Features of each Gaussian.
    steps : int
        Steps of Adam, each on parts of up to 8 views.
    ids : {'consistent', 'per-view'}
        Whether an id means the same in every view. If so, features and a linear head are learnt
        by cross-entropy; if not, features alone by contrast within each view.
    qat : bool
        Whether training sees features as the codec will restore them: with uniform noise in the
        first half of the steps, then rounded, a random half of the Gaussians at a time.
    quality_weights : bool
        Whether unreliable Gaussians follow their neighbours rather than the masks.
    rate : float
        Weight of the estimated bits: nats of loss for one bit per Gaussian; 0 for none.
    step : float
        Quantiser step that training prepares for, relative to the features' root mean square.
    seed : int
    device : {'auto', 'cpu', 'cuda'}
    """

    dim: int = 16
    steps: int = 400
    ids: Literal["consistent", "per-view"] = "consistent"
    qat: bool = True
    quality_weights: bool = True
    rate: float = 0.0005
    step: float = FEATURE_STEP
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def __post_init__(self) -> None:
        if self.dim < 1 or self.steps < 1:
            raise UsageError("dimensions and steps are at least 1")
        if self.rate < 0 or not self.step > 0:
            raise UsageError("the rate's weight is not negative, and the step is positive")
