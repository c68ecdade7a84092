"""How far the feature of each Gaussian can be trusted, and what its neighbours say.

After the quality-aware weighting of CSGaussian (WACV 2026): Gaussians that the views hardly show,
about which they disagree, or that float far from all others get little from the masks and are
pulled towards their neighbours, where the codec expects them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from csgs_codec.semantics.learn.maps import ViewMap

F64 = NDArray[np.float64]

NEAREST = 8
_SEEN_PIXELS = 1.0
_PURITY_POWER = 2.0
_TINY = 1e-12


@dataclass(frozen=True)
class Quality:
    """What speaks for the feature of each Gaussian; every array has shape (n,), float64.

    Attributes
    ----------
    seen : ndarray
        Blending weights summed over the pixels of the views, in pixels of the full pictures.
    agreement : ndarray
        Share of that weight that lies on the Gaussian's most frequent id, 0 to 1; where ids are
        not the same in every view, on the most frequent id of each view. 0 for unseen ones.
    isolation : ndarray
        Distance to the nearest neighbours, relative to what is usual among these neighbours.
    reliability : ndarray
        Product of ``seen / (seen + 1 pixel a view)``, ``agreement ** 2`` and
        ``min(1, 2 / isolation) ** 2``, 0 to 1.
    """

    seen: F64
    agreement: F64
    isolation: F64
    reliability: F64


def judge(
    views: Sequence[ViewMap], near: tuple[F64, NDArray[np.int64]], consistent: bool, classes: int
) -> Quality:
    """Judge Gaussians.

    Parameters
    ----------
    views : sequence of ViewMap
    near : tuple of ndarray, shapes (n, k)
        Distances and rows of :func:`nearest`.
    consistent : bool
        Whether an id means the same in every view.
    classes : int
        Ids are below it.
    """
    seen = _total([view.area * view.weights.sum(axis=0) for view in views])
    by_id = [_weight_by_id(view, classes) for view in views]
    labelled = _total([weight.sum(axis=1) for weight in by_id])
    together = [sum(by_id[1:], by_id[0])] if consistent else by_id
    most = _total([weight.max(axis=1).toarray() for weight in together])
    agreement = most / np.maximum(labelled, _TINY)
    distance, rows = near
    apart = distance.mean(axis=1)
    usual = np.median(apart[rows], axis=1)
    isolation = apart / np.maximum(usual, _TINY)
    shown = seen / (seen + _SEEN_PIXELS * len(views))
    close = np.minimum(1.0, 2.0 / np.maximum(isolation, _TINY)) ** 2
    return Quality(seen, agreement, isolation, shown * agreement**_PURITY_POWER * close)


def _weight_by_id(view: ViewMap, classes: int) -> csr_matrix:
    """Weight of each Gaussian in the pixels of each id, shape (n, classes)."""
    known = np.flatnonzero(view.labels >= 0)
    pixels = np.arange(len(known)), view.labels[known]
    ids = csr_matrix((np.full(len(known), view.area), pixels), (len(known), classes))
    return csr_matrix(view.weights[known].T @ ids)


def _total(sums: Sequence[NDArray[np.floating]]) -> F64:
    return np.asarray(np.sum(sums, axis=0), np.float64).reshape(-1)


def nearest(xyz: F64, count: int = NEAREST) -> tuple[F64, NDArray[np.int64]]:
    """Distances and rows of the nearest other Gaussians, shapes (n, k) with ``k <= count``."""
    found = min(count + 1, len(xyz))
    distance, rows = cKDTree(xyz).query(xyz, found)
    distance, rows = distance.reshape(len(xyz), found), rows.reshape(len(xyz), found)
    if found == 1:
        return distance, rows.astype(np.int64)
    return distance[:, 1:], rows[:, 1:].astype(np.int64)


def neighbour_mean(rows: NDArray[np.int64], reliability: F64) -> csr_matrix:
    """Matrix that takes features to the mean of their neighbours', the reliable ones counting.

    Parameters
    ----------
    rows : ndarray of int64, shape (n, k)
    reliability : ndarray of float64, shape (n,)

    Returns
    -------
    csr_matrix of float32, shape (n, n)
        Rows sum to 1.
    """
    weights = reliability[rows] + 1e-3
    weights /= weights.sum(axis=1, keepdims=True)
    place = np.repeat(np.arange(len(rows)), rows.shape[1])
    entries = (weights.reshape(-1).astype(np.float32), (place, rows.reshape(-1)))
    return csr_matrix(entries, shape=(len(rows), len(rows)))
