"""Values as a bucket of the number line and a tail within it, by integers only (spec 6.5.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csgs_codec.errors import CorruptError
from csgs_codec.numerics.bits import BitReader, BitWriter
from csgs_codec.numerics.fixed_point import ilog2

Generic = NDArray[np.generic]
Flags = NDArray[np.bool_]
I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
U8 = NDArray[np.uint8]

ZERO_GAP = 255
FAR_GAP = 254
_ONE = np.uint64(1)
_WORD = 32


@dataclass(frozen=True)
class Layout:
    """Bits of a property type.

    Attributes
    ----------
    size : int
        Bytes.
    mantissa : int
        Bits of the mantissa; 0 for integers.
    exponent_bits : int
        0 for integers.
    signed : bool
        Of integers.
    """

    size: int
    mantissa: int = 0
    exponent_bits: int = 0
    signed: bool = False

    zero_gap = ZERO_GAP
    far_gap = FAR_GAP

    @classmethod
    def of(cls, dtype: np.dtype[np.generic]) -> Layout:
        """Layout of a PLY type."""
        if dtype.kind == "f":
            mantissa = {4: 23, 8: 52}[dtype.itemsize]
            return cls(dtype.itemsize, mantissa, 8 * dtype.itemsize - 1 - mantissa)
        return cls(dtype.itemsize, signed=dtype.kind == "i")

    @property
    def real(self) -> bool:
        """Whether the type is a float."""
        return self.mantissa > 0

    @property
    def bias(self) -> int:
        """Exponent field of 1."""
        return (1 << (self.exponent_bits - 1)) - 1

    @property
    def exponents(self) -> tuple[int, int]:
        """Least and largest exponent of a bucket."""
        if self.real:
            return 1 - self.bias, self.bias - 1
        return 1 - 8 * self.size, 0

    def near_zero(self, bucket: I64) -> Flags:
        """Where a bucket touches 0, so that it does not tell the exponent."""
        if not self.real:
            return np.zeros(len(bucket), bool)
        return np.asarray((bucket == 0) | (bucket == -1))

    def to_bits(self, column: Generic) -> U64:
        """Bits of values, zero-extended."""
        little = np.ascontiguousarray(column, column.dtype.newbyteorder("<"))
        return little.view(f"<u{self.size}").astype(np.uint64)

    def from_bits(self, bits: U64) -> Generic:
        """Undo :meth:`to_bits`, as unsigned integers of the type's size."""
        return bits.astype(f"u{self.size}")

    @property
    def _words(self) -> list[int]:
        """Widths of the fields that hold a whole value, upper ones first."""
        return [_WORD, _WORD] if self.size == 8 else [8 * self.size]

    def put_raw(self, out: BitWriter, column: Generic) -> None:
        """Append whole values."""
        bits = self.to_bits(column)
        widths = self._words
        fields = [bits >> np.uint64(_WORD), bits & np.uint64(0xFFFFFFFF)][-len(widths) :]
        sizes = np.tile(np.array(widths, np.uint8), len(bits))
        out.put(np.stack(fields, axis=1).reshape(-1), sizes)

    def get_raw(self, source: BitReader, count: int) -> Generic:
        """Undo :meth:`put_raw`."""
        widths = np.array(self._words, np.uint8)
        fields = source.get(np.tile(widths, count)).reshape(count, len(widths))
        bits = fields[:, 0]
        if len(widths) == 2:
            bits = (bits << np.uint64(_WORD)) | fields[:, 1]
        return self.from_bits(bits)

    def put_exponents(self, out: BitWriter, exponent: I64) -> None:
        """Append exponent fields as they are."""
        out.put(exponent.astype(np.uint64), np.full(len(exponent), self.exponent_bits, np.uint8))

    def get_exponents(self, source: BitReader, count: int) -> I64:
        """Undo :meth:`put_exponents`."""
        return source.get(np.full(count, self.exponent_bits, np.uint8)).astype(np.int64)


@dataclass(frozen=True)
class Split:
    """A column in buckets.

    Attributes
    ----------
    bucket : ndarray of int64
        ``floor(magnitude / width)``, or its complement for negative values.
    raw : ndarray of bool
        Rows that no bucket can hold: NaN, infinities and what is too large.
    near_zero : ndarray of bool
    gap, exponent : ndarray of uint8, int64
        For the rows near zero (undefined elsewhere): how far the exponent is below that of the
        bucket's end, and the exponent field.
    tail, width : ndarray of uint64, uint8
        The bits within the bucket.
    """

    bucket: I64
    raw: Flags
    near_zero: Flags
    gap: U8
    exponent: I64
    tail: U64
    width: U8


