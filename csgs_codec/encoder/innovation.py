"""What of features neighbours do not foretell, and the axes along which that is independent.

The Karhunen-Loeve basis of features themselves decorrelates what the hyperprior foretells anyway.
What is left to code are differences from the surroundings, and they lie along other axes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from csgs_codec.numerics.morton import encode_keys
from csgs_codec.scene import Scene

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

_MOST_ROWS = 30_000
_MOST_VALUES = 1 << 22
_ROWS_PER_AXIS = 8
_MORTON_BITS = 16
_TAIL = 0.01
_UNSEEN = 10.0


def innovations(scene: Scene, columns: tuple[str, ...], rows: I64, octaves: F64) -> F64:
    """Differences of some Gaussians from the mean of two neighbours, shape (m, columns).

    Parameters
    ----------
    scene : Scene
    columns : tuple of str
    rows : ndarray of int64, shape (n,)
        Rows of the scene from which Gaussians and neighbours are taken.
    octaves : ndarray of float64, shape (n,)
        Log2 of what divides the difference of each.
    """
    order = _along_curve(scene.part(rows, ("x", "y", "z")))
    most = min(_MOST_ROWS, max(1, _MOST_VALUES // len(columns)))
    middle = np.arange(1, len(order) - 1, max(1, len(order) // most))
    before, own, behind = (rows[order[middle + shift]] for shift in (-1, 0, 1))
    found = np.empty((len(middle), len(columns)))
    for place, name in enumerate(columns):
        values = scene.columns[name].astype(np.float64)
        found[:, place] = values[own] - (values[before] + values[behind]) / 2
    return found * np.exp2(-octaves[order[middle]])[:, None]


def independent_axes(differences: F64, step: float) -> F64 | None:
    """Rotation to the axes along which differences are uncorrelated, one axis a row.

    Every difference has about the same say, since bits follow logarithms: an outlier must not turn
    the axes of all others. Those that drown in what quantising adds have less.

    Parameters
    ----------
    differences : ndarray of float64, shape (m, components)
    step : float
        Of the quantiser.

    Returns
    -------
    ndarray of float64, shape (components, components), or None
        None where there are too few differences to tell.
    """
    count, components = differences.shape
    if count < _ROWS_PER_AXIS * components:
        return None
    noise = components * step**2 / 12.0
    weight = 1.0 / ((differences**2).sum(axis=1) + _UNSEEN * noise)
    scatter = (differences * weight[:, None]).T @ differences
    return np.ascontiguousarray(np.linalg.eigh(scatter)[1].T)


def _along_curve(xyz: F64) -> I64:
    """Order along a Morton curve over where most points are."""
    low, high = np.quantile(xyz, (_TAIL, 1.0 - _TAIL), axis=0)
    most = (1 << _MORTON_BITS) - 1
    span = max(float((high - low).max()), 1e-30)
    cells = np.clip((xyz - low) / span * most, 0, most).astype(np.int64)
    return np.argsort(encode_keys(cells, (_MORTON_BITS,) * 3), kind="stable")
