"""Violations inside XDAT (section 6.5)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from conformance.maker import payloads
from conformance.maker.coder import Coded, code
from conformance.maker.pieces import FilePieces, Piece, patched
from conformance.maker.plan import Plan
from conformance.maker.vector import Vector
from conformance.recipes import exact
from conformance.recipes.bad import bad, edited, field, u8
from conformance.recipes.shapes import Builder, one_tile
from csgs_codec.attributes.exact_columns import NO_SOURCE, PREVIOUS_ROW, ColumnModel, Past
from csgs_codec.container.fields import FieldWriter
from csgs_codec.numerics.bits import BitWriter
from csgs_codec.numerics.rans import RansEncoder
from csgs_codec.numerics.tables import FrequencyTables, normalise_frequencies

ROWS = 6
WEIGHTS = np.full((2, 256), 1, np.uint8)


def vectors() -> Iterator[Vector]:
    """Return these vectors."""
    for make in (_kinds, _columns, _elements, _exceptions, _orders, _models, _values):
        yield from make()


def _plan(**rest: Any) -> Plan:
    values: dict[str, Any] = {
        "extras": {"e": "f4", "i": "i2"},
        "exact": exact.deflated(["e", "i"], 1),
        **rest,
    }
    return Builder(900).position().fine().opacity().ids().plan(one_tile(ROWS), **values)


def _with(*payload: bytes, **rest: Any) -> FilePieces:
    """The usual file with further XDAT chunks."""
    return edited(_plan(**rest), lambda c: c.file.pieces.extend(Piece(b"XDAT", p) for p in payload))


def _instead(place: int, payload: bytes, **rest: Any) -> FilePieces:
    """The usual file with another payload of one XDAT chunk."""
    return edited(_plan(**rest), lambda c: setattr(c.file.every("XDAT")[place], "payload", payload))


def _kinds() -> Iterator[Vector]:
    for kind in (4, 255):
        yield bad(f"xdat-kind-{kind}", f"an XDAT kind is {kind}", "6.5", _with(bytes([kind, 0, 0])))
    yield bad(
        "xdat-empty", "a field reaches beyond the payload: an empty XDAT", "6.5 3.1", _with(b"")
    )


def _columns() -> Iterator[Vector]:
    values = exact.smooth_column(Builder(1).seeded, "f4", ROWS)
    column = payloads.exact_column(5, values)
    names = dict(_plan().properties())
    assert list(names).index("e") == 5
    yield bad(
        "column-code-2", "a COLUMN has code 2", "6.5", _instead(0, patched(column, 3, "B", 2))
    )
    yield bad(
        "column-property",
        "a COLUMN names a property that does not exist",
        "6.5",
        _instead(0, patched(column, 1, "H", 7)),
    )
    yield bad(
        "column-group",
        "a COLUMN names a property that is neither in extras nor in exact",
        "6.5",
        _with(payloads.exact_column(0, values)),
    )
    constant = {"c": ("f4", bytes(4))}
    yield bad(
        "column-constant",
        "a COLUMN names a constant",
        "6.5",
        _with(payloads.exact_column(5, values), constants=constant),
    )
    yield bad("xdat-column-twice", "a COLUMN stands twice", "6.5", _with(column))
    yield bad(
        "column-missing",
        "a COLUMN that the schema announces is missing (extras)",
        "6.5",
        edited(_plan(), lambda c: c.file.remove(c.file.every("XDAT")[1])),
    )
    yield bad(
        "column-exact-missing",
        "a COLUMN that the schema announces is missing (exact)",
        "6.5",
        code(_plan(exact_columns=("opacity",))).file,
    )
    block = column[4:]
    for name, damaged in (
        ("adler", block[:-1] + bytes([block[-1] ^ 1])),
        ("behind", block + b"\0"),
        ("rows-more", payloads.stored(bytes(4 * ROWS + 4))),
        ("rows-fewer", payloads.stored(bytes(4 * ROWS - 1))),
    ):
        yield bad(
            f"column-{name}",
            f"the zlib block of a COLUMN is damaged: {name}",
            "6.5 3.1",
            _instead(0, column[:4] + damaged),
        )


def _elements() -> Iterator[Vector]:
    good = payloads.elements(exact.ELEMENTS)
    made = {
        "elements": True,
        "exact": exact.together(exact.deflated(["e", "i"], 1), exact.elements()),
    }
    yield bad("elements-unannounced", "ELEMENTS stands unannounced", "6.5", _with(good))
    yield bad(
        "elements-missing",
        "ELEMENTS is announced and missing",
        "6.5",
        code(_plan(elements=True)).file,
    )
    yield bad("elements-twice", "ELEMENTS stands twice", "6.5", _with(good, **made))
    large = struct.pack("<BQ", 1, (1 << 32) + 1) + payloads.stored(b"")
    yield bad(
        "elements-large",
        "ELEMENTS is above the limit",
        "6.5 11",
        _instead(2, large, **made),
        "limit",
    )
    vertex = (
        b"ply\nformat binary_little_endian 1.0\nelement vertex 0\nproperty float x\nend_header\n"
    )
    for name, ply in (
        ("vertex", vertex),
        ("text", b"no ply"),
        ("cut", exact.ELEMENTS[:-1]),
        ("ply-behind", exact.ELEMENTS + b"\0"),
        ("ascii", exact.ELEMENTS.replace(b"binary_little_endian", b"ascii")),
        ("type", exact.ELEMENTS.replace(b"property float", b"property quad_")),
        ("big-endian", exact.ELEMENTS.replace(b"little", b"big")),
        ("crlf", exact.ELEMENTS.replace(b"ply\n", b"ply\r\n")),
        ("count-sign", exact.ELEMENTS.replace(b"camera 2", b"camera +2")),
        ("count-hex", exact.ELEMENTS.replace(b"camera 2", b"camera 0x2")),
        ("list-float", exact.ELEMENTS.replace(b"list uchar int", b"list float int")),
        (
            "list-negative",
            exact.ELEMENTS.replace(b"list uchar int", b"list char int").replace(
                b"\xc0?\x02", b"\xc0?\xff"
            ),
        ),
        ("orphan", exact.ELEMENTS.replace(b"element camera 2\n", b"")),
        ("format-late", exact.ELEMENTS.replace(b"format binary_little_endian 1.0\n", b"")),
        (
            "rows-without-properties",
            b"ply\nformat binary_little_endian 1.0\nelement a 65537\nend_header\n",
        ),
    ):
        rule = (
            "ELEMENTS holds an element named vertex"
            if name == "vertex"
            else f"the PLY of ELEMENTS cannot be parsed: {name}"
        )
        yield bad(f"elements-{name}", rule, "6.5", _instead(2, payloads.elements(ply), **made))
    for name, count in (("rows", (1 << 28) + 1), ("lists", (1 << 20) + 1)):
        line = b"property float x" if name == "rows" else b"property list uchar int x"
        ply = b"ply\nformat binary_little_endian 1.0\nelement a %d\n%s\nend_header\n" % (
            count,
            line,
        )
        yield bad(
            f"elements-{name}",
            f"ELEMENTS announces more {name} than the limit",
            "6.5 11",
            _instead(2, payloads.elements(ply), **made),
            "limit",
            also=("corrupt",),
            note="The rows are not there: corrupt for who looks at them first.",
        )
    short = struct.pack("<BQ", 1, len(exact.ELEMENTS) - 1) + payloads.stored(exact.ELEMENTS)
    yield bad(
        "elements-size",
        "ELEMENTS inflates to more bytes than announced",
        "6.5 3.1",
        _instead(2, short, **made),
    )


def _exceptions() -> Iterator[Vector]:
    one = payloads.exceptions([(0, 0, 0)])
    yield bad("exceptions-twice", "EXCEPTIONS stands twice", "6.5", _with(one, one))
    yield bad(
        "exception-row",
        "an exception names a row that does not exist",
        "6.5",
        _with(payloads.exceptions([(ROWS, 0, 0)])),
    )
    yield bad(
        "exception-property",
        "an exception names a property that does not exist",
        "6.5",
        _with(payloads.exceptions([(0, 7, 0)])),
    )
    far = payloads.exceptions(
        [
            (0xFFFFFFFF, 0, 0),
        ]
    )
    yield bad(
        "exception-row-wraps",
        "an exception names a row that does not exist, but for 32 bits",
        "6.5",
        _with(
            struct.pack("<BI", 2, 2)
            + payloads.stored(struct.pack("<IIHHQQ", 0xFFFFFFFF, 2, 0, 0, 0, 0))
        ),
    )
    yield bad("exception-row-far", "an exception names row 2^32 - 1", "6.5", _with(far))
    count = ROWS * 7 + 1
    many = struct.pack("<BI", 2, count) + payloads.stored(bytes(14 * count))
    yield bad("exceptions-many", "there are more exceptions than values", "6.5", _with(many))
    short = struct.pack("<BI", 2, 2) + payloads.stored(bytes(14))
    yield bad(
        "exceptions-short",
        "the block of EXCEPTIONS is shorter than its count",
        "6.5 3.1",
        _with(short),
    )


def _orders() -> Iterator[Vector]:
    good = list(range(ROWS))[::-1]
    for code_ in (0, 1):
        yield bad(
            f"order-unannounced-{code_}",
            "ROW_ORDER stands unannounced",
            "6.5",
            _with(payloads.row_order(good, code_)),
        )
    yield bad(
        "order-missing",
        "ROW_ORDER is announced and missing",
        "6.5",
        code(_plan(original_order=True)).file,
    )
    rest = {"original_order": True}
    yield bad(
        "order-twice",
        "ROW_ORDER stands twice",
        "6.5",
        _with(payloads.row_order(good, 0), payloads.row_order(good, 1), **rest),
    )
    yield bad(
        "order-code-2",
        "ROW_ORDER has code 2",
        "6.5",
        _with(b"\x03\x02" + payloads.row_order(good, 1)[2:], **rest),
    )
    for name, order in (
        ("same", [0, 1, 2, 3, 4, 4]),
        ("beyond", [0, 1, 2, 3, 4, 6]),
        ("negative", [-1, 0, 1, 2, 3, 4]),
        ("far", [0, 1, 2, 3, 4, (1 << 62)]),
    ):
        yield bad(
            f"order-{name}",
            f"the order is no permutation: {name}",
            "6.5",
            _with(payloads.row_order(order, 0), **rest),
        )
    bits = BitWriter()
    for rank, width in ((6, 3), (0, 3), (0, 2), (0, 2), (0, 1), (0, 0)):
        field(bits, rank, width)
    yield bad(
        "order-rank-first",
        "a rank is not below N - i: 6 of 6",
        "6.5",
        _with(b"\x03\x01" + bits.finish(), **rest),
    )
    bits = BitWriter()
    for rank, width in ((0, 3), (5, 3), (0, 2), (0, 2), (0, 1), (0, 0)):
        field(bits, rank, width)
    yield bad(
        "order-rank",
        "a rank is not below N - i: 5 of 5",
        "6.5",
        _with(b"\x03\x01" + bits.finish(), **rest),
    )
    ranked = payloads.row_order(good, 1)
    yield bad(
        "order-left", "bits of ranks are left over", "6.5 N5.3", _with(ranked + b"\0", **rest)
    )
    yield bad("order-cut", "the bits of ranks end early", "6.5 N5.1", _with(ranked[:-1], **rest))
    steps = struct.pack("<BB", 3, 0) + payloads.stored(bytes(8 * ROWS - 8))
    yield bad("order-short", "the block of ROW_ORDER is too short", "6.5 3.1", _with(steps, **rest))


def _model(type_: str = "f4", **changes: Any) -> bytes:
    """A MODELLED payload for the first extra, with any model."""
    model = replace(ColumnModel(0, 0, NO_SOURCE), **changes)
    index, values = (5, np.zeros(ROWS, "<f4")) if type_ == "f4" else (6, np.zeros(ROWS, "<i2"))
    good = payloads.modelled_column(index, values, ColumnModel(0), lambda g: [], Past(ROWS))
    fields = FieldWriter()
    ColumnModel(0).write(fields)
    start = 4 + len(fields.finish())
    fields = FieldWriter()
    model.write(fields)
    return good[:4] + fields.finish() + good[start:]


def _models() -> Iterator[Vector]:
    rule = "a field of a model is outside its range"
    one = np.array([1], np.int32)
    three = np.ones(3, np.int32)
    for name, made in (
        ("exponent-high", _model(exponent=127)),
        ("exponent-low", _model(exponent=-127)),
        ("zeros-24", _model(zeros=24)),
        ("contexts-0", _model(contexts=0)),
        ("contexts-2", _model(contexts=2)),
        ("contexts-17", _model(contexts=17)),
        ("earlier-1", _model(earlier=1, coefficients=one)),
        ("shift-63", _model(source=0, shift=63, coefficients=three)),
    ):
        yield bad(f"model-{name}", f"{rule}: {name.replace('-', ' ')}", "6.5.1", _instead(0, made))
    for exponent in (1, -16):
        yield bad(
            f"model-integer-exponent{exponent}",
            f"{rule}: exponent {exponent} for a type of 2 bytes",
            "6.5.1",
            _instead(1, _model("i2", exponent=exponent)),
        )
    yield bad(
        "model-integer-zeros",
        f"{rule}: zeros for integers",
        "6.5.1",
        _instead(1, _model("i2", zeros=1)),
    )
    for name, source, count in (
        ("missing", 4, 1),
        ("fine", 1, 3),
        ("label", 3, 1),
        ("253", 253, 1),
    ):
        slopes = np.ones(count, np.int32)
        yield bad(
            f"model-source-{name}",
            f"the source is no group, or one that foretells nothing: {name}",
            "6.5.1",
            _instead(0, _model(source=source, coefficients=slopes)),
        )
    yield bad("model-row-earlier", f"{rule}: earlier columns with PREVIOUS_ROW", "6.5.1", _second())
    weights = _model()
    at = 4 + 8
    size = struct.unpack_from("<I", weights, at)[0]
    for name, block in (("short", bytes(511)), ("long", bytes(513))):
        packed = payloads.stored(block)
        made = weights[:at] + struct.pack("<I", len(packed)) + packed + weights[at + 4 + size :]
        yield bad(
            f"model-weights-{name}",
            "the weights are not 256 for each table",
            "6.5.1 3.1",
            _instead(0, made),
        )


def _second() -> FilePieces:
    """A second modelled column with PREVIOUS_ROW that asks for the first."""
    model = ColumnModel(0, 0, PREVIOUS_ROW, 1, coefficients=np.array([1], np.int32))

    def make(coded: Coded) -> list[bytes]:
        first = exact.modelled({"a": ColumnModel(0)}, exact.smooth_column, 1)(coded)
        second = _model()
        fields = FieldWriter()
        model.write(fields)
        return [*first, struct.pack("<BHB", 0, 6, 1) + fields.finish() + second[12:]]

    plan = Builder(901).position().fine().opacity().ids()
    return code(plan.plan(one_tile(ROWS), extras={"a": "f4", "b": "f4"}, exact=make)).file


def _coded(
    put: Callable[[RansEncoder, BitWriter, FrequencyTables], object],
    *,
    type_: str = "f4",
    **changes: Any,
) -> FilePieces:
    """A modelled column whose streams are written by hand, under even tables."""
    tables = FrequencyTables([normalise_frequencies(row.astype(np.int64) ** 2) for row in WEIGHTS])
    rans, bits = RansEncoder(), BitWriter()
    put(rans, bits, tables)
    fields = FieldWriter().put("u8", 0).put("u16", 5 if type_ == "f4" else 6).put("u8", 1)
    replace(ColumnModel(0), **changes).write(fields)
    fields.blob(payloads.stored(WEIGHTS.tobytes())).blob(rans.finish()).raw(bits.finish())
    return _instead(0 if type_ == "f4" else 1, fields.finish())


def _symbols(rans: RansEncoder, tables: FrequencyTables, *symbols: int) -> None:
    rans.put(u8(*symbols), u8(*[0] * len(symbols)), tables)


def _values() -> Iterator[Vector]:
    def escapes(rans: RansEncoder, bits: BitWriter, tables: FrequencyTables) -> None:
        _symbols(rans, tables, 253, *[127] * 5)
        number = (1 << 29) + 1 + 256
        field(bits, 0, number.bit_length() - 9)
        field(bits, number, number.bit_length())

    yield bad(
        "difference-large", "a difference exceeds 2^29", "6.5.1", _coded(escapes, exponent=-20)
    )

    def magnitude(rans: RansEncoder, bits: BitWriter, tables: FrequencyTables) -> None:
        _symbols(rans, tables, *[126] * ROWS)

    for name, bias in (("", 1 << 24), ("-negative", -(1 << 24) - 1)):
        yield bad(
            f"bucket-large{name}",
            "the magnitude of a bucket reaches 2^(M+1)",
            "6.5.1",
            _coded(magnitude, source=0, bias=bias, coefficients=np.zeros(3, np.int32)),
        )
    yield bad(
        "exponent-large",
        "an exponent reaches that of infinities",
        "6.5.1",
        _coded(magnitude, exponent=-126, source=0, bias=4, coefficients=np.zeros(3, np.int32)),
    )

    def gap(value: int) -> Callable[[RansEncoder, BitWriter, FrequencyTables], None]:
        def put(rans: RansEncoder, bits: BitWriter, tables: FrequencyTables) -> None:
            _symbols(rans, tables, *[126] * ROWS)
            rans.put(u8(value, *[255] * 5), u8(*[1] * ROWS), tables)
            field(bits, 0, 23)

        return put

    yield bad(
        "gap-large",
        "an exponent is below 0: gap 200 under buckets of 2^0",
        "6.5.1",
        _coded(gap(200)),
    )

    def far(value: int) -> Callable[[RansEncoder, BitWriter, FrequencyTables], None]:
        def put(rans: RansEncoder, bits: BitWriter, tables: FrequencyTables) -> None:
            _symbols(rans, tables, *[126] * ROWS)
            rans.put(u8(254, *[255] * 5), u8(*[1] * ROWS), tables)
            field(bits, value, 8)
            field(bits, 0, 23)

        return put

    yield bad(
        "gap-field",
        "an exponent field is above that of the bucket's end",
        "6.5.1",
        _coded(far(127)),
    )

    def left(rans: RansEncoder, bits: BitWriter, tables: FrequencyTables) -> None:
        _symbols(rans, tables, *[255] * ROWS)
        for _ in range(ROWS):
            field(bits, 0, 32)
        field(bits, 0, 8)

    yield bad(
        "modelled-left", "plain bits are left over behind the tails", "6.5.1 N5.3", _coded(left)
    )

    def cut(rans: RansEncoder, bits: BitWriter, tables: FrequencyTables) -> None:
        _symbols(rans, tables, *[255] * ROWS)
        field(bits, 0, 48)

    yield bad("modelled-cut", "the plain bits end within raw values", "6.5.1 N5.1", _coded(cut))

    def more(rans: RansEncoder, bits: BitWriter, tables: FrequencyTables) -> None:
        _symbols(rans, tables, *[255] * ROWS, 3)
        for _ in range(ROWS):
            field(bits, 0, 32)

    yield bad(
        "modelled-symbols", "the rANS stream holds one symbol more", "6.5.1 N4.4", _coded(more)
    )
    for value in (1 << 15, -(1 << 15) - 1):
        yield bad(
            f"integer-{value}",
            f"a modelled value does not fit i2: {value}",
            "6.5.1",
            _coded(magnitude, type_="i2", source=0, bias=value, coefficients=np.zeros(3, np.int32)),
        )
