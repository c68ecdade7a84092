"""Legal files that our encoder never writes: networks, schema, zlib blocks, exact data."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from conformance.maker import payloads
from conformance.maker.coder import Coded, code
from conformance.maker.networks import draw_network
from conformance.maker.pieces import Piece
from conformance.maker.plan import LAYOUT, Plan, TilePlan
from conformance.maker.vector import Vector, good
from conformance.recipes import exact
from conformance.recipes.shapes import Builder, little, one_tile, plain
from csgs_codec.attributes.exact_columns import NO_SOURCE, PREVIOUS_ROW, ColumnModel
from csgs_codec.container.kinds import GroupKind

KIND = "uncommon"


def vectors() -> Iterator[Vector]:
    """Return these vectors."""
    for make in (_networks, _blends, _schemas, _blocks, _exact, _modelled, _order_of_exact):
        yield from make()


def _vector(id_: str, title: str, sections: str, plan: Plan, **rest: Any) -> Vector:
    return good(id_, KIND, title, sections, code(plan), **rest)


def _networks() -> Iterator[Vector]:
    for hidden in ((), (1,), (3, 2), (5, 1, 7), (2, 3, 4, 5), (256,)):
        builder = Builder(300 + len(hidden)).position().opacity(hidden=hidden).scale(hidden=hidden)
        widths = "-".join(map(str, hidden)) or "none"
        yield _vector(
            f"hidden-{widths}",
            f"Hidden layers of width {widths}",
            "7.4 N9",
            builder.plan(one_tile(18)),
        )
    for shift in (1, 16):
        builder = Builder(310 + shift).position()
        builder.scale(hidden=(6,), shift=shift)
        yield _vector(
            f"shift-{shift}",
            f"Network layers with shift {shift}",
            "N9.1",
            builder.plan(one_tile(18)),
        )
    for octaves in (0, 12):
        builder = Builder(320 + octaves).position().opacity(octaves=octaves, neighbours=0)
        plan = builder.plan(one_tile(18, bits=(9, 9, 9)), unit_offset=(200, 1, 900), unit_shift=1)
        yield _vector(f"octaves-{octaves}", f"{octaves} octaves of position", "7.3 N7", plan)
    for inputs in (0, 1, 16):
        builder = Builder(330 + inputs).position().opacity(layer_inputs=inputs)
        plan = builder.plan(one_tile(4, 4, 4, 4), rounds=(1, 2, 1, 2))
        yield _vector(f"layer-inputs-{inputs}", f"{inputs} inputs for four layers", "7.3", plan)
    for neighbours, width in ((1, 1), (8, 3), (8, 0), (3, 0)):
        builder = Builder(340 + neighbours).position().scale(neighbours=neighbours, width=width)
        yield _vector(
            f"neighbours-{neighbours}-{width}",
            f"{neighbours} neighbours with {width} channels each",
            "7.3 7.4",
            builder.plan(one_tile(20, 20), rounds=(4, 4)),
        )
    builder = Builder(350).position().fine().ids("label", "i4", list(range(0, 2560, 10))).opacity()
    builder.sentinel().scale(own=(1, 2, 3, 4), own_width=9)
    yield _vector(
        "own-any",
        "Contexts from fine bits, labels, marks and residuals",
        "7.3",
        builder.plan(one_tile(30)),
    )
    builder = Builder(351).position().opacity().scale(own=(1,), own_width=0, hidden=())
    yield _vector("own-nothing", "A channel list of width 0", "7.4", builder.plan(one_tile(12)))
    builder = Builder(352).position()
    builder.opacity(
        octaves=0, layer_inputs=0, neighbours=0, step_class=False, hidden=(), decay=None
    )
    builder.scale(octaves=0, layer_inputs=0, neighbours=0, own=(), step_class=False, hidden=(3,))
    yield _vector(
        "no-inputs",
        "Networks without inputs, with and without a hidden layer",
        "7.4 N9.1",
        builder.plan(one_tile(12)),
    )
    builder = (
        Builder(353).position().opacity(own=(), hidden=(), neighbours=0, octaves=0, decay=None)
    )
    network = builder.groups[1].network
    assert network is not None
    layer = network.layers[0]
    layer.weights[:] = [[32767, 1], [-32767, -1], [194, 0]]
    layer.bias[:] = [64 << 8, 1500 << 8]
    yield _vector(
        "bound", "Weights and biases as large as they may be", "N9.2", builder.plan(one_tile(8))
    )
    builder = (
        Builder(354)
        .position()
        .transformed(GroupKind.SEMANTIC, 2, 200, neighbours=8, width=200, own=(), hidden=(4,))
    )
    yield _vector("inputs-1617", "A network with 1617 inputs", "11", builder.plan(one_tile(3)))


def _blends() -> Iterator[Vector]:
    for decay in (0, 1, 255):
        builder = Builder(360 + decay).position().scale(neighbours=0, decay=decay)
        blend = builder.groups[1].network and builder.groups[1].network.blend
        assert blend
        blend.gain_q8[:] = [0, 255, 128]
        yield _vector(
            f"blend-decay-{decay}",
            f"A blend with decay {decay} and gains 0, 255, 128",
            "7.4",
            builder.plan(one_tile(30, 20), rounds=(4, 4)),
        )


SPACED = (
    '{ "layout" : {"text":false,"byte_order":"<","comments":[],"obj_info":[],'
    '"vertex_comments":[],"vertex_index":0,"later":[1]},\n\t"properties": [["\\u0078","f4"],'
    '["y","f4"],["z","f4"],["a\\"b\\\\c{:}","u1"]],'
    ' "groups":[{"name":"Stra\\u00dfe \\ud83d\\ude00",'
    '"columns":["x","y","z"],"colour":null}],\r\n"constants":{"a\\"b\\\\c{:}":"0A"},"extras":[],'
    '"elements":1,"original_order":"no","encoder":"caf\u00e9","exact":[],"future":{"x":[1e3,-0.5,true,1e999]}}'
)


def _schemas() -> Iterator[Vector]:
    base = Builder(370).position().plan(one_tile(3), constants={'a"b\\c{:}': ("u1", b"\x0a")})
    coded = code(base)
    coded.file.find("SCHM").payload = payloads.text_payload(SPACED.encode())
    yield good("schema-json", KIND, "JSON with escapes, spaces and further members", "4.4", coded)
    plan = replace(plain(5, 371), schema={"exact": []}, layout={**LAYOUT, "vertex_index": 255})
    yield _vector(
        "schema-exact-empty",
        "An empty member 'exact'; the vertices behind 255 elements",
        "4.4",
        plan,
    )
    constants = {
        "nan": ("f4", b"\x01\x00\xc0\x7f"),
        "low": ("i1", b"\x80"),
        "inf": ("f8", struct.pack("<d", -np.inf)),
    }
    plan = replace(plain(4, 372), constants=constants)
    yield _vector("constants-odd", "Constants: NaN, -128, minus infinity", "4.4", plan)


def _blocks() -> Iterator[Vector]:
    coded = code(plain(8, 380))
    text = json.dumps(payloads.schema_document(coded.plan), separators=(",", ":")).encode()
    size = struct.pack("<I", len(text))
    for name, title, block in (
        ("stored-bytes", "Stored blocks of one byte each", payloads.stored(text, 1)),
        (
            "empty-last",
            "An empty last block",
            payloads.stored(text)[:2]
            + b"\x00"
            + payloads.stored(text)[3:-4]
            + b"\x01\x00\x00\xff\xff"
            + payloads.stored(text)[-4:],
        ),
        ("fixed", "Fixed codes", payloads.fixed_huffman(text)),
        (
            "window",
            "The smallest window and another level in the header",
            payloads.stored(text, header=b"\x08\xd7"),
        ),
    ):
        assert zlib.decompress(block) == text
        coded.file.find("SCHM").payload = size + block
        yield good(f"zlib-{name}", KIND, f"zlib: {title}", "3.1", coded)


def _exact() -> Iterator[Vector]:
    entries = [
        (0, 4, 0xDEADBEEF_000000_21 & ((1 << 64) - 1)),
        (1, 3, 0xFFFFFFFF_40490FDB),
        (6, 5, 1),
    ]
    base = Builder(390).position().opacity().ids("id", "i1", [1, 2])
    plan = base.plan(
        one_tile(7),
        extras={"far": "f8"},
        exact=exact.together(exact.exceptions(entries), exact.deflated(["far"], 390)),
    )
    yield _vector(
        "exceptions-bits",
        "Exceptions: unused upper bytes, an id, an exact column; before the columns",
        "6.5",
        plan,
    )
    plan = Builder(391).position().plan(one_tile(5), exact=exact.exceptions([]))
    yield _vector("exceptions-none", "An EXCEPTIONS chunk without exceptions", "6.5", plan)
    empty = b"ply\nformat binary_little_endian 1.0\nend_header\n"
    plan = Builder(392).position().plan(one_tile(5), elements=True, exact=exact.elements(empty))
    yield _vector("elements-none", "An ELEMENTS chunk without elements", "6.5", plan)
    for code_ in (0, 1):
        plan = (
            Builder(393)
            .position()
            .plan(one_tile(1), original_order=True, exact=exact.row_order(code_))
        )
        yield _vector(f"row-order-one-{code_}", f"The order of one row, code {code_}", "6.5", plan)
    plan = replace(
        Plan(394, [], [], original_order=True, elements=True),
        exact=exact.together(exact.elements(), exact.row_order(1)),
    )
    yield _vector("empty-order", "No Gaussians: the order of no rows, other elements", "6.5", plan)


def _modelled() -> Iterator[Vector]:
    def column(values: list[float], type_: str) -> Any:
        return lambda _s, _t, n: np.array((values * n)[:n], f"<{type_}")

    tiny = [0.0, -0.0, 1e-45, -1e-45, 1e-38, 2.0**-126, 3e38, -3e38, 1.0, -1.5, float("nan")]
    for exponent in (-126, 126):
        models = {"a": ColumnModel(exponent, 0, NO_SOURCE)}
        plan = (
            Builder(400)
            .position()
            .plan(
                one_tile(22),
                extras={"a": "f4"},
                exact=exact.modelled(models, column(tiny, "f4"), 0),
            )
        )
        yield _vector(f"modelled-exponent{exponent}", f"Buckets of 2^{-exponent}", "6.5.1", plan)
    wide = [5.0, 2.0**40, -(2.0**45), 2.0**50, 1e300, -7.0, 0.0]
    models = {
        "a": ColumnModel(0, 0, NO_SOURCE),
        "b": ColumnModel(-24, 0, PREVIOUS_ROW),
        "c": ColumnModel(0, 0, NO_SOURCE, 1, -3, 2, np.array([4], np.int32)),
        "d": ColumnModel(0, 0, 0, 1, 1 << 62, 62, np.array([1 << 30, -1, 5, -(1 << 31)], np.int32)),
    }
    plan = (
        Builder(401)
        .position()
        .plan(
            one_tile(14),
            extras=dict.fromkeys(models, "f8"),
            exact=exact.modelled(models, column(wide, "f8"), 0),
        )
    )
    yield _vector(
        "modelled-wide",
        "Differences beyond the tables, raw rows, clipped buckets, sums modulo 2^64",
        "6.5.1 N2",
        plan,
    )
    names = [f"c{i:02}" for i in range(66)]
    models = {
        name: ColumnModel(2, 0, NO_SOURCE, min(i, 64), 1, 3, np.full(min(i, 64), 1, np.int32))
        for i, name in enumerate(names)
    }
    plan = (
        Builder(402)
        .position()
        .plan(
            one_tile(3),
            extras=dict.fromkeys(names, "f4"),
            exact=exact.modelled(models, exact.smooth_column, 403),
        )
    )
    yield _vector(
        "modelled-earlier-64", "66 columns, each foretold by up to 64 before it", "6.5.1", plan
    )
    for type_ in ("i4", "u4", "i1"):
        size = np.dtype(type_).itemsize
        models = {"a": ColumnModel(1 - 8 * size, 0, NO_SOURCE), "b": ColumnModel(0, 0, NO_SOURCE)}
        plan = (
            Builder(404)
            .position()
            .plan(
                one_tile(9),
                extras=dict.fromkeys(models, type_),
                exact=_integers(models),
            )
        )
        yield _vector(
            f"modelled-coarse-{type_}", f"Two buckets for all values of {type_}", "6.5.1", plan
        )
    weights = np.zeros((2, 256), np.uint8)
    weights[0, 126], weights[1, 3] = 255, 1
    models = {"a": ColumnModel(1, 0, NO_SOURCE, 0)}
    plan = (
        Builder(405)
        .position()
        .plan(
            one_tile(12),
            extras={"a": "f4"},
            exact=exact.modelled(models, exact.smooth_column, 406, {"a": weights}),
        )
    )
    yield _vector(
        "modelled-skewed", "Tables in which most symbols have weight 0", "6.5.1 N3.2", plan
    )


def _integers(models: dict[str, ColumnModel]) -> exact.Maker:
    """Values of both signs; the second column of small ones."""

    def draw(seeded: Any, type_: str, count: int) -> np.ndarray:
        values = exact.draw_column(seeded, type_, count)
        return values

    def make(coded: Coded) -> list[bytes]:
        first = exact.modelled({"a": models["a"]}, draw, 1)(coded)
        return first + exact.deflated(["b"], 2)(coded)

    return make


def _order_of_exact() -> Iterator[Vector]:
    make = exact.together(
        exact.row_order(0),
        exact.elements(),
        exact.deflated(["second"], 410),
        exact.exceptions([(2, 1, 5)]),
        exact.deflated(["opacity", "first"], 411),
    )
    plan = (
        Builder(412)
        .position()
        .opacity()
        .plan(
            [TilePlan((3, 3, 3), (4, 0, 5)), TilePlan((2, 2, 2), (3, 3, 3), (8, 8, 8))],
            rounds=(1, 2, 2),
            extras={"first": "i2", "second": "f8"},
            exact_columns=("opacity",),
            elements=True,
            original_order=True,
            exact=make,
            levels=[2, 3, 4],
        )
    )
    yield _vector(
        "exact-any-order", "Row order and elements before columns", "6.5 9", plan, levels=(1, 2)
    )
    coded = code(little(413))
    for piece in [
        p for p in coded.file.pieces if p.type in (b"SCHM", b"TILE", b"GRUP", b"DATA", b"NETW")
    ]:
        coded.file.put_before(piece, Piece(b"zzZz", b""), Piece(b"aAAA", b"anything"))
    coded.file.put_behind(coded.file.pieces[-1], Piece(b"eNDS", bytes(300)))
    yield good(
        "ancillary-everywhere",
        KIND,
        "Unknown ancillary chunks wherever they may stand",
        "4.1",
        coded,
        levels=(1,),
        feed=True,
    )
    builder = Builder(414).position().opacity()
    network = builder.groups[1].network
    assert network is not None
    network.row_index = [[63, 1] * 30 for _ in network.row_index]
    network.row_index = [
        rows[: len(layer.weights)]
        for rows, layer in zip(network.row_index, network.layers, strict=True)
    ]
    network.bias_index = [1, 63]
    yield _vector(
        "side-escapes",
        "Weights under the narrowest and the widest tables",
        "7.4 N10",
        builder.plan(one_tile(9)),
    )
    wide = draw_network(builder.seeded, 1)
    wide.bias_index = [1]
    plan = Builder(415).position().opacity().plan(one_tile(5))
    plan.groups[1].network = wide
    yield _vector("bias-escapes", "Biases as escapes of the narrowest table", "7.4 N10", plan)
