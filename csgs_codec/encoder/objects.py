"""The object table of a scene: which ids there are, what they are called, how many and where."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csgs_codec.container.objects import (
    MOST_OBJECTS,
    Corner,
    ObjectTable,
    SceneObject,
    checked_colour,
    checked_id,
    checked_name,
)
from csgs_codec.encoder.options import EncodeOptions
from csgs_codec.errors import UsageError
from csgs_codec.scene import Scene
from csgs_codec.schema import Group, Role

MOST_AUTOMATIC = 4096
LARGEST_WITH_BOXES = 1 << 15
LARGE_SHARE = 0.02
_FAVOURITE = "label"
_NUMBERED = re.compile(r".*_\d+")
_BOX_DIGITS = 3.0


def read_names_file(path: Path) -> ObjectTable:
    """Read a JSON file of names; see :func:`read_names`.

    Raises
    ------
    UsageError
        The file is not JSON, or not of that form.
    """
    try:
        return read_names(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"cannot be read as JSON: {error}", file=str(path)) from None
    except UsageError as error:
        raise error.located(file=str(path)) from None


def read_names(document: Any) -> ObjectTable:
    """Read names as users write them.

    Parameters
    ----------
    document : parsed JSON
        ``{"17": "chair"}``, a list of names by id, a list of ``{"id", "name", "colour"}``, or
        ``{"property": ..., "objects": <one of these>}``.

    Returns
    -------
    ObjectTable
        Without counts and boxes; ``property`` is empty where the document does not name it.

    Raises
    ------
    UsageError
        The document is none of these; says which entry is wrong.
    """
    name, entries = "", document
    if isinstance(document, Mapping) and "objects" in document:
        name, entries = document.get("property", ""), document["objects"]
    if not isinstance(name, str):
        raise UsageError(f"object names: property {name!r} is not a name")
    if isinstance(entries, Mapping):
        listed: list[tuple[Any, Any]] = [(_number(key), value) for key, value in entries.items()]
    elif isinstance(entries, Sequence) and not isinstance(entries, str):
        listed = list(enumerate(entries))
    else:
        raise UsageError("object names are neither an object nor a list")
    objects = [_named(identity, entry) for identity, entry in listed]
    if len({one.id for one in objects}) != len(objects):
        raise UsageError("object names: an id stands twice")
    return ObjectTable(name, tuple(sorted(objects, key=lambda one: one.id)))


def _number(key: str) -> int:
    try:
        return int(key)
    except ValueError:
        raise UsageError(f"object names: {key!r} is not an id") from None


def _named(place: int, entry: Any) -> SceneObject:
    try:
        if isinstance(entry, str):
            return SceneObject(place, checked_name(entry))
        if not isinstance(entry, Mapping):
            raise ValueError("neither a name nor an object")
        colour = entry.get("colour", entry.get("color"))
        if isinstance(colour, str):
            colour = colour.lower()
        identity = checked_id(entry.get("id", place))
        return SceneObject(identity, checked_name(entry.get("name", "")), checked_colour(colour))
    except ValueError as error:
        raise UsageError(f"object names, entry {place}: {error}") from None


def describe_objects(
    scene: Scene, groups: Sequence[Group], options: EncodeOptions, notes: list[str]
) -> ObjectTable | None:
    """Count the ids of a scene and say where they are; None where there are none to list.

    Parameters
    ----------
    scene : Scene
        Original values.
    groups : sequence of Group
    options : EncodeOptions
    notes : list of str
        Gets what a user should be told.

    Raises
    ------
    UsageError
        Names are given, but no property has ids, or not those.
    """
    given = options.objects
    name = _id_property(scene, groups, given)
    if name is None:
        return None
    values, place, counts = np.unique(
        scene.columns[name].astype(np.int64), return_inverse=True, return_counts=True
    )
    boxes = _boxes(scene, place.reshape(-1), len(values))
    found = {
        int(v): SceneObject(int(v), count=int(n), box=box)
        for v, n, box in zip(values, counts, boxes, strict=True)
    }
    named = {one.id: one for one in given.objects} if given else {}
    absent = [i for i in named if i not in found]
    if absent:
        notes.append(f"{len(absent)} named ids, such as {absent[0]}, are not in {name!r}")
    listed = sorted({*named, *found} if len(found) <= MOST_AUTOMATIC else named)
    if len(listed) > MOST_OBJECTS:
        raise UsageError(f"{len(listed)} objects; the format holds {MOST_OBJECTS}")
    if len(listed) < len(found):
        notes.append(f"object table: only {len(listed)} of {len(found)} ids of {name!r} are named")
    objects = [
        replace(found.get(i, SceneObject(i)), **_labels(named.get(i, SceneObject(i))))
        for i in listed
    ]
    table = ObjectTable(name, tuple(objects))
    try:
        table.check({n: c.dtype.str[1:] for n, c in scene.columns.items()}, scene.count)
    except ValueError as error:
        raise UsageError(f"object names: {error}") from None
    if len(table.write()) > LARGEST_WITH_BOXES:
        notes.append(f"object table: {len(objects)} objects are listed without their boxes")
        table = ObjectTable(name, tuple(replace(one, box=None) for one in objects))
    return table


def _labels(named: SceneObject) -> dict[str, Any]:
    return {"name": named.name, "colour": named.colour}


def _id_property(scene: Scene, groups: Sequence[Group], given: ObjectTable | None) -> str | None:
    """Property whose ids are described."""
    ids = [group.columns[0] for group in groups if group.role is Role.ID]
    if given is not None and given.property:
        if given.property not in scene.columns:
            raise UsageError(f"object names: there is no property {given.property!r}")
        column = scene.columns[given.property]
        whole = column.dtype.kind in "iu" or given.property in ids
        if not whole:
            raise UsageError(f"object names: property {given.property!r} does not hold ids")
        return given.property
    single = [name for name in ids if not _NUMBERED.fullmatch(name)]
    single.sort(key=lambda name: name != _FAVOURITE)
    if given is not None:
        if not single:
            raise UsageError("object names: the scene has no id property (see --id)")
        return single[0]
    few = [name for name in single if len(np.unique(scene.columns[name])) <= MOST_AUTOMATIC]
    return few[0] if few and scene.count else None


def _boxes(scene: Scene, place: NDArray[np.intp], count: int) -> list[tuple[Corner, Corner] | None]:
    """Box of each object, rounded outward to about a thousandth of the scene's extent."""
    xyz = scene.stack(("x", "y", "z"))
    rows = np.flatnonzero(np.isfinite(xyz).all(axis=1))
    boxes: list[tuple[Corner, Corner] | None] = [None] * count
    if not len(rows):
        return boxes
    rows = rows[np.argsort(place[rows], kind="stable")]
    xyz, owner = xyz[rows], place[rows]
    begins = np.flatnonzero(np.diff(owner, prepend=-1))
    low, high = np.minimum.reduceat(xyz, begins), np.maximum.reduceat(xyz, begins)
    inner = np.quantile(xyz, [0.05, 0.95], axis=0)
    extent = float((inner[1] - inner[0]).max()) or float(np.abs(xyz).max()) or 1.0
    digits = int(_BOX_DIGITS - math.floor(math.log10(extent)))
    unit = 10.0**-digits
    for object_, a, b in zip(owner[begins], low, high, strict=True):
        boxes[object_] = _rounded(a, unit, digits, False), _rounded(b, unit, digits, True)
    return boxes


def _rounded(corner: NDArray[np.float64], unit: float, digits: int, up: bool) -> Corner:
    steps = np.ceil(corner / unit) if up else np.floor(corner / unit)
    x, y, z = (round(float(v * unit), max(digits, 0)) for v in steps)
    return x, y, z


def size_note(table: ObjectTable, size: int) -> str | None:
    """Say so where the object table is a noticeable part of a file of ``size`` bytes."""
    own = len(table.write())
    if own <= LARGE_SHARE * size:
        return None
    return f"the object table takes {own} bytes, {100 * own / size:.1f} % (see --no-objects)"
