"""Networks with small random weights that keep the bound of numerics 9.2, and their payloads."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from math import isqrt

import numpy as np

from conformance.maker.seeded import Seeded
from csgs_codec.container.fields import FieldWriter
from csgs_codec.hyperprior.blend import NeighbourBlend
from csgs_codec.hyperprior.contexts import ContextChannels, ContextLayout
from csgs_codec.hyperprior.network import GroupNetwork
from csgs_codec.numerics.mlp import IntegerMlp, Layer
from csgs_codec.numerics.side import encode_integers

_FIRST_INDEX = 30
_BIAS_SHIFT = 8
_LARGEST = 60000
_MIDDLE_INPUT = 128


@dataclass
class Network:
    """A network and the scale indices under which its integers stand in the file.

    Attributes
    ----------
    row_index : list of list of int
        For each layer the scale index of each row of weights.
    bias_index : list of int
    """

    layout: ContextLayout
    layers: list[Layer]
    blend: NeighbourBlend | None = None
    row_index: list[list[int]] = field(default_factory=list)
    bias_index: list[int] = field(default_factory=list)

    def of(self, group: int) -> GroupNetwork:
        """Return what predicts."""
        return GroupNetwork(group, self.layout, IntegerMlp(self.layers), self.blend)

    def payload(self, group: int) -> bytes:
        """Return the NETW payload."""
        fields = FieldWriter().put("u8", group)
        self.layout.write(fields)
        fields.put("u8", self.blend is not None)
        if self.blend is not None:
            self.blend.write(fields)
        fields.put("u8", len(self.layers) - 1)
        fields.put("u16", *(layer.weights.shape[1] for layer in self.layers[:-1]))
        for place, layer in enumerate(self.layers):
            self._write_layer(fields, place, layer)
        return fields.finish()

    def _write_layer(self, fields: FieldWriter, place: int, layer: Layer) -> None:
        rows, columns = layer.weights.shape
        index = np.array(self.row_index[place], np.int64)
        steps = np.diff(np.concatenate([[_FIRST_INDEX], index]))
        fields.put("u8", layer.shift, self.bias_index[place])
        fields.blob(encode_integers(steps, np.full(rows, _FIRST_INDEX, np.uint8)))
        repeated = np.repeat(index.astype(np.uint8), columns)
        fields.blob(encode_integers(layer.weights.reshape(-1).astype(np.int32), repeated))
        bias = layer.bias >> _BIAS_SHIFT
        fields.blob(encode_integers(bias, np.full(columns, self.bias_index[place], np.uint8)))


def draw_layer(
    seeded: Seeded, rows: int, columns: int, shift: int, means: int, base: list[int]
) -> Layer:
    """Return a layer whose outputs spread around ``base``.

    Parameters
    ----------
    means : int
        Columns from here on spread an eighth as much.
    base : list of int
        For each column, its output for inputs that cancel.
    """
    most = max(1, (192 << shift) // (_MIDDLE_INPUT * max(isqrt(rows), 1)))
    most = min(most, _LARGEST // max(rows, 1), 32767)
    weights = np.zeros((rows, columns), np.int16)
    bias = np.zeros(columns, np.int32)
    for j in range(columns):
        reach = most if j < means else max(1, most // 8)
        for i in range(rows):
            weights[i, j] = seeded.between(-reach, reach)
        wanted = (base[j] << shift) - _MIDDLE_INPUT * int(weights[:, j].astype(np.int64).sum())
        largest = min(65535, (16_000_000 - 255 * int(np.abs(weights[:, j]).sum())) >> _BIAS_SHIFT)
        bias[j] = max(-largest, min(largest, wanted >> _BIAS_SHIFT)) << _BIAS_SHIFT
    return Layer(weights, bias, shift)


def draw_network(
    seeded: Seeded,
    channels: int,
    layout: ContextLayout | None = None,
    hidden: tuple[int, ...] = (),
    *,
    shift: int = 8,
    scale: int = 24,
    blend: NeighbourBlend | None = None,
) -> Network:
    """Return a network with random weights.

    Parameters
    ----------
    seeded : Seeded
    channels : int
        Of the group.
    layout : ContextLayout, optional
        No inputs by default.
    hidden : tuple of int
        Widths of hidden layers.
    shift : int
        Of every layer.
    scale : int
        Scale index around which those of the channels lie.
    blend : NeighbourBlend, optional
    """
    layout = layout or ContextLayout()
    layers = []
    for place, (rows, columns) in enumerate(pairwise([layout.width, *hidden, 2 * channels])):
        last = place == len(hidden)
        base = [_MIDDLE_INPUT] * columns
        if last:
            base = [seeded.between(-300, 300) for _ in range(channels)]
            base += [64 * seeded.between(max(scale - 4, 0), scale + 4) for _ in range(channels)]
        means = channels if last else columns
        layers.append(draw_layer(seeded, rows, columns, shift, means, base))
    row_index = [[seeded.between(20, 50) for _ in range(len(layer.weights))] for layer in layers]
    bias_index = [seeded.between(30, 63) for _ in layers]
    return Network(layout, layers, blend, row_index, bias_index)


def channels_of(seeded: Seeded, group: int, width: int, shift: int = 3) -> ContextChannels:
    """Return a channel list of a group's first channels."""
    centre = np.array([seeded.between(-200, 200) for _ in range(width)], np.int32)
    shifts = np.array(
        [seeded.between(max(shift - 2, 0), shift + 2) for _ in range(width)], np.uint8
    )
    return ContextChannels(group, centre, shifts)


def draw_blend(seeded: Seeded, channels: int, decay: int = 20) -> NeighbourBlend:
    """Return a blend of neighbours."""
    gain = np.array([seeded.between(100, 255) for _ in range(channels)], np.uint8)
    return NeighbourBlend(decay, gain)
