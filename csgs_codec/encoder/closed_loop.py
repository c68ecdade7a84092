"""Colours that make up for what quantisation did to everything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from csgs_codec.attributes.coding import GroupCoding
from csgs_codec.encoder.refit import ColourFit
from csgs_codec.encoder.views import View
from csgs_codec.render.gaussians import RenderGaussians
from csgs_codec.scene import Column, Scene
from csgs_codec.schema import Group, Role

ITERATIONS = 2
ITERATIONS_BEYOND_DC = 2
ITERATIONS_TOGETHER = 5
FREEDOM = 0.01
F32 = NDArray[np.float32]


class ClosedLoop:
    """Re-fits DC and SH while they are coded.

    Parameters
    ----------
    groups : sequence of Group
    views : sequence of View
        Pictures of the original.
    """

    def __init__(self, groups: Sequence[Group], views: Sequence[View]) -> None:
        self._columns = {group.role: group.columns for group in groups}
        self._views = views
        self._fit: ColourFit

    def fit_colours(self, geometry: Scene) -> Scene:
        """DC and SH for a scene whose geometry is decoded and whose colours are the original's."""
        gaussians = RenderGaussians.from_scene(geometry)
        self._fit = ColourFit(gaussians, self._views)
        self._sh = gaussians.sh
        change = self._fit.solve(ITERATIONS, self._coefficients(first=0), FREEDOM)
        fitted = self._changed(geometry, change)
        if Role.SH not in self._columns:
            del self._fit
        return fitted

    def fit_beyond_dc(self, scene: Scene, decoded: Mapping[str, Column]) -> Scene:
        """SH for a scene whose DC is now decoded."""
        self._take(decoded)
        change = self._fit.solve(ITERATIONS_BEYOND_DC, self._coefficients(first=1), FREEDOM)
        return self._changed(scene, change)

    def fit_together(
        self,
        scene: Scene,
        decoded: Mapping[str, Column],
        codings: Sequence[GroupCoding],
        nonzero: NDArray[np.bool_],
    ) -> Scene:
        """DC and SH for a scene of which both are decoded: what errors of SH ask of DC.

        Parameters
        ----------
        scene : Scene
        decoded : mapping of str to Column
            Columns of DC and of SH.
        codings : sequence of GroupCoding
            Of DC and of SH.
        nonzero : ndarray of bool, shape (n, channels of SH)
            Components of SH that cost bits already: no others change.
        """
        self._take(decoded)
        dc, sh = (coding.transform.basis for coding in codings if coding.transform is not None)
        directions = np.zeros((len(dc) + len(sh), *self._sh.shape[1:]), np.float32)
        directions[: len(dc), 0] = dc
        directions[len(dc) :, 1:] = sh.reshape(len(sh), 3, -1).transpose(0, 2, 1)
        free = np.concatenate([np.ones((len(nonzero), len(dc)), np.bool_), nonzero], axis=1)
        change = self._fit.solve(ITERATIONS_TOGETHER, directions, FREEDOM, free)
        fitted = self._changed(replace(scene, columns={**scene.columns, **decoded}), change)
        del self._fit  # weights of every view, no longer needed
        return fitted

    def _coefficients(self, first: int) -> F32:
        """Each coefficient that is coded, from one on, as a direction, shape (v, K, 3)."""
        places = [place for place in self._places().values() if place[0] >= first]
        directions = np.zeros((len(places), *self._sh.shape[1:]), np.float32)
        for direction, place in zip(directions, places, strict=True):
            direction[place] = 1.0
        return directions

    def _take(self, decoded: Mapping[str, Column]) -> None:
        """Show the colours that are decoded by now."""
        change = np.zeros_like(self._sh)
        for name, (k, channel) in self._places().items():
            if name in decoded:
                change[:, k, channel] = decoded[name].astype(np.float32) - self._sh[:, k, channel]
        self._show(change)

    def _show(self, change: F32) -> None:
        self._sh = self._sh + change
        self._fit.absorb(change)

    def _changed(self, scene: Scene, change: F32) -> Scene:
        self._show(change)
        columns = dict(scene.columns)
        for name, (k, channel) in self._places().items():
            columns[name] = self._sh[:, k, channel].astype(columns[name].dtype)
        return replace(scene, columns=columns)

    def _places(self) -> dict[str, tuple[int, int]]:
        """Coefficient and colour channel of each column."""
        dc, rest = self._columns[Role.DC], self._columns.get(Role.SH, ())
        places = {name: (0, channel) for channel, name in enumerate(dc)}
        for place, name in enumerate(rest):
            channel, k = divmod(place, len(rest) // 3)
            places[name] = 1 + k, channel
        return places
