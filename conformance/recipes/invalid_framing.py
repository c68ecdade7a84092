"""Violations of framing, grammar and level ends (sections 3, 4.1 and 8)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

from conformance.maker import payloads
from conformance.maker.coder import Coded, code
from conformance.maker.pieces import SIGNATURE, FilePieces, Piece
from conformance.maker.vector import Vector
from conformance.recipes import exact
from conformance.recipes.bad import bad, edited, skippable, with_payload
from conformance.recipes.shapes import Builder, bare, layered, one_tile, plain

LIMIT = (1 << 30) + 1


def vectors() -> Iterator[Vector]:
    """Return these vectors."""
    for make in (
        _fields,
        _blocks,
        _chunks,
        _prelude,
        _due,
        _described,
        _exact,
        _levels,
        _order,
        _flips,
    ):
        yield from make()


def _fields() -> Iterator[Vector]:
    rich = replace(
        plain(), exact=exact.deflated(["e"], 1), extras={"e": "u1"}, script=[(0, (0, 1, 2))]
    )
    for type_ in ("HEAD", "LEVS", "SCHM", "TILE", "KDTB", "GRUP", "NETW", "DATA", "XDAT"):
        file = code(rich).file
        payload = file.find(type_).payload
        if type_ == "LEVS":
            file.data()
            payload = file.find(type_).payload
        for name, changed, rule in (
            ("short", payload[:-1], "a field or blob reaches beyond the payload of its chunk"),
            ("long", payload + b"\0", "bytes of a payload remain after its last field"),
        ):
            file = code(rich).file
            if type_ == "LEVS":
                file.table = changed
            else:
                file.find(type_).payload = changed
            yield bad(f"{type_.lower()}-{name}", f"{rule} ({type_})", "3.1", file)
    file = with_payload(plain(), "DATA", b"\0\0\0\0\0\0\xff\xff\xff\xff" + bytes(200))
    yield bad(
        "blob-long",
        "a field or blob reaches beyond the payload of its chunk (a blob of 2^32 - 1 bytes)",
        "3.1",
        file,
    )


def _blocks() -> Iterator[Vector]:
    text = code(plain()).file.find("SCHM").payload
    size, block = text[:4], text[4:]
    count = struct.unpack("<I", size)[0]
    wrong = bytes([block[-1] ^ 1])
    dictionary = b"\x78\x20" + b"\0\0\0\1" + block[2:]
    for name, payload, rule in (
        ("adler", size + block[:-1] + wrong, "its Adler-32 is wrong"),
        ("more", struct.pack("<I", count - 1) + block, "it inflates to more bytes than announced"),
        (
            "fewer",
            struct.pack("<I", count + 1) + block,
            "it inflates to fewer bytes than announced",
        ),
        ("behind", text + b"\0", "other bytes follow within its field"),
        ("cut", text[:-3], "it ends early"),
        ("header", size + b"\x79\x01" + block[2:], "its header is wrong"),
        ("method", size + b"\x77\x09" + block[2:], "its method is not deflate"),
        ("dictionary", size + dictionary, "it asks for a preset dictionary"),
        ("type", size + block[:2] + b"\x07" + block[3:], "a block has the reserved type"),
        (
            "length",
            size + block[:3] + b"\x00\x00" + block[5:],
            "a stored length is not its complement",
        ),
    ):
        yield bad(
            f"zlib-{name}",
            f"a zlib block is damaged: {rule}",
            "3.1",
            with_payload(plain(), "SCHM", payload),
        )


def _chunks() -> Iterator[Vector]:
    data = code(bare()).file.data()
    for place in (0, 4, 7):
        changed = bytearray(data)
        changed[place] ^= 0x20
        yield bad(
            f"signature-{place}", "the signature differs", "3.2", bytes(changed), "unsupported"
        )
    yield bad(
        "other-file",
        "the signature differs (a PLY)",
        "3.2",
        b"ply\nformat ascii 1.0\n",
        "unsupported",
    )
    yield bad(
        "signature-short",
        "the signature differs within the bytes that there are",
        "3.2",
        SIGNATURE[:3] + b"X",
        "unsupported",
    )
    for name, type_ in (("digit", b"a1bc"), ("high", b"ab\xe9c"), ("space", b"ab c")):
        file = edited(
            bare(), lambda c, t=type_: c.file.put_before(c.file.find("DATA"), Piece(t, b""))
        )
        yield bad(
            f"type-{name}", "a chunk type has a byte that is not an ASCII letter", "3.3", file
        )
    for name, length in (("payload", LIMIT), ("most", 0xFFFFFFFF)):
        file = code(bare()).file
        file.put_before(file.find("DATA"), Piece(b"zzzz", b"", length=length))
        yield bad(
            f"length-{name}",
            f"a payload of {length} bytes is above the decoder's limit",
            "3.3 11",
            file,
            "limit",
        )
    for type_ in ("HEAD", "LEVS", "SCHM", "TILE", "KDTB", "DATA", "GRUP"):
        file = code(plain()).file
        file.find(type_).crc = 1
        yield bad(f"crc-{type_.lower()}", f"a CRC is wrong ({type_})", "3.3", file)
    file = edited(
        bare(), lambda c: c.file.put_before(c.file.find("DATA"), Piece(b"abcd", b"x", crc=7))
    )
    yield bad("crc-ancillary", "a CRC is wrong (an unknown ancillary chunk)", "3.3", file)
    file = code(bare()).file
    file.find("SCHM").length = len(file.find("SCHM").payload) - 2
    yield bad("length-short", "a CRC is wrong (the length is too small)", "3.3", file)


def _prelude() -> Iterator[Vector]:
    rule = "a chunk breaks the grammar"
    order = ("HEAD", "LEVS", "SCHM", "TILE", "KDTB")
    for type_ in order:
        file = edited(plain(), lambda c, t=type_: c.file.remove(c.file.find(t)))
        yield bad(f"without-{type_.lower()}", f"{rule}: no {type_}", "4.1", file)

        def twice(coded: Coded, type_: str = type_) -> None:
            coded.file.data()
            piece = coded.file.find(type_)
            coded.file.put_behind(piece, Piece(piece.type, piece.payload))

        yield bad(
            f"twice-{type_.lower()}", f"{rule}: {type_} stands twice", "4.1", edited(plain(), twice)
        )
    for first, second in (("HEAD", "LEVS"), ("LEVS", "SCHM"), ("SCHM", "TILE"), ("TILE", "KDTB")):

        def swap(coded: Coded, first: str = first, second: str = second) -> None:
            piece = coded.file.remove(coded.file.find(first))
            coded.file.put_behind(coded.file.find(second), piece)

        yield bad(
            f"{second.lower()}-before-{first.lower()}",
            f"{rule}: {second} before {first}",
            "4.1",
            edited(plain(), swap),
        )
    for mark in ("HEAD", "LEVS"):
        file = edited(
            plain(), lambda c, m=mark: c.file.put_before(c.file.find(m), Piece(b"abcd", b""))
        )
        yield bad(
            f"ancillary-before-{mark.lower()}",
            f"{rule}: an ancillary chunk before {mark}",
            "4.1",
            file,
        )
    for type_ in ("DATA", "GRUP", "XDAT"):
        file = edited(
            plain(),
            lambda c, t=type_: c.file.put_before(c.file.find("TILE"), Piece(t.encode(), b"")),
        )
        yield bad(f"early-{type_.lower()}", f"{rule}: {type_} in the prelude", "4.1", file)
    file = edited(
        plain(),
        lambda c: c.file.put_before(
            c.file.find("DATA"), Piece(b"HEAD", c.file.find("HEAD").payload)
        ),
    )
    yield bad("late-head", f"{rule}: HEAD in the body", "4.1", file)
    file = edited(
        plain(), lambda c: c.file.put_before(c.file.find("DATA"), Piece(b"KDTB", bytes(13)))
    )
    yield bad("late-kdtb", f"{rule}: KDTB in the body", "4.1", file)


def _due() -> Iterator[Vector]:
    rule = "the DATA chunks are not those of the due list in its order"
    plan = (
        Builder(500)
        .position()
        .ids()
        .plan(
            one_tile(3, 4) + one_tile(2, 0, origin=(64, 0, 0)),
            rounds=(1, 1),
            script=[(0, (0,)), (0, (1,)), (1, (0, 1))],
        )
    )

    def swapped(coded: Coded) -> None:
        piece = coded.file.remove(coded.file.find("DATA", place=(0, 0)))
        coded.file.put_behind(coded.file.find("DATA", place=(0, 1)), piece)

    def doubled(coded: Coded) -> None:
        piece = coded.file.find("DATA", place=(0, 0))
        coded.file.put_behind(piece, Piece(b"DATA", piece.payload))

    def extra(coded: Coded) -> None:
        coded.file.put_behind(
            coded.file.find("DATA", place=(2, 0)), Piece(b"DATA", struct.pack("<HII", 2, 1, 0))
        )

    def foreign(name: str, pass_: int, tile: int) -> FilePieces:
        def edit(coded: Coded) -> None:
            piece = coded.file.find("DATA", place=(1, 0))
            piece.payload = struct.pack("<HI", pass_, tile) + piece.payload[6:]

        return edited(plan, edit)

    def reordered(coded: Coded) -> None:
        piece = coded.file.remove(coded.file.find("DATA", place=(1, 0)))
        coded.file.put_before(coded.file.find("DATA", place=(0, 1)), piece)

    yield bad("data-tiles-swapped", f"{rule}: tiles in another order", "4.1", edited(plan, swapped))
    yield bad("data-twice", f"{rule}: a chunk twice", "4.1", edited(plan, doubled))
    yield bad(
        "data-passes-swapped", f"{rule}: passes in another order", "4.1", edited(plan, reordered)
    )
    yield bad(
        "data-empty-tile",
        f"{rule}: a tile without Gaussians in the layer",
        "4.1",
        edited(plan, extra),
    )
    yield bad(
        "data-no-such-pass", f"{rule}: a pass that does not exist", "4.1", foreign("pass", 9, 0)
    )
    yield bad(
        "data-no-such-tile", f"{rule}: a tile that does not exist", "4.1", foreign("tile", 1, 2)
    )
    file = edited(plan, lambda c: c.file.remove(c.file.find("DATA", place=(1, 1))))
    yield bad("data-missing", f"{rule}: one is missing", "4.1 8.1", file)


def _described() -> Iterator[Vector]:
    plan = plain()

    def move(type_: str, group: int) -> FilePieces:
        def edit(coded: Coded) -> None:
            piece = coded.file.remove(coded.file.find(type_, group))
            coded.file.put_behind(coded.file.find("DATA"), piece)

        return edited(plan, edit)

    def double(type_: str, group: int) -> FilePieces:
        def edit(coded: Coded) -> None:
            piece = coded.file.find(type_, group)
            coded.file.put_behind(coded.file.find("NETW"), Piece(piece.type, piece.payload))

        return edited(plan, edit)

    for type_, group, what in (("GRUP", 1, "residual"), ("GRUP", 2, "id"), ("NETW", 1, "residual")):
        name = f"{type_.lower()}-{what}"
        file = edited(plan, lambda c, t=type_, g=group: c.file.remove(c.file.find(t, g)))
        yield bad(f"no-{name}", f"a group needs a {type_} chunk ({what} group)", "4.1", file)
        yield bad(
            f"late-{name}",
            f"{type_} must stand before the first DATA of its group ({what})",
            "4.1",
            move(type_, group),
        )
        yield bad(
            f"twice-{name}",
            f"at most one {type_} for a group ({what})",
            "4.1",
            double(type_, group),
        )

    def network_first(coded: Coded) -> None:
        piece = coded.file.remove(coded.file.find("NETW", 1))
        coded.file.put_before(coded.file.find("GRUP", 1), piece)

    yield bad(
        "netw-before-grup",
        "NETW must stand behind its GRUP chunk",
        "4.1",
        edited(plan, network_first),
    )
    marked = Builder(510).position().sentinel().opacity()
    marked.groups[2].sentinel = 1
    marked_plan = marked.plan(one_tile(6))

    def sentinel_late(coded: Coded) -> None:
        piece = coded.file.remove(coded.file.find("GRUP", 1))
        coded.file.put_behind(coded.file.find("GRUP", 2), piece)

    yield bad(
        "sentinel-late",
        "a GRUP that names a sentinel group must stand behind that group's GRUP",
        "4.1 6.4",
        edited(marked_plan, sentinel_late),
    )


def _exact() -> Iterator[Vector]:
    plan = replace(layered(), exact=exact.deflated(["e"], 1), extras={"e": "u1"}, levels=[1, 2, 5])

    def early(coded: Coded) -> None:
        piece = coded.file.remove(coded.file.find("XDAT"))
        coded.file.put_before(coded.file.find("DATA", place=(3, 0)), piece)

    yield bad(
        "xdat-early",
        "XDAT may stand only behind all DATA of the due list",
        "4.1",
        edited(plan, early),
    )
    split = replace(plan, levels=[4, 5])

    def level_before(coded: Coded) -> None:
        coded.file.find("XDAT").level = 1
        coded.file.put_behind(coded.file.find("XDAT"), Piece(b"fILL", b""))
        coded.file.find("fILL").level = 2

    yield bad(
        "xdat-level",
        "XDAT lies in the level that holds the exact pass",
        "4.1",
        edited(split, level_before),
    )
    column = payloads.exact_column(0, exact.smooth_column(Builder(1).seeded, "f4", 12))
    file = edited(plain(), lambda c: c.file.put_behind(c.file.find("DATA"), Piece(b"XDAT", column)))
    yield bad("xdat-no-pass", "XDAT may stand only if the last pass is exact", "4.1", file)


def _levels() -> Iterator[Vector]:
    rule = "a level does not end where its passes do"

    def shifted(level: int, by: int) -> FilePieces:
        def edit(coded: Coded) -> None:
            coded.file.levels[level].end = coded.file.ends()[level] + by

        return edited(layered(), edit)

    yield bad("end-inside", f"{rule}: the end lies within a chunk", "8.1", shifted(0, -1))
    yield bad("end-behind", f"{rule}: the end lies within the next chunk", "8.1", shifted(0, 5))
    file = edited(layered(), lambda c: setattr(c.file.levels[0], "end", 100))
    yield bad("end-prelude", f"{rule}: the end lies before KDTB's", "8.1", file)

    def chunk_early(coded: Coded) -> None:
        coded.file.find("DATA", place=(1, 0)).level = 1

    yield bad(
        "end-data-more",
        f"{rule}: DATA of a later pass in the level",
        "8.1",
        edited(layered(), chunk_early),
    )

    def chunk_late(coded: Coded) -> None:
        file = coded.file
        file.find("DATA", place=(0, 0)).level = 2
        file.put_before(file.find("DATA", place=(0, 0)), Piece(b"fILL", b""))
        file.find("fILL").level = 1

    yield bad(
        "end-data-fewer",
        f"{rule}: DATA of one of its passes is missing",
        "8.1",
        edited(layered(), chunk_late),
    )
    for name, tail in (("byte", b"\0"), ("signature", SIGNATURE), ("many", bytes(5000))):
        file = code(plain()).file
        file.behind = tail
        yield bad(f"behind-{name}", f"bytes behind the last level ({len(tail)})", "8.2", file)
    for name, type_ in (("ancillary", b"aBCD"), ("critical", b"DATA")):
        file = code(plain()).file
        file.behind = Piece(type_, b"").frame()
        yield bad(
            f"behind-{name}",
            f"nothing follows the last level, not even an ancillary chunk ({name})",
            "4.1 8.2",
            file,
        )
    file = code(layered()).file
    file.levels[-1].end = file.ends()[-1] + 100
    yield bad(
        "end-last-late",
        "the file ends before its last level, and not behind a level",
        "3.4 8.2",
        _without_reached(file),
        "truncated",
    )
    for level in (0, 1):
        coded = code(layered())
        coded.file.levels[level].digest = bytes(32)
        yield skippable(
            f"digest-{level + 1}",
            f"the digest of level {level + 1} differs",
            "8.3",
            coded,
            note="A decoder that does not verify digests decodes the file.",
        )


def _without_reached(file: FilePieces) -> bytes:
    """The file with only its last level, so that nothing is complete."""
    file.levels = file.levels[-1:]
    for piece in file.pieces:
        piece.level = 1
    return file.data()


def _order() -> Iterator[Vector]:
    """Two violations of one chunk: the first in the order of section 3.3 counts."""
    start = code(bare()).file
    cut = start.data()[: start.ends()[0] - 12 - len(start.find("DATA").payload)]
    large = struct.pack("<I", LIMIT)
    for name, behind, outcome, rule in (
        ("type-cut", b"a1bc", "corrupt", "a type that is not of letters, cut behind it"),
        (
            "type-limit",
            b"a1bc" + large,
            "corrupt",
            "a type that is not of letters before the limit",
        ),
        ("type-short", b"a1b", "truncated", "three bytes of a type are not judged"),
        ("limit-cut", b"abcd" + large, "limit", "a payload above the limit, cut behind the length"),
        ("limit-short", b"abcd" + large[:3], "truncated", "three bytes of a length are not judged"),
        (
            "limit-critical",
            b"ABCD" + large,
            "limit",
            "a payload above the limit before an unknown type",
        ),
        (
            "unknown-cut",
            Piece(b"ABCD", bytes(9)).frame()[:-1],
            "truncated",
            "a cut chunk before an unknown type",
        ),
        (
            "unknown-crc",
            Piece(b"ABCD", bytes(9), crc=1).frame(),
            "corrupt",
            "a wrong CRC before an unknown type",
        ),
        (
            "place-crc",
            Piece(b"HEAD", b"", crc=1).frame(),
            "corrupt",
            "a wrong CRC before a wrong place",
        ),
        (
            "place-fields",
            Piece(b"HEAD", b"\2\0\0\0").frame(),
            "corrupt",
            "a wrong place before the fields",
        ),
    ):
        yield bad(
            f"order-{name}",
            f"the first violation of a chunk counts: {rule}",
            "3.3",
            cut + behind,
            outcome,
        )


def _flips() -> Iterator[Vector]:
    plan = (
        Builder(520).position().plan(one_tile(3, 2, bits=(2, 2, 2)), rounds=(1, 1), levels=[1, 2])
    )
    data = code(plan).file.data()
    vector = Vector(
        "flips", "invalid", "Every single bit of a file is flipped", ["3.2", "3.3"], data, 520
    )
    vector.flips = "".join(_flip_outcome(data, bit) for bit in range(8 * len(data)))
    vector.rule = "a wrong CRC is corrupt (and what else a single flipped bit may be)"
    vector.note = "One letter a bit, bit 0 of byte 0 first: u, c, t, l for the outcomes."
    yield vector


def _flip_outcome(data: bytes, bit: int) -> str:
    damaged = bytearray(data)
    damaged[bit >> 3] ^= 1 << (bit & 7)
    if bit >> 3 < len(SIGNATURE):
        return "u"
    at = len(SIGNATURE)
    while True:
        length = struct.unpack_from("<I", damaged, at + 4)[0]
        if not (bytes(damaged[at : at + 4]).isalpha() and bytes(damaged[at : at + 4]).isascii()):
            return "c"
        if length > LIMIT - 1:
            return "l"
        if at + 12 + length > len(damaged):
            return "t"
        if at <= bit >> 3 < at + 12 + length:
            return "c"
        at += 12 + length
