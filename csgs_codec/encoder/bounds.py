"""Largest errors that a user allows: their syntax, and how an error is measured.

========= ================================================ ===================
name      error                                            units
========= ================================================ ===================
position  distance between the two points                  PLY unit; mm, cm, m
rotation  angle of the rotation from one to the other      deg (default), rad
scale     relative, of each extent                         1; %
opacity   absolute, in 0 to 1 (behind the sigmoid)         1
others    absolute, of each column                         1
========= ================================================ ===================

The others are ``dc``, ``sh`` and the names of feature and semantic groups. A metre is a PLY unit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from csgs_codec.errors import UsageError
from csgs_codec.schema import Group, Role

F64 = NDArray[np.float64]

_UNITS: dict[str, dict[str, float]] = {
    "position": {"": 1.0, "mm": 0.001, "cm": 0.01, "m": 1.0},
    "rotation": {"": 1.0, "deg": 1.0, "rad": 180.0 / math.pi},
    "scale": {"": 1.0, "%": 0.01},
}
_WITHOUT_UNIT = {"": 1.0}
_ALWAYS_KNOWN = frozenset({"position", "rotation", "scale", "opacity", "dc", "sh"})
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([a-z%]*)")


def parse_max_error(text: str) -> dict[str, str]:
    """Split ``name=bound,name=bound``.

    Raises
    ------
    UsageError
        The text is of another form, names something twice or holds an impossible bound.
    """
    found: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not name or not equals:
            raise UsageError(f"{part!r} is not of the form NAME=BOUND")
        if name in found:
            raise UsageError(f"{name} has two bounds")
        parse_bound(name, value)
        found[name] = value
    return found


def parse_bound(name: str, value: float | str) -> float:
    """One bound in the unit of its name: PLY units, degrees, or 1.

    Raises
    ------
    UsageError
    """
    units = _UNITS.get(name, _WITHOUT_UNIT)
    match = _NUMBER.fullmatch(str(value).strip())
    if match is None:
        raise UsageError(f"{name}={value}: not a number with a unit")
    if match[2] not in units:
        known = ", ".join(filter(None, units)) or "none"
        raise UsageError(f"{name}={value}: unit {match[2]!r} is unknown here (known: {known})")
    bound = float(match[1]) * units[match[2]]
    if not (bound > 0 and math.isfinite(bound)):
        raise UsageError(f"{name}={value}: a bound must be positive and finite")
    return bound


def check_max_error(max_error: Mapping[str, float | str], lossless: bool) -> None:
    """Check what can be checked without a scene.

    Raises
    ------
    UsageError
        A bound is impossible, or there are bounds although nothing may be lost.
    """
    for name, value in max_error.items():
        parse_bound(name, value)
    if lossless and max_error:
        raise UsageError("lossless and max_error exclude each other: nothing is lost anyway")


def resolve(max_error: Mapping[str, float | str], groups: Iterable[Group]) -> dict[str, float]:
    """Bound of each bounded group of a scene, by the group's name.

    Raises
    ------
    UsageError
        The scene has no group of a name that is not one of the usual ones.
    """
    there = {group.name for group in groups}
    for name in max_error:
        if name not in there | _ALWAYS_KNOWN:
            raise UsageError(f"max_error: no group {name!r}; there are {', '.join(sorted(there))}")
    return {n: parse_bound(n, value) for n, value in max_error.items() if n in there}


def errors(role: Role, original: F64, decoded: F64) -> F64:
    """Error of each value in the unit of the role's bound, both of shape (n, columns).

    Points and rotations have one error, repeated in each column.
    """
    if role is Role.POSITION:
        distance = np.sqrt(((decoded - original) ** 2).sum(axis=1, keepdims=True))
        return np.broadcast_to(distance, original.shape)
    if role is Role.ROTATION:
        a, b = _unit(original), _unit(decoded)
        chord = np.minimum(np.linalg.norm(a - b, axis=1), np.linalg.norm(a + b, axis=1))
        angle = np.degrees(4.0 * np.arcsin(np.minimum(chord / 2.0, 1.0)))
        return np.broadcast_to(angle[:, None], original.shape)
    if role is Role.SCALE:
        with np.errstate(over="ignore"):
            return np.abs(np.expm1(decoded - original))
    if role is Role.OPACITY:
        return np.abs(_sigmoid(decoded) - _sigmoid(original))
    return np.abs(decoded - original)


def _unit(quaternion: F64) -> F64:
    largest = np.maximum(np.abs(quaternion).max(axis=1, keepdims=True), 1e-300)
    scaled = quaternion / largest
    return scaled / np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), 1e-300)


def _sigmoid(logit: F64) -> F64:
    return 0.5 * (1.0 + np.tanh(0.5 * logit))
