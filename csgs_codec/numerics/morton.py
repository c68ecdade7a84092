"""Morton keys over boxes with different extents (spec, numerics section 8)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from csgs_codec.numerics.backend import kernels

MAX_KEY_BITS = 63


def split_axes(bits: Sequence[int]) -> list[int]:
    """Order in which the axes are halved: always the longest, ties x before y before z."""
    left = [int(b) for b in bits]
    axes = []
    while any(left):
        axis = left.index(max(left))
        left[axis] -= 1
        axes.append(axis)
    return axes


def encode_keys(coordinates: NDArray[np.int64], bits: Sequence[int]) -> NDArray[np.uint64]:
    """Return the key of each cell, shape (n, 3) -> (n,); the first halving is the top bit."""
    fast = kernels()
    if fast is not None:
        keys = np.empty(len(coordinates), np.uint64)
        axes = np.array(split_axes(bits)[::-1], np.int64)
        fast.morton_encode(np.ascontiguousarray(coordinates, np.int64), axes, keys)
        return keys
    keys = np.zeros(len(coordinates), np.uint64)
    left = [int(b) for b in bits]
    for axis in split_axes(bits):
        left[axis] -= 1
        bit = (coordinates[:, axis] >> left[axis]) & 1
        keys = (keys << np.uint64(1)) | bit.astype(np.uint64)
    return keys


def shifted_cells(cells: NDArray[np.int32], bits: Sequence[int]) -> NDArray[np.int64]:
    """Cells moved by a third of the box along each axis, around its end (spec section 7.2)."""
    extent = np.int64(1) << np.array(bits, np.int64)
    return np.asarray((cells + extent // 3) % extent)


def decode_keys(keys: NDArray[np.uint64], bits: Sequence[int]) -> NDArray[np.int64]:
    """Undo :func:`encode_keys`."""
    return decode_cells(keys, bits).astype(np.int64)


def decode_cells(keys: NDArray[np.uint64], bits: Sequence[int]) -> NDArray[np.int32]:
    """Local cells of keys whose axes have at most 31 bits, shape (n,) -> (n, 3)."""
    fast = kernels()
    if fast is not None:
        cells = np.empty((len(keys), 3), np.int32)
        axes = np.array(split_axes(bits)[::-1], np.int64)
        fast.morton_decode(np.ascontiguousarray(keys), axes, cells)
        return cells
    coordinates = np.zeros((3, len(keys)), np.uint64)
    rest = keys.copy()
    place = [0, 0, 0]
    for axis in reversed(split_axes(bits)):
        coordinates[axis] |= (rest & np.uint64(1)) << np.uint64(place[axis])
        rest >>= np.uint64(1)
        place[axis] += 1
    return coordinates.T.astype(np.int32, order="C")