def split(column: Generic, layout: Layout, exponent: int, zeros: int) -> Split:
    """Cut a column; the low ``zeros`` bits of the mantissas must be 0.

    Raises
    ------
    ValueError
        They are not.
    """
    nothing = np.zeros(len(column), bool)
    if not layout.real:
        values = column.astype(np.int64)
        shift = -exponent
        tail = (values & ((1 << shift) - 1)).astype(np.uint64)
        width = np.full(len(column), shift, np.uint8)
        none = np.zeros(len(column), np.int64)
        return Split(values >> shift, nothing, nothing, none.astype(np.uint8), none, tail, width)
    bits = layout.to_bits(column)
    negative = (bits >> np.uint64(8 * layout.size - 1)) == 1
    fraction = bits & np.uint64((1 << layout.mantissa) - 1)
    if zeros and (fraction & np.uint64((1 << zeros) - 1)).any():
        raise ValueError("low bits of the mantissa are not 0")
    below_sign = bits & np.uint64((1 << (8 * layout.size - 1)) - 1)
    field = (below_sign >> np.uint64(layout.mantissa)).astype(np.int64)
    places = field - layout.bias + exponent
    raw = (field == (1 << layout.exponent_bits) - 1) | (places > layout.mantissa)
    near_zero = (places < 0) & ~raw
    j = np.clip(places, 0, layout.mantissa).astype(np.uint64)
    lower = np.uint64(layout.mantissa) - j
    magnitude = ((_ONE << np.uint64(layout.mantissa)) | fraction) >> lower
    magnitude = np.where(near_zero | raw, 0, magnitude).astype(np.int64)
    gap = np.minimum(layout.bias - exponent - 1 - field, FAR_GAP)
    gap = np.where((field == 0) & (fraction == 0), ZERO_GAP, gap).astype(np.uint8)
    kept = np.where(near_zero, layout.mantissa, lower).astype(np.int64) - zeros
    width = np.where(near_zero & (gap == ZERO_GAP), 0, np.maximum(kept, 0)).astype(np.uint8)
    tail = (fraction >> np.uint64(zeros)) & ((_ONE << width.astype(np.uint64)) - _ONE)
    bucket = np.where(negative, ~magnitude, magnitude)
    return Split(bucket, raw, near_zero, gap, field, tail, width)


def join(
    layout: Layout,
    exponent: int,
    zeros: int,
    bucket: I64,
    near_zero: Flags,
    gap: U8,
    exponents: I64,
    source: BitReader,
) -> Generic:
    """Undo :func:`split`, with the tails still to be read.

    Parameters
    ----------
    layout : Layout
    exponent, zeros : int
    bucket : ndarray of int64, shape (n,)
    near_zero : ndarray of bool, shape (n,)
    gap : ndarray of uint8
        Of the rows near zero.
    exponents : ndarray of int64
        Exponent fields of the rows near zero whose gap is ``FAR_GAP``.
    source : BitReader

    Returns
    -------
    ndarray of unsigned integers, shape (n,)
        The values' bits.

    Raises
    ------
    CorruptError
        A bucket or exponent does not exist in the type, or the bits end early.
    """
    if not layout.real:
        return _join_integers(layout, -exponent, bucket, source)
    negative = bucket < 0
    magnitude = np.where(negative, ~bucket, bucket)
    if len(magnitude) and int(magnitude.max()) >> (layout.mantissa + 1):
        raise CorruptError("an exact value is too large for its buckets", chunk="XDAT")
    unsigned = np.maximum(magnitude, 1).astype(np.uint64)
    places = ilog2(unsigned).astype(np.int64)
    field = places - exponent + layout.bias
    width = np.maximum(layout.mantissa - zeros - places, 0)
    small = layout.bias - exponent - 1 - gap.astype(np.int64)
    small[gap == FAR_GAP] = exponents
    small[gap == ZERO_GAP] = 0
    if ((small < 0) | (small > layout.bias - exponent - 1)).any():
        raise CorruptError("an exact value has an impossible exponent", chunk="XDAT")
    field[near_zero] = small
    if (field >= (1 << layout.exponent_bits) - 1).any():
        raise CorruptError("an exact value has an impossible exponent", chunk="XDAT")
    width[near_zero] = np.where(gap == ZERO_GAP, 0, layout.mantissa - zeros)
    tail = source.get(width.astype(np.uint8))
    top = unsigned - (_ONE << places.astype(np.uint64))
    top <<= (layout.mantissa - places).astype(np.uint64)
    top[near_zero] = 0
    bits = field.astype(np.uint64) << np.uint64(layout.mantissa)
    bits |= top | (tail << np.uint64(zeros))
    bits |= negative.astype(np.uint64) << np.uint64(8 * layout.size - 1)
    return layout.from_bits(bits)


def _join_integers(layout: Layout, shift: int, bucket: I64, source: BitReader) -> Generic:
    bits = 8 * layout.size
    low, high = (-(1 << (bits - 1)), 1 << (bits - 1)) if layout.signed else (0, 1 << bits)
    if ((bucket < (low >> shift)) | (bucket >= max(high >> shift, 1))).any():
        raise CorruptError("an exact value is too large for its type", chunk="XDAT")
    tail = source.get(np.full(len(bucket), shift, np.uint8)).astype(np.int64)
    whole: U64 = ((bucket << shift) | tail).astype(np.uint64)
    return layout.from_bits(whole & np.uint64((1 << bits) - 1))
