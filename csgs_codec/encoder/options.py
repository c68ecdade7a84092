"""What a caller can choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from csgs_codec.encoder.bounds import check_max_error
from csgs_codec.encoder.plan import Fineness
from csgs_codec.errors import UnsupportedError

LOSSLESS_QUALITY = 50.0
_ERROR_AT_75 = 10.0**-3.9


@dataclass(frozen=True)
class Inputs:
    """Which inputs the hyperprior may use; for ablations."""

    position: bool = True
    own: bool = True
    neighbours: bool = True

    @property
    def none(self) -> bool:
        """Whether only static models per channel are left."""
        return not (self.position or self.own or self.neighbours)


@dataclass(frozen=True)
class EncodeOptions:
    """Options of :func:`csgs_codec.encode`.

    Attributes
    ----------
    quality : float
        1 to 100; 12.5 points halve every quantiser step.
    semantic : tuple of str
        Regular expressions of further semantic properties.
    nan : {'error', 'drop', 'keep'}
        What to do with rows that hold NaN, meaningless infinities or zero quaternions.
    order : {'any', 'keep'}
        Whether the original row order is stored.
    priority : {'rgb', 'semantic'}
        What comes first once all Gaussians have their geometry and base colour.
    inputs : Inputs
        Inputs of the hyperprior.
    seed : int
        Seed of the hyperprior's training.
    lossless : bool
        Whether the last level holds every value bit for bit; ``nan`` does not matter then.
    max_error : mapping of str to float or str
        Largest error of each group in the last level; see :mod:`csgs_codec.encoder.bounds`.
    """

    quality: float = 75.0
    semantic: tuple[str, ...] = ()
    nan: Literal["error", "drop", "keep"] = "error"
    order: Literal["any", "keep"] = "any"
    priority: Literal["rgb", "semantic"] = "rgb"
    inputs: Inputs = Inputs()
    seed: int = 0
    lossless: bool = False
    max_error: Mapping[str, float | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise UnsupportedError(f"quality {self.quality} is outside 1 to 100")
        check_max_error(self.max_error, self.lossless)

    @property
    def step_factor(self) -> float:
        """Factor on every quantiser step."""
        return float(2.0 ** ((75.0 - self.quality) / 12.5))

    @property
    def fineness(self) -> Fineness:
        """Steps that the quality asks for."""
        return Fineness(self.step_factor, _ERROR_AT_75 * self.step_factor**2)
