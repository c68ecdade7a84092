"""Which Gaussians come first.

A layer takes one Gaussian from each of many stretches of Morton order that hold equal (softened)
mass, so that every part of the scene is there from the first level on; within a stretch it takes
the one that stands for the others best: large, opaque, central and of typical colour. Where
pictures of the scene were taken, mass and size are what a Gaussian contributes to them; without,
they are guessed from scales and opacity. A choice can be refined by pictures of the level.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csgs_codec.scene import Scene
from csgs_codec.schema import Group, Role

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Rows = NDArray[np.bool_]
Refine = Callable[[Rows, Rows], Rows]

LAYER_ENDS = (0.15, 0.33, 0.62, 1.0)
MORE_LAYER_ENDS = (0.12, 0.25, 0.45, 0.7, 1.0)
_SH_C0 = 0.28209479177387814
_OPACITY_POWER = 1.5
_COLOUR_WEIGHT = 10.0
_PLACE_WEIGHT = 0.2
_MASS_OPACITY = (0.02, 0.2)
_MASS_AREA_POWER = 0.05
_EFFECT_POWER = 0.15
_LEAST_EFFECT = 0.01
_TINY = 1e-30


def choose_layers(
    scene: Scene,
    groups: Sequence[Group],
    by_place: I64,
    ends: tuple[float, ...],
    effect: F64 | None = None,
    refine: Refine | None = None,
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
    effect : ndarray of float64, shape (n,), optional
        What a change of its colour changes in pictures of the scene.
    refine : callable, optional
        Given the members of a level and those of the level before, both in Morton order, returns
        better members: the same number, the level before included.
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
    mass = np.clip(opacity, *_MASS_OPACITY) * (area + _TINY) ** _MASS_AREA_POWER
    large = _OPACITY_POWER * np.log(opacity + _TINY) + np.log(area + _TINY)
    if effect is not None and (effect > 0).any():
        least = _LEAST_EFFECT * float(np.median(effect[effect > 0]))
        seen = effect[by_place] + least
        mass, large = seen**_EFFECT_POWER, (large + np.log(seen)) / 2
    layers = np.empty(count, np.int64)
    likeness = _Likeness(xyz, opacity * area, colour, large)
    layers[by_place] = _layers(mass, ends, likeness, refine)
    return np.unique(layers, return_inverse=True)[1].reshape(-1)


def _layers(mass: F64, ends: tuple[float, ...], likeness: _Likeness, refine: Refine | None) -> I64:
    count = len(mass)
    layer = np.full(count, len(ends) - 1, np.int64)
    taken = np.zeros(count, bool)
    for number, end in enumerate(ends[:-1]):
        wanted = max(round(count * end) - int(taken.sum()), 1)
        if wanted > count - int(taken.sum()):
            break
        cell, free = _cells_for(mass, taken, wanted)
        score = likeness.scores(cell)
        score[taken | ~free[cell]] = -np.inf
        best = _best_of_cells(cell, score)
        best = best[np.isfinite(score[best])][:wanted]
        members = taken.copy()
        members[best] = True
        if refine is not None:
            members = refine(members, taken)
        layer[members & ~taken] = number
        taken = members
    return layer


def _cells_for(mass: F64, taken: Rows, wanted: int) -> tuple[I64, Rows]:
    """Cut Morton order into cells of equal mass, so many that ``wanted`` hold nothing taken."""
    total = np.cumsum(mass)
    low, high = wanted, 40 * len(mass)

    def cut(cells: int) -> tuple[I64, Rows]:
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


@dataclass(frozen=True)
class _Likeness:
    """How well Gaussians stand for the others of their cell."""

    xyz: F64
    weight: F64
    colour: F64
    large: F64

    def scores(self, cell: I64) -> F64:
        """Score of each Gaussian within its cell."""
        cells = int(cell.max()) + 1
        total = np.maximum(np.bincount(cell, self.weight, cells), _TINY)

        def apart(values: F64) -> F64:
            sums = [np.bincount(cell, self.weight * column, cells) for column in values.T]
            mean = (np.stack(sums, axis=1) / total[:, None])[cell]
            return np.asarray(((values - mean) ** 2).sum(axis=1))

        far, unlike = apart(self.xyz), apart(self.colour)
        variance = (np.bincount(cell, self.weight * far, cells) / total)[cell] + 1e-20
        return np.asarray(self.large - _COLOUR_WEIGHT * unlike - _PLACE_WEIGHT * far / variance)


def _best_of_cells(cell: I64, score: F64) -> I64:
    order = np.lexsort((-score, cell))
    first = np.r_[True, np.diff(cell[order]) != 0]
    return order[first]
