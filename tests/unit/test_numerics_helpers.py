"""Fixed point, Morton keys and positional encoding, against definitions in Python integers."""

from __future__ import annotations

import numpy as np
import pytest

from csgs_codec.numerics import morton
from csgs_codec.numerics.fixed_point import ilog2, shift_round
from csgs_codec.numerics.positional import encode_positions


def test_ilog2_is_exact_around_every_power() -> None:
    values = sorted({v for b in range(64) for v in (2**b - 1, 2**b, 2**b + 1) if 1 <= v < 2**64})
    found = ilog2(np.array(values, np.uint64))
    assert found.tolist() == [v.bit_length() - 1 for v in values]
    assert ilog2(np.array([2**64 - 1], np.uint64))[0] == 63


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_shift_round_is_floor_of_half_added(dtype: type) -> None:
    values = np.concatenate([np.arange(-70, 71), [2**30 - 1, -(2**30)]]).astype(dtype)
    for shift in (0, 1, 2, 5, 16, 30):
        wanted = [v if not shift else (v + 2 ** (shift - 1)) // 2**shift for v in values.tolist()]
        found = shift_round(values, shift)
        assert found.tolist() == wanted
        assert found.dtype == dtype


def test_shift_round_by_columns() -> None:
    values = np.array([[5, 5, 5], [-5, -5, -5]], np.int64)
    found = shift_round(values, np.array([0, 1, 2], np.uint8))
    assert found.tolist() == [[5, 3, 1], [-5, -2, -1]]


def test_axes_are_halved_longest_first() -> None:
    assert morton.split_axes([2, 3, 0]) == [1, 0, 1, 0, 1]
    assert morton.split_axes([1, 1, 1]) == [0, 1, 2]
    assert morton.split_axes([0, 0, 0]) == []


def reference_key(cell: list[int], bits: list[int]) -> int:
    """Halve the longest axis of the box again and again."""
    left, key = list(bits), 0
    while any(left):
        axis = max(range(3), key=lambda a: (left[a], -a))
        left[axis] -= 1
        key = key << 1 | (cell[axis] >> left[axis]) & 1
    return key


@pytest.mark.parametrize("bits", [[4, 4, 4], [0, 0, 0], [7, 0, 2], [1, 2, 9], [21, 21, 21]])
def test_morton_keys(bits: list[int]) -> None:
    rng = np.random.default_rng(9)
    cells = rng.integers(0, 2 ** np.array(bits), (200, 3))
    cells[0], cells[1] = 0, 2 ** np.array(bits) - 1
    keys = morton.encode_keys(cells, bits)
    assert keys.tolist() == [reference_key(cell, bits) for cell in cells.tolist()]
    assert np.array_equal(morton.decode_keys(keys, bits), cells)
    assert int(keys[1]) == 2 ** sum(bits) - 1


def reference_wave(x: int, octave: int, phase: int) -> int:
    u = ((x << octave) + phase * 2**14) % 2**16
    return (2**16 - 1 - u if u >= 2**15 else u) >> 7


@pytest.mark.parametrize("octaves", [1, 4, 12])
def test_positional_encoding(octaves: int) -> None:
    rng = np.random.default_rng(10)
    position = rng.integers(0, 2**16, (50, 3)).astype(np.uint16)
    position[0], position[1] = 0, 65535
    found = encode_positions(position, octaves)
    assert found.shape == (50, 6 * octaves)
    assert found.dtype == np.uint8
    wanted = [
        [reference_wave(x, o, p) for o in range(octaves) for x in row for p in (0, 1)]
        for row in position.tolist()
    ]
    assert found.tolist() == wanted


def test_positional_encoding_of_nothing() -> None:
    assert encode_positions(np.zeros((0, 3), np.uint16), 4).shape == (0, 24)
