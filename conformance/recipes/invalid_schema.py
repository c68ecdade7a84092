"""Violations of SCHM (section 4.4)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from conformance.maker import payloads
from conformance.maker.coder import code
from conformance.maker.pieces import FilePieces
from conformance.maker.plan import LAYOUT
from conformance.maker.vector import Vector
from conformance.recipes.bad import bad, with_payload
from conformance.recipes.shapes import plain

Document = dict[str, Any]


def vectors() -> Iterator[Vector]:
    """Return these vectors."""
    for make in (_text, _members, _placement, _names, _layout):
        yield from make()


def _file(edit: Callable[[Document], object]) -> FilePieces:
    coded = code(plain())
    document: Document = json.loads(json.dumps(payloads.schema_document(coded.plan)))
    changed = edit(document)
    final = changed if changed is not None else document
    coded.file.find("SCHM").payload = payloads.schema(final)
    return coded.file


def _put(*path: Any, value: Any) -> Callable[[Document], None]:
    def edit(document: Document) -> None:
        target: Any = document
        for step in path[:-1]:
            target = target[step]
        target[path[-1]] = value

    return edit


def _text() -> Iterator[Vector]:
    rule = "the text is not such JSON"
    good = json.dumps(payloads.schema_document(code(plain()).plan)).encode()
    for name, text in (
        ("empty", b""),
        ("cut", good[:-1]),
        ("behind", good + b"{}"),
        ("array", b"[]"),
        ("number", b"1"),
        ("null", b"null"),
        ("comma", good[:-1] + b",}"),
        ("quotes", good.replace(b'"', b"'")),
        ("not-utf-8", good.replace(b"conformance", b"conf\xffrmance")),
        ("nesting", b"[" * 5000),
        ("bom", b"\xef\xbb\xbf" + good),
        ("nan", good[:-1] + b',"later":NaN}'),
        ("nul", good + b"\0"),
        ("infinity", good[:-1] + b',"later":-Infinity}'),
        ("utf-16", good.decode().encode("utf-16-le")),
        ("hex", good[:-1] + b',"later":0x10}'),
        ("control", good[:-1] + b',"later":"a\nb"}'),
        ("escape", good[:-1] + b',"later":"\\q"}'),
        ("zero", good[:-1] + b',"later":01}'),
        ("form-feed", b"\x0c" + good),
        ("no-break-space", b"\xc2\xa0" + good),
    ):
        yield bad(
            f"json-{name}",
            f"{rule}: {name.replace('-', ' ')}",
            "4.4",
            with_payload(plain(), "SCHM", payloads.text_payload(text)),
        )
    large = b"\x01\x00\x00\x01" + payloads.stored(b"{}")
    yield bad(
        "schema-size",
        "the size of the schema is above 2^24",
        "4.4 11",
        with_payload(plain(), "SCHM", large),
    )


def _members() -> Iterator[Vector]:
    rule = "a member of the schema is missing or of another type"
    members = (
        "properties",
        "groups",
        "constants",
        "extras",
        "elements",
        "original_order",
        "encoder",
        "layout",
    )
    for name in members:
        file = _file(lambda d, n=name: {k: v for k, v in d.items() if k != n})
        yield bad(f"schema-no-{name.replace('_', '-')}", f"{rule}: no {name}", "4.4", file)
    wrong: dict[str, Any] = {
        "properties": {"x": "f4"},
        "groups": "all",
        "constants": [],
        "extras": "abc",
        "layout": [],
        "exact": "x",
        "encoder": 7,
    }
    for name, value in wrong.items():
        yield bad(
            f"schema-{name}-type",
            f"{rule}: {name} is {json.dumps(value)}",
            "4.4",
            _file(_put(name, value=value)),
        )
    yield bad(
        "property-triple",
        f"{rule}: a property of three parts",
        "4.4",
        _file(_put("properties", 0, value=["x", "f4", 0])),
    )
    yield bad(
        "property-number",
        f"{rule}: the name of a property is a number",
        "4.4",
        _file(_put("properties", 0, 0, value=1)),
    )
    yield bad(
        "group-no-name",
        f"{rule}: a group without a name",
        "4.4",
        _file(_put("groups", 0, value={"columns": ["x", "y", "z"]})),
    )
    yield bad(
        "group-name-number",
        f"{rule}: the name of a group is a number",
        "4.4",
        _file(_put("groups", 0, "name", value=7)),
    )
    yield bad(
        "group-no-columns",
        f"{rule}: a group without columns",
        "4.4",
        _file(_put("groups", 0, value={"name": "xyz"})),
    )
    yield bad(
        "constant-number",
        f"{rule}: a constant that is no string",
        "4.4",
        _file(_put("constants", value={"x": 0})),
    )


def _placement() -> Iterator[Vector]:
    def add_property(document: Document, name: str, type_: str) -> None:
        document["properties"].append([name, type_])

    yield bad(
        "property-twice",
        "a property is listed twice",
        "4.4",
        _file(lambda d: add_property(d, "x", "f4")),
    )
    for type_ in ("f2", "float", "i8", "F4", ""):
        file = _file(_put("properties", 3, 1, value=type_))
        yield bad(
            f"property-type-{type_ or 'empty'}",
            f"a property has another type: {type_!r}",
            "4.4",
            file,
        )
    yield bad(
        "group-missing",
        "groups do not match HEAD: one is missing",
        "4.4",
        _file(lambda d: d["groups"].pop() and None),
    )
    yield bad(
        "group-more",
        "groups do not match HEAD: one too many",
        "4.4",
        _file(lambda d: d["groups"].append({"name": "", "columns": []})),
    )
    yield bad(
        "group-columns-fewer",
        "groups do not match HEAD: a column is missing",
        "4.4",
        _file(_put("groups", 0, "columns", value=["x", "y"])),
    )
    yield bad(
        "property-nowhere",
        "a property stands in no group, constant or extra",
        "4.4",
        _file(lambda d: add_property(d, "lost", "f4")),
    )
    yield bad(
        "column-unknown",
        "a column is no property",
        "4.4",
        _file(_put("groups", 0, "columns", value=["x", "y", "w"])),
    )
    yield bad(
        "column-twice",
        "a property stands twice: in two groups",
        "4.4",
        _file(_put("groups", 1, "columns", value=["x"])),
    )
    yield bad(
        "extra-and-column",
        "a property stands twice: in a group and in extras",
        "4.4",
        _file(_put("extras", value=["x"])),
    )
    yield bad(
        "constant-and-column",
        "a property stands twice: in a group and in constants",
        "4.4",
        _file(_put("constants", value={"x": "00000000"})),
    )
    yield bad(
        "constant-unknown",
        "a constant is no property",
        "4.4",
        _file(_put("constants", value={"w": "00"})),
    )

    def constant(value: str) -> FilePieces:
        def edit(document: Document) -> None:
            add_property(document, "c", "f4")
            document["constants"]["c"] = value

        return _file(edit)

    for name, value in (
        ("short", "000000"),
        ("long", "0000000000"),
        ("odd", "0000000"),
        ("no-hex", "0000000g"),
    ):
        yield bad(
            f"constant-{name}",
            f"a constant's bytes are not those of its type: {value!r}",
            "4.4",
            constant(value),
        )
    yield bad(
        "exact-twice", "exact names a property twice", "4.4", _file(_put("exact", value=["x", "x"]))
    )
    yield bad(
        "exact-unknown",
        "exact names what is no column of a group",
        "4.4",
        _file(_put("exact", value=["w"])),
    )


def _names() -> Iterator[Vector]:
    for group, place, name in ((0, 0, "x"), (1, 3, "opacity")):
        file = _file(_put("properties", place, 1, value="i4"))
        yield bad(
            f"column-integer-{name}",
            "a column of a position or residual group is not f4 or f8",
            "4.4",
            file,
            note=f"Group {group}.",
        )

    def renamed(name: str) -> FilePieces:
        def edit(document: Document) -> None:
            document["properties"][0][0] = name
            document["groups"][0]["columns"][0] = name

        return _file(edit)

    for label, name in (
        ("empty", ""),
        ("space", "a b"),
        ("newline", "a\nb"),
        ("tab", "a\tb"),
        ("nul", "a\0"),
        ("latin", "\u00e9"),
        ("delete", "a\x7f"),
    ):
        yield bad(
            f"name-{label}",
            f"a property name is not printable ASCII without spaces: {label}",
            "4.4",
            renamed(name),
        )


def _layout() -> Iterator[Vector]:
    rule = "a layout member is missing or of another form"
    for name in LAYOUT:
        file = _file(lambda d, n=name: d["layout"].pop(n) and None)
        yield bad(f"layout-no-{name.replace('_', '-')}", f"{rule}: no {name}", "4.4", file)
    for label, name, value in (
        ("text", "text", 1),
        ("order", "byte_order", "="),
        ("comments", "comments", "one"),
        ("comment-number", "comments", [1]),
        ("comment-lines", "comments", ["a\nb"]),
        ("comment-return", "obj_info", ["a\rb"]),
        ("comment-ascii", "vertex_comments", ["\u00fc"]),
        ("index-256", "vertex_index", 256),
        ("index-negative", "vertex_index", -1),
        ("index-half", "vertex_index", 0.5),
        ("index-float", "vertex_index", 5.0),
        ("index-true", "vertex_index", True),
    ):
        yield bad(
            f"layout-{label}",
            f"{rule}: {name} is {json.dumps(value)}",
            "4.4",
            _file(_put("layout", name, value=value)),
        )
