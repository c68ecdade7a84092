"""The SCHM chunk: what the PLY looked like, which column is in which group (spec 4.4)."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from csgs_codec.container.fields import FieldReader, FieldWriter
from csgs_codec.container.header import Header
from csgs_codec.container.inflate import inflate
from csgs_codec.container.json_text import parse_json
from csgs_codec.container.kinds import LABEL_KINDS
from csgs_codec.errors import CorruptError, LimitError
from csgs_codec.limits import MAX_PROPERTIES, Limits

DTYPES = ("i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8")
_TEXT_MAX = 1 << 24


@dataclass(frozen=True)
class NamedGroup:
    """Name and PLY columns of the header's group of the same index."""

    name: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Manifest:
    """Contents of the SCHM chunk.

    Attributes
    ----------
    layout : dict
        :meth:`csgs_codec.scene.PlyLayout.to_json`.
    properties : tuple of (name, dtype)
        Vertex properties in file order; dtype is one of ``DTYPES``.
    groups : tuple of NamedGroup
    constants : dict of str to bytes
        Properties with one value everywhere, little-endian.
    extras : tuple of str
        Properties kept bit for bit in the exact pass.
    elements : bool
        Whether the exact pass holds other PLY elements.
    original_order : bool
        Whether the exact pass holds the original row order.
    encoder : str
        Software that wrote the file; for people.
    """

    layout: Mapping[str, object]
    properties: tuple[tuple[str, str], ...]
    groups: tuple[NamedGroup, ...]
    constants: Mapping[str, bytes]
    extras: tuple[str, ...]
    elements: bool
    original_order: bool
    encoder: str = ""
    exact: tuple[str, ...] = ()

    @cached_property
    def types(self) -> Mapping[str, str]:
        """Type of each property."""
        return dict(self.properties)

    @cached_property
    def announced(self) -> frozenset[str]:
        """Properties that the exact pass carries."""
        return frozenset((*self.extras, *self.exact))

    def dtype(self, name: str) -> np.dtype[np.generic]:
        """Native dtype of a property."""
        return np.dtype(self.types[name])

    def write(self) -> bytes:
        """Serialise: u32 length of the JSON text, then the text deflated."""
        document = {
            "layout": self.layout,
            "properties": [list(p) for p in self.properties],
            "groups": [{"name": g.name, "columns": list(g.columns)} for g in self.groups],
            "constants": {name: value.hex() for name, value in self.constants.items()},
            "extras": list(self.extras),
            "elements": self.elements,
            "original_order": self.original_order,
            "encoder": self.encoder,
        }
        if self.exact:
            document["exact"] = list(self.exact)
        text = json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
        return FieldWriter().put("u32", len(text)).raw(zlib.compress(text, 9)).finish()

    @classmethod
    def read(cls, fields: FieldReader, header: Header, limits: Limits) -> Manifest:
        """Parse and check against the header.

        Raises
        ------
        CorruptError
            The text is not the JSON that the specification asks for.
        """
        size = fields.integer("u32", 0, min(limits.inflated_bytes, _TEXT_MAX))
        text = inflate(fields.raw(fields.remaining), size)
        try:
            document = parse_json(text)
            manifest = cls(
                layout=dict(document["layout"]),
                properties=tuple((_name(n), _name(t)) for n, t in document["properties"]),
                groups=tuple(
                    NamedGroup(_text(g["name"]), tuple(map(_name, _list(g["columns"]))))
                    for g in document["groups"]
                ),
                constants={_name(k): bytes.fromhex(v) for k, v in document["constants"].items()},
                extras=tuple(map(_name, _list(document["extras"]))),
                elements=document["elements"] is True,
                original_order=document["original_order"] is True,
                encoder=_text(document["encoder"]),
                exact=tuple(map(_name, _list(document.get("exact", [])))),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise fields.corrupt(f"schema is malformed: {error}") from error
        few = len(manifest.properties) <= MAX_PROPERTIES
        fields.require(few, f"more than {MAX_PROPERTIES} properties")
        manifest._check(header)
        values = header.gaussians * len(manifest.properties)
        if values > limits.values:
            raise LimitError(f"{values} values exceed the limit of {limits.values}", chunk="SCHM")
        return manifest

    def _check(self, header: Header) -> None:
        dtypes = dict(self.properties)
        if len(dtypes) != len(self.properties) or not set(dtypes.values()) <= set(DTYPES):
            raise CorruptError("property is listed twice or has an unknown type", chunk="SCHM")
        widths = [len(group.columns) for group in self.groups]
        if widths != [group.columns for group in header.groups]:
            raise CorruptError("groups do not fit the header", chunk="SCHM")
        placed = [c for group in self.groups for c in group.columns]
        placed += [*self.constants, *self.extras]
        if sorted(placed) != sorted(dtypes):
            raise CorruptError("a property is in no group or in several", chunk="SCHM")
        lossy = {column for group in self.groups for column in group.columns}
        if len(set(self.exact)) != len(self.exact) or not lossy.issuperset(self.exact):
            raise CorruptError("an exact property is listed twice or in no group", chunk="SCHM")
        for group, declared in zip(self.groups, header.groups, strict=True):
            if declared.kind not in LABEL_KINDS and any(dtypes[c][0] != "f" for c in group.columns):
                raise CorruptError("quantised property is not of a float type", chunk="SCHM")
        for name, value in self.constants.items():
            if len(value) != np.dtype(dtypes[name]).itemsize:
                raise CorruptError("constant has the wrong size", chunk="SCHM", property=name)


def _name(value: object) -> str:
    """A word that may stand in a PLY header."""
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise ValueError(f"{value!r} is not a name")
    if not value or " " in value:
        raise ValueError(f"{value!r} is not a name")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a string")
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is not a list")
    return value
