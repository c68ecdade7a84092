"""Position coding: a multiset of Morton keys, coded as counts of halves."""

from __future__ import annotations

import numpy as np
import pytest

from csgs_codec.attributes import positions
from csgs_codec.attributes.positions import (
    COUNT_BINS,
    SHARE_CLASSES,
    TABLE_COUNT,
    alphabet,
    build_tables,
    count_symbols,
    decode_keys,
    default_weights,
    encode_keys,
    read_tables,
    write_tables,
)
from csgs_codec.container.fields import FieldReader
from csgs_codec.errors import CorruptError
from csgs_codec.numerics.bits import BitReader, BitWriter
from csgs_codec.numerics.rans import RansDecoder, RansEncoder
from csgs_codec.numerics.tables import FrequencyTables, normalise_frequencies

DEFAULTS = build_tables({})
NOTHING = np.zeros(0, np.uint64)


def encode(
    keys: np.ndarray, earlier: np.ndarray, depth: int, tables: FrequencyTables = DEFAULTS
) -> tuple[bytes, bytes]:
    rans, bits = RansEncoder(), BitWriter()
    encode_keys(keys, earlier, depth, tables, rans, bits)
    return rans.finish(), bits.finish()


def decode(
    streams: tuple[bytes, bytes],
    count: int,
    earlier: np.ndarray,
    depth: int,
    tables: FrequencyTables = DEFAULTS,
) -> np.ndarray:
    rans, bits = RansDecoder(streams[0]), BitReader(streams[1])
    keys = decode_keys(count, earlier, depth, tables, rans, bits)
    rans.finish()
    bits.finish()
    return keys


def random_keys(count: int, depth: int, seed: int = 20) -> np.ndarray:
    keys = np.random.default_rng(seed).integers(0, 2**depth, count)
    return np.sort(keys.astype(np.uint64))


def clustered_keys(count: int, depth: int, seed: int = 21) -> np.ndarray:
    """Keys that crowd around a few places, with many duplicates."""
    rng = np.random.default_rng(seed)
    centres = rng.integers(0, 2**depth, 5)
    keys = centres[rng.integers(0, 5, count)] + rng.integers(-40, 40, count)
    return np.sort(np.clip(keys, 0, 2**depth - 1).astype(np.uint64))


@pytest.mark.parametrize("count", [1, 2, 3, 8, 9, 10, 17, 100, 3000])
@pytest.mark.parametrize("depth", [1, 7, 30, 63])
@pytest.mark.parametrize("before", [0, 1, 500])
def test_round_trip(count: int, depth: int, before: int) -> None:
    keys, earlier = random_keys(count, depth), random_keys(before, depth, seed=22)
    assert np.array_equal(decode(encode(keys, earlier, depth), count, earlier, depth), keys)


@pytest.mark.parametrize("depth", [12, 40])
def test_round_trip_of_clusters_on_top_of_earlier_clusters(backend: str, depth: int) -> None:
    keys, earlier = clustered_keys(2000, depth), clustered_keys(700, depth)
    assert len(np.unique(keys)) < len(keys)
    assert np.array_equal(decode(encode(keys, earlier, depth), 2000, earlier, depth), keys)


@pytest.mark.parametrize("depth", [0, 1, 20, 63])
@pytest.mark.parametrize("count", [1, 2, 9, 65_536])
def test_all_in_one_cell(depth: int, count: int) -> None:
    keys = np.full(count, 2**depth - 1, np.uint64)
    streams = encode(keys, NOTHING, depth)
    assert np.array_equal(decode(streams, count, NOTHING, depth), keys)
    if depth == 0:
        assert streams == (b"", b"")


def test_no_gaussians() -> None:
    assert encode(NOTHING, random_keys(5, 9), 9) == (b"", b"")
    assert len(decode((b"", b""), 0, random_keys(5, 9), 9)) == 0


def test_lone_gaussian_sends_its_key_as_it_is() -> None:
    keys = np.array([0b1011_0110_1], np.uint64)
    assert encode(keys, NOTHING, 9) == (b"", bytes([0b10110110, 0b10000000]))


def test_earlier_layers_make_coding_cheaper() -> None:
    keys = clustered_keys(2000, 40)
    counts = count_symbols(keys, keys[::2].copy(), 40)
    tables = read_tables(FieldReader(write_tables(counts), "KDTB"))
    alone = sum(map(len, encode(keys, NOTHING, 40)))
    helped = sum(map(len, encode(keys, keys[::2].copy(), 40, tables)))
    assert helped < alone


