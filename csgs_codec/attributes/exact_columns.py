"""Exact columns under a model: integer prediction, entropy-coded buckets, plain tails (spec 6.5.1).

The number line is cut into *buckets* of a power of two. The bucket of a value is predicted from
decoded integers and the difference entropy-coded; what tells the values of a bucket apart, the
low bits of a mantissa, follows as plain bits. Everything is integer arithmetic on the bits of the
values, so every machine reads the same columns.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from csgs_codec.attributes.buckets import Layout, Split, join, split
from csgs_codec.container.fields import FieldReader, FieldWriter
from csgs_codec.container.inflate import inflate
from csgs_codec.errors import CorruptError
from csgs_codec.numerics.bits import BitReader, BitWriter
from csgs_codec.numerics.fixed_point import ilog2
from csgs_codec.numerics.rans import RansDecoder, RansEncoder
from csgs_codec.numerics.tables import FrequencyTables, normalise_frequencies

Generic = NDArray[np.generic]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]
Integers = NDArray[np.int64] | NDArray[np.int32]
Sources = Callable[[int], Sequence[I64]]

NO_SOURCE = 255
PREVIOUS_ROW = 254
HALF_WIDTH = 126
ABOVE, BELOW, RAW = 253, 254, 255
ESCAPE_ORDER = 8
LARGEST_DIFFERENCE = 1 << 29
CONTEXTS = 16
SYMBOLS = 256
LARGEST_SHIFT = 62
MOST_EARLIER = 64
_MOST_ACTIVE = 8


@dataclass(frozen=True)
class ColumnModel:
    """How the buckets of a column are predicted.

    Attributes
    ----------
    exponent : int
        Buckets are ``2**-exponent`` wide.
    zeros : int
        Low bits of the mantissa that are 0 in every value.
    source : int
        Group whose decoded integers foretell the bucket, ``PREVIOUS_ROW`` or ``NO_SOURCE``.
    earlier : int
        How many modelled columns just before this one foretell the bucket as well.
    bias : int
    shift : int
    coefficients : ndarray of int32
        One for each channel of the group, then one for each earlier column, the oldest first. The
        prediction is ``(bias + coefficients . integers) >> shift``, modulo 2**64.
    contexts : int
        Tables to choose from, 1 or ``CONTEXTS``.
    """

    exponent: int
    zeros: int = 0
    source: int = NO_SOURCE
    earlier: int = 0
    bias: int = 0
    shift: int = 0
    coefficients: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    contexts: int = 1

    def predict(self, sources: Sources, past: Past) -> I64:
        """Predicted bucket of each row."""
        integers: list[Integers] = []
        if self.source < PREVIOUS_ROW:
            integers += sources(self.source)
        integers += past.recent(self.earlier)
        linear = np.full(past.count, self.bias, np.int64)
        with np.errstate(over="ignore"):
            for channel, slope in zip(integers, self.coefficients, strict=True):
                linear += channel.astype(np.int64) * np.int64(slope)
        return np.asarray(linear >> np.int64(self.shift))

    def write(self, fields: FieldWriter) -> None:
        """Append the model to a payload."""
        fields.put("i32", self.exponent)
        fields.put("u8", self.zeros, self.contexts, self.source, self.earlier)
        if len(self.coefficients):
            fields.array(np.array([self.bias]), np.int64).put("u8", self.shift)
            fields.array(self.coefficients, np.int32)

    @classmethod
    def read(
        cls, fields: FieldReader, layout: Layout, channels: Callable[[int], int], past: Past
    ) -> ColumnModel:
        """Parse a model; ``channels`` tells how many integers a group has, 0 for no such group."""
        exponent = fields.integer("i32", *layout.exponents)
        zeros = fields.integer("u8", 0, layout.mantissa)
        contexts = fields.integer("u8", 1, CONTEXTS)
        fields.require(contexts in (1, CONTEXTS), "neither 1 nor 16 contexts")
        source = fields.integer("u8")
        longest = 0 if source == PREVIOUS_ROW else min(past.columns, MOST_EARLIER)
        earlier = fields.integer("u8", 0, longest)
        width = 0 if source >= PREVIOUS_ROW else channels(source)
        fields.require(source >= PREVIOUS_ROW or width > 0, f"group {source} foretells nothing")
        if not width + earlier:
            return cls(exponent, zeros, source, contexts=contexts)
        bias = int(fields.array((1,), np.int64)[0])
        shift = fields.integer("u8", 0, LARGEST_SHIFT)
        slopes = fields.array((width + earlier,), np.int32).astype(np.int32)
        return cls(exponent, zeros, source, earlier, bias, shift, slopes, contexts)


class Past:
    """What the modelled columns so far leave behind for each row.

    Parameters
    ----------
    count : int
        Rows.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._level = np.zeros(count, np.uint8)
        self._buckets: list[NDArray[np.int32]] = []

    @property
    def columns(self) -> int:
        """Columns whose buckets are still known."""
        return len(self._buckets)

    def copy(self) -> Past:
        """A copy that changes on its own."""
        other = Past(self.count)
        other._level, other._buckets = self._level, list(self._buckets)
        return other

    def recent(self, columns: int) -> list[NDArray[np.int32]]:
        """Buckets of the last columns, the oldest first."""
        return self._buckets[len(self._buckets) - columns :]

    def contexts(self, number: int) -> U8:
        """Table of each row: how far predictions were off lately."""
        if number == 1:
            return np.zeros(self.count, np.uint8)
        return np.minimum(self._level >> 3, CONTEXTS - 1).astype(np.uint8)

    def update(self, difference: I64, bucket: I64, earlier: int) -> None:
        """Add a column; of those before it only the last ``earlier`` stay known."""
        size = np.minimum(np.abs(difference), (1 << _MOST_ACTIVE) - 1).astype(np.uint64)
        bits = np.where(size > 0, ilog2(np.maximum(size, np.uint64(1))) + 1, 0).astype(np.uint16)
        self._level = ((self._level.astype(np.uint16) + 16 * bits) >> 1).astype(np.uint8)
        clipped = np.clip(bucket, -(1 << 31), (1 << 31) - 1).astype(np.int32)
        self._buckets = [*self.recent(earlier), clipped]


