"""Checks of values before encoding: what cannot be coded, and what looks wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csgs_codec.scene import Scene
from csgs_codec.schema import Group, Role

_LOSSLESS = (Role.ID, Role.EXTRA)


@dataclass(frozen=True)
class Defect:
    """Values of one property that no quantiser can hold.

    Attributes
    ----------
    property : str
    rows : ndarray of int64
    kind : str
        ``NaN``, ``Inf`` or ``zero quaternion``.
    """

    property: str
    rows: NDArray[np.int64]
    kind: str


def legitimate_infinity(role: Role, column: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Where an infinity means something: opacity 1 (+Inf logit), zero extent (-Inf log scale)."""
    if role is Role.OPACITY:
        return np.asarray(column == np.inf)
    if role is Role.SCALE:
        return np.asarray(column == -np.inf)
    return np.zeros(len(column), bool)


def find_defects(scene: Scene, groups: Sequence[Group]) -> list[Defect]:
    """List NaN, infinities without meaning and all-zero quaternions in groups to be quantised."""
    defects = []
    for group in groups:
        if group.role in _LOSSLESS:
            continue
        for name in group.columns:
            column = scene.columns[name]
            for kind, bad in (
                ("NaN", np.isnan(column)),
                ("Inf", np.isinf(column) & ~legitimate_infinity(group.role, column)),
            ):
                if bad.any():
                    defects.append(Defect(name, np.flatnonzero(bad), kind))
        if group.role is Role.ROTATION:
            zero = np.ones(scene.count, bool)
            for name in group.columns:
                zero &= scene.columns[name] == 0
            if zero.any():
                defects.append(Defect(group.columns[0], np.flatnonzero(zero), "zero quaternion"))
    return defects


def suspicions(scene: Scene, groups: Sequence[Group]) -> list[str]:
    """Describe statistics that no trained scene should have; nothing is changed because of them."""
    by_role = {group.role: group for group in groups}
    notes = []
    if scene.count >= 100 and Role.SCALE in by_role:
        scales = scene.stack(by_role[Role.SCALE].columns)
        if np.median(scales) > 0 and scales.min() >= 0:
            notes.append("scale_*: all values are positive; linear scales under log names?")
    if scene.count >= 100 and Role.ROTATION in by_role:
        norms = np.linalg.norm(scene.stack(by_role[Role.ROTATION].columns), axis=1)
        if np.median(norms) > 50 or np.median(norms) < 1e-3:
            notes.append("rot_*: quaternion norms are far from 1; columns shifted?")
    return notes
