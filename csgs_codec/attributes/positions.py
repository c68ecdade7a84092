"""Positions: a grid, tile-local Morton keys and their coding as cell counts (spec section 6).

A tile's Gaussians of one layer are a multiset of Morton keys. It is coded breadth first by halving
the tile's box: for a cell that holds ``n`` Gaussians of this layer, the number in the lower half is
coded with a table chosen by ``n`` and by how the Gaussians of *earlier* layers, which the decoder
already has, fall into the two halves. A cell with one Gaussian and no earlier ones sends the rest
of its key as plain bits. The order of the Gaussians is thereby never paid for (Devillers and
Gandoin, 2000, is the classic form of the idea), and duplicates need no special case.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from csgs_codec.container.fields import FieldReader
from csgs_codec.errors import CorruptError
from csgs_codec.numerics.backend import kernels
from csgs_codec.numerics.bits import BitReader, BitWriter
from csgs_codec.numerics.fixed_point import ilog2
from csgs_codec.numerics.rans import RansDecoder, RansEncoder
from csgs_codec.numerics.tables import FrequencyTables, normalise_frequencies

U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]
Kind = TypeVar("Kind", bound=np.generic)

EXACT_COUNT = 8
COUNT_BINS = 16
COUNT_CLASSES = 13
SHARE_CLASSES = 8
TABLE_COUNT = COUNT_CLASSES * SHARE_CLASSES
_ONE = np.uint64(1)
_TAIL_SPLIT = 32
_WORTH_SENDING = 48
_WEIGHT_TOTAL = 512
_WEIGHT_ORDER = 4
_BITS_END = "plain bits end early"
_TOO_MANY = "a cell's lower half holds more Gaussians than the cell"


def alphabet(table: int) -> int:
    """Size of the alphabet of one table: ``n + 1`` up to ``n = 8``, else 16 bins."""
    count_class = table // SHARE_CLASSES
    return count_class + 2 if count_class < EXACT_COUNT else COUNT_BINS


def default_weights(table: int) -> I64:
    """Weights of a table that the file does not carry: points spread evenly."""
    n = alphabet(table) - 1
    return np.array([comb(n, k) for k in range(n + 1)], dtype=np.int64)


def build_tables(weights: dict[int, I64]) -> FrequencyTables:
    """Complete the transmitted weights with the defaults and normalise them."""
    return FrequencyTables.from_frequencies(
        [normalise_frequencies(weights.get(t, default_weights(t))) for t in range(TABLE_COUNT)]
    )


def write_tables(counts: I64) -> bytes:
    """Serialise the tables fitted to ``counts``, shape (TABLE_COUNT, COUNT_BINS), as KDTB payload.

    A flag says whether a table is there; its weights follow as Exp-Golomb codes of order 4.
    """
    bits = BitWriter()
    for table in range(TABLE_COUNT):
        row = counts[table, : alphabet(table)]
        sent = int(row.sum()) >= _WORTH_SENDING
        bits.put(np.array([sent], np.uint64), np.array([1], np.uint8))
        if sent:
            weights = -(-row * _WEIGHT_TOTAL // int(row.sum()))
            bits.put_exp_golomb(weights, np.full(len(weights), _WEIGHT_ORDER, np.uint8))
    return bits.finish()


def read_tables(fields: FieldReader) -> FrequencyTables:
    """Parse a KDTB payload; tables that it does not hold spread the points evenly."""
    bits = BitReader(fields.raw(fields.remaining))
    weights: dict[int, I64] = {}
    for table in range(TABLE_COUNT):
        if bits.get(np.array([1], np.uint8))[0]:
            orders = np.full(alphabet(table), _WEIGHT_ORDER, np.uint8)
            weights[table] = bits.get_exp_golomb(orders)
    bits.finish()
    return build_tables(weights)


@dataclass
class _Cells:
    """Cells of one depth in Morton order."""

    prefix: U64
    count: I64
    earlier_begin: I64
    earlier_end: I64

    def take(self, rows: NDArray[np.bool_]) -> _Cells:
        return _Cells(
            self.prefix[rows], self.count[rows], self.earlier_begin[rows], self.earlier_end[rows]
        )

    def contexts(self, earlier: U64, remaining: int) -> tuple[U64, I64, NDArray[np.uint8]]:
        """First key of the upper half, end of the earlier Gaussians in the lower half, table."""
        splits = ((self.prefix << _ONE) | _ONE) << np.uint64(remaining - 1)
        middle = np.searchsorted(earlier, splits).astype(np.int64)
        known = self.earlier_end - self.earlier_begin
        return splits, middle, _table_index(self.count, known, middle - self.earlier_begin)

    def children(self, lower: I64, earlier_middle: I64) -> _Cells:
        """Return the non-empty halves, lower before upper."""

        def interleave(a: NDArray[Kind], b: NDArray[Kind]) -> NDArray[Kind]:
            return np.stack([a, b], axis=1).reshape(-1)

        doubled = self.prefix << _ONE
        both = _Cells(
            interleave(doubled, doubled | _ONE),
            interleave(lower, self.count - lower),
            interleave(self.earlier_begin, earlier_middle),
            interleave(earlier_middle, self.earlier_end),
        )
        return both.take(both.count > 0)


def _table_index(count: I64, earlier: I64, earlier_lower: I64) -> NDArray[np.uint8]:
    small = np.minimum(count, EXACT_COUNT) - 1
    log = np.minimum(ilog2(count.astype(np.uint64)).astype(np.int64), 7)
    count_class = np.where(count <= EXACT_COUNT, small, EXACT_COUNT + log - 3)
    share = 1 + 7 * (2 * earlier_lower + 1) // (2 * (earlier + 1))
    share_class = np.where(earlier == 0, 0, np.minimum(share, SHARE_CLASSES - 1))
    return (count_class * SHARE_CLASSES + share_class).astype(np.uint8)


def _bin_begin(bin_: I64, count: I64) -> I64:
    """Smallest lower-half count that falls into a bin of a large cell."""
    return -(-bin_ * (count + 1) // COUNT_BINS)


def _bin_width(bin_: I64, count: I64) -> tuple[I64, I64]:
    begin, end = _bin_begin(bin_, count), _bin_begin(bin_ + 1, count)
    spare = np.maximum(end - begin - 1, 0).astype(np.uint64)
    width = np.where(spare > 0, ilog2(np.maximum(spare, _ONE)).astype(np.int64) + 1, 0)
    return begin, width


class _Coder(Protocol):
    """What the common walk asks of the encoder's or the decoder's side."""

    def lower_counts(self, cells: _Cells, splits: U64, tables: NDArray[np.uint8]) -> I64: ...

    def tails(self, prefix: U64, remaining: NDArray[np.uint8]) -> U64: ...


def _walk(count: int, earlier: U64, depth: int, coder: _Coder) -> U64:
    cells = _Cells(
        np.zeros(1, np.uint64),
        np.array([count], np.int64),
        np.zeros(1, np.int64),
        np.array([len(earlier)], np.int64),
    )
    alone_prefix: list[U64] = []
    alone_remaining: list[int] = []
    for level in range(depth):
        alone = (cells.count == 1) & (cells.earlier_begin == cells.earlier_end)
        if alone.any():
            alone_prefix.append(cells.prefix[alone])
            alone_remaining.append(depth - level)
            cells = cells.take(~alone)
        if not len(cells.count):
            break
        splits, middle, tables = cells.contexts(earlier, depth - level)
        cells = cells.children(coder.lower_counts(cells, splits, tables), middle)
    keys = [np.repeat(cells.prefix, cells.count)]
    if alone_prefix:
        sizes = [len(p) for p in alone_prefix]
        remaining = np.repeat(np.array(alone_remaining, np.uint8), sizes)
        keys.append(coder.tails(np.concatenate(alone_prefix), remaining))
    return np.sort(np.concatenate(keys))


class _Writer:
    def __init__(self, keys: U64, tables: FrequencyTables, rans: RansEncoder, bits: BitWriter):
        self._keys, self._tables, self._rans, self._bits = keys, tables, rans, bits

    def lower_counts(self, cells: _Cells, splits: U64, tables: NDArray[np.uint8]) -> I64:
        symbol, offset, width, lower = self.symbols(cells, splits)
        self._rans.put(symbol, tables, self._tables)
        self._bits.put(offset.astype(np.uint64), width.astype(np.uint8))
        return lower

    def symbols(self, cells: _Cells, splits: U64) -> tuple[NDArray[np.uint8], I64, I64, I64]:
        first = np.searchsorted(self._keys, splits & (splits - _ONE))
        lower = (np.searchsorted(self._keys, splits) - first).astype(np.int64)
        large = cells.count > EXACT_COUNT
        bin_ = lower * COUNT_BINS // (cells.count + 1)
        begin, width = _bin_width(bin_[large], cells.count[large])
        return np.where(large, bin_, lower).astype(np.uint8), lower[large] - begin, width, lower

    def tails(self, prefix: U64, remaining: NDArray[np.uint8]) -> U64:
        shift = remaining.astype(np.uint64)
        keys = self._keys[np.searchsorted(self._keys, prefix << shift)]
        tail = keys & ((_ONE << shift) - _ONE)
        low = np.minimum(remaining, _TAIL_SPLIT)
        self._bits.put((tail >> low.astype(np.uint64)).astype(np.uint64), remaining - low)
        mask = (_ONE << low.astype(np.uint64)) - _ONE
        self._bits.put((tail & mask).astype(np.uint64), low)
        return keys


class _Reader:
    def __init__(self, tables: FrequencyTables, rans: RansDecoder, bits: BitReader):
        self._tables, self._rans, self._bits = tables, rans, bits

    def lower_counts(self, cells: _Cells, splits: U64, tables: NDArray[np.uint8]) -> I64:
        lower = self._rans.get(tables, self._tables).astype(np.int64)
        large = cells.count > EXACT_COUNT
        count = cells.count[large]
        begin, width = _bin_width(lower[large], count)
        lower[large] = begin + self._bits.get(width.astype(np.uint8)).astype(np.int64)
        if (lower > cells.count).any():
            raise CorruptError(_TOO_MANY)
        return lower

    def tails(self, prefix: U64, remaining: NDArray[np.uint8]) -> U64:
        low = np.minimum(remaining, _TAIL_SPLIT)
        high_bits = self._bits.get(remaining - low)
        low_bits = self._bits.get(low)
        tail = (high_bits << low.astype(np.uint64)) | low_bits
        return (prefix << remaining.astype(np.uint64)) | tail


class _Counter(_Writer):
    """Gather symbol counts per table without coding anything."""

    def __init__(self, keys: U64, counts: I64):
        self._keys, self._counts = keys, counts

    def lower_counts(self, cells: _Cells, splits: U64, tables: NDArray[np.uint8]) -> I64:
        symbol, _, _, lower = self.symbols(cells, splits)
        np.add.at(self._counts, (tables, symbol), 1)
        return lower

    def tails(self, prefix: U64, remaining: NDArray[np.uint8]) -> U64:
        return prefix


def count_symbols(keys: U64, earlier: U64, depth: int) -> I64:
    """Count the symbols of one tile layer, to fit tables.

    Parameters
    ----------
    keys, earlier : ndarray of uint64, sorted
        Morton keys of this layer and of the earlier layers of the tile.
    depth : int
        Bits of a key.

    Returns
    -------
    ndarray of int64, shape (TABLE_COUNT, COUNT_BINS)
    """
    counts = np.zeros((TABLE_COUNT, COUNT_BINS), np.int64)
    if len(keys):
        _walk(len(keys), earlier, depth, _Counter(keys, counts))
    return counts


def encode_keys(
    keys: U64,
    earlier: U64,
    depth: int,
    tables: FrequencyTables,
    rans: RansEncoder,
    bits: BitWriter,
) -> None:
    """Code the sorted Morton keys of one tile layer (spec section 6.2)."""
    if len(keys):
        _walk(len(keys), earlier, depth, _Writer(keys, tables, rans, bits))


def decode_keys(
    count: int,
    earlier: U64,
    depth: int,
    tables: FrequencyTables,
    rans: RansDecoder,
    bits: BitReader,
) -> U64:
    """Return the sorted Morton keys of one tile layer (spec section 6.2).

    Raises
    ------
    CorruptError
        The counts contradict each other or the streams end early.
    """
    if not count:
        return np.zeros(0, np.uint64)
    fast = kernels()
    if fast is None:
        return _walk(count, earlier, depth, _Reader(tables, rans, bits))
    keys = np.empty(count, np.uint64)
    counts = np.array([rans.at, bits.at, 0], np.int64)
    fast.cells_decode(
        count, depth, np.ascontiguousarray(earlier), rans.words, rans.states,
        tables.symbol_of_group, tables.cdf, tables.start_and_frequency, bits.data, bits.end,
        keys, counts,
    )  # fmt: skip
    rans.at, bits.at, wrong = counts.tolist()
    if wrong:
        raise CorruptError(_BITS_END if wrong == 1 else _TOO_MANY)
    keys.sort()
    return keys
