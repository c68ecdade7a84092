"""rANS: both paths against a reference in plain Python integers; damage never goes unnoticed."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from csgs_codec.errors import CorruptError
from csgs_codec.numerics.rans import RansDecoder, RansEncoder
from csgs_codec.numerics.tables import TOTAL, FrequencyTables, normalise_frequencies
from tests.backends import use_backend

Stages = list[tuple[np.ndarray, np.ndarray]]


def make_tables(seed: int = 1) -> FrequencyTables:
    """Alphabets from 1 to 256 symbols, flat and extremely skewed."""
    rng = np.random.default_rng(seed)
    counts = [rng.integers(0, 1000, size) ** 3 for size in (2, 3, 17, 256)]
    skewed = np.array([TOTAL - 255] + [1] * 255)
    return FrequencyTables.from_frequencies(
        [np.array([TOTAL]), *map(normalise_frequencies, counts), skewed]
    )


def make_stages(tables: FrequencyTables, sizes: list[int], seed: int = 2) -> Stages:
    """Uniform symbols: rare ones occur, so that lanes renormalise at every step somewhere."""
    rng = np.random.default_rng(seed)
    stages = []
    for size in sizes:
        index = rng.integers(0, len(tables.sizes), size).astype(np.uint8)
        symbols = (rng.random(size) * tables.sizes[index]).astype(np.uint8)
        stages.append((symbols, index))
    return stages


def encode(tables: FrequencyTables, stages: Stages) -> bytes:
    encoder = RansEncoder()
    for symbols, index in stages:
        encoder.put(symbols, index, tables)
    return encoder.finish()


def decode(tables: FrequencyTables, stages: Stages, data: bytes) -> list[np.ndarray]:
    decoder = RansDecoder(data)
    found = [decoder.get(index, tables) for _, index in stages]
    decoder.finish()
    return found


def reference_decode(tables: FrequencyTables, stages: Stages, data: bytes) -> list[list[int]]:
    """Numerics section 4, one symbol at a time."""
    states = list(struct.unpack_from("<32I", data))
    words = [w for (w,) in struct.iter_unpack("<H", data[128:])]
    cdfs = [[int(c) for c in row] for row in tables.cdf]
    found = []
    for _, index in stages:
        out = []
        for i, table in enumerate(index.tolist()):
            state, cdf = states[i % 32], cdfs[table]
            slot = state % 2**14
            symbol = next(s for s in range(len(cdf) - 1) if cdf[s] <= slot < cdf[s + 1])
            state = (cdf[symbol + 1] - cdf[symbol]) * (state // 2**14) + slot - cdf[symbol]
            if state < 2**16:
                state = state * 2**16 + words.pop(0)
            states[i % 32] = state
            out.append(symbol)
        found.append(out)
    assert not words
    assert states == [2**16] * 32
    return found


SIZES = [[1], [31], [32], [33], [1000, 1, 31, 64, 5], [700]]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_reference_decoder_reads_the_stream(backend: str, sizes: list[int]) -> None:
    tables = make_tables()
    stages = make_stages(tables, sizes)
    data = encode(tables, stages)
    wanted = [symbols.tolist() for symbols, _ in stages]
    assert reference_decode(tables, stages, data) == wanted
    assert [found.tolist() for found in decode(tables, stages, data)] == wanted


def test_both_paths_write_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = make_tables()
    stages = make_stages(tables, [5000, 3, 40])
    streams = []
    for name in ("numba", "numpy"):
        use_backend(monkeypatch, name)
        streams.append(encode(tables, stages))
    assert streams[0] == streams[1]


def test_both_paths_agree_on_words_that_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = make_tables()
    stages = make_stages(tables, [3000])
    data = encode(tables, stages)[:-200]
    found = []
    for name in ("numba", "numpy"):
        use_backend(monkeypatch, name)
        found.append(RansDecoder(data).get(stages[0][1], tables))
    assert np.array_equal(found[0], found[1])


def test_stream_without_symbols_is_empty(backend: str) -> None:
    tables = make_tables()
    nothing = np.zeros(0, np.uint8)
    assert encode(tables, [(nothing, nothing)]) == b""
    assert len(decode(tables, [(nothing, nothing)], b"")[0]) == 0


def test_symbols_that_cost_nothing_cost_nothing(backend: str) -> None:
    tables = FrequencyTables.from_frequencies([np.array([TOTAL])])
    zeros = np.zeros(10_000, np.uint8)
    assert len(encode(tables, [(zeros, zeros)])) == 128


def test_size_is_close_to_the_entropy(backend: str) -> None:
    tables = FrequencyTables.from_frequencies([np.array([1, 15, 368, 16_000])])
    rng = np.random.default_rng(3)
    p = np.array([1, 15, 368, 16_000]) / TOTAL
    symbols = rng.choice(4, 50_000, p=p).astype(np.uint8)
    ideal = -np.log2(p[symbols]).sum() / 8
    size = len(encode(tables, [(symbols, np.zeros(50_000, np.uint8))]))
    assert ideal < size < 1.005 * ideal + 128


def test_symbol_from_an_empty_stream_is_noticed(backend: str) -> None:
    tables = make_tables()
    decoder = RansDecoder(b"")
    decoder.get(np.full(40, 3, np.uint8), tables)
    with pytest.raises(CorruptError):
        decoder.finish()


@pytest.mark.parametrize("length", [1, 2, 127, 129])
def test_impossible_lengths_are_refused(length: int) -> None:
    with pytest.raises(CorruptError):
        RansDecoder(b"\xff" * length)


def test_state_below_its_bound_is_refused() -> None:
    states = [1 << 16] * 32
    states[31] = (1 << 16) - 1
    with pytest.raises(CorruptError):
        RansDecoder(struct.pack("<32I", *states))


def test_bit_flips_are_noticed(backend: str) -> None:
    """Streams and symbol sequences are one to one: what finish() accepts is what they encode to.

    So a flip passes only where it makes the valid stream of other symbols, which takes symbols of
    equal frequency at the end of a lane. The CRC of the chunk is there for these.
    """
    tables = make_tables()
    stages = make_stages(tables, [300, 17])
    data = encode(tables, stages)
    rng = np.random.default_rng(4)
    passed = 0
    for bit in rng.choice(8 * len(data), 300, replace=False).tolist():
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            found = decode(tables, stages, bytes(damaged))
        except CorruptError:
            continue
        again = [(symbols, index) for symbols, (_, index) in zip(found, stages, strict=True)]
        assert encode(tables, again) == bytes(damaged)
        passed += 1
    assert passed < 100


def test_random_streams_are_refused(backend: str) -> None:
    tables = make_tables()
    index = make_stages(tables, [400])[0][1]
    rng = np.random.default_rng(8)
    for _ in range(300):
        states = rng.integers(2**16, 2**32, 32, dtype=np.uint64).astype("<u4").tobytes()
        with pytest.raises(CorruptError):
            decode(tables, [(index, index)], states + rng.bytes(2 * int(rng.integers(0, 400))))


def test_truncations_and_additions_are_noticed(backend: str) -> None:
    tables = make_tables()
    stages = make_stages(tables, [300])
    data = encode(tables, stages)
    for end in range(len(data)):
        with pytest.raises(CorruptError):
            decode(tables, stages, data[:end])
    with pytest.raises(CorruptError):
        decode(tables, stages, data + b"\0\0")


def test_too_few_and_too_many_symbols_are_noticed(backend: str) -> None:
    tables = make_tables()
    stages = make_stages(tables, [300])
    data = encode(tables, stages)
    symbols, index = stages[0]
    rare = np.concatenate([index, np.full(40, 3, np.uint8)])
    for wrong in (index[:200], rare):
        with pytest.raises(CorruptError):
            decode(tables, [(symbols, wrong)], data)


@pytest.mark.parametrize(
    "table", [[], [TOTAL - 1], [0, TOTAL], [-1, TOTAL + 1], [1] * 256 + [TOTAL - 256]], ids=len
)
def test_invalid_frequencies_are_refused(table: list[int]) -> None:
    with pytest.raises(CorruptError):
        FrequencyTables.from_frequencies([np.array(table, np.int64)])


def test_normalised_frequencies() -> None:
    assert normalise_frequencies(np.zeros(4, np.int64)).tolist() == [TOTAL // 4] * 4
    counts = np.array([0, 10**9, 3, 0])
    frequencies = normalise_frequencies(counts)
    assert frequencies.sum() == TOTAL
    assert frequencies.tolist() == [1, TOTAL - 3, 1, 1]
    # what rounding leaves over goes to the first of the largest
    assert normalise_frequencies(np.array([1, 1, 1])).tolist() == [5462, 5461, 5461]
