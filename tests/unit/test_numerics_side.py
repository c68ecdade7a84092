"""Side streams: constriction against a range decoder in plain Python."""

from __future__ import annotations

import struct
from bisect import bisect_right

import numpy as np
import pytest

from csgs_codec.errors import CorruptError
from csgs_codec.numerics.side import MAX_COUNT, decode_integers, encode_integers
from csgs_codec.numerics.tables import half_widths, laplace_tables

MASK = 2**64 - 1


class RangeDecoder:
    """Numerics section 10: 64-bit range coder, 32-bit words, 24-bit frequencies."""

    def __init__(self, words: list[int]) -> None:
        self.words = list(words)
        self.lower, self.range = 0, MASK
        self.point = self.next_word() << 32 | self.next_word()

    def next_word(self) -> int:
        return self.words.pop(0) if self.words else 0

    def get(self, cdf: list[int]) -> int:
        scale = self.range >> 24
        slot = ((self.point - self.lower) & MASK) // scale
        symbol = bisect_right(cdf, slot) - 1
        self.lower = (self.lower + scale * cdf[symbol]) & MASK
        self.range = scale * (cdf[symbol + 1] - cdf[symbol])
        if self.range < 2**32:
            self.lower = (self.lower << 32) & MASK
            self.range <<= 32
            self.point = ((self.point << 32) & MASK) | self.next_word()
        return symbol


def reference_decode(data: bytes, scale_index: np.ndarray) -> list[int]:
    (size,) = struct.unpack_from("<I", data)
    decoder = RangeDecoder([w for (w,) in struct.iter_unpack("<I", data[4 : 4 + size])])
    tables = laplace_tables()
    values: list[int | None] = []
    orders = []
    for index in scale_index.tolist():
        cdf = [int(c) << 10 for c in tables.cdf[index][: tables.sizes[index] + 1]]
        h = int(half_widths()[index])
        symbol = decoder.get(cdf)
        values.append(None if symbol == 2 * h + 1 else symbol - h)
        if symbol == 2 * h + 1:
            orders.append((max(0, index - 21) // 6, h))
    text = "".join(f"{byte:08b}" for byte in data[4 + size :])
    magnitudes, at = [], 0
    for order, h in orders:
        zeros = text.index("1", at) - at
        width = zeros + order + 1
        magnitudes.append(int(text[at + zeros : at + zeros + width], 2) - 2**order + h + 1)
        at += zeros + width
    signs = text[at : at + len(magnitudes)]
    assert not text[at + len(magnitudes) :].strip("0")
    escapes = iter([-m if s == "1" else m for m, s in zip(magnitudes, signs, strict=True)])
    return [next(escapes) if v is None else v for v in values]


def sample(count: int, seed: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Runs of equal scale index, as weight rows have; some outliers."""
    rng = np.random.default_rng(seed)
    scale_index = np.repeat(rng.integers(1, 64, count // 5 + 1), 5)[:count].astype(np.uint8)
    spread = 0.1 * 2 ** ((scale_index.astype(float) - 1) / 6)
    values = rng.laplace(0, spread) * np.where(rng.random(count) < 0.05, 300, 1)
    return np.rint(values).astype(np.int32), scale_index


@pytest.mark.parametrize("count", [1, 2, 33, 3000])
@pytest.mark.parametrize("seed", [7, 8])
def test_reference_decoder_reads_the_stream(count: int, seed: int) -> None:
    values, scale_index = sample(count, seed)
    data = encode_integers(values, scale_index)
    assert reference_decode(data, scale_index) == values.tolist()
    assert np.array_equal(decode_integers(data, count, scale_index), values)


def test_nothing() -> None:
    nothing = np.zeros(0, np.uint8)
    data = encode_integers(nothing.astype(np.int32), nothing)
    assert data == bytes(4)
    assert len(decode_integers(data, 0, nothing)) == 0


def test_models_are_exact() -> None:
    """The frequencies given to constriction are the table's: every symbol decodes on its edge."""
    for index in (1, 2, 20, 63):
        h = int(half_widths()[index])
        values = np.arange(-h, h + 1, dtype=np.int32)
        scale_index = np.full(len(values), index, np.uint8)
        data = encode_integers(values, scale_index)
        assert reference_decode(data, scale_index) == values.tolist()


@pytest.mark.parametrize("value", [2**31 - 1, -(2**31) + 1])
def test_largest_integers(value: int) -> None:
    index = np.array([40], np.uint8)
    data = encode_integers(np.array([value]), index)
    assert decode_integers(data, 1, index).tolist() == [value]


def test_integer_that_is_too_large_is_refused() -> None:
    index = np.array([40], np.uint8)
    with pytest.raises(CorruptError):
        decode_integers(encode_integers(np.array([2**31]), index), 1, index)


def test_truncations_are_noticed() -> None:
    values, scale_index = sample(200)
    data = encode_integers(values, scale_index)
    (size,) = struct.unpack_from("<I", data)
    assert len(data) > 4 + size, "the sample has escapes"
    for end in range(len(data)):
        with pytest.raises(CorruptError):
            decode_integers(data[:end], len(values), scale_index)
    with pytest.raises(CorruptError):
        decode_integers(data + b"\0", len(values), scale_index)


def test_words_left_over_are_noticed() -> None:
    index = np.full(50, 30, np.uint8)
    data = encode_integers(np.arange(-25, 25), index)
    (size,) = struct.unpack_from("<I", data)
    longer = struct.pack("<I", size + 8) + data[4 : 4 + size] + b"\x01" * 8 + data[4 + size :]
    with pytest.raises(CorruptError):
        decode_integers(longer, 50, index)


@pytest.mark.parametrize(
    ("data", "count"),
    [(b"", 0), (b"\0\0\0", 1), (b"\x05\0\0\0" + bytes(5), 1), (b"\x04\0\0\0", 1)],
)
def test_malformed_frames_are_refused(data: bytes, count: int) -> None:
    with pytest.raises(CorruptError):
        decode_integers(data, count, np.full(count, 30, np.uint8))


def test_absurd_count_is_refused_before_anything_is_allocated() -> None:
    with pytest.raises(CorruptError):
        decode_integers(bytes(4), MAX_COUNT + 1, np.zeros(0, np.uint8))


def test_bit_flips_decode_or_raise() -> None:
    """Range coding detects little by itself (the CRC does); it must only never fail otherwise."""
    values, scale_index = sample(100)
    data = encode_integers(values, scale_index)
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            found = decode_integers(bytes(damaged), len(values), scale_index)
        except CorruptError:
            continue
        assert found.shape == values.shape
        assert bit // 8 < 4 or not np.array_equal(found, values) or bytes(damaged) != data
