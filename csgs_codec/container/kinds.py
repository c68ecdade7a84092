"""Kinds of attribute groups and the order in which a pass codes them (spec section 4.2)."""

from __future__ import annotations

from enum import IntEnum


class GroupKind(IntEnum):
    """What a group is; the value stands in the file."""

    POSITION = 0
    OPACITY = 1
    SCALE = 2
    POSITION_FINE = 3
    ROTATION = 4
    DC = 5
    SH = 6
    FEATURE = 7
    SEMANTIC = 8
    ID = 9
    SENTINEL = 10
    SENSITIVITY = 11


RESIDUAL_KINDS = frozenset(
    {
        GroupKind.OPACITY,
        GroupKind.SCALE,
        GroupKind.ROTATION,
        GroupKind.DC,
        GroupKind.SH,
        GroupKind.FEATURE,
        GroupKind.SEMANTIC,
        GroupKind.SENSITIVITY,
    }
)
LABEL_KINDS = frozenset({GroupKind.ID, GroupKind.SENTINEL})
