"""Exchange the Gaussians of a level for others while pictures of the level get better.

A level is rendered as a decoder will show it: compensated, and without colour beyond DC. For every
Gaussian the renderer says what the squared error would change if it alone joined or left. Those
that help most join, as many that are missed least leave, a few in every stretch of Morton order,
and fewer from round to round: what one is worth changes when its neighbours do. What no view shows
stays as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from csgs_codec.encoder.compensation import Compensated, CompensationLaw, fit_law
from csgs_codec.encoder.views import View
from csgs_codec.render import rasterise
from csgs_codec.render.flips import Flips, flips
from csgs_codec.render.gaussians import RenderGaussians
from csgs_codec.scene import Scene

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Rows = NDArray[np.bool_]

_MOST_VIEWS = 18
_MEMORY = 0.3
_EVEN = 0.2
_OTHERS = 1.5
# Of the mean gain: exchanges that bring little fit the views, not the scene, and cost evenness.
_LEAST_GAIN = 0.3
_GOLDEN = 0.618
_TINY = 1e-30


@dataclass(frozen=True)
class Refining:
    """How thoroughly a level is refined.

    Attributes
    ----------
    rounds : int
    share : float
        Of the members that the first round may exchange.
    decay : float
        Factor on it from round to round.
    turns : int
        Rounds until all views have been looked at.
    stride : int
        Only every ``stride``-th row of pixels is looked at.
    """

    rounds: int
    share: float
    decay: float
    turns: int
    stride: int


FIRST_LEVEL = Refining(9, 0.15, 0.8, 3, 2)
LATER_LEVELS = Refining(4, 0.1, 0.6, 4, 4)


class LayerRefinement:
    """Looks at levels while their Gaussians are chosen.

    Parameters
    ----------
    scene : Scene
    by_place : ndarray of int64, shape (n,)
        Rows in Morton order.
    views : sequence of View
        What levels should look like; some of them are looked at.

    Attributes
    ----------
    law : CompensationLaw
        How levels are compensated, fitted to the first level as it was before it was refined.
    """

    def __init__(self, scene: Scene, by_place: I64, views: Sequence[View]) -> None:
        gaussians = RenderGaussians.from_scene(scene).select(by_place)
        arrays = (gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacity)
        self._base = RenderGaussians(*arrays, np.ascontiguousarray(gaussians.sh[:, :1]))
        self._shown = Compensated(self._base)
        chosen = np.linspace(0, len(views) - 1, min(_MOST_VIEWS, len(views))).astype(int)
        self._views = [views[place] for place in chosen]
        self.law = CompensationLaw()

    def refine(self, members: Rows, fixed: Rows) -> Rows:
        """Return better members of a level, as many; masks are in Morton order.

        Parameters
        ----------
        members : ndarray of bool, shape (n,)
        fixed : ndarray of bool, shape (n,)
            Members that lower levels hold already.
        """
        refining, share = LATER_LEVELS if fixed.any() else FIRST_LEVEL, float(members.mean())
        refining = replace(refining, turns=min(refining.turns, len(self._views)))
        if not fixed.any():
            self.law = fit_law(self._base.select(members), share, self._views)
        proposed, members = members, members.copy()
        change = np.full(len(members), np.nan)
        rows = np.arange(len(members))
        made = self.law.at(share)
        for number in range(refining.rounds):
            found = self._look(self._shown.by(made, members, rows), members[rows], refining, number)
            known = change[rows]
            mixed = _MEMORY * known + (1 - _MEMORY) * found
            known = np.where(found == 0, known, np.where(np.isnan(known), found, mixed))
            change[rows] = known
            most = max(1, int(refining.share * refining.decay**number * members.sum()))
            free = ~np.isnan(known) & ~fixed[rows]
            join, leave = _exchange(members[rows], known, free, most, number)
            flipped = rows[np.concatenate((join, leave))]
            members[flipped] ^= True
            change[flipped] = np.nan
            if number == refining.turns - 1:
                rows = _promising(members | proposed, change)
        return members

    def _look(
        self, gaussians: RenderGaussians, members: Rows, refining: Refining, number: int
    ) -> F64:
        """Change of the error, relative to that of each view, over the views of a round."""
        found: list[Flips] = []
        for place in range(number % refining.turns, len(self._views), refining.turns):
            view, phase = self._views[place], place + refining.turns * number
            projection = rasterise.project(gaussians, view.camera)
            tiles = rasterise.bin_tiles(projection)
            found.append(flips(projection, tiles, members, view.picture, refining.stride, phase))
        errors = np.array([one.error for one in found])
        weights = 1 / (errors + _EVEN * errors.mean() + _TINY)
        total = np.zeros(len(members))
        for one, weight in zip(found, weights / weights.sum(), strict=True):
            total += weight * one.change
        return total


def _exchange(members: Rows, change: F64, free: Rows, most: int, number: int) -> tuple[I64, I64]:
    """Rows that join and rows that leave, as many, at most one of each in a stretch of rows."""
    stretch = (np.arange(len(members)) * (most / len(members)) + number * _GOLDEN % 1).astype(int)

    def best(candidates: Rows) -> I64:
        rows = np.flatnonzero(candidates)
        rows = rows[np.lexsort((change[rows], stretch[rows]))]
        rows = rows[np.diff(stretch[rows], prepend=-1) != 0]
        return rows[np.argsort(change[rows], kind="stable")]

    join, leave = best(free & ~members), best(free & members)
    count = min(len(join), len(leave), most)
    gain = np.maximum(-change[join[:count]] - change[leave[:count]], 0.0)
    pays = gain > _LEAST_GAIN * gain.sum() / max(count, 1)
    return join[:count][pays], leave[:count][pays]


def _promising(kept: Rows, change: F64) -> I64:
    """What is kept anyway and the others that would help most."""
    change = np.where(kept, np.inf, np.nan_to_num(change))
    others = min(int(_OTHERS * kept.sum()), int((~kept).sum()))
    kept = kept.copy()
    kept[np.argsort(change, kind="stable")[:others]] = True
    return np.flatnonzero(kept)
