"""Neighbours decoded earlier: a Morton window and integer distances (spec section 7.2).

For each Gaussian the window holds up to 8 Gaussians decoded earlier before its place in Morton
order and up to 8 from its place on; they are ordered by squared integer distance, ties by Morton
order. Decoded earlier are those of earlier layers and of earlier *rounds* of the same layer: round
after round a layer is filled in, each doubling what is there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csgs_codec.numerics.backend import kernels
from csgs_codec.numerics.fixed_point import ilog2

WINDOW = 8
NEIGHBOURS = 8
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

    def part(self, part: slice) -> Neighbours:
        """Those of some Gaussians of the layer."""
        row, distance = self.row[part], self.distance[part]
        return Neighbours(np.ascontiguousarray(row), np.ascontiguousarray(distance))


def round_slices(rounds: int) -> list[slice]:
    """Places within a layer of each round: every ``2**(rounds-1)``-th first, then halfway."""
    first = 1 << (rounds - 1)
    later = [slice(first >> j, None, first >> (j - 1)) for j in range(1, rounds)]
    return [slice(0, None, first), *later]


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


def layer_neighbours(
    keys: NDArray[np.uint64], cells: NDArray[np.int32], begin: int, rounds: int
) -> Neighbours:
    """Find the neighbours of one tile layer, round after round.

    Parameters
    ----------
    keys, cells : ndarray, shapes (m,) and (m, 3)
        Morton keys and cells within the tile (below ``2**21``) of all layers up to this one.
    begin : int
        First row of the layer; its keys are sorted.
    rounds : int
    """
    count = len(keys) - begin
    found = Neighbours(
        np.full((count, NEIGHBOURS), MISSING, np.int32),
        np.full((count, NEIGHBOURS), MISSING_DISTANCE, np.uint8),
    )
    order = np.argsort(keys, kind="stable")
    seen_from = np.zeros(len(keys), np.uint8)
    parts = round_slices(rounds)
    for number, part in enumerate(parts):
        seen_from[begin:][part] = number + 1
    seen_from = seen_from[order]
    for number, part in enumerate(parts):
        known = order[seen_from <= number]
        near = find_neighbours(keys[begin:][part], cells[begin:][part], keys[known], cells[known])
        row = near.row
        found.row[part] = np.where(row < 0, MISSING, known[row]) if len(known) else row
        found.distance[part] = near.distance
    return found


def find_neighbours(
    keys: NDArray[np.uint64],
    cells: NDArray[np.int32],
    known_keys: NDArray[np.uint64],
    known_cells: NDArray[np.int32],
) -> Neighbours:
    """Find the neighbours of Gaussians among others; both are sorted by key.

    Parameters
    ----------
    keys, cells : ndarray, shapes (n,) and (n, 3)
    known_keys, known_cells : ndarray, shapes (m,) and (m, 3)

    Returns
    -------
    Neighbours
        Rows count among the known.
    """
    count, known = len(keys), len(known_keys)
    near = Neighbours(
        np.full((count, NEIGHBOURS), MISSING, np.int32),
        np.full((count, NEIGHBOURS), MISSING_DISTANCE, np.uint8),
    )
    if not count or not known:
        return near
    fast = kernels()
    if fast is not None:
        fast.nearest_neighbours(
            np.ascontiguousarray(keys),
            np.ascontiguousarray(cells, np.int32),
            np.ascontiguousarray(known_keys),
            np.ascontiguousarray(known_cells, np.int32),
            near.row,
            near.distance,
        )
        return near
    place = np.searchsorted(known_keys, keys).astype(np.int64)
    candidate = place[:, None] + np.arange(-WINDOW, WINDOW)
    outside = (candidate < 0) | (candidate >= known)
    candidate[outside] = 0
    difference = known_cells.astype(np.int64)[candidate] - cells[:, None].astype(np.int64)
    squared = (difference * difference).sum(axis=2)
    squared[outside] = _FAR
    chosen = np.argsort(squared, axis=1, kind="stable")[:, :NEIGHBOURS]
    best = np.take_along_axis(candidate, chosen, axis=1)
    nearest = np.take_along_axis(squared, chosen, axis=1)
    missing = nearest == _FAR
    code = distance_code(np.where(missing, 1, nearest))
    return Neighbours(
        np.where(missing, MISSING, best).astype(np.int32),
        np.where(missing, MISSING_DISTANCE, code).astype(np.uint8),
    )
