"""Violations inside DATA (sections 5.5, 5.6, 6.1 to 6.4; numerics 4 to 6)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

import numpy as np

from conformance.maker.coder import Coded, code
from conformance.maker.networks import draw_network
from conformance.maker.pieces import FilePieces
from conformance.maker.plan import Plan, TilePlan
from conformance.maker.vector import Vector
from conformance.recipes.bad import bad, edited, field, u8, with_data
from conformance.recipes.shapes import Builder, little, plain
from csgs_codec.attributes.positions import build_tables
from csgs_codec.attributes.steps import StepRule
from csgs_codec.container.kinds import GroupKind
from csgs_codec.numerics.bits import BitWriter
from csgs_codec.numerics.rans import RansEncoder
from csgs_codec.numerics.tables import (
    FrequencyTables,
    half_widths,
    laplace_tables,
    normalise_frequencies,
)

HEAD = 10
INDEX = 30


def vectors() -> Iterator[Vector]:
    """Return these vectors."""
    for make in (_streams, _bits, _positions, _residuals, _labels, _contents):
        yield from make()


def _streams() -> Iterator[Vector]:
    rule = "the rANS stream"

    def changed(edit: Callable[[bytes], bytes]) -> FilePieces:
        """The stream of a chunk that has words, edited."""

        def put(coded: Coded) -> None:
            piece = coded.file.find("DATA")
            size = struct.unpack_from("<I", piece.payload, 6)[0]
            assert size > 128 + 4
            stream = edit(piece.payload[HEAD : HEAD + size])
            rest = piece.payload[HEAD + size :]
            piece.payload = piece.payload[:6] + struct.pack("<I", len(stream)) + stream + rest

        return edited(little(800), put)

    low = struct.pack("<I", (1 << 16) - 1)
    yield bad("rans-short", f"{rule} has fewer than 128 bytes", "N4.1", changed(lambda s: s[:126]))
    yield bad(
        "rans-two-bytes", f"{rule} has fewer than 128 bytes: 2", "N4.1", changed(lambda s: s[:2])
    )
    yield bad(
        "rans-odd", f"{rule} has an odd number of bytes", "N4.1", changed(lambda s: s + b"\0")
    )
    yield bad(
        "rans-state",
        f"a state of {rule.removeprefix('the ')} is below 2^16",
        "N4.1",
        changed(lambda s: low + s[4:]),
    )
    yield bad(
        "rans-state-last",
        f"a state of {rule.removeprefix('the ')} is below 2^16: the last, 0",
        "N4.1",
        changed(lambda s: s[:124] + bytes(4) + s[128:]),
    )
    yield bad(
        "rans-words-more",
        f"{rule} holds words that nobody asks for",
        "N4.4",
        changed(lambda s: s + b"\1\0"),
    )
    yield bad(
        "rans-words-zero",
        f"{rule} holds a word 0 that nobody asks for",
        "N4.4",
        changed(lambda s: s + b"\0\0"),
    )
    yield bad(
        "rans-words-fewer",
        f"{rule} lacks words that are asked for",
        "N4.4",
        changed(lambda s: s[:-2]),
    )
    yield bad(
        "rans-words-none",
        f"{rule} has no words although some are asked for",
        "N4.4",
        changed(lambda s: s[:128]),
    )
    yield bad(
        "rans-none",
        f"{rule} is empty although symbols are asked for",
        "N4.4",
        changed(lambda s: b""),
    )
    one = Builder(801).position().plan([TilePlan((1, 1, 1), (1,))])
    unused = edited(one, lambda c: _stream(c, struct.pack("<32I", *[1 << 16] * 31, (1 << 16) + 1)))
    yield bad("rans-lane-31", "a state that no symbol uses is not 2^16 at the end", "N4.4", unused)
    moved = changed(lambda s: s[:128] + s[130:132] + s[128:130] + s[132:])
    yield bad(
        "rans-words-swapped",
        "two words have changed places: some state does not end at 2^16",
        "N4.4",
        moved,
    )


def _stream(coded: Coded, stream: bytes) -> None:
    piece = coded.file.find("DATA")
    piece.payload = (
        piece.payload[:6] + struct.pack("<I", len(stream)) + stream + piece.payload[HEAD:]
    )


def _bits() -> Iterator[Vector]:
    one = Builder(810).position().plan([TilePlan((1, 1, 1), (1,))])
    for name, rule, bits, section in (
        ("left-byte", "a byte of plain bits is left over", b"\xa0\0", "N5.3"),
        ("padding", "the last plain bits are not zero", b"\xa1", "N5.3"),
        ("none", "the plain bits end early: there are none", b"", "N5.1"),
    ):
        file = with_data(one, lambda r, b: None, bits)
        yield bad(f"bits-{name}", rule, f"6.1 {section}", file)
    long = Builder(811).position().plan([TilePlan((21, 21, 21), (1,))])
    yield bad(
        "bits-cut",
        "the plain bits end within a field",
        "6.1 N5.1",
        with_data(long, lambda r, b: None, bytes(7)),
    )
    fine = (
        Builder(812)
        .position()
        .fine(StepRule(0, (0,) * 6, 0, 8, 8))
        .plan([TilePlan((0, 0, 0), (3,))])
    )
    yield bad(
        "bits-fine",
        "the plain bits end within fine positions",
        "6.3 N5.1",
        with_data(fine, lambda r, b: None, bytes(8)),
    )


def _positions() -> Iterator[Vector]:
    tables = build_tables({})

    def cell(count: int, bin_: int) -> FilePieces:
        log = min(count.bit_length() - 1, 7)
        table = 8 * (5 + log)
        plan = Builder(820).position().plan([TilePlan((1, 0, 0), (count,))])
        return with_data(plan, lambda r, b: r.put(u8(bin_), u8(table), tables))

    yield bad(
        "lower-9",
        "the lower half of a cell has more Gaussians than the cell: 10 of 9",
        "6.2",
        cell(9, 15),
    )
    yield bad(
        "lower-12",
        "the lower half of a cell has more Gaussians than the cell: 13 of 12",
        "6.2",
        cell(12, 15),
    )


def _opacities(
    count: int, draw: Callable[[RansEncoder, BitWriter], object], rule: StepRule | None = None
) -> FilePieces:
    """Gaussians of one cell with opacities; their scale index is INDEX, for class 8 less 24."""
    builder = Builder(830).position()
    builder.opacity(
        octaves=0, layer_inputs=0, neighbours=0, step_class=False, own=(), hidden=(), decay=None
    )
    group = builder.groups[1]
    group.rule = rule or StepRule()
    network = draw_network(builder.seeded, 1)
    network.layers[0].bias[:] = [0, INDEX << 14]
    group.network = network
    return with_data(builder.plan([TilePlan((0, 0, 0), (count,))], rounds=(1,)), draw)


def _escape(bits: BitWriter, beyond: int, order: int, negative: int = 0) -> None:
    """An Exp-Golomb number and its sign."""
    shifted = beyond + (1 << order)
    field(bits, 0, shifted.bit_length() - 1 - order)
    field(bits, shifted, shifted.bit_length())
    field(bits, negative, 1)


def _residuals() -> Iterator[Vector]:
    h = int(half_widths()[INDEX])
    order = (INDEX - 21) // 6

    def escape(rans: RansEncoder, index: int) -> None:
        rans.put(u8(2 * int(half_widths()[index]) + 1), u8(index), laplace_tables())

    for name, sign in (("", 0), ("-negative", 1)):

        def large(rans: RansEncoder, bits: BitWriter, sign: int = sign) -> None:
            escape(rans, INDEX)
            _escape(bits, (1 << 24) - h - 1, order, sign)

        yield bad(
            f"residual-2-24{name}",
            "a residual reaches 2^24 in magnitude",
            "N6",
            _opacities(1, large),
        )

    def prefix(rans: RansEncoder, bits: BitWriter) -> None:
        escape(rans, INDEX)
        field(bits, 0, 31)
        field(bits, 1, 1)
        field(bits, 0, 40)

    yield bad(
        "residual-prefix",
        "an Exp-Golomb code has a prefix of more than 30 zeros (residual)",
        "N5.2 N6",
        _opacities(1, prefix),
    )

    def nothing(rans: RansEncoder, bits: BitWriter) -> None:
        escape(rans, INDEX)

    yield bad(
        "residual-no-bits", "the plain bits end before an escape", "N5.2 N6", _opacities(1, nothing)
    )

    def signless(rans: RansEncoder, bits: BitWriter) -> None:
        rans.put(u8(*[2 * h + 1] * 8), u8(*[INDEX] * 8), laplace_tables())
        width = 1 + order
        for _ in range(8):
            field(bits, 1 << order, width)

    yield bad(
        "residual-no-signs",
        "the plain bits end before the signs of escapes",
        "N5.1 N6",
        _opacities(8, signless),
    )
    rule = StepRule(8, (0,) * 6, 0, 8, 8)
    index = INDEX - 24
    for name, sign in (("", 0), ("-negative", 1)):

        def value(rans: RansEncoder, bits: BitWriter, sign: int = sign) -> None:
            escape(rans, index)
            _escape(bits, (1 << 20) - int(half_widths()[index]) - 1, 0, sign)

        yield bad(
            f"value-2-30{name}",
            "a decoded value reaches 2^30 in magnitude",
            "5.5",
            _opacities(1, value, rule),
        )


def _even(size: int) -> FrequencyTables:
    return FrequencyTables([normalise_frequencies(np.ones(size, np.int64))])


def _labels() -> Iterator[Vector]:
    builder = Builder(840).position().ids("label", "i4", [1, 2, 3, 4, 5], agreement=[[1, 1, 1]] * 8)
    plan = builder.plan([TilePlan((0, 0, 0), (2,))], rounds=(2,))

    def other(rans: RansEncoder, bits: BitWriter) -> None:
        field(bits, 2, 3)
        rans.put(u8(1), u8(0), _even(3))

    yield bad("label-other", "OTHER is chosen where there is none", "5.6", with_data(plan, other))
    for index in (5, 7):

        def explicit(rans: RansEncoder, bits: BitWriter, index: int = index) -> None:
            field(bits, index, 3)
            rans.put(u8(0), u8(0), _even(3))

        yield bad(
            f"label-index-{index}",
            f"a palette index is not below P: {index} of 5",
            "5.6",
            with_data(plan, explicit),
        )
    late = Builder(841).position().ids("label", "i4", [1, 2, 3])
    late.groups[1].labels.agreement = [[1, 1, 1]] * 8  # type: ignore[union-attr]
    plan = late.plan([TilePlan((0, 0, 0), (2,))], rounds=(2,))

    def second(rans: RansEncoder, bits: BitWriter) -> None:
        rans.put(u8(2), u8(0), _even(3))
        field(bits, 0, 2)
        field(bits, 3, 2)

    yield bad(
        "label-index-3",
        "a palette index is not below P: 3 of 3, in a later round",
        "5.6",
        with_data(plan, second),
    )
    marks = Builder(842).position().sentinel([0, 1, 2]).transformed(GroupKind.DC, 1, 1, sentinel=1)
    marked = marks.plan([TilePlan((0, 0, 0), (1,))])

    def mark(rans: RansEncoder, bits: BitWriter) -> None:
        field(bits, 3, 2)

    yield bad(
        "mark-index-3",
        "a palette index of a SENTINEL group is not below P",
        "5.6",
        with_data(marked, mark),
    )


def _contents() -> Iterator[Vector]:
    """Chunks with a right CRC that belong to another place, tile or file."""

    def swapped(coded: Coded) -> None:
        a = coded.file.find("DATA", place=(0, 0))
        b = coded.file.find("DATA", place=(0, 1))
        a.payload, b.payload = a.payload[:6] + b.payload[6:], b.payload[:6] + a.payload[6:]

    yield bad(
        "contents-tiles",
        "the streams of two tiles have changed places",
        "6.1 N4.4",
        edited(little(850), swapped),
    )

    def foreign(coded: Coded) -> None:
        other = code(little(851)).file.find("DATA", place=(0, 0))
        coded.file.find("DATA", place=(0, 0)).payload = other.payload

    yield bad(
        "contents-foreign",
        "the chunk of another file with the same shape",
        "6.1 N4.4",
        edited(little(852), foreign),
    )

    def network(coded: Coded) -> None:
        other = code(plain(12, 853)).file.find("NETW")
        coded.file.find("NETW").payload = other.payload

    yield bad(
        "contents-network",
        "the network of another file with the same shape",
        "6.1 N4.4",
        edited(plain(12, 854), network),
    )

    def counts(coded: Coded) -> None:
        piece = coded.file.find("TILE")
        piece.payload = piece.payload[:-16] + struct.pack("<4I", 6, 9, 6, 6)

    plan: Plan = little(855)
    yield bad(
        "contents-counts",
        "the counts of two tiles are others with the same sum",
        "6.1 N4.4",
        edited(plan, counts),
    )