def differences(
    model: ColumnModel, parts: Split, sources: Sources, past: Past
) -> tuple[I64, NDArray[np.bool_]]:
    """Differences to the predicted buckets, and the rows that must be sent as they are."""
    count = len(parts.bucket)
    raw = parts.raw.copy()
    if model.source == PREVIOUS_ROW:
        bucket = np.where(raw, 0, parts.bucket)
        last = np.maximum.accumulate(np.where(raw, -1, np.arange(count)))
        before = np.concatenate([[-1], last[:-1]])
        difference = bucket - np.where(before >= 0, bucket[before], 0)
        far = np.abs(difference) > LARGEST_DIFFERENCE
        if (far & ~raw).any():
            raise ValueError("buckets of successive rows are too far apart")
    else:
        difference = parts.bucket - model.predict(sources, past)
    raw |= (difference > LARGEST_DIFFERENCE) | (difference < -LARGEST_DIFFERENCE)
    return np.where(raw, 0, difference), raw


def symbols_of(difference: I64, raw: NDArray[np.bool_]) -> U8:
    """Symbols of differences: -126 to 126, beyond, or raw."""
    symbol = np.clip(difference, -HALF_WIDTH, HALF_WIDTH) + HALF_WIDTH
    symbol[difference > HALF_WIDTH] = ABOVE
    symbol[difference < -HALF_WIDTH] = BELOW
    symbol[raw] = RAW
    return symbol.astype(np.uint8)


