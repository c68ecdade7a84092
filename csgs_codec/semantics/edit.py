"""Change the Gaussians that a selection chooses: remove, keep, recolour, move."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from csgs_codec.errors import UsageError
from csgs_codec.scene import Column, Scene
from csgs_codec.schema import Role, assign_roles
from csgs_codec.semantics.catalogue import Catalogue
from csgs_codec.semantics.grammar import numbers_of, parse_selection
from csgs_codec.semantics.select import Selection

Bools = NDArray[np.bool_]

SH_C0 = 0.28209479177387814
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_DARKEST = 1.0 / 255


class Change(Protocol):
    """What an edit does to the chosen rows."""

    def apply(self, scene: Scene, chosen: Bools) -> Scene:
        """Return the changed scene; the given one stays as it is."""


@dataclass(frozen=True)
class Remove:
    """Drop the chosen rows."""

    def apply(self, scene: Scene, chosen: Bools) -> Scene:
        """Return the others."""
        return scene.select(np.flatnonzero(~chosen))


@dataclass(frozen=True)
class Keep:
    """Drop all but the chosen rows."""

    def apply(self, scene: Scene, chosen: Bools) -> Scene:
        """Return the chosen ones."""
        return scene.select(np.flatnonzero(chosen))


@dataclass(frozen=True)
class Translate:
    """Move the chosen rows."""

    by: tuple[float, float, float]

    def apply(self, scene: Scene, chosen: Bools) -> Scene:
        """Return the scene with other positions."""
        columns = dict(scene.columns)
        for axis, distance in zip("xyz", self.by, strict=True):
            moved = columns[axis][chosen].astype(np.float64) + distance
            columns[axis] = _with(columns[axis], chosen, moved)
        return replace(scene, columns=columns)


@dataclass(frozen=True)
class Recolour:
    """Shift the chosen rows to a colour.

    The mean of their base colours (spherical harmonics of degree 0, ``0.5 + 0.282 f_dc``), weighted
    by opacity, becomes the colour; each row keeps its difference from the mean, so that shading
    stays. Coefficients of higher degree are multiplied, channel by channel, by the colour over the
    old mean where that is below 1: what reflected a bright surface does not outshine a dark one.
    """

    colour: tuple[float, float, float]

    def apply(self, scene: Scene, chosen: Bools) -> Scene:
        """Return the scene with other colours.

        Raises
        ------
        UsageError
            It has no spherical harmonics.
        """
        groups = {group.role: group.columns for group in reversed(assign_roles(scene))}
        if Role.DC not in groups:
            raise UsageError("only scenes with f_dc_0 .. f_dc_2 can be recoloured")
        if not chosen.any():
            return scene
        columns = dict(scene.columns)
        rest = groups.get(Role.SH, ())
        weights = _weights(scene, groups.get(Role.OPACITY, ()), chosen)
        for channel, name in enumerate(groups[Role.DC]):
            values = columns[name][chosen].astype(np.float64)
            known = np.isfinite(values)
            share = weights * known
            base = 0.5 + SH_C0 * np.where(known, values, 0)
            mean = float(share @ base / share.sum()) if share.sum() > 0 else 0.5
            wanted = self.colour[channel]
            columns[name] = _with(columns[name], chosen, values + (wanted - mean) / SH_C0)
            factor = min(1.0, wanted / max(mean, _DARKEST))
            width = len(rest) // 3
            for higher in rest[channel * width : (channel + 1) * width]:
                scaled = factor * columns[higher][chosen].astype(np.float64)
                columns[higher] = _with(columns[higher], chosen, scaled)
        return replace(scene, columns=columns)


@dataclass(frozen=True)
class Edit:
    """A change of what a selection chooses."""

    selection: Selection
    change: Change

    def apply(self, scene: Scene, catalogue: Catalogue, notes: list[str]) -> tuple[Scene, int]:
        """Change a scene; also return how many rows were chosen.

        Raises
        ------
        UsageError, UnsupportedError
            See :meth:`Selection.mask` and the changes.
        """
        chosen = self.selection.mask(scene, scene.count, catalogue, notes)
        return self.change.apply(scene, chosen), int(chosen.sum())


def parse_edit(kind: str, selection: str, value: str = "") -> Edit:
    """Read one edit.

    Parameters
    ----------
    kind : {'remove', 'keep', 'recolour', 'translate'}
    selection : str
        See :func:`csgs_codec.semantics.grammar.parse_selection`.
    value : str
        ``#rrggbb`` of 'recolour', ``x,y,z`` of 'translate'.

    Raises
    ------
    UsageError
    """
    chosen = parse_selection(selection)
    if kind == "recolour":
        if not _COLOUR.fullmatch(value):
            raise UsageError(f"{value!r} is not a colour #rrggbb")
        red, green, blue = (int(value[at : at + 2], 16) / 255 for at in (1, 3, 5))
        return Edit(chosen, Recolour((red, green, blue)))
    if kind == "translate":
        x, y, z = numbers_of(value, 3)
        return Edit(chosen, Translate((x, y, z)))
    return Edit(chosen, Remove() if kind == "remove" else Keep())


def _with(column: Column, chosen: Bools, values: NDArray[np.float64]) -> Column:
    """A copy of a column with other values in the chosen rows."""
    changed = column.copy()
    changed[chosen] = values.astype(column.dtype)
    return changed


def _weights(scene: Scene, opacity: tuple[str, ...], chosen: Bools) -> NDArray[np.float64]:
    """Opacity of the chosen rows, or 1 where there is none."""
    if not opacity:
        return np.ones(int(chosen.sum()))
    logit = np.clip(scene.columns[opacity[0]][chosen].astype(np.float64), -60, 60)
    return np.where(np.isnan(logit), 0.0, 1 / (1 + np.exp(-logit)))
