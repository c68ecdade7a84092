"""What a PLY property means: one registry of name patterns (sources in design of each project).

Roles decide what may be quantised. A property without a known role is an *extra* and is kept bit
for bit; so is every integer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from csgs_codec.errors import PlyError
from csgs_codec.scene import Scene


class Role(Enum):
    """What a group of properties is to the codec."""

    POSITION = "position"
    OPACITY = "opacity"
    SCALE = "scale"
    ROTATION = "rotation"
    DC = "dc"
    SH = "sh"
    FEATURE = "feature"
    SEMANTIC = "semantic"
    ID = "id"
    EXTRA = "extra"


@dataclass(frozen=True)
class Group:
    """Properties that are coded together.

    Attributes
    ----------
    name : str
        Name shown to people, such as ``semantic`` or ``obj_dc``.
    role : Role
    columns : tuple of str
        Property names in the order of their numbers.
    """

    name: str
    role: Role
    columns: tuple[str, ...]


SH_WIDTHS = (9, 24, 45, 72)
_FIXED: tuple[tuple[Role, str, tuple[str, ...]], ...] = (
    (Role.POSITION, "position", ("x", "y", "z")),
    (Role.OPACITY, "opacity", ("opacity",)),
    (Role.ROTATION, "rotation", ("rot_0", "rot_1", "rot_2", "rot_3")),
    (Role.DC, "dc", ("f_dc_0", "f_dc_1", "f_dc_2")),
)
_NUMBERED: tuple[tuple[Role, str, str, tuple[int, ...] | None], ...] = (
    (Role.SCALE, "scale", "scale_", (1, 2, 3, 6)),
    (Role.SH, "sh", "f_rest_", SH_WIDTHS),
    (Role.FEATURE, "f_offset", "f_offset_", None),
    (Role.FEATURE, "f_anchor_feat", "f_anchor_feat_", None),
    (Role.SEMANTIC, "semantic", "semantic_", None),
    (Role.SEMANTIC, "semantic_logit", "semantic_logit_", None),
    (Role.SEMANTIC, "obj_dc", "obj_dc_", None),
    (Role.SEMANTIC, "sem", "sem_", None),
    (Role.SEMANTIC, "f", "f_", None),
    (Role.SEMANTIC, "f_extra", "f_extra_", None),
    (Role.SEMANTIC, "clip_f", "clip_f_", None),
)
_INS_FEAT = re.compile(r"ins_feat_[rgb]\d*")
_ID_NAMES = re.compile(r"label|semantic_class|.*_id|.*_label|instance|clip_f_indices_\d+")
_LARGEST_ID = 2.0**53
_ORDER = list(Role)


def assign_roles(
    scene: Scene, semantic: Sequence[str] = (), ids: Sequence[str] = ()
) -> tuple[Group, ...]:
    """Sort every vertex property into exactly one group.

    Parameters
    ----------
    scene : Scene
    semantic : sequence of str
        Regular expressions; the float properties that one of them matches fully become one
        semantic group, before any pattern of the registry applies.
    ids : sequence of str
        Regular expressions; each property of whole numbers that one of them matches fully is an id.

    Returns
    -------
    tuple of Group
        In the order of :class:`Role`; extras are one group each.

    Raises
    ------
    PlyError
        A regular expression matches nothing of the kind that it is for, or is none.
    """
    left = dict.fromkeys(scene.columns)
    groups: list[Group] = []

    def is_float(name: str) -> bool:
        return scene.columns[name].dtype.kind == "f"

    def take(name: str, role: Role, columns: Sequence[str]) -> None:
        groups.append(Group(name, role, tuple(columns)))
        for column in columns:
            del left[column]

    for pattern in semantic:
        matched = [c for c in _matching(pattern, left) if is_float(c)]
        if not matched:
            raise PlyError(f"--semantic {pattern!r} matches no float property that is left")
        take(_common_name(matched), Role.SEMANTIC, matched)
    for pattern in ids:
        matched = [c for c in _matching(pattern, left) if _is_integral(scene, c)]
        if not matched:
            raise PlyError(f"--id {pattern!r} matches no property of whole numbers that is left")
        for name in matched:
            take(name, Role.ID, (name,))
    for role, name, columns in _FIXED:
        if all(c in left and is_float(c) for c in columns):
            take(name, role, columns)
    for name in [c for c in left if _ID_NAMES.fullmatch(c) and _is_integral(scene, c)]:
        take(name, Role.ID, (name,))
    for role, name, prefix, widths in _NUMBERED:
        family = _family(left, prefix)
        fits = family and (widths is None or len(family) in widths)
        if fits and all(is_float(c) for c in family):
            take(name, role, family)
    instance = [c for c in left if _INS_FEAT.fullmatch(c) and is_float(c)]
    if instance:
        take("ins_feat", Role.SEMANTIC, instance)
    for column in list(left):
        take(column, Role.EXTRA, (column,))
    return tuple(sorted(groups, key=lambda g: _ORDER.index(g.role)))


def require_positions(scene: Scene, groups: Sequence[Group]) -> None:
    """Check that there are float x, y and z.

    Raises
    ------
    PlyError
    """
    if groups and groups[0].role is Role.POSITION:
        return
    for name in ("x", "y", "z"):
        if name not in scene.columns or scene.columns[name].dtype.kind != "f":
            raise PlyError("positions need a float property", property=name)


def _matching(pattern: str, names: dict[str, None]) -> list[str]:
    try:
        return [name for name in names if re.fullmatch(pattern, name)]
    except re.error as error:
        raise PlyError(f"{pattern!r} is not a regular expression: {error}") from None


def _family(names: dict[str, None], prefix: str) -> list[str]:
    """``prefix0 .. prefix<n-1>`` if the numbering has no gaps, else nothing."""
    numbered = {n for n in names if n.startswith(prefix) and n[len(prefix) :].isdigit()}
    wanted = [f"{prefix}{i}" for i in range(len(numbered))]
    return wanted if set(wanted) == numbered else []


def _is_integral(scene: Scene, name: str) -> bool:
    """Whether every value survives a round trip through int64 bit for bit."""
    column = scene.columns[name]
    if column.dtype.kind in "iu":
        return True
    if not np.isfinite(column).all() or (np.abs(column) > _LARGEST_ID).any():
        return False
    restored = column.astype(np.int64).astype(column.dtype)
    return restored.tobytes() == column.tobytes()


def _common_name(columns: Sequence[str]) -> str:
    prefix = re.sub(r"[_\d]+$", "", columns[0])
    shared = all(c.startswith(prefix) for c in columns)
    return prefix if prefix and shared else columns[0]
