"""What the hyperprior sees: one row of 8-bit inputs for each Gaussian (spec section 7.3)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from csgs_codec.container.fields import FieldReader, FieldWriter
from csgs_codec.hyperprior.neighbours import NEIGHBOURS
from csgs_codec.hyperprior.tile import Tile
from csgs_codec.limits import MAX_CHANNELS, MAX_LAYERS
from csgs_codec.numerics.backend import kernels
from csgs_codec.numerics.fixed_point import shift_round

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]

MIDDLE = 128
MAX_OCTAVES = 12
MAX_INPUTS = 4096
_STEP_CLASS_UNIT = 8


@dataclass(frozen=True)
class ContextChannels:
    """The first channels of a group, each brought to 8 bits: ``128 + ((v_q6 - centre) >> shift)``.

    Attributes
    ----------
    group : int
    centre_q6 : ndarray of int32, shape (channels,)
    shift : ndarray of uint8, shape (channels,)
    """

    group: int
    centre_q6: I32
    shift: U8

    @property
    def width(self) -> int:
        """Number of channels used."""
        return len(self.centre_q6)

    def encode(self, v_q6: I32, out: U8, column: int) -> None:
        """Write the inputs for decoded integers, shape (n, >= width), from ``column`` on.

        The columns of ``out`` must lie together in memory.
        """
        fast = kernels()
        if fast is not None:
            fast.encode_channels(v_q6, self.centre_q6, self.shift, out.T, column)
            return
        centred = v_q6[:, : self.width].astype(np.int64) - self.centre_q6
        eight_bits = np.clip(shift_round(centred, self.shift) + MIDDLE, 0, 255)
        out[:, column : column + self.width] = eight_bits

    def write(self, fields: FieldWriter) -> None:
        """Append to a payload."""
        fields.put("u8", self.group).put("u16", self.width)
        fields.array(self.centre_q6, np.int32).array(self.shift, np.uint8)

    @classmethod
    def read(cls, fields: FieldReader, available: dict[int, int]) -> ContextChannels:
        """Read; ``available`` maps each usable group to its number of channels."""
        group = fields.integer("u8")
        fields.require(group in available, f"context uses group {group}, which is not decoded yet")
        width = fields.integer("u16", 0, min(available[group], MAX_CHANNELS))
        centre = fields.array((width,), np.int32).astype(np.int32)
        shift = fields.array((width,), np.uint8).astype(np.uint8)
        fields.require(bool((shift <= 30).all()), "context shift exceeds 30")
        return cls(group, centre, shift)


@dataclass(frozen=True)
class ContextLayout:
    """Which inputs a network has, in this order.

    Attributes
    ----------
    octaves : int
        Octaves of the positional encoding, 0 for none.
    layer_inputs : int
        Width of the one-hot layer code, 0 for none.
    neighbours : int
        Neighbours used, 0 to 4, each with ``nearby`` channels and a distance.
    nearby : ContextChannels, optional
        Channels of the neighbours (of the group that is being coded).
    own : tuple of ContextChannels
        Channels of the same Gaussian in groups coded before.
    step_class : bool
        Whether the Gaussian's step class is an input.
    """

    octaves: int = 0
    layer_inputs: int = 0
    neighbours: int = 0
    nearby: ContextChannels | None = None
    own: tuple[ContextChannels, ...] = field(default=())
    step_class: bool = False

    @property
    def width(self) -> int:
        """Number of inputs."""
        nearby = self.neighbours * (self.nearby.width + 1) if self.nearby else 0
        own = sum(channels.width for channels in self.own)
        return 6 * self.octaves + self.layer_inputs + nearby + own + int(self.step_class)

    def write(self, fields: FieldWriter) -> None:
        """Append to a payload."""
        fields.put("u8", self.octaves, self.layer_inputs, self.neighbours, self.step_class)
        if self.nearby is not None:
            self.nearby.write(fields)
        fields.put("u8", len(self.own))
        for channels in self.own:
            channels.write(fields)

    @classmethod
    def read(cls, fields: FieldReader, group: int, available: dict[int, int]) -> ContextLayout:
        """Read the layout for ``group``; ``available`` maps decoded groups to channel counts."""
        octaves = fields.integer("u8", 0, MAX_OCTAVES)
        layer_inputs = fields.integer("u8", 0, MAX_LAYERS)
        neighbours = fields.integer("u8", 0, NEIGHBOURS)
        step_class = bool(fields.integer("u8", 0, 1))
        nearby = None
        if neighbours:
            nearby = ContextChannels.read(fields, {group: available[group]})
        earlier = {g: n for g, n in available.items() if g != group}
        own = tuple(ContextChannels.read(fields, earlier) for _ in range(fields.integer("u8")))
        listed = [channels.group for channels in own]
        fields.require(listed == sorted(set(listed)), "own groups are not in increasing order")
        layout = cls(octaves, layer_inputs, neighbours, nearby, own, step_class)
        fields.require(layout.width <= MAX_INPUTS, f"network has {layout.width} inputs")
        return layout


def build_inputs(layout: ContextLayout, tile: Tile, layer: int, classes: NDArray[np.int8]) -> U8:
    """Return the network inputs of one tile layer, shape (n, layout.width), stored by column."""
    rows = tile.rows(layer)
    inputs = np.empty((layout.width, rows.stop - rows.start), np.uint8).T
    at = 6 * layout.octaves
    if layout.octaves:
        inputs[:, :at] = tile.encoded_positions(layer, layout.octaves)
    if layout.layer_inputs:
        inputs[:, at : at + layout.layer_inputs] = 0
        inputs[:, at + min(layer, layout.layer_inputs - 1)] = 255
        at += layout.layer_inputs
    if layout.nearby is not None:
        _write_nearby(layout.nearby, layout.neighbours, tile, layer, inputs, at)
        at += layout.neighbours * (layout.nearby.width + 1)
    for channels in layout.own:
        channels.encode(tile.values(channels.group)[rows], inputs, at)
        at += channels.width
    if layout.step_class:
        inputs[:, at] = MIDDLE + _STEP_CLASS_UNIT * classes.astype(np.int16)
    return inputs


def _write_nearby(
    channels: ContextChannels, used: int, tile: Tile, layer: int, inputs: U8, at: int
) -> None:
    """Channels and distance of each neighbour; missing ones are ``MIDDLE`` and farthest."""
    found = tile.neighbours(layer)
    earlier = tile.values(channels.group)[: tile.rows(layer).start]
    known = np.empty((channels.width, len(earlier)), np.uint8).T
    channels.encode(earlier, known, 0)
    fast = kernels()
    if fast is not None:
        fast.gather_neighbours(known.T, found.row, found.distance, used, inputs.T, at)
        return
    blank = np.full((1, channels.width), MIDDLE, np.uint8)
    row = found.row[:, :used]
    values = np.concatenate([known, blank])[np.where(row < 0, len(known), row)]
    seen = np.concatenate([values, found.distance[:, :used, None]], axis=2)
    width = used * (channels.width + 1)
    inputs[:, at : at + width] = seen.reshape(len(row), width)
