"""The oBJT chunk: what the ids of a property are called (spec section 13.2)."""

from __future__ import annotations

import json
import math
import re
import unicodedata
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from csgs_codec.container.fields import FieldReader, FieldWriter
from csgs_codec.container.inflate import inflate
from csgs_codec.container.json_text import parse_json
from csgs_codec.errors import CorruptError

OBJECT_CHUNK = "oBJT"
MOST_OBJECTS = 1 << 16
LONGEST_OBJECT_NAME = 1024
_TEXT_MAX = 1 << 24
_LARGEST_FLOAT_ID = 1 << 53
_MEMBERS = ("id", "name", "colour", "count", "box")
_COLOUR = re.compile(r"#[0-9a-f]{6}")

Corner = tuple[float, float, float]


@dataclass(frozen=True)
class SceneObject:
    """One object.

    Attributes
    ----------
    id : int
        Value of the table's property in the rows of the object.
    name : str
        May be empty.
    colour : str, optional
        ``#rrggbb``, lower case.
    count : int
        Gaussians in the last level.
    box : pair of (x, y, z), optional
        Low and high corner of their positions.
    """

    id: int
    name: str = ""
    colour: str | None = None
    count: int = 0
    box: tuple[Corner, Corner] | None = None


@dataclass(frozen=True)
class ObjectTable:
    """Names, colours, counts and boxes of objects.

    Attributes
    ----------
    property : str
        The PLY property that holds the ids.
    objects : tuple of SceneObject
    """

    property: str
    objects: tuple[SceneObject, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the document of the chunk."""
        return {
            "property": self.property,
            "objects": [
                {"id": o.id, "name": o.name, "colour": o.colour, "count": o.count, "box": o.box}
                for o in self.objects
            ],
        }

    @classmethod
    def from_json(cls, document: Any) -> ObjectTable:
        """Undo :meth:`to_json`.

        Raises
        ------
        ValueError
            The document is malformed; says which object is.
        """
        if not isinstance(document, dict) or not isinstance(document.get("objects"), list):
            raise ValueError("no object with a list 'objects'")
        if not isinstance(document.get("property"), str):
            raise ValueError("'property' is not a string")
        if len(document["objects"]) > MOST_OBJECTS:
            raise ValueError(f"more than {MOST_OBJECTS} objects")
        objects = tuple(_object(i, entry) for i, entry in enumerate(document["objects"]))
        if len({entry.id for entry in objects}) != len(objects):
            raise ValueError("an id stands twice")
        return cls(document["property"], objects)

    def write(self) -> bytes:
        """Serialise: u32 length of the JSON text, then the text deflated."""
        text = json.dumps(self.to_json(), separators=(",", ":"), ensure_ascii=False).encode()
        return FieldWriter().put("u32", len(text)).raw(zlib.compress(text, 9)).finish()

    @classmethod
    def read(
        cls, fields: FieldReader, properties: Mapping[str, str], gaussians: int
    ) -> ObjectTable:
        """Parse and check.

        Parameters
        ----------
        fields : FieldReader
        properties : mapping of str to str
            Type of each property of the schema.
        gaussians : int

        Raises
        ------
        CorruptError
            The text is not the JSON that the specification asks for.
        """
        size = fields.integer("u32", 0, _TEXT_MAX)
        text = inflate(fields.raw(fields.remaining), size)
        try:
            table = cls.from_json(parse_json(text))
            table.check(properties, gaussians)
        except (ValueError, RecursionError) as error:
            raise CorruptError(f"object table is malformed: {error}", chunk=OBJECT_CHUNK) from None
        return table

    def check(self, properties: Mapping[str, str], gaussians: int) -> None:
        """Check against the scene.

        Raises
        ------
        ValueError
            The property is not there, an id is not of its type, or counts exceed the scene.
        """
        if self.property not in properties:
            raise ValueError(f"there is no property {self.property!r}")
        low, high = _id_range(properties[self.property])
        for entry in self.objects:
            if not low <= entry.id <= high:
                raise ValueError(f"id {entry.id} does not fit property {self.property!r}")
        if sum(entry.count for entry in self.objects) > gaussians:
            raise ValueError("the counts exceed the Gaussians")


def checked_name(value: Any) -> str:
    """Return a name if it is one line of text.

    Raises
    ------
    ValueError
    """
    if not isinstance(value, str) or len(value) > LONGEST_OBJECT_NAME:
        raise ValueError(f"{value!r} is not a name")
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in value):
        raise ValueError(f"name {value!r} holds a control character")
    return value


def checked_colour(value: Any) -> str | None:
    """Return a colour if it is ``#rrggbb`` or None.

    Raises
    ------
    ValueError
    """
    if value is not None and not (isinstance(value, str) and _COLOUR.fullmatch(value)):
        raise ValueError(f"colour {value!r} is not #rrggbb in lower case")
    return value


def checked_id(value: Any) -> int:
    """Return an id if it is a whole number.

    Raises
    ------
    ValueError
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"id {value!r} is not a whole number")
    return value


def _object(place: int, entry: Any) -> SceneObject:
    try:
        if not isinstance(entry, dict):
            raise ValueError("not an object")
        missing = [name for name in _MEMBERS if name not in entry]
        if missing:
            raise ValueError(f"there is no {missing[0]!r}")
        count = checked_id(entry["count"])
        if count < 0:
            raise ValueError("the count is negative")
        return SceneObject(
            checked_id(entry["id"]),
            checked_name(entry["name"]),
            checked_colour(entry["colour"]),
            count,
            _box(entry["box"]),
        )
    except ValueError as error:
        raise ValueError(f"object {place}: {error}") from None


def _box(value: Any) -> tuple[Corner, Corner] | None:
    if value is None:
        return None
    corners = value if isinstance(value, list | tuple) and len(value) == 2 else ((), ())
    low, high = (_corner(corner) for corner in corners)
    if any(a > b for a, b in zip(low, high, strict=True)):
        raise ValueError("the box is inside out")
    return low, high


def _corner(value: Any) -> Corner:
    numbers = value if isinstance(value, list | tuple) and len(value) == 3 else ()
    real = [v for v in numbers if isinstance(v, int | float) and not isinstance(v, bool)]
    try:
        x, y, z = (float(v) for v in real)
    except (ValueError, OverflowError):
        raise ValueError("the box is not two corners of three numbers") from None
    if not all(map(math.isfinite, (x, y, z))):
        raise ValueError("the box is not finite")
    return x, y, z


def _id_range(dtype: str) -> tuple[int, int]:
    if dtype.startswith("f"):
        return -_LARGEST_FLOAT_ID, _LARGEST_FLOAT_ID
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)
