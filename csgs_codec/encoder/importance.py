"""Which Gaussians come first, and how a level without the others is compensated.

No renderer is used. A layer takes one Gaussian from each of many stretches of Morton order that
hold equal (softened) mass, so that every part of the scene is there from the first level on; within
a stretch it takes the one that stands for the others best: large, opaque, central and of typical
colour.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from csgs_codec.container.header import Compensation
from csgs_codec.scene import Scene
from csgs_codec.schema import Group, Role

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

LAYER_ENDS = (0.15, 0.33, 0.62, 1.0)
MORE_LAYER_ENDS = (0.12, 0.25, 0.45, 0.7, 1.0)
_SH_C0 = 0.28209479177387814
_OPACITY_POWER = 1.5
_COLOUR_WEIGHT = 10.0
_PLACE_WEIGHT = 0.2
_MASS_OPACITY = (0.02, 0.2)
_MASS_AREA_POWER = 0.05
_TINY = 1e-30

# Fitted to renders of three scenes at 10 to 60 % of their Gaussians.
_SCALE_OFFSET = 0.122
_SPACING_PULL = 0.021
_DEPTH_GAIN = 0.359
_DEPTH_EXPONENT = 0.137


def compensation_for(share: float) -> Compensation:
    """Compensation of a level that holds this share of the Gaussians."""
    if share >= 1.0:
        return Compensation()
    lacking = -float(np.log(share))
    square = lacking * lacking
    return Compensation(
        float(np.float32(_SCALE_OFFSET * lacking)),
        float(np.float32(_SPACING_PULL * square)),
        float(np.float32(_DEPTH_GAIN * square)),
        float(np.float32(1.0 + _DEPTH_EXPONENT * square)),
    )


def choose_layers(
    scene: Scene, groups: Sequence[Group], by_place: I64, ends: tuple[float, ...]
) -> I64:
    """Return the layer of each row.

    Parameters
    ----------
    scene : Scene
        At least one Gaussian.
    groups : sequence of Group
    by_place : ndarray of int64, shape (n,)
        Rows in Morton order.
    ends : tuple of float
        Share of the Gaussians up to the end of each layer.
    """
    columns = {group.role: group.columns for group in groups}
    ordered = scene.select(by_place)
    count = ordered.count
    xyz = ordered.stack(("x", "y", "z"))
    opacity, area, colour = np.ones(count), np.ones(count), np.zeros((count, 3))
    if Role.OPACITY in columns:
        logit = ordered.stack(columns[Role.OPACITY])[:, 0]
        opacity = 1.0 / (1.0 + np.exp(-np.clip(logit, -60.0, 60.0)))
    if Role.SCALE in columns:
        scales = np.sort(ordered.stack(columns[Role.SCALE]), axis=1)[:, -2:]
        area = np.exp(np.clip(scales.sum(axis=1), -60.0, 60.0))
    if Role.DC in columns:
        colour = ordered.stack(columns[Role.DC]) * _SH_C0
    layers = np.empty(count, np.int64)
    layers[by_place] = _layers(xyz, opacity, area, colour, ends)
    return np.unique(layers, return_inverse=True)[1].reshape(-1)


def _layers(xyz: F64, opacity: F64, area: F64, colour: F64, ends: tuple[float, ...]) -> I64:
    count = len(xyz)
    mass = np.clip(opacity, *_MASS_OPACITY) * (area + _TINY) ** _MASS_AREA_POWER
    layer = np.full(count, len(ends) - 1, np.int64)
    taken = np.zeros(count, bool)
    for number, end in enumerate(ends[:-1]):
        wanted = max(round(count * end) - int(taken.sum()), 1)
        if wanted > count - int(taken.sum()):
            break
        cell, free = _cells_for(mass, taken, wanted)
        score = _representative(xyz, opacity, area, colour, cell)
        score[taken | ~free[cell]] = -np.inf
        best = _best_of_cells(cell, score)
        best = best[np.isfinite(score[best])][:wanted]
        layer[best] = number
        taken[best] = True
    return layer


def _cells_for(mass: F64, taken: NDArray[np.bool_], wanted: int) -> tuple[I64, NDArray[np.bool_]]:
    """Cut Morton order into cells of equal mass, so many that ``wanted`` hold nothing taken."""
    total = np.cumsum(mass)
    low, high = wanted, 40 * len(mass)

    def cut(cells: int) -> tuple[I64, NDArray[np.bool_]]:
        cell = np.minimum((total * (cells / total[-1])).astype(np.int64), cells - 1)
        held = np.zeros(cells, bool)
        held[cell] = True
        held[cell[taken]] = False
        return cell, held

    while low < high:
        middle = (low + high) // 2
        if int(cut(middle)[1].sum()) < wanted:
            low = middle + 1
        else:
            high = middle
    return cut(high)


def _representative(xyz: F64, opacity: F64, area: F64, colour: F64, cell: I64) -> F64:
    """How well each Gaussian stands for the others of its cell."""
    weight = opacity * area
    cells = int(cell.max()) + 1
    total = np.maximum(np.bincount(cell, weight, cells), _TINY)

    def mean(values: F64) -> F64:
        sums = [np.bincount(cell, weight * values[:, axis], cells) for axis in range(3)]
        return (np.stack(sums, axis=1) / total[:, None])[cell]

    apart = ((xyz - mean(xyz)) ** 2).sum(axis=1)
    unlike = ((colour - mean(colour)) ** 2).sum(axis=1)
    variance = (np.bincount(cell, weight * apart, cells) / total)[cell] + 1e-20
    large = _OPACITY_POWER * np.log(opacity + _TINY) + np.log(area + _TINY)
    return np.asarray(large - _COLOUR_WEIGHT * unlike - _PLACE_WEIGHT * apart / variance)


def _best_of_cells(cell: I64, score: F64) -> I64:
    order = np.lexsort((-score, cell))
    first = np.r_[True, np.diff(cell[order]) != 0]
    return order[first]
