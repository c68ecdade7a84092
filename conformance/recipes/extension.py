"""Versions, and what later versions and other programs may add."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

from conformance.maker.coder import code
from conformance.maker.pieces import Piece
from conformance.maker.vector import Vector, good
from conformance.recipes import exact
from conformance.recipes.bad import bad, edited, with_head
from conformance.recipes.shapes import little, plain

KIND = "extension"


def vectors() -> Iterator[Vector]:
    """Return these vectors."""
    for make in (_versions, _chunks, _kinds, _schema):
        yield from make()


def _versions() -> Iterator[Vector]:
    for minor in (1, 7, 65535):
        coded = code(replace(plain(6, 700), version=(1, minor)))
        yield good(f"version-1.{minor}", KIND, f"Version 1.{minor} is read like 1.0", "4.5", coded)
    for major, minor in ((0, 0), (0, 3), (2, 0), (65535, 0), (256, 0)):
        file = code(replace(plain(6, 700), version=(major, minor))).file
        yield bad(
            f"version-{major}.{minor}",
            f"another major version: {major}.{minor}",
            "4.5",
            file,
            "unsupported",
            kind=KIND,
        )
    file = edited(
        plain(6, 700),
        lambda c: setattr(c.file.find("HEAD"), "payload", struct.pack("<HH", 2, 0) + b"\xff" * 40),
    )
    yield bad(
        "version-2-other-head",
        "another major version, whose HEAD has other fields",
        "4.5 3.4",
        file,
        "unsupported",
        kind=KIND,
    )


def _chunks() -> Iterator[Vector]:
    for type_ in (b"abcd", b"aBCD", b"zzZZ", b"data", b"dATA"):
        coded = code(little(701))
        coded.file.put_before(coded.file.find("TILE"), Piece(type_, b"\x01\x02\x03"))
        coded.file.put_behind(coded.file.find("DATA"), Piece(type_, b""))
        yield good(
            f"ancillary-{type_.decode()}",
            KIND,
            f"Unknown ancillary chunks of type {type_.decode()}",
            "4.1 3.3",
            coded,
        )
    for type_ in (b"ABCD", b"Abcd", b"HEAd", b"Data", b"SCHm"):
        for mark in ("SCHM", "DATA"):
            file = edited(
                plain(6, 702),
                lambda c, t=type_, m=mark: c.file.put_before(c.file.find(m), Piece(t, b"x")),
            )
            yield bad(
                f"critical-{type_.decode()}-{mark.lower()}",
                f"an unknown critical chunk ({type_.decode()}, before {mark})",
                "4.1 3.3",
                file,
                "unsupported",
                kind=KIND,
            )


def _kinds() -> Iterator[Vector]:
    for kind in (12, 13, 255):
        file = with_head(plain(6, 703), groups=[(0, 3, 3), (kind, 1, 1), (9, 1, 1)])
        yield bad(
            f"kind-{kind}", f"an unknown group kind: {kind}", "4.2", file, "unsupported", kind=KIND
        )
    file = with_head(plain(6, 703), version=(1, 4), groups=[(0, 3, 3), (12, 1, 1), (9, 1, 1)])
    yield bad(
        "kind-12-minor-4",
        "an unknown group kind in a later minor version",
        "4.2 4.5",
        file,
        "unsupported",
        kind=KIND,
    )
    file = with_head(plain(6, 703), groups=[(0, 3, 3), (12, 0, 2000), (9, 1, 1)])
    yield bad(
        "kind-12-shape",
        "an unknown group kind comes before the ranges of its other fields",
        "3.4 4.2",
        file,
        "unsupported",
        kind=KIND,
    )


def _schema() -> Iterator[Vector]:
    further = {"zz_later": {"a": [1, None, 2.5]}, "ZZ": False}
    plan = replace(plain(6, 704), schema=further)
    yield good("schema-members", KIND, "Members of the schema that nobody knows", "4.4", code(plan))
    plan = replace(plan, layout={**plan.layout, "colour_space": "srgb"})
    yield good("layout-members", KIND, "Members of the layout that nobody knows", "4.4", code(plan))
    plan = replace(plain(6, 705), exact=exact.deflated([], 1))

    def unknown(coded: object) -> None:
        file = coded.file  # type: ignore[attr-defined]
        file.put_behind(file.find("DATA"), Piece(b"XDAT", b"\x04what"))

    yield bad(
        "exact-kind-4", "an unknown exact kind is corrupt", "6.5", edited(plan, unknown), kind=KIND
    )
