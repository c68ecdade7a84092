"""A group's network: from context inputs to a mean and a scale for each channel (spec section 7.4).

The last layer has ``2 C`` outputs in Q6: ``C`` means in units of the base step, to which the blend
of the neighbours is added, then ``C`` scale indices. One unit of the scale index is a sixth of an
octave of the residual's spread.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from csgs_codec.attributes.steps import LARGEST_CLASS, SCALE_INDEX_PER_CLASS, STEP_Q6
from csgs_codec.container.fields import FieldReader, FieldWriter
from csgs_codec.errors import CorruptError
from csgs_codec.hyperprior.blend import NeighbourBlend
from csgs_codec.hyperprior.contexts import ContextLayout
from csgs_codec.hyperprior.tile import Tile
from csgs_codec.numerics.backend import kernels
from csgs_codec.numerics.bits import BitReader
from csgs_codec.numerics.fixed_point import shift_round
from csgs_codec.numerics.mlp import EXACT_BOUND, IntegerMlp, Layer
from csgs_codec.numerics.rans import RansDecoder
from csgs_codec.numerics.residuals import decode_escapes, decode_residuals
from csgs_codec.numerics.side import decode_integers, encode_integers
from csgs_codec.numerics.tables import half_widths, laplace_tables

U8 = NDArray[np.uint8]
I8 = NDArray[np.int8]
I32 = NDArray[np.int32]

MAX_HIDDEN_LAYERS = 4
MAX_HIDDEN_WIDTH = 256
BIAS_SHIFT = 8
LARGEST_VALUE_Q6 = 1 << 30
_SCALE_INDEX_MAX = 63
_ROW_SCALE_INDEX = 30


def scale_index_of(spread: NDArray[np.float64] | float) -> NDArray[np.uint8]:
    """Nearest live table (1 to 63) for a residual of standard deviation ``spread``, in steps."""
    index = 1 + 6 * np.log2(np.maximum(spread, 1e-9) / 0.1)
    return np.clip(np.rint(index), 1, _SCALE_INDEX_MAX).astype(np.uint8)


@dataclass(frozen=True)
class GroupNetwork:
    """Network of one group."""

    group: int
    layout: ContextLayout
    mlp: IntegerMlp
    blend: NeighbourBlend | None = None

    @property
    def channels(self) -> int:
        """Coded channels of the group."""
        return self.mlp.layers[-1].weights.shape[1] // 2

    def blended(self, tile: Tile, layer: int, part: slice) -> I32:
        """Blend of the decoded neighbours for a part of a layer, shape (n, channels)."""
        if self.blend is None:
            rows = tile.rows(layer)
            count = len(range(rows.stop - rows.start)[part])
            return np.zeros((count, self.channels), np.int32)
        found = tile.neighbours(layer).part(part)
        return self.blend.predict(tile.values(self.group), found)

    def predict(self, inputs: U8, classes: I8) -> tuple[I32, U8]:
        """Return ``(mu_q6, scale_index)``, each of shape (n, channels), without the blend.

        Parameters
        ----------
        inputs : ndarray of uint8, shape (n, layout.width)
        classes : ndarray of int8, shape (n,)
            Step classes; a coarser step lowers the scale index.
        """
        outputs = self.mlp.forward(inputs)
        channels = outputs.shape[1] // 2
        fast = kernels()
        if fast is not None:
            mu_q6 = np.empty((len(outputs), channels), np.int32)
            scale_index = np.empty(mu_q6.shape, np.uint8)
            fast.split_outputs(outputs, classes, SCALE_INDEX_PER_CLASS, mu_q6, scale_index)
            return mu_q6, scale_index
        index = shift_round(outputs[:, channels:], 6)
        index -= SCALE_INDEX_PER_CLASS * classes[:, None].astype(np.int32)
        scale_index = np.clip(index, 0, _SCALE_INDEX_MAX).astype(np.uint8)
        return outputs[:, :channels].copy(), scale_index

    def with_scale_offsets(self, offsets: NDArray[np.int64]) -> GroupNetwork:
        """The same network with its scale indices shifted by channel, shape (channels,)."""
        *hidden, last = self.mlp.layers
        bias = last.bias.astype(np.int64)
        bias[len(bias) // 2 :] += offsets << (6 + last.shift)
        shifted = Layer(last.weights, bias.astype(np.int32), last.shift)
        if shifted.largest_sum() >= EXACT_BOUND or int(np.abs(bias).max()) >= 1 << 24:
            return self
        return replace(self, mlp=IntegerMlp([*hidden, shifted]))

    def decode(
        self,
        inputs: U8,
        classes: I8,
        silent: NDArray[np.bool_] | None,
        rans: RansDecoder,
        bits: BitReader,
        v_q6: I32,
    ) -> None:
        """Predict, read and reconstruct a group of one tile layer into ``v_q6``.

        Parameters
        ----------
        inputs, classes
            As for :meth:`predict`.
        silent : ndarray of bool, shape (n,), optional
            Rows that are not coded and become 0.
        rans, bits
            Streams of the chunk.
        v_q6 : ndarray of int32, shape (n, channels), in C order
            Comes with the blend of the neighbours.

        Raises
        ------
        CorruptError
            An escape is invalid or a value leaves the range of the format.
        """
        fast = kernels()
        if fast is None:
            mu_q6, scale_index = self.predict(inputs, classes)
            mu_q6 += v_q6
            if silent is not None:
                mu_q6[silent] = 0
                scale_index[silent] = 0
            k = decode_residuals(scale_index, rans, bits)
            v_q6[:] = reconstruct(mu_q6, k, classes)
            return
        tables = laplace_tables()
        escaped = np.empty(v_q6.size, np.int32)
        escaped_index = np.empty(v_q6.size, np.uint8)
        counts = np.array([rans.at, 0, 0], np.int64)
        fast.group_decode(
            np.ascontiguousarray(inputs.T), *self.mlp.packed, classes,
            np.zeros(0, np.bool_) if silent is None else silent,
            SCALE_INDEX_PER_CLASS, STEP_Q6, LARGEST_CLASS, rans.words, rans.states,
            tables.symbol_of_group, tables.cdf, tables.start_and_frequency, half_widths(),
            v_q6, escaped, escaped_index, counts,
        )  # fmt: skip
        rans.at, count, largest = counts.tolist()
        if count:
            flat, channels = v_q6.reshape(-1), v_q6.shape[1]
            place = escaped[:count]
            k = decode_escapes(escaped_index[:count], bits)
            step_q6 = STEP_Q6[classes[place // channels].astype(np.intp) + LARGEST_CLASS]
            exact = flat[place] + k * step_q6.astype(np.int64)
            largest = max(largest, int(np.abs(exact).max()))
            flat[place] = exact
        _check_range(largest)

    def write(self) -> bytes:
        """Serialise as a NETW payload."""
        fields = FieldWriter().put("u8", self.group)
        self.layout.write(fields)
        fields.put("u8", self.blend is not None)
        if self.blend is not None:
            self.blend.write(fields)
        layers = self.mlp.layers
        fields.put("u8", len(layers) - 1)
        fields.put("u16", *(layer.weights.shape[1] for layer in layers[:-1]))
        for layer in layers:
            _write_layer(fields, layer)
        return fields.finish()

    @classmethod
    def read(cls, fields: FieldReader, group: int, available: dict[int, int]) -> GroupNetwork:
        """Parse a NETW payload behind its group index.

        Parameters
        ----------
        fields : FieldReader
        group : int
        available : dict
            Groups that are decoded before ``group``, and itself, with their channel counts.

        Raises
        ------
        CorruptError
            The layout uses what is not decoded yet, or a sum could reach 2**24.
        """
        layout = ContextLayout.read(fields, group, available)
        blended = bool(fields.integer("u8", 0, 1))
        blend = NeighbourBlend.read(fields, available[group]) if blended else None
        hidden = [
            fields.integer("u16", 1, MAX_HIDDEN_WIDTH)
            for _ in range(fields.integer("u8", 0, MAX_HIDDEN_LAYERS))
        ]
        widths = [layout.width, *hidden, 2 * available[group]]
        layers = [_read_layer(fields, a, b) for a, b in pairwise(widths)]
        fields.finish()
        return cls(group, layout, IntegerMlp(layers), blend)


def reconstruct(mu_q6: I32, k: I32, classes: I8) -> I32:
    """``v_q6 = mu_q6 + k * STEP_Q6[class]`` (spec section 5.5).

    Raises
    ------
    CorruptError
        A value leaves the range of the format, ``|v_q6| < 2**30``.
    """
    fast = kernels()
    if fast is not None:
        v_q6 = np.empty_like(k)
        largest = fast.reconstruct(mu_q6, k, classes, STEP_Q6, LARGEST_CLASS, v_q6)
    else:
        step_q6 = STEP_Q6[classes.astype(np.intp) + LARGEST_CLASS].astype(np.int64)
        exact = mu_q6 + k * step_q6[:, None]
        largest = int(np.abs(exact).max(initial=0))
        v_q6 = exact.astype(np.int32)
    _check_range(largest)
    return v_q6


def _check_range(largest: int) -> None:
    if largest >= LARGEST_VALUE_Q6:
        raise CorruptError("decoded value exceeds the range of the format")


def _write_layer(fields: FieldWriter, layer: Layer) -> None:
    rows, columns = layer.weights.shape
    spread = np.abs(layer.weights).mean(axis=1) * np.sqrt(2.0) if rows else np.zeros(0)
    row_index = scale_index_of(spread)
    steps = np.diff(np.concatenate([[_ROW_SCALE_INDEX], row_index.astype(np.int64)]))
    bias = layer.bias >> BIAS_SHIFT
    bias_index = int(scale_index_of(float(np.abs(bias).mean()) * np.sqrt(2.0)))
    fields.put("u8", layer.shift, bias_index)
    fields.blob(encode_integers(steps, np.full(rows, _ROW_SCALE_INDEX, np.uint8)))
    flat = layer.weights.reshape(-1).astype(np.int32)
    fields.blob(encode_integers(flat, np.repeat(row_index, columns)))
    fields.blob(encode_integers(bias, np.full(columns, bias_index, np.uint8)))


def _read_layer(fields: FieldReader, rows: int, columns: int) -> Layer:
    shift = fields.integer("u8", 1, 16)
    bias_index = fields.integer("u8", 1, _SCALE_INDEX_MAX)
    steps = decode_integers(fields.blob(), rows, np.full(rows, _ROW_SCALE_INDEX, np.uint8))
    row_index = np.cumsum(steps.astype(np.int64)) + _ROW_SCALE_INDEX
    valid = (row_index >= 1) & (row_index <= _SCALE_INDEX_MAX)
    fields.require(bool(valid.all()), "scale index of a weight row is out of range")
    repeated = np.repeat(row_index.astype(np.uint8), columns)
    weights = decode_integers(fields.blob(), rows * columns, repeated)
    fields.require(not weights.size or int(np.abs(weights).max()) < 1 << 15, "weight too large")
    bias = decode_integers(fields.blob(), columns, np.full(columns, bias_index, np.uint8))
    fields.require(int(np.abs(bias.astype(np.int64)).max(initial=0)) < 1 << 16, "bias too large")
    matrix = weights.reshape(rows, columns).astype(np.int16)
    return Layer(matrix, bias.astype(np.int32) << BIAS_SHIFT, shift)
