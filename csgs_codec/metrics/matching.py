"""Which row of a decoded scene is which row of the original."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csgs_codec.errors import UnsupportedError

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Matching:
    """Pairs of rows that are certain.

    Attributes
    ----------
    original, decoded : ndarray of int64, shape (pairs,)
        Rows of either scene; no row stands twice.
    rows : int
        Rows of the decoded scene; those without a pair are ambiguous.
    rule : str
        How the pairs were found, for people.
    """

    original: NDArray[np.int64]
    decoded: NDArray[np.int64]
    rows: int
    rule: str

    @classmethod
    def same_order(cls, rows: int) -> Matching:
        """Every row is the row of the same number."""
        every = np.arange(rows)
        return cls(every, every, rows, "same order")


def match_rows(original: F64, decoded: F64, reach: float | None = None) -> Matching:
    """Pair the rows of a decoded scene in another order with those of the original by position.

    A decoded row and an original row are a pair if no other row of the original can be meant, and
    no other decoded row says the same of the original row. Distances are the largest difference of
    a coordinate. Gaussians in dense places are left out, where features tend to be coded worse: say
    how many rows are paired beside any number that rests on them, or keep the row order.

    Parameters
    ----------
    original : ndarray of float64, shape (n, 3)
    decoded : ndarray of float64, shape (m, 3)
    reach : float, optional
        No coordinate is decoded with a larger error, such as half a cell of the grid of a file: a
        pair is then certain, for exactly one row of the original lies within reach. Without it,
        the nearest row is taken if the second nearest is more than twice as far: right unless
        errors of positions are of the size of the distances between Gaussians.

    Returns
    -------
    Matching
        Rows whose position is not finite have no pair.

    Raises
    ------
    UnsupportedError
        scipy is not installed.
    """
    tree_of = _tree()
    wanted = np.flatnonzero(np.isfinite(original).all(axis=1))
    found = np.flatnonzero(np.isfinite(decoded).all(axis=1))
    rule = f"positions within {reach:.3g}" if reach is not None else "nearest positions"
    if not len(wanted) or not len(found):
        nothing = np.zeros(0, np.int64)
        return Matching(nothing, nothing, len(decoded), rule)
    distance, nearest = tree_of(original[wanted]).query(decoded[found], k=2, p=np.inf)
    first, second = distance.T
    clear = (first <= reach) & (second > reach) if reach is not None else 2 * first < second
    rows = wanted[nearest[clear, 0]]
    claims = np.bincount(rows, minlength=len(original))
    alone = claims[rows] == 1
    return Matching(rows[alone], found[clear][alone], len(decoded), rule)


def in_same_order(original: F64, decoded: F64) -> bool:
    """Whether rows of the same number look like the same Gaussian.

    The middle distance between them must be at most that from a Gaussian to its nearest other.

    Parameters
    ----------
    original, decoded : ndarray of float64, shape (n, 3)

    Raises
    ------
    UnsupportedError
        scipy is not installed.
    """
    if original.shape != decoded.shape:
        return False
    finite = np.isfinite(original).all(axis=1) & np.isfinite(decoded).all(axis=1)
    a, b = original[finite], decoded[finite]
    moved = np.abs(a - b).max(axis=1)
    if len(a) < 2 or not moved.any():
        return True
    apart = _tree()(a).query(a, k=2, p=np.inf)[0][:, 1]
    return bool(np.median(moved) <= np.median(apart))


def _tree() -> Any:
    try:
        from scipy.spatial import cKDTree  # type: ignore[import-untyped]
    except ImportError as error:
        raise UnsupportedError("matching rows needs scipy: install csgs_codec[eval]") from error
    return cKDTree
