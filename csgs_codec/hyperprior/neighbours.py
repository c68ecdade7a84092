"""Neighbours decoded earlier: windows on two Morton curves, integer distances (spec section 7.2).

The windows hold up to 8 Gaussians decoded earlier before a Gaussian's place on a curve and up to 8
from its place on. The second curve is the first one shifted by a third of the tile, so that
Gaussians that a boundary of one curve tears apart are close on the other. Candidates are ordered by
squared integer distance, ties by the first curve. Decoded earlier are those of earlier layers and
of earlier *rounds* of the same layer: round after round a layer is filled in, each doubling what is
there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csgs_codec.numerics.backend import kernels
from csgs_codec.numerics.fixed_point import ilog2
from csgs_codec.numerics.morton import encode_keys, shifted_cells

WINDOW = 8
NEIGHBOURS = 8
MISSING = -1
MISSING_DISTANCE = 255
_FAR = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Places:
    """Where Gaussians of a tile are.

    Attributes
    ----------
    keys : ndarray of uint64, shape (n,)
        Places on the Morton curve.
    shifted_keys : ndarray of uint64, shape (n,)
        Places on the shifted curve.
    cells : ndarray of int32, shape (n, 3)
        Cells within the tile, below ``2**21``.
    """

    keys: NDArray[np.uint64]
    shifted_keys: NDArray[np.uint64]
    cells: NDArray[np.int32]

    @classmethod
    def of(cls, keys: NDArray[np.uint64], cells: NDArray[np.int32], bits: Sequence[int]) -> Places:
        """Places of Gaussians whose keys are known, in a tile of ``2**bits`` cells."""
        shifted_keys = encode_keys(shifted_cells(cells, bits), bits)
        return cls(keys, shifted_keys, cells.astype(np.int32, copy=False))

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> Places:
        return Places(self.keys[rows], self.shifted_keys[rows], self.cells[rows])


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


def layer_neighbours(places: Places, begin: int, rounds: int) -> Neighbours:
    """Find the neighbours of one tile layer, round after round.

    Parameters
    ----------
    places : Places
        Of all layers of a tile up to this one.
    begin : int
        First row of the layer; its keys are sorted.
    rounds : int
    """
    count = len(places) - begin
    found = _nobody(count)
    order = np.argsort(places.keys, kind="stable")
    on_shifted = np.argsort(places.shifted_keys[order], kind="stable")
    seen_from = np.zeros(len(places), np.uint8)
    parts = round_slices(rounds)
    for number, part in enumerate(parts):
        seen_from[begin:][part] = number + 1
    seen_from = seen_from[order]
    layer = places[begin:]
    for number, part in enumerate(parts):
        seen = seen_from <= number
        known = order[seen]
        rank = np.cumsum(seen) - 1
        near = _nearest(layer[part], places[known], rank[on_shifted[seen[on_shifted]]])
        row = near.row
        found.row[part] = np.where(row < 0, MISSING, known[row]) if len(known) else row
        found.distance[part] = near.distance
    return found


def find_neighbours(wanted: Places, known: Places) -> Neighbours:
    """Find the neighbours of Gaussians among others, which are sorted by key.

    Returns
    -------
    Neighbours
        Rows count among the known.
    """
    return _nearest(wanted, known, np.argsort(known.shifted_keys, kind="stable"))


def _nobody(count: int) -> Neighbours:
    return Neighbours(
        np.full((count, NEIGHBOURS), MISSING, np.int32),
        np.full((count, NEIGHBOURS), MISSING_DISTANCE, np.uint8),
    )


def _nearest(wanted: Places, known: Places, on_shifted: NDArray[np.int64]) -> Neighbours:
    """Neighbours among the known; ``on_shifted`` lists these along the shifted curve."""
    near = _nobody(len(wanted))
    if not len(wanted) or not len(known):
        return near
    shifted_keys = known.shifted_keys[on_shifted]
    fast = kernels()
    if fast is not None:
        fast.nearest_neighbours(
            np.ascontiguousarray(wanted.keys),
            np.ascontiguousarray(wanted.shifted_keys),
            np.ascontiguousarray(wanted.cells),
            known.keys, known.cells, shifted_keys, on_shifted, near.row, near.distance,
        )  # fmt: skip
        return near
    candidate, outside = _window(wanted.keys, known.keys)
    other, beyond = _window(wanted.shifted_keys, shifted_keys)
    other = on_shifted[np.clip(other, 0, len(known) - 1)]
    again = (other >= candidate[:, :1]) & (other <= candidate[:, -1:])
    candidate = np.clip(np.concatenate([candidate, other], axis=1), 0, len(known) - 1)
    outside = np.concatenate([outside, beyond | again], axis=1)
    difference = known.cells.astype(np.int64)[candidate] - wanted.cells[:, None].astype(np.int64)
    squared = (difference * difference).sum(axis=2)
    squared[outside] = _FAR
    chosen = np.lexsort((candidate, squared))[:, :NEIGHBOURS]
    best = np.take_along_axis(candidate, chosen, axis=1)
    nearest = np.take_along_axis(squared, chosen, axis=1)
    missing = nearest == _FAR
    code = distance_code(np.where(missing, 1, nearest))
    return Neighbours(
        np.where(missing, MISSING, best).astype(np.int32),
        np.where(missing, MISSING_DISTANCE, code).astype(np.uint8),
    )


def _window(
    keys: NDArray[np.uint64], known: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Places around each key in a sorted list, and which of them are outside of it."""
    place = np.searchsorted(known, keys).astype(np.int64)
    candidate = place[:, None] + np.arange(-WINDOW, WINDOW)
    return candidate, (candidate < 0) | (candidate >= len(known))
