"""What the hyperprior sees: one row of 8-bit inputs for each Gaussian (spec section 7.3)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from csgs_codec.container.fields import FieldReader, FieldWriter
from csgs_codec.hyperprior.neighbours import NEIGHBOURS, Neighbours
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
        Neighbours used, 0 to 8, each with ``nearby`` channels and a distance.
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


class LayerContext:
    """Network inputs of one tile layer.

    Parameters
    ----------
    layout : ContextLayout
    tile : Tile
    layer : int
    classes : ndarray of int8, shape (n,)
        Step classes of the layer's Gaussians.
    """

    def __init__(
        self, layout: ContextLayout, tile: Tile, layer: int, classes: NDArray[np.int8]
    ) -> None:
        self._layout, self._tile, self._layer = layout, tile, layer
        rows = tile.rows(layer)
        nearby = layout.nearby
        begin = 6 * layout.octaves + layout.layer_inputs
        self._near = slice(
            begin, begin + layout.neighbours * (nearby.width + 1) if nearby else begin
        )
        self._inputs: U8 = np.empty((layout.width, rows.stop - rows.start), np.uint8)
        inputs = self._inputs.T
        if layout.octaves:
            inputs[:, : 6 * layout.octaves] = tile.encoded_positions(layer, layout.octaves)
        if layout.layer_inputs:
            inputs[:, 6 * layout.octaves : begin] = 0
            inputs[:, 6 * layout.octaves + min(layer, layout.layer_inputs - 1)] = 255
        at = self._near.stop
        for channels in layout.own:
            channels.encode(tile.values(channels.group)[rows], inputs, at)
            at += channels.width
        if layout.step_class:
            inputs[:, at] = MIDDLE + _STEP_CLASS_UNIT * classes.astype(np.int16)

    def inputs(self, part: slice) -> U8:
        """Inputs of a part of the layer, shape (rows, layout.width), stored by column.

        Neighbours are looked at now, so they must be decoded.
        """
        inputs = np.ascontiguousarray(self._inputs[:, part])
        nearby = self._layout.nearby
        if nearby is not None:
            found = self._tile.neighbours(self._layer).part(part)
            values = self._tile.values(nearby.group)
            _write_nearby(nearby, self._layout.neighbours, values, found, inputs[self._near])
        return inputs.T


def _write_nearby(
    channels: ContextChannels, used: int, v_q6: I32, found: Neighbours, out: U8
) -> None:
    """Channels and distance of each neighbour; missing ones are ``MIDDLE`` and farthest."""
    fast = kernels()
    if fast is not None:
        centre, shift = channels.centre_q6, channels.shift
        fast.gather_neighbours(v_q6, centre, shift, found.row, found.distance, used, out, 0)
        return
    row = found.row[:, :used]
    near = v_q6[np.maximum(row, 0), : channels.width].astype(np.int64) - channels.centre_q6
    eight_bits = np.clip(shift_round(near, channels.shift) + MIDDLE, 0, 255)
    eight_bits[row < 0] = MIDDLE
    seen = np.concatenate([eight_bits, found.distance[:, :used, None]], axis=2)
    out[:] = seen.reshape(len(row), len(out)).T
