"""Widen a selection to what stands near it."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Positions = NDArray[np.float64]

_PAIRS = 1 << 20
_FARTHEST_CELL = 2.0**20


def grow(positions: Positions, chosen: Bools, distance: float) -> Bools:
    """Add the rows whose centres are at most ``distance`` from a chosen one.

    Parameters
    ----------
    positions : ndarray of float64, shape (n, 3)
    chosen : ndarray of bool, shape (n,)
    distance : float
        Above 0.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    finite = np.isfinite(positions).all(axis=1)
    seeds, others = np.flatnonzero(chosen & finite), np.flatnonzero(~chosen & finite)
    grown = chosen.copy()
    if not len(seeds) or not len(others):
        return grown
    low = positions[seeds].min(axis=0) - distance
    high = positions[seeds].max(axis=0) + distance
    others = others[((positions[others] >= low) & (positions[others] <= high)).all(axis=1)]
    edge = max(distance, float((high - low).max()) / _FARTHEST_CELL)
    keys = _keys(np.floor((positions[seeds] - low) / edge).astype(np.int64))
    seeds, keys = seeds[np.argsort(keys)], np.sort(keys)
    cells = np.floor((positions[others] - low) / edge).astype(np.int64)
    for step in product((-1, 0, 1), repeat=3):
        waiting = np.flatnonzero(~grown[others])
        near = _keys(cells[waiting] + np.array(step))
        begin, end = np.searchsorted(keys, near), np.searchsorted(keys, near, "right")
        for part in _pieces(end - begin):
            rows, first, size = others[waiting[part]], begin[part], (end - begin)[part]
            pair = np.repeat(np.arange(len(rows)), size)
            inside = np.arange(len(pair)) - np.repeat(np.cumsum(size) - size, size)
            apart = positions[rows[pair]] - positions[seeds[first[pair] + inside]]
            grown[rows[pair[(apart * apart).sum(axis=1) <= distance * distance]]] = True
    return grown


def _keys(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number for each cell; cells are -1 to 2**20 + 1."""
    x, y, z = (cells + 1).T
    return (x << 42) | (y << 21) | z


def _pieces(sizes: NDArray[np.int64]) -> list[slice]:
    """Runs of rows with about as many pairs as memory should hold at once."""
    ends = np.searchsorted(np.cumsum(sizes), np.arange(_PAIRS, sizes.sum() + _PAIRS, _PAIRS))
    bounds = np.unique(np.concatenate([[0], ends + 1, [len(sizes)]]).clip(0, len(sizes)))
    return [slice(int(a), int(b)) for a, b in pairwise(bounds)]