def write_modelled(column: Generic, model: ColumnModel, sources: Sources, past: Past) -> bytes:
    """Code a column; the payload behind the code byte. ``past`` is updated.

    Raises
    ------
    ValueError
        The model cannot express the column.
    """
    layout = Layout.of(column.dtype)
    parts = split(column, layout, model.exponent, model.zeros)
    difference, raw = differences(model, parts, sources, past)
    symbol = symbols_of(difference, raw)
    near_zero = parts.near_zero & ~raw
    gap = parts.gap[near_zero]
    context = past.contexts(model.contexts)
    main = np.bincount(context * np.intp(SYMBOLS) + symbol, minlength=model.contexts * SYMBOLS)
    gaps = np.bincount(gap, minlength=SYMBOLS)
    weights = _weights(np.concatenate([main, gaps]).reshape(-1, SYMBOLS))
    tables = _tables(weights)
    rans, bits = RansEncoder(), BitWriter()
    rans.put(symbol, context, tables)
    rans.put(gap, np.full(len(gap), model.contexts, np.uint8), tables)
    far = np.abs(difference) > HALF_WIDTH
    excess = np.abs(difference[far]) - HALF_WIDTH - 1
    bits.put_exp_golomb(excess, np.full(len(excess), ESCAPE_ORDER, np.uint8))
    layout.put_raw(bits, column[raw])
    layout.put_exponents(bits, parts.exponent[near_zero][gap == layout.far_gap])
    bits.put(parts.tail[~raw], parts.width[~raw])
    past.update(difference, np.where(raw, 0, parts.bucket), model.earlier)
    fields = FieldWriter()
    model.write(fields)
    packed = zlib.compress(weights.tobytes(), 9)
    return fields.blob(packed).blob(rans.finish()).raw(bits.finish()).finish()


def read_modelled(
    fields: FieldReader,
    count: int,
    dtype: np.dtype[np.generic],
    channels: Callable[[int], int],
    sources: Sources,
    past: Past,
) -> Generic:
    """Undo :func:`write_modelled`.

    Parameters
    ----------
    fields : FieldReader
        Behind the code byte.
    count : int
        Rows.
    dtype : dtype
        Of the property.
    channels : callable
        Number of integers of a group per row, 0 for one that cannot be a source.
    sources : callable
        Those integers, an array of shape (count,) for each channel.
    past : Past

    Raises
    ------
    CorruptError
    """
    layout = Layout.of(dtype)
    model = ColumnModel.read(fields, layout, channels, past)
    size = (model.contexts + 1) * SYMBOLS
    weights = np.frombuffer(inflate(fields.blob(), size), np.uint8).reshape(-1, SYMBOLS)
    tables = _tables(weights)
    rans = RansDecoder(fields.blob())
    bits = BitReader(fields.raw(fields.remaining))
    symbol = rans.get(past.contexts(model.contexts), tables)
    difference = symbol.astype(np.int64) - HALF_WIDTH
    raw = symbol == RAW
    difference[raw] = 0
    far = np.flatnonzero((symbol == ABOVE) | (symbol == BELOW))
    if len(far):
        excess = bits.get_exp_golomb(np.full(len(far), ESCAPE_ORDER, np.uint8))
        if int(excess.max()) > LARGEST_DIFFERENCE:
            raise CorruptError("difference of buckets is too large", chunk="XDAT")
        beyond = excess + HALF_WIDTH + 1
        difference[far] = np.where(symbol[far] == ABOVE, beyond, -beyond)
    if model.source == PREVIOUS_ROW:
        bucket = np.cumsum(difference)
    else:
        with np.errstate(over="ignore"):
            bucket = difference + model.predict(sources, past)
    bucket[raw] = 0
    past.update(difference, bucket, model.earlier)
    values = np.zeros(count, dtype)
    near_zero = layout.near_zero(bucket) & ~raw
    gap = rans.get(np.full(int(near_zero.sum()), model.contexts, np.uint8), tables)
    rans.finish()
    exact = layout.get_raw(bits, int(raw.sum()))
    exponents = layout.get_exponents(bits, int((gap == layout.far_gap).sum()))
    values[~raw] = join(
        layout, model.exponent, model.zeros, bucket[~raw], near_zero[~raw], gap, exponents, bits
    ).view(dtype)
    bits.finish()
    values[raw] = exact.view(dtype)
    return values


def _weights(counts: I64) -> U8:
    """Square roots of counts, each table to 255: one byte each, never 0 where something counts."""
    largest = np.maximum(counts.max(axis=1, keepdims=True), 1)
    return np.ceil(255.0 * np.sqrt(counts / largest)).astype(np.uint8)


def _tables(weights: U8) -> FrequencyTables:
    return FrequencyTables([normalise_frequencies(row.astype(np.int64) ** 2) for row in weights])