def test_table_index_covers_every_table() -> None:
    """All tables are reachable and none beyond."""
    count = np.repeat([1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 32, 64, 128, 65_536], 101)
    lower = np.tile(np.arange(101), 14)
    earlier = np.full(len(count), 100)
    found = set(positions._table_index(count, earlier, lower).tolist())
    found |= set(positions._table_index(count, 0 * count, 0 * count).tolist())
    assert found == set(range(TABLE_COUNT))


@pytest.mark.parametrize("count", [9, 10, 15, 16, 17, 31, 100, 65_536])
def test_bins_partition_the_counts(count: int) -> None:
    lower = np.arange(count + 1)
    bin_ = lower * COUNT_BINS // (count + 1)
    begin, width = positions._bin_width(bin_, np.full(count + 1, count))
    offset = lower - begin
    assert (offset >= 0).all()
    assert (offset < 1 << width).all()


@pytest.mark.parametrize("symbol", range(COUNT_BINS))
def test_any_bin_of_a_cell_of_nine_is_safe(backend: str, symbol: int) -> None:
    """Nine Gaussians leave six bins empty; a file may name one all the same."""
    rans = RansEncoder()
    table = positions._table_index(*(np.array([v]) for v in (9, 0, 0)))
    rans.put(np.array([symbol], np.uint8), table, DEFAULTS)
    data = rans.finish(), b"\xc0" + bytes(99)
    try:
        keys = decode(data, 9, NOTHING, 1)
    except CorruptError:
        return
    pytest.fail(f"bits are left over, yet {keys} came back")


def test_default_tables_spread_points_evenly() -> None:
    assert default_weights(0).tolist() == [1, 1]
    assert default_weights(3 * SHARE_CLASSES).tolist() == [1, 4, 6, 4, 1]
    assert len(default_weights(TABLE_COUNT - 1)) == COUNT_BINS


def test_tables_survive_writing() -> None:
    keys = np.sort(np.concatenate([clustered_keys(3000, 30), random_keys(3000, 30)]))
    counts = count_symbols(keys, random_keys(3000, 30, seed=23), 30)
    assert counts.sum() > 1000
    tables = read_tables(FieldReader(write_tables(counts), "KDTB"))
    for table in range(TABLE_COUNT):
        row = counts[table, : alphabet(table)]
        sent = row.sum() >= 48
        weights = -(-row * 512 // max(row.sum(), 1)) if sent else default_weights(table)
        found = np.diff(tables.cdf[table, : alphabet(table) + 1].astype(int))
        assert np.array_equal(found, normalise_frequencies(weights))


def test_no_tables_take_a_bit_each() -> None:
    payload = write_tables(np.zeros((TABLE_COUNT, COUNT_BINS), np.int64))
    assert payload == bytes(TABLE_COUNT // 8)
    assert np.array_equal(read_tables(FieldReader(payload, "KDTB")).cdf, DEFAULTS.cdf)


def test_damaged_tables_are_refused_or_valid() -> None:
    counts = count_symbols(clustered_keys(3000, 30), NOTHING, 30)
    payload = write_tables(counts)
    for bit in range(0, 8 * len(payload), 3):
        damaged = bytearray(payload)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            tables = read_tables(FieldReader(bytes(damaged), "KDTB"))
        except CorruptError:
            continue
        assert (np.diff(tables.cdf.astype(int), axis=1) >= 0).all()
    for end in range(len(payload)):
        with pytest.raises(CorruptError):
            read_tables(FieldReader(payload[:end], "KDTB"))


def test_damaged_streams_never_crash() -> None:
    """Keys stay sorted, as many as announced and inside the tile, or it is a CorruptError."""
    depth, earlier = 18, random_keys(50, 18, seed=24)
    keys = clustered_keys(300, depth)
    rans, bits = encode(keys, earlier, depth)
    rng = np.random.default_rng(25)
    for bit in rng.integers(0, 8 * (len(rans) + len(bits)), 300).tolist():
        damaged = bytearray(rans + bits)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            streams = bytes(damaged[: len(rans)]), bytes(damaged[len(rans) :])
            found = decode(streams, 300, earlier, depth)
        except CorruptError:
            continue
        assert len(found) == 300
        assert int(found.max()) < 2**depth
        assert not np.array_equal(found, keys)


def test_truncated_bits_are_noticed() -> None:
    keys = random_keys(100, 30)
    rans, bits = encode(keys, NOTHING, 30)
    for end in (0, 1, len(bits) - 1):
        with pytest.raises(CorruptError):
            decode((rans, bits[:end]), 100, NOTHING, 30)
