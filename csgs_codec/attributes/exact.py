"""Data kept bit for bit: the payloads of the XDAT chunks (spec section 6.5)."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from csgs_codec.container.fields import FieldReader, FieldWriter
from csgs_codec.container.inflate import inflate
from csgs_codec.errors import CorruptError, LimitError
from csgs_codec.limits import Limits
from csgs_codec.numerics.bits import BitReader, BitWriter
from csgs_codec.numerics.fixed_point import ilog2

Generic = NDArray[np.generic]


class ExactKind(IntEnum):
    """First byte of an XDAT payload."""

    COLUMN = 0
    ELEMENTS = 1
    EXCEPTIONS = 2
    ROW_ORDER = 3


class ColumnCode(IntEnum):
    """How a COLUMN payload is coded: the byte behind the property index."""

    DEFLATED = 0
    MODELLED = 1


@dataclass(frozen=True)
class Exceptions:
    """Values that replace decoded ones bit for bit, such as infinities.

    Attributes
    ----------
    row : ndarray of int64, shape (n,)
        Canonical row.
    property : ndarray of int64, shape (n,)
        Index of the vertex property.
    bits : ndarray of uint64, shape (n,)
        The value's bytes, little-endian, zero-extended.
    """

    row: NDArray[np.int64]
    property: NDArray[np.int64]
    bits: NDArray[np.uint64]


def column_fields(index: int, code: ColumnCode) -> FieldWriter:
    """What every COLUMN payload begins with."""
    return FieldWriter().put("u8", ExactKind.COLUMN).put("u16", index).put("u8", code)


def write_column(index: int, column: Generic, effort: int = 9) -> bytes:
    """Byte planes of a column, deflated with an effort of 1 to 9."""
    little = np.ascontiguousarray(column, column.dtype.newbyteorder("<"))
    planes = little.view(np.uint8).reshape(len(column), column.dtype.itemsize).T
    fields = column_fields(index, ColumnCode.DEFLATED)
    return fields.raw(zlib.compress(planes.tobytes(), effort)).finish()


def read_column(fields: FieldReader, count: int, dtype: np.dtype[np.generic]) -> Generic:
    """Undo :func:`write_column` behind the code."""
    size = count * dtype.itemsize
    planes = np.frombuffer(inflate(fields.raw(fields.remaining), size), np.uint8)
    rows = np.ascontiguousarray(planes.reshape(dtype.itemsize, count).T)
    return rows.reshape(-1).view(dtype.newbyteorder("<")).astype(dtype)


def write_elements(ply: bytes) -> bytes:
    """The other elements as a binary PLY, deflated."""
    fields = FieldWriter().put("u8", ExactKind.ELEMENTS).put("u64", len(ply))
    return fields.raw(zlib.compress(ply, 9)).finish()


def read_elements(fields: FieldReader, limits: Limits) -> bytes:
    """Undo :func:`write_elements`."""
    size = fields.integer("u64")
    if size > limits.inflated_bytes:
        raise LimitError(f"other elements take {size} bytes")
    return inflate(fields.raw(fields.remaining), size)


def write_exceptions(exceptions: Exceptions) -> bytes:
    """Rows, property indices and bits, deflated."""
    body = FieldWriter().array(np.diff(exceptions.row, prepend=0), np.uint32)
    body.array(exceptions.property, np.uint16).array(exceptions.bits, np.uint64)
    fields = FieldWriter().put("u8", ExactKind.EXCEPTIONS).put("u32", len(exceptions.row))
    return fields.raw(zlib.compress(body.finish(), 9)).finish()


def read_exceptions(fields: FieldReader, gaussians: int, properties: int) -> Exceptions:
    """Undo :func:`write_exceptions`."""
    count = fields.integer("u32", 0, gaussians * properties)
    body = inflate(fields.raw(fields.remaining), 14 * count)
    inner = FieldReader(body, "XDAT")
    row = np.cumsum(inner.array((count,), np.uint32).astype(np.int64))
    index = inner.array((count,), np.uint16).astype(np.int64)
    bits = inner.array((count,), np.uint64).astype(np.uint64)
    if (row >= gaussians).any() or (index >= properties).any():
        raise CorruptError("exception outside the scene", chunk="XDAT")
    return Exceptions(row, index, bits)


def apply_exceptions(columns: Sequence[Generic | None], exceptions: Exceptions) -> None:
    """Overwrite values in place; ``columns`` are those of all properties, None where absent."""
    by_property = np.argsort(exceptions.property, kind="stable")
    named, begins = np.unique(exceptions.property[by_property], return_index=True)
    for index, mine in zip(named.tolist(), np.split(by_property, begins[1:]), strict=False):
        column = columns[index]
        if column is not None:
            raw = exceptions.bits[mine].astype("<u8").view(np.uint8).reshape(-1, 8)
            size = column.dtype.itemsize
            patched = np.ascontiguousarray(raw[:, :size]).reshape(-1)
            column[exceptions.row[mine]] = patched.view(column.dtype.newbyteorder("<"))


def write_row_order(order: NDArray[np.int64]) -> bytes:
    """The original row of each canonical row: the smaller of two codes.

    Code 0: differences of successive rows, byte planes, deflated. Code 1: the rank of each row
    among those not yet named, in the bits that the number of remaining rows needs.
    """
    fields = FieldWriter().put("u8", ExactKind.ROW_ORDER)
    steps = np.diff(order, prepend=np.int64(0)).astype("<i8")
    deflated = zlib.compress(steps.view(np.uint8).reshape(-1, 8).T.tobytes(), 9)
    bits = BitWriter()
    bits.put(_ranks(order).astype(np.uint64), _rank_widths(len(order)))
    ranked = bits.finish()
    if len(deflated) < len(ranked):
        return fields.put("u8", 0).raw(deflated).finish()
    return fields.put("u8", 1).raw(ranked).finish()


def read_row_order(fields: FieldReader, count: int) -> NDArray[np.int64]:
    """Undo :func:`write_row_order`; the result is checked to be a permutation."""
    if fields.integer("u8", 0, 1) == 0:
        planes = np.frombuffer(inflate(fields.raw(fields.remaining), 8 * count), np.uint8)
        steps = np.ascontiguousarray(planes.reshape(8, count).T).reshape(-1).view("<i8")
        order = np.cumsum(steps.astype(np.int64))
    else:
        bits = BitReader(fields.raw(fields.remaining))
        order = _unrank(bits.get(_rank_widths(count)).astype(np.int64))
        bits.finish()
    if not np.array_equal(np.sort(order), np.arange(count)):
        raise CorruptError("row order is not a permutation", chunk="XDAT")
    return order


def _rank_widths(count: int) -> NDArray[np.uint8]:
    """Bits for a rank below ``count``, ``count - 1``, ... 1."""
    remaining = np.arange(count, 0, -1, dtype=np.uint64)
    spare = np.maximum(remaining - np.uint64(1), np.uint64(1))
    return np.where(remaining > 1, ilog2(spare) + 1, 0).astype(np.uint8)


def _ranks(order: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each place, how many later places hold a smaller row (bottom-up merge counting)."""
    smaller_later = np.zeros(len(order), np.int64)
    places = np.arange(len(order))
    width = 1
    while width < len(order):
        block = places // (2 * width)
        right = (places // width) % 2 == 1
        by_value = np.lexsort((order, block))
        seen = np.cumsum(right[by_value])
        before_block = np.maximum.accumulate(
            np.where(np.diff(block[by_value], prepend=-1) != 0, seen - right[by_value], 0)
        )
        within = seen - before_block
        left = ~right[by_value]
        smaller_later[by_value[left]] += within[left]
        width *= 2
    return smaller_later


def _unrank(ranks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows from ranks, with a Fenwick tree over the rows that are still free."""
    count = len(ranks)
    if (ranks >= np.arange(count, 0, -1)).any():
        raise CorruptError("row order names a row that does not exist", chunk="XDAT")
    size = 1 << max(count, 1).bit_length()
    tree = [(i & -i) if i <= count else max(0, count - (i - (i & -i))) for i in range(size + 1)]
    order = np.empty(count, np.int64)
    for place, rank in enumerate(ranks.tolist()):
        node, step = 0, size >> 1
        while step:
            ahead = node + step
            if ahead <= size and tree[ahead] <= rank:
                rank -= tree[ahead]
                node = ahead
            step >>= 1
        order[place] = node
        node += 1
        while node <= size:
            tree[node] -= 1
            node += node & -node
    return order
