"""Plain bits and Exp-Golomb codes."""

from __future__ import annotations

import numpy as np
import pytest

from csgs_codec.errors import CorruptError
from csgs_codec.numerics.bits import MAX_EXP_GOLOMB_BITS, MAX_WIDTH, BitReader, BitWriter


def u8(*values: int) -> np.ndarray:
    return np.array(values, np.uint8)


def u64(*values: int) -> np.ndarray:
    return np.array(values, np.uint64)


def exp_golomb_text(value: int, order: int) -> str:
    """Zeros, then ``value + 2**order`` in binary."""
    binary = f"{value + 2**order:b}"
    return "0" * (len(binary) - 1 - order) + binary


def from_text(text: str) -> bytes:
    padded = text + "0" * (-len(text) % 8)
    return bytes(int(padded[i : i + 8], 2) for i in range(0, len(padded), 8))


def test_most_significant_bit_first() -> None:
    writer = BitWriter()
    writer.put(u64(0b101, 0, 0b1111, 1), u8(3, 0, 4, 2))
    assert writer.finish() == bytes([0b10111110, 0b10000000])


def test_fields_of_every_width(backend: str) -> None:
    rng = np.random.default_rng(6)
    widths = rng.integers(0, MAX_WIDTH + 1, 2000).astype(np.uint8)
    values = rng.integers(0, 2**63, 2000).astype(np.uint64) & (
        (np.uint64(1) << widths.astype(np.uint64)) - np.uint64(1)
    )
    writer = BitWriter()
    writer.put(values[:1000], widths[:1000])
    writer.put(values[1000:], widths[1000:])
    data = writer.finish()
    assert data == from_text(
        "".join(f"{v:0{w}b}" for v, w in zip(values.tolist(), widths.tolist(), strict=True) if w)
    )
    reader = BitReader(data)
    found = [reader.get(widths[a:b]) for a, b in ((0, 1), (1, 700), (700, 2000))]
    reader.finish()
    assert np.array_equal(np.concatenate(found), values)


def test_fields_up_to_64_bits_are_written_at_every_alignment() -> None:
    """Long Exp-Golomb codes are written as one field; only reading stops at 56 bits."""
    for lead in range(65):
        for width in (0, 1, 57, 63, 64):
            writer = BitWriter()
            writer.put(u64(0, 2**64 - 1, 0, 1), u8(lead, width, 3, 1))
            assert writer.finish() == from_text("0" * lead + "1" * width + "0001")


def test_bits_above_the_width_are_not_written() -> None:
    writer = BitWriter()
    writer.put(u64(0xFF, 0xFF, 0xFF), u8(3, 0, 2))
    assert writer.finish() == bytes([0b11111000])


def test_fields_without_bits_take_none() -> None:
    writer = BitWriter()
    writer.put(u64(7, 7), u8(0, 0))
    assert writer.finish() == b""


def test_all_ones_at_every_alignment(backend: str) -> None:
    for lead in range(8):
        writer = BitWriter()
        writer.put(u64(0, 2**MAX_WIDTH - 1), u8(lead, MAX_WIDTH))
        assert BitReader(writer.finish()).get(u8(lead, MAX_WIDTH)).tolist() == [0, 2**MAX_WIDTH - 1]


@pytest.mark.parametrize("order", [0, 1, 4, 7])
def test_exp_golomb(backend: str, order: int) -> None:
    values = [0, 1, 2, 3, 7, 8, 100, 2**14 - 1, 2**14, 2**24]
    writer = BitWriter()
    writer.put_exp_golomb(np.array(values, np.int64), np.full(len(values), order, np.uint8))
    data = writer.finish()
    assert data == from_text("".join(exp_golomb_text(v, order) for v in values))
    reader = BitReader(data)
    assert reader.get_exp_golomb(np.full(len(values), order, np.uint8)).tolist() == values
    reader.finish()


def test_exp_golomb_prefix_limit(backend: str) -> None:
    longest = "0" * MAX_EXP_GOLOMB_BITS + "1" * (MAX_EXP_GOLOMB_BITS + 1)
    assert BitReader(from_text(longest)).get_exp_golomb(u8(0)) == [2**31 - 2]
    with pytest.raises(CorruptError):
        BitReader(from_text("0" + longest + "1")).get_exp_golomb(u8(0))


@pytest.mark.parametrize("text", ["", "00000000", "00010000"[:4] * 2, "0000" * 20])
def test_exp_golomb_that_ends_early(backend: str, text: str) -> None:
    reader = BitReader(from_text(text))
    with pytest.raises(CorruptError):
        reader.get_exp_golomb(u8(0, 7, 7))


def test_reading_past_the_end(backend: str) -> None:
    with pytest.raises(CorruptError):
        BitReader(b"\xff").get(u8(9))
    reader = BitReader(b"\xff")
    reader.get(u8(8, 0, 0))
    with pytest.raises(CorruptError):
        reader.get(u8(1))


def test_nothing(backend: str) -> None:
    assert BitWriter().finish() == b""
    reader = BitReader(b"")
    assert len(reader.get(u8())) == 0
    assert reader.get(u8(0, 0)).tolist() == [0, 0]
    reader.finish()


@pytest.mark.parametrize("data", [b"\x80\x00", b"\x81", b"\xc0"])
def test_leftovers_are_noticed(backend: str, data: bytes) -> None:
    """A whole byte too many, and padding that is not zero."""
    reader = BitReader(data)
    reader.get(u8(1))
    with pytest.raises(CorruptError):
        reader.finish()


def test_zero_padding_is_accepted(backend: str) -> None:
    reader = BitReader(b"\x80")
    reader.get(u8(1))
    reader.finish()
