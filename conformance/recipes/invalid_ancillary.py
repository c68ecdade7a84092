"""Violations of ancillary chunks (section 13): a decoder may skip these chunks."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from conformance.maker import payloads
from conformance.maker.coder import Coded, code
from conformance.maker.pieces import Piece, patched
from conformance.maker.vector import Vector
from conformance.recipes.bad import skippable
from conformance.recipes.shapes import plain

TABLE: dict[str, Any] = {
    "property": "label",
    "objects": [
        {"id": 0, "name": "floor", "colour": "#102030", "count": 3, "box": [[0, 0, 0], [1, 1, 1]]},
        {"id": 4, "name": "lamp", "colour": None, "count": 1, "box": None},
    ],
}


def vectors() -> Iterator[Vector]:
    """Return these vectors."""
    for make in (_names, _attachments, _attached_limits, _tables, _objects, _places):
        yield from make()


def _attached(*chunks: bytes) -> Coded:
    coded = code(plain(6, 950))
    coded.file.put_before(coded.file.find("DATA"), *(Piece(b"aTCH", chunk) for chunk in chunks))
    return coded


def _names() -> Iterator[Vector]:
    rule = "the name of an attachment is no plain base name"
    names = {
        "slash": b"a/b",
        "backslash": b"a\\b",
        "colon": b"a:b",
        "star": b"*",
        "question": b"a?",
        "quote": b'a"',
        "less": b"<a",
        "greater": b"a>",
        "bar": b"a|b",
        "dot": b".",
        "dots": b"..",
        "spaces": b"   ",
        "space-first": b" a",
        "space-last": b"a ",
        "dot-last": b"a.",
        "nul": b"a\0b",
        "newline": b"a\nb",
        "latin-1": b"\xe9",
        "surrogate": b"\xed\xa0\x80",
        "overlong": b"\xc0\xaf",
        "right-to-left": "a\u202eb".encode(),
        "line": "a\u2028b".encode(),
        "paragraph": "\u2029a".encode(),
        "control-1": "a\u0085".encode(),
        "con": b"con",
        "nul-device": b"NUL.txt",
        "com1": b"Com1",
        "lpt-superscript": "lpt\u00b2.x".encode(),
        "conin": b"conin$",
        "aux-space": b"aux .json",
        "com0": b"COM0.a.b",
    }
    for label, name in names.items():
        yield skippable(
            f"attachment-{label}",
            f"{rule}: {label.replace('-', ' ')}",
            "13.1",
            _attached(payloads.attachment(name, b"data")),
        )
    yield skippable(
        "attachment-empty",
        "the length of an attachment's name is 0",
        "13.1",
        _attached(payloads.attachment(b"", b"data")),
    )
    yield skippable(
        "attachment-256",
        "the length of an attachment's name is above 255",
        "13.1",
        _attached(payloads.attachment(b"n" * 256, b"data")),
    )
    for label, first, second in (
        ("same", "a.txt", "a.txt"),
        ("case", "Readme", "README"),
        ("folded", "stra\u00dfe", "STRASSE"),
        ("composed", "caf\u00e9", "cafe\u0301"),
    ):
        chunks = [payloads.attachment(name.encode(), b"1") for name in (first, second)]
        yield skippable(
            f"attachment-twice-{label}",
            f"two attachments have the same name: {label}",
            "13.1",
            _attached(*chunks),
        )


def _attachments() -> Iterator[Vector]:
    note = "Found when the attachment is asked for; the scene stays decodable."
    good = payloads.attachment(b"a.bin", b"data")
    yield skippable(
        "attachment-sha256",
        "the SHA-256 of an attachment differs",
        "13.1",
        _attached(payloads.attachment(b"a.bin", b"data", sha256=bytes(32))),
        note=note,
    )
    size = 2 + 5 + 32
    yield skippable(
        "attachment-size",
        "an attachment inflates to fewer bytes than announced",
        "13.1 3.1",
        _attached(patched(good, size, "Q", 9)),
        note=note,
    )
    yield skippable(
        "attachment-adler",
        "the zlib block of an attachment is damaged",
        "13.1 3.1",
        _attached(good[:-1] + bytes([good[-1] ^ 1])),
        note=note,
    )
    yield skippable(
        "attachment-cut",
        "a field reaches beyond the payload (aTCH)",
        "13.1 3.1",
        _attached(good[:20]),
    )


def _attached_limits() -> Iterator[Vector]:
    good = payloads.attachment(b"a.bin", b"data")
    large = patched(good, 2 + 5 + 32, "Q", (1 << 30) + 1)
    yield skippable(
        "attachment-large", "an attachment is above the limit", "13.1 11", _attached(large), "limit"
    )
    half = [
        patched(payloads.attachment(n, b""), 2 + 1 + 32, "Q", (1 << 29) + 1) for n in (b"a", b"b")
    ]
    yield skippable(
        "attachments-large",
        "attachments together are above the limit",
        "13.1 11",
        _attached(*half),
        "limit",
        also=("corrupt",),
        note="Corrupt if the first is inflated before the second arrives.",
    )
    many = [payloads.attachment(b"%d" % i, b"") for i in range(1025)]
    yield skippable(
        "attachments-1025", "more than 1024 attachments", "13.1 11", _attached(*many), "limit"
    )


def _with_table(payload: bytes) -> Coded:
    coded = code(plain(6, 951))
    coded.file.put_behind(coded.file.find("SCHM"), Piece(b"oBJT", payload))
    return coded


def _tables() -> Iterator[Vector]:
    rule = "the text of an object table is not such JSON"
    for name, text in (
        ("text", b"objects"),
        ("array", b"[]"),
        ("latin-1", b'{"property":"label","objects":[],"a":"\xe9"}'),
        ("nan", json.dumps(TABLE).replace("[1, 1, 1]", "[1, NaN, 1]").encode()),
        ("no-property", b'{"objects":[]}'),
        ("no-objects", b'{"property":"label"}'),
        ("property-number", b'{"property":1,"objects":[]}'),
        ("objects-object", b'{"property":"label","objects":{}}'),
    ):
        yield skippable(
            f"objects-{name}",
            f"{rule}: {name.replace('-', ' ')}",
            "13.2",
            _with_table(payloads.text_payload(text)),
        )
    good = payloads.object_table(TABLE)
    yield skippable(
        "objects-large",
        "the text of an object table is above 2^24 bytes",
        "13.2 11",
        _with_table(patched(good, 0, "I", (1 << 24) + 1)),
    )
    yield skippable(
        "objects-adler",
        "the zlib block of an object table is damaged",
        "13.2 3.1",
        _with_table(good[:-1] + bytes([good[-1] ^ 1])),
    )


def _objects() -> Iterator[Vector]:
    def table(place: int | None = None, **changes: Any) -> Coded:
        document = copy.deepcopy(TABLE)
        (document if place is None else document["objects"][place]).update(changes)
        return _with_table(payloads.object_table(document))

    yield skippable(
        "objects-unknown",
        "the property of an object table does not exist",
        "13.2",
        table(property="lost"),
    )
    rule = "a member of an object is missing or of another form"
    for name, changes in (
        ("id-string", {"id": "1"}),
        ("id-half", {"id": 0.5}),
        ("id-true", {"id": True}),
        ("id-null", {"id": None}),
        ("name-number", {"name": 3}),
        ("name-control", {"name": "a\u0007"}),
        ("name-long", {"name": "n" * 1025}),
        ("colour-upper", {"colour": "#A02030"}),
        ("colour-short", {"colour": "#123"}),
        ("colour-word", {"colour": "red"}),
        ("colour-number", {"colour": 255}),
        ("count-negative", {"count": -1}),
        ("count-half", {"count": 1.5}),
        ("count-null", {"count": None}),
        ("box-flat", {"box": [0, 0, 0, 1, 1, 1]}),
        ("box-inside-out", {"box": [[0, 2, 0], [1, 1, 1]]}),
        ("box-two", {"box": [[0, 0], [1, 1]]}),
        ("box-string", {"box": [["0", 0, 0], [1, 1, 1]]}),
        ("box-true", {"box": [[False, 0, 0], [1, 1, 1]]}),
    ):
        yield skippable(
            f"object-{name}", f"{rule}: {name.replace('-', ' ')}", "13.2", table(0, **changes)
        )
    for name in ("id", "name", "colour", "count", "box"):
        document = copy.deepcopy(TABLE)
        del document["objects"][0][name]
        yield skippable(
            f"object-no-{name}",
            f"{rule}: no {name}",
            "13.2",
            _with_table(payloads.object_table(document)),
        )
    text = json.dumps(TABLE).replace('"count": 3', '"count": 3.0').encode()
    yield skippable(
        "object-count-float",
        f"{rule}: a count of 3.0",
        "13.2",
        _with_table(payloads.text_payload(text)),
    )
    yield skippable("object-twice", "an id stands twice", "13.2", table(1, id=0))
    yield skippable(
        "object-range", "an id does not fit the type of the property", "13.2", table(1, id=1 << 31)
    )
    yield skippable("object-counts", "the counts add up to more than N", "13.2", table(1, count=4))
    document = copy.deepcopy(TABLE)
    text = json.dumps(document).replace("[1, 1, 1]", "[1, 1e999, 1]").encode()
    yield skippable(
        "object-infinite",
        "a number is not finite",
        "13.2",
        _with_table(payloads.text_payload(text)),
    )
    large = json.dumps(
        {"property": "x", "objects": [dict(TABLE["objects"][1], id=(1 << 53) + 1)]}
    ).encode()
    yield skippable(
        "object-range-f4",
        "an id of a float property is above 2^53",
        "13.2",
        _with_table(payloads.text_payload(large)),
    )


def _places() -> Iterator[Vector]:
    good = payloads.object_table(TABLE)
    for name, mark in (("early", "SCHM"), ("late", "DATA")):
        coded = code(plain(6, 952))
        coded.file.put_before(coded.file.find(mark), Piece(b"oBJT", good))
        yield skippable(
            f"objects-{name}",
            f"the object table does not stand between SCHM and KDTB: before {mark}",
            "13.2",
            coded,
        )
    coded = code(plain(6, 952))
    coded.file.put_behind(coded.file.find("SCHM"), Piece(b"oBJT", good), Piece(b"oBJT", good))
    yield skippable("objects-twice", "the object table stands twice", "13.2", coded)
