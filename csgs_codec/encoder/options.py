"""What a caller can choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from csgs_codec.container.objects import ObjectTable
from csgs_codec.encoder.appearance import ERROR_AT_75
from csgs_codec.encoder.bounds import check_max_error
from csgs_codec.encoder.meaning import SemanticMetric
from csgs_codec.encoder.plan import Fineness
from csgs_codec.errors import UnsupportedError, UsageError
from csgs_codec.limits import MAX_LAYERS
from csgs_codec.render.cameras import Camera

LOSSLESS_QUALITY = 50.0


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
    ids : tuple of str
        Regular expressions of further id properties.
    nan : {'error', 'drop', 'keep'}
        What to do with rows that hold NaN, meaningless infinities or zero quaternions.
    order : {'any', 'keep'}
        Whether the original row order is stored.
    priority : {'rgb', 'semantic'}
        What comes first once all Gaussians but those of the last layer have their geometry and
        base colour.
    inputs : Inputs
        Inputs of the hyperprior.
    seed : int
        Seed of the hyperprior's training.
    look : bool
        Whether pictures of the scene decide where bits go; without, it is a guess.
    cameras : tuple of Camera, optional
        From where to look; chosen automatically by default.
    size : int, optional
        Bytes that the file may have; the quality is searched for.
    psnr : float, optional
        PSNR in dB that pictures of the decoded scene should have against the original's.
    lossless : bool
        Whether the last level holds every value bit for bit; ``nan`` does not matter then.
    max_error : mapping of str to float or str
        Largest error of each group in the last level; see :mod:`csgs_codec.encoder.bounds`.
    semantic_quality : float, optional
        Quality of semantic features; that of the rest by default.
    semantic_metric : {'cosine', 'l2'} or Head
        How users compare features, hence what their errors cost.
    attachments : mapping of str to bytes
        Files to carry, by name.
    objects : ObjectTable, optional
        Names and colours of ids; its counts and boxes are ignored. An empty ``property`` stands for
        the scene's id property.
    object_table : bool
        Whether the file says which ids there are, how often and where.
    layer_ends : tuple of float, optional
        Share of the Gaussians that is there at the end of each layer, up to 1; chosen by default.
        ``(1.0,)`` makes a file whose first level has all Gaussians.
    prune : float or 'auto', optional
        Share of the Gaussians to remove, those that pictures miss least; ``'auto'`` removes as many
        as pays at the wanted quality. The others are re-fitted. All are kept by default.
    """

    quality: float = 75.0
    semantic: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    nan: Literal["error", "drop", "keep"] = "error"
    order: Literal["any", "keep"] = "any"
    priority: Literal["rgb", "semantic"] = "rgb"
    inputs: Inputs = Inputs()
    seed: int = 0
    look: bool = True
    cameras: tuple[Camera, ...] | None = None
    size: int | None = None
    psnr: float | None = None
    lossless: bool = False
    max_error: Mapping[str, float | str] = field(default_factory=dict)
    semantic_quality: float | None = None
    semantic_metric: SemanticMetric = "cosine"
    attachments: Mapping[str, bytes] = field(default_factory=dict)
    objects: ObjectTable | None = None
    object_table: bool = True
    layer_ends: tuple[float, ...] | None = None
    prune: float | Literal["auto"] | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise UnsupportedError(f"quality {self.quality} is outside 1 to 100")
        if self.semantic_quality is not None and not 1 <= self.semantic_quality <= 100:
            raise UnsupportedError(f"quality {self.semantic_quality} is outside 1 to 100")
        if self.size is not None and self.psnr is not None:
            raise UnsupportedError("size and psnr contradict each other")
        if (self.size is not None and self.size < 1) or (self.psnr is not None and self.psnr <= 0):
            raise UnsupportedError("a target must be positive")
        if not self.look and (self.cameras is not None or self.psnr is not None):
            raise UnsupportedError("cameras and psnr need pictures, which were switched off")
        if self.priority not in ("rgb", "semantic"):
            raise UnsupportedError(f"priority {self.priority!r} is neither 'rgb' nor 'semantic'")
        check_max_error(self.max_error, self.lossless)
        if self.layer_ends is not None:
            _check_layers(self.layer_ends)
        self._check_prune()
        if self.objects is not None and not self.object_table:
            raise UsageError("object names were given, but the object table was switched off")

    def _check_prune(self) -> None:
        if self.prune is None:
            return
        if self.prune != "auto" and not 0 < self.prune < 1:
            raise UnsupportedError(f"a share of {self.prune} is not between 0 and 1")
        if not self.look:
            raise UnsupportedError("pruning needs pictures, which were switched off")
        if self.lossless or self.max_error:
            raise UnsupportedError("pruning removes Gaussians; lossless and max_error keep them")

    @property
    def step_factor(self) -> float:
        """Factor on every quantiser step."""
        return _factor(self.quality)

    @property
    def semantic_factor(self) -> float:
        """Factor on the steps of semantic features."""
        own = self.semantic_quality
        return self.step_factor if own is None else _factor(own)

    @property
    def fineness(self) -> Fineness:
        """Steps that the quality asks for."""
        return Fineness(self.step_factor, ERROR_AT_75 * self.step_factor**2)


def _check_layers(ends: tuple[float, ...]) -> None:
    rising = all(low < high for low, high in pairwise((0.0, *ends)))
    if not (1 <= len(ends) <= MAX_LAYERS and rising and ends[-1] == 1.0):
        raise UnsupportedError(f"ends of layers must rise to 1, at most {MAX_LAYERS} of them")


def _factor(quality: float) -> float:
    return float(2.0 ** ((75.0 - quality) / 12.5))
