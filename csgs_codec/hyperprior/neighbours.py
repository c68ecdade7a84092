"""Neighbours decoded earlier: a Morton window and integer distances (spec section 7.2).

For each Gaussian the window holds up to 8 Gaussians of earlier layers before its place in Morton
order and up to 8 from its place on; the nearest ``K`` by squared integer distance are kept, ties
to the one earlier in Morton order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csgs_codec.numerics.backend import kernels
from csgs_codec.numerics.fixed_point import ilog2

WINDOW = 8
NEIGHBOURS = 4
MISSING = -1
MISSING_DISTANCE = 255
_FAR = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Neighbours:
    """Neighbours of the Gaussians of one tile layer.

    Attributes
    ----------
    row : ndarray of int32, shape (n, NEIGHBOURS)
        Row within the tile, ``MISSING`` where there are fewer.
    distance : ndarray of uint8, shape (n, NEIGHBOURS)
        Quarter-octave code of the squared distance, ``MISSING_DISTANCE`` where missing.
    """

    row: NDArray[np.int32]
    distance: NDArray[np.uint8]


def distance_code(squared: NDArray[np.int64]) -> NDArray[np.uint8]:
    """``4 log2(d) + 1`` to a quarter octave, by integers; 0 for distance 0."""
    value = np.maximum(squared, 1).astype(np.uint64)
    exponent = ilog2(value).astype(np.uint64)
    mantissa = np.where(
        exponent >= 2,
        (value >> (np.maximum(exponent, 2) - 2).astype(np.uint64)) & np.uint64(3),
        (value << (2 - np.minimum(exponent, 2)).astype(np.uint64)) & np.uint64(3),
    )
    code = 4 * exponent + mantissa + np.uint64(1)
    return np.where(squared == 0, 0, np.minimum(code, 254)).astype(np.uint8)


def find_neighbours(
    keys: NDArray[np.uint64],
    coordinates: NDArray[np.signedinteger],
    earlier_keys: NDArray[np.uint64],
    earlier_coordinates: NDArray[np.signedinteger],
) -> Neighbours:
    """Find the neighbours of one tile layer among the tile's earlier layers.

    Parameters
    ----------
    keys, coordinates : ndarray, shapes (n,) and (n, 3)
        Morton keys, sorted, and cells within the tile (below ``2**21``) of the layer.
    earlier_keys, earlier_coordinates : ndarray, shapes (m,) and (m, 3)
        The same of all earlier layers, in the tile's row order.
    """
    count, known = len(keys), len(earlier_keys)
    if not count or not known:
        return Neighbours(
            np.full((count, NEIGHBOURS), MISSING, np.int32),
            np.full((count, NEIGHBOURS), MISSING_DISTANCE, np.uint8),
        )
    order = np.argsort(earlier_keys, kind="stable")
    fast = kernels()
    if fast is not None:
        near = Neighbours(
            np.empty((count, NEIGHBOURS), np.int32), np.empty((count, NEIGHBOURS), np.uint8)
        )
        fast.nearest_neighbours(
            np.ascontiguousarray(keys),
            np.ascontiguousarray(coordinates, np.int32),
            earlier_keys[order],
            order,
            np.ascontiguousarray(earlier_coordinates, np.int32),
            near.row,
            near.distance,
        )
        return near
    place = np.searchsorted(earlier_keys[order], keys).astype(np.int64)
    sorted_cells = earlier_coordinates[order].astype(np.int64)
    candidate = place[:, None] + np.arange(-WINDOW, WINDOW)
    outside = (candidate < 0) | (candidate >= known)
    candidate[outside] = 0
    difference = sorted_cells[candidate] - coordinates[:, None].astype(np.int64)
    squared = (difference * difference).sum(axis=2)
    squared[outside] = _FAR
    chosen = np.argsort(squared, axis=1, kind="stable")[:, :NEIGHBOURS]
    best = np.take_along_axis(candidate, chosen, axis=1)
    nearest = np.take_along_axis(squared, chosen, axis=1)
    missing = nearest == _FAR
    code = distance_code(np.where(missing, 1, nearest))
    return Neighbours(
        np.where(missing, MISSING, order[best]).astype(np.int32),
        np.where(missing, MISSING_DISTANCE, code).astype(np.uint8),
    )
