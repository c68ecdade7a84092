"""Colours that make up for what quantisation did to everything coded before them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from csgs_codec.encoder.refit import ColourFit
from csgs_codec.encoder.views import View
from csgs_codec.render.gaussians import RenderGaussians
from csgs_codec.scene import Scene
from csgs_codec.schema import Group, Role

ITERATIONS = 5
ITERATIONS_BEYOND_DC = 3
FREEDOM = 0.01


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
        free = slice(0, None if Role.SH in self._columns else 1)
        change = self._fit.solve(ITERATIONS, free, FREEDOM)
        if Role.SH not in self._columns:
            del self._fit
        return self._changed(geometry, change)

    def fit_beyond_dc(self, scene: Scene, decoded_dc: dict[str, NDArray[np.generic]]) -> Scene:
        """SH for a scene whose DC is now decoded."""
        change = np.zeros_like(self._sh)
        for channel, name in enumerate(self._columns[Role.DC]):
            change[:, 0, channel] = decoded_dc[name].astype(np.float32) - self._sh[:, 0, channel]
        self._sh = self._sh + change
        self._fit.absorb(change)
        decoded = replace(scene, columns={**scene.columns, **decoded_dc})
        change = self._fit.solve(ITERATIONS_BEYOND_DC, slice(1, None), FREEDOM)
        del self._fit  # pictures of every view, no longer needed
        return self._changed(decoded, change)

    def _changed(self, scene: Scene, change: NDArray[np.float32]) -> Scene:
        self._sh = self._sh + change
        columns = dict(scene.columns)
        for channel, name in enumerate(self._columns[Role.DC]):
            columns[name] = self._sh[:, 0, channel].astype(columns[name].dtype)
        rest = self._columns.get(Role.SH, ())
        for place, name in enumerate(rest):
            channel, k = divmod(place, len(rest) // 3)
            columns[name] = self._sh[:, 1 + k, channel].astype(columns[name].dtype)
        return replace(scene, columns=columns)
