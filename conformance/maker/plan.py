"""What a file shall hold, before anything is coded: the input of :mod:`conformance.maker.coder`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conformance.maker.networks import Network
from csgs_codec.attributes.steps import StepRule
from csgs_codec.container.kinds import GroupKind

if TYPE_CHECKING:
    from conformance.maker.coder import Coded
    from conformance.maker.seeded import Seeded

INACTIVE = (0.0, 0.0, 0.0, 1.0)
NO_SENTINEL = 255
LAYOUT = {
    "text": False,
    "byte_order": "<",
    "comments": [],
    "obj_info": [],
    "vertex_comments": [],
    "vertex_index": 0,
}

Draw = Callable[["Seeded", int, int], int]


@dataclass
class Transform:
    """Transform of a group (spec 5.3)."""

    mean: list[float]
    basis: list[list[int]]
    bits: int = 10
    scale_index: int = 50


@dataclass
class Labels:
    """Label coding of a group (spec 5.6)."""

    palette: list[int]
    agreement: list[list[int]] = field(default_factory=lambda: [[9, 2, 1]] * 8)
    explicit: list[int] = field(default_factory=list)


@dataclass
class Group:
    """One group with all that its GRUP and NETW chunks say.

    Attributes
    ----------
    draw : callable, optional
        Given the seeded numbers, a scale index and the half width of its table, the residual.
    """

    kind: int
    channels: int
    columns: tuple[str, ...] = ()
    type: str = "f4"
    name: str = ""
    step: float = 0.125
    centre: list[float] = field(default_factory=list)
    rule: StepRule = field(default_factory=StepRule)
    sentinel: int = NO_SENTINEL
    transform: Transform | None = None
    network: Network | None = None
    labels: Labels | None = None
    draw: Draw | None = None

    @property
    def positions(self) -> bool:
        """Whether the group is coded as Morton keys."""
        return self.kind == GroupKind.POSITION


@dataclass
class TilePlan:
    """One tile; ``keys`` of each layer are drawn where they are not given."""

    bits: tuple[int, int, int]
    counts: tuple[int, ...]
    origin: tuple[int, int, int] = (0, 0, 0)
    keys: dict[int, list[int]] = field(default_factory=dict)


@dataclass
class Plan:
    """A file.

    Attributes
    ----------
    seed : int
    groups, tiles : list
    rounds : tuple of int
        One entry for each layer.
    script : list of (layer, groups)
    levels : list of int
        Passes of each level.
    exact : callable, optional
        Makes the XDAT payloads from what is coded, and notes what they mean.
    describe : {"due", "early", "late"}
        Where GRUP and NETW chunks stand: before the first pass that lists the group; all behind
        KDTB; or as late as allowed and networks apart from their groups.
    tables : dict
        Weights of the position tables that KDTB carries.
    """

    seed: int
    groups: list[Group]
    tiles: list[TilePlan]
    rounds: tuple[int, ...] = (3,)
    script: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    levels: list[int] = field(default_factory=list)
    compensation: dict[int, tuple[float, float, float, float]] = field(default_factory=dict)
    origin: tuple[float, float, float] = (-2.0, 1.0, 0.5)
    grid_step: float = 0.0625
    unit_offset: tuple[int, int, int] = (0, 0, 0)
    unit_shift: int = 0
    version: tuple[int, int] = (1, 0)
    tables: dict[int, list[int]] = field(default_factory=dict)
    constants: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    extras: dict[str, str] = field(default_factory=dict)
    exact_columns: tuple[str, ...] = ()
    elements: bool = False
    original_order: bool = False
    order: tuple[str, ...] = ()
    layout: dict[str, object] = field(default_factory=lambda: dict(LAYOUT))
    schema: dict[str, object] = field(default_factory=dict)
    exact: Callable[[Coded], list[bytes]] | None = None
    describe: str = "due"

    @property
    def layers(self) -> int:
        """Layers of the file."""
        return len(self.rounds)

    @property
    def count(self) -> int:
        """Gaussians of the file."""
        return sum(sum(tile.counts) for tile in self.tiles)

    def properties(self) -> list[tuple[str, str]]:
        """Names and types of the PLY's properties, in its order."""
        types = {name: group.type for group in self.groups for name in group.columns}
        types |= {name: type_ for name, (type_, _) in self.constants.items()} | self.extras
        return [(name, types[name]) for name in (self.order or types)]

    def full_script(self) -> list[tuple[int, tuple[int, ...]]]:
        """The script, by default one pass for each layer."""
        if self.script or not self.groups:
            return self.script
        return [(layer, tuple(range(len(self.groups)))) for layer in range(self.layers)]
