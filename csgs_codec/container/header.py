"""Header, tile table and level table (spec section 4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csgs_codec.container.fields import FieldReader, FieldWriter
from csgs_codec.container.kinds import GroupKind
from csgs_codec.errors import LimitError, UnsupportedError
from csgs_codec.limits import (
    MAX_CHANNELS,
    MAX_GROUPS,
    MAX_LAYERS,
    MAX_LEVELS,
    MAX_PASSES,
    MAX_ROUNDS,
    TILE_CAPACITY,
    Limits,
)

VERSION = (1, 0)
EXACT_PASS_LAYER = 255
DIGEST_BYTES = 32
_MAX_AXIS_BITS = 21
FIXED_SHAPES = {
    GroupKind.POSITION: (3, 3),
    GroupKind.OPACITY: (1, 1),
    GroupKind.POSITION_FINE: (3, 0),
    GroupKind.ROTATION: (3, 4),
    GroupKind.ID: (1, 1),
    GroupKind.SENTINEL: (1, 0),
    GroupKind.SENSITIVITY: (2, 0),
}
SINGLE_KINDS = (
    GroupKind.POSITION,
    GroupKind.OPACITY,
    GroupKind.SCALE,
    GroupKind.POSITION_FINE,
    GroupKind.ROTATION,
)


@dataclass(frozen=True)
class GroupDeclaration:
    """One group: its kind, coded channels and PLY columns."""

    kind: GroupKind
    channels: int
    columns: int


@dataclass(frozen=True)
class Pass:
    """One pass of the scan script: some groups of one layer, or the exact data (no layer)."""

    layer: int
    groups: tuple[int, ...]

    @property
    def exact(self) -> bool:
        """Whether the pass carries the exact data of the whole scene instead of tiles."""
        return self.layer == EXACT_PASS_LAYER


@dataclass(frozen=True)
class Header:
    """HEAD payload.

    Attributes
    ----------
    gaussians, layers, tiles : int
    origin : tuple of 3 floats
        Corner of the position grid, in units of the PLY.
    grid_step : float
        Cell size of the coarse grid.
    unit_offset : tuple of 3 ints
    unit_shift : int
        Positional encoding sees ``clip((grid - unit_offset) << 4 >> unit_shift, 0, 65535)``.
    rounds : tuple of int
        Rounds in which each layer is coded.
    groups : tuple of GroupDeclaration
    passes : tuple of Pass
    version : tuple of 2 ints
        Bitstream version, major and minor.
    """

    gaussians: int
    layers: int
    tiles: int
    origin: tuple[float, float, float]
    grid_step: float
    unit_offset: tuple[int, int, int]
    unit_shift: int
    rounds: tuple[int, ...]
    groups: tuple[GroupDeclaration, ...]
    passes: tuple[Pass, ...]
    version: tuple[int, int] = VERSION

    def write(self) -> bytes:
        """Serialise."""
        fields = FieldWriter().put("u16", *self.version).put("u64", self.gaussians)
        fields.put("u8", self.layers).put("u32", self.tiles)
        fields.put("f64", *self.origin, self.grid_step)
        fields.put("u32", *self.unit_offset).put("u8", self.unit_shift)
        fields.put("u8", *self.rounds)
        fields.put("u8", len(self.groups))
        for group in self.groups:
            fields.put("u8", group.kind).put("u16", group.channels, group.columns)
        fields.put("u16", len(self.passes))
        for pass_ in self.passes:
            fields.put("u8", pass_.layer, len(pass_.groups), *pass_.groups)
        return fields.finish()

    @classmethod
    def read(cls, fields: FieldReader, limits: Limits) -> Header:
        """Parse and check.

        Raises
        ------
        UnsupportedError
            The major version is not ours.
        LimitError
            The scene is larger than ``limits``.
        CorruptError
            A field is out of range.
        """
        version = fields.integer("u16"), fields.integer("u16")
        if version[0] != VERSION[0]:
            raise UnsupportedError("bitstream version {}.{}".format(*version), chunk="HEAD")
        gaussians = fields.integer("u64")
        if gaussians > limits.gaussians:
            raise LimitError(f"{gaussians} Gaussians exceed the limit of {limits.gaussians}")
        layers = fields.integer("u8", 1, MAX_LAYERS)
        tiles = fields.integer("u32", 0, max(gaussians, 0))
        x, y, z, step = (fields.real("f64") for _ in range(4))
        fields.require(step > 0, "grid step is not positive")
        a, b, c = (fields.integer("u32") for _ in range(3))
        shift = fields.integer("u8", 0, 40)
        rounds = tuple(fields.integer("u8", 1, MAX_ROUNDS) for _ in range(layers))
        groups = tuple(_read_group(fields) for _ in range(fields.integer("u8", 0, MAX_GROUPS)))
        _check_groups(fields, groups, gaussians)
        values = gaussians * sum(group.channels for group in groups)
        if values > limits.values:
            raise LimitError(f"{values} values exceed the limit of {limits.values}")
        passes = tuple(
            _read_pass(fields, layers, len(groups))
            for _ in range(fields.integer("u16", 0, MAX_PASSES))
        )
        fields.finish()
        corner, unit = (x, y, z), (a, b, c)
        return cls(
            gaussians, layers, tiles, corner, step, unit, shift, rounds, groups, passes, version
        )


def _read_group(fields: FieldReader) -> GroupDeclaration:
    kind = fields.integer("u8")
    if kind not in GroupKind._value2member_map_:
        raise UnsupportedError(f"attribute kind {kind}", chunk="HEAD")
    channels = fields.integer("u16", 1, MAX_CHANNELS)
    columns = fields.integer("u16", 0, MAX_CHANNELS)
    group = GroupDeclaration(GroupKind(kind), channels, columns)
    most = channels if group.kind is GroupKind.SCALE else columns
    fixed = FIXED_SHAPES.get(group.kind, (channels, most))
    fields.require((channels, columns) == fixed, f"shape does not fit group kind {kind}")
    return group


def _check_groups(fields: FieldReader, groups: tuple[GroupDeclaration, ...], count: int) -> None:
    kinds = [group.kind for group in groups]
    first = kinds[:1] == [GroupKind.POSITION]
    fields.require(first if count else not groups, "the first group must be the positions")
    for kind in SINGLE_KINDS:
        fields.require(kinds.count(kind) <= 1, f"there are several groups of kind {kind}")


def _read_pass(fields: FieldReader, layers: int, groups: int) -> Pass:
    layer = fields.integer("u8")
    fields.require(layer < layers or layer == EXACT_PASS_LAYER, f"pass names layer {layer}")
    listed = tuple(fields.integer("u8") for _ in range(fields.integer("u8")))
    fields.require(all(g < groups for g in listed), "pass names a group that is not declared")
    fields.require(len(set(listed)) == len(listed), "pass names a group twice")
    fields.require(bool(listed) or layer == EXACT_PASS_LAYER, "pass is empty")
    return Pass(layer, listed)


@dataclass(frozen=True)
class Tiles:
    """TILE payload.

    Attributes
    ----------
    origin : ndarray of int64, shape (tiles, 3)
        First grid cell of each tile.
    bits : ndarray of uint8, shape (tiles, 3)
        The tile spans ``2**bits`` cells on each axis.
    counts : ndarray of int64, shape (tiles, layers)
        Gaussians of each layer.
    """

    origin: NDArray[np.int64]
    bits: NDArray[np.uint8]
    counts: NDArray[np.int64]

    def write(self) -> bytes:
        """Serialise."""
        fields = FieldWriter().array(self.origin, np.uint32).array(self.bits, np.uint8)
        return fields.array(self.counts, np.uint32).finish()

    @classmethod
    def read(cls, fields: FieldReader, header: Header) -> Tiles:
        """Parse and check against the header."""
        origin = fields.array((header.tiles, 3), np.uint32).astype(np.int64)
        bits = fields.array((header.tiles, 3), np.uint8).astype(np.uint8)
        counts = fields.array((header.tiles, header.layers), np.uint32).astype(np.int64)
        fields.finish()
        fields.require(bool((bits <= _MAX_AXIS_BITS).all()), "tile spans too many cells")
        per_tile = counts.sum(axis=1)
        fields.require(bool((per_tile <= TILE_CAPACITY).all()), "tile holds too many Gaussians")
        fields.require(int(counts.sum()) == header.gaussians, "tiles do not add up to the scene")
        return cls(origin, bits, counts)


@dataclass(frozen=True)
class Compensation:
    """What a decoder does to a level that lacks Gaussians (spec section 10).

    Attributes
    ----------
    scale_offset, spacing_pull : float
        Growth of log scales: constant, and per unit of excess of the spacing over the size.
    depth_gain, depth_exponent : float
        Optical depth ``t`` becomes ``exp(gain) * t ** exponent``.
    """

    scale_offset: float = 0.0
    spacing_pull: float = 0.0
    depth_gain: float = 0.0
    depth_exponent: float = 1.0

    @property
    def active(self) -> bool:
        """Whether it changes anything."""
        return self != Compensation()


@dataclass(frozen=True)
class LevelEntry:
    """One level: where the file may be cut, and what a file cut there holds.

    Attributes
    ----------
    end : int
        Byte offset just behind the level.
    passes : int
        Passes decoded at this level, from the first on.
    gaussians : int
    digest : bytes
        SHA-256 over the digests of all data chunks up to here (spec section 8).
    compensation : Compensation
    """

    end: int
    passes: int
    gaussians: int
    digest: bytes
    compensation: Compensation = Compensation()


def write_levels(levels: list[LevelEntry]) -> bytes:
    """Serialise the LEVS payload."""
    fields = FieldWriter().put("u8", len(levels))
    for level in levels:
        fields.put("u64", level.end, level.gaussians).put("u16", level.passes)
        made = level.compensation
        fields.put("f32", made.scale_offset, made.spacing_pull)
        fields.put("f32", made.depth_gain, made.depth_exponent).raw(level.digest)
    return fields.finish()


def read_levels(fields: FieldReader, header: Header) -> list[LevelEntry]:
    """Parse the LEVS payload: strictly growing ends and passes, all passes in the last level."""
    levels: list[LevelEntry] = []
    end, done = 0, 0
    for _ in range(fields.integer("u8", 1, MAX_LEVELS)):
        end = fields.integer("u64", end + 1)
        gaussians = fields.integer("u64", 0, header.gaussians)
        done = fields.integer("u16", done + bool(header.passes), len(header.passes))
        made = Compensation(*(fields.real("f32") for _ in range(4)))
        levels.append(LevelEntry(end, done, gaussians, bytes(fields.raw(DIGEST_BYTES)), made))
    fields.finish()
    fields.require(done == len(header.passes), "the last level does not hold every pass")
    return levels
