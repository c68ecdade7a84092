"""Files as encoders write them: every group kind and part of the syntax in its usual place."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np

from conformance.maker import payloads
from conformance.maker.coder import code
from conformance.maker.pieces import Piece
from conformance.maker.plan import LAYOUT, Plan, TilePlan
from conformance.maker.vector import Vector, good
from conformance.recipes import exact
from conformance.recipes.shapes import (
    BY_SCALE,
    Builder,
    compensated,
    layered,
    little,
    one_tile,
    plain,
)
from csgs_codec.attributes.exact_columns import NO_SOURCE, PREVIOUS_ROW, ColumnModel
from csgs_codec.attributes.steps import StepRule
from csgs_codec.container.kinds import GroupKind

KIND = "valid"
_seeds = count(1000)


def vectors() -> Iterator[Vector]:
    """Return all valid vectors."""
    for make in (_scenes, _groups, _structure, _labels, _exact, _modelled, _layouts, _ancillary):
        yield from make()


def _vector(id_: str, title: str, sections: str, plan: Plan, **rest: Any) -> Vector:
    return good(id_, KIND, title, sections, code(plan), **rest)


def _scenes() -> Iterator[Vector]:
    yield _vector(
        "little",
        "Two layers, tiles and levels; every common group kind; compensation",
        "4 5 6 7 8 9 10",
        little(),
        levels=(1,),
        plain=(1,),
        feed=True,
    )
    yield _vector(
        "layered",
        "Three levels: positions and geometry first, colours and ids later",
        "4.3 8.2 9 10",
        layered(),
        levels=(1, 2),
        plain=(1,),
        feed=True,
    )
    yield _vector(
        "empty",
        "No Gaussians, no groups, no passes",
        "4.5 4.6",
        Plan(9, [], [], constants={"x": ("f4", struct.pack("<f", 1.5))}),
        feed=True,
    )
    yield _vector(
        "empty-exact",
        "No Gaussians; an exact pass with empty columns of every type",
        "6.5 12",
        Plan(
            10,
            [],
            [],
            extras={f"e_{t}": t for t in (*exact.INTEGER_TYPES, "f4", "f8")},
            exact=exact.deflated([f"e_{t}" for t in (*exact.INTEGER_TYPES, "f4", "f8")], 1),
        ),
    )
    builder = Builder(11).usual()
    yield _vector(
        "one", "One Gaussian with every common group kind", "6", builder.plan(one_tile(1))
    )
    builder = Builder(12).position()
    yield _vector("positions-only", "Positions and nothing else", "6.2", builder.plan(one_tile(40)))
    tiles = [TilePlan((5, 5, 5), (30, 40), (32 * i, 0, 8 * i)) for i in range(5)]
    builder = Builder(13).usual()
    yield _vector(
        "several-tiles",
        "350 Gaussians in five tiles",
        "6.1 7.2",
        builder.plan(tiles, rounds=(5, 6), levels=[1, 2], compensation=compensated()),
        levels=(1,),
    )
    builder = Builder(14).position("f8").fine()
    origin = (691607.123, 5334760.456, 520.25)
    yield _vector(
        "utm-doubles",
        "Positions of type f8 far from the origin",
        "9 4.5",
        builder.plan(one_tile(30), origin=origin, grid_step=0.0078125),
    )


def _groups() -> Iterator[Vector]:
    for number in (1, 2, 4, 6):
        builder = Builder(20 + number).position().scale(number)
        yield _vector(
            f"scales-{number}",
            f"A SCALE group of {number} columns; compensation",
            "4.2 10",
            builder.plan(
                one_tile(14, 10), rounds=(2, 3), levels=[1, 2], compensation=compensated()
            ),
            levels=(1,),
        )
    for kind in (GroupKind.DC, GroupKind.SH, GroupKind.FEATURE, GroupKind.SEMANTIC):
        builder = Builder(30 + kind).position().transformed(kind, 9, 5, bits=12)
        yield _vector(
            f"transform-{kind.name.lower()}",
            f"{kind.name}: 9 columns from 5 channels",
            "5.3 9",
            builder.plan(one_tile(20)),
        )
    for bits in (0, 14):
        builder = Builder(40 + bits).position().transformed(GroupKind.SEMANTIC, 4, 2, bits=bits)
        yield _vector(
            f"basis-bits-{bits}",
            f"A basis with {bits} fractional bits",
            "5.3",
            builder.plan(one_tile(10)),
        )
    builder = Builder(50).position().rotation(decay=None)
    builder.groups[-1].step = 1.5
    yield _vector(
        "rotation-beyond",
        "Rotations beyond the antipode are pulled back",
        "5.2",
        builder.plan(one_tile(30)),
    )
    builder = Builder(51).position().opacity().scale().sensitivity()
    rule = StepRule(0, (1, 1, 1, -2, 9, 5), 8, -8, 8)
    builder.transformed(GroupKind.DC, rule=rule).fine(StepRule(0, (0, 0, 0, 1, 3, 3), 6, 0, 8))
    yield _vector(
        "sensitivity",
        "Step rules that look at all six features",
        "5.4 6.3",
        builder.plan(one_tile(40)),
    )
    builder = Builder(52).position().opacity().sentinel()
    builder.transformed(GroupKind.SEMANTIC, 5, 3, sentinel=2, rule=BY_SCALE)
    yield _vector(
        "sentinel",
        "Marked rows hold the palette value in every column",
        "6.4 9",
        builder.plan(one_tile(30, 20), rounds=(3, 3), levels=[1, 2]),
        levels=(1,),
    )


def _structure() -> Iterator[Vector]:
    for rounds in range(1, 9):
        builder = Builder(60 + rounds).position().opacity().ids()
        plan = builder.plan(one_tile(25), rounds=(rounds,))
        yield _vector(f"rounds-{rounds}", f"{rounds} rounds", "2 6.4 7.2", plan)
    builder = Builder(70).position().opacity().ids()
    plan = builder.plan(
        one_tile(*range(1, 17)),
        rounds=tuple(1 + i % 8 for i in range(16)),
        levels=[1, 4, 16],
        compensation=compensated(),
    )
    yield _vector("layers-16", "16 layers, each with other rounds", "2 6.2", plan, levels=(1, 2))
    builder = Builder(71).position().ids("cluster", "u1", [0, 1, 2])
    plan = builder.plan(
        [TilePlan((7, 6, 5), (200, 180))],
        rounds=(4, 5),
        tables={
            0: [3, 5],
            9: [1, 0, 7],
            64: list(range(16)),
            96: [1] * 16,
            103: [1 << i for i in range(16)],
        },
    )
    yield _vector(
        "tables", "380 Gaussians in one tile; some position tables are sent", "4.8 6.2", plan
    )
    plan = replace(plain(20, 72), unit_offset=(3, 1, 2), unit_shift=2)
    yield _vector("unit", "Positional encoding with offset and shift", "7.3 4.5", plan)
    builder = Builder(73).position()
    for index in range(6):
        builder.transformed(GroupKind.DC, 2, 2, prefix=f"c{index}_")
    script = [(0, (0,)), *((0, (g,)) for g in range(1, 7))]
    yield _vector(
        "pass-per-group",
        "A pass and a level for each group",
        "4.3 8.1",
        builder.plan(one_tile(9), script=script, levels=list(range(1, 8))),
        levels=(1, 3, 6),
        feed=True,
    )


def _labels() -> Iterator[Vector]:
    palettes = {
        "i1": [-128, 0, 127],
        "u1": [0, 7, 255],
        "i2": [-32768, 5, 32767],
        "u2": [1, 65535],
        "i4": [-(1 << 31), -1, (1 << 31) - 1],
        "u4": [0, (1 << 32) - 1],
        "f4": [-(1 << 24), 3, 1 << 24],
        "f8": [-(1 << 53), 0, 1 << 53],
    }
    for type_, palette in palettes.items():
        builder = Builder(80).position().ids(f"id_{type_}", type_, palette, [1] * len(palette))
        yield _vector(
            f"id-{type_}",
            f"Ids of type {type_}, extreme values",
            "5.6 9",
            builder.plan(one_tile(16)),
        )
    palette = [7 * i - 400 for i in range(300)]
    builder = Builder(81).position().ids("object_id", "i2", palette)
    yield _vector(
        "id-plain-bits",
        "A palette of 300: explicit indices are plain bits",
        "5.6",
        builder.plan(one_tile(300, bits=(6, 6, 6)), rounds=(5,)),
    )
    builder = (
        Builder(82).position().ids().ids("instance", "u2", [1, 2, 900]).ids("part", "u1", [4, 5])
    )
    yield _vector("ids-three", "Three id groups", "5.6", builder.plan(one_tile(24)))


def _exact() -> Iterator[Vector]:
    types = (*exact.INTEGER_TYPES, "f4", "f8")
    extras = {f"e_{t}": t for t in types}
    base = Builder(90).position().opacity()
    plan = base.plan(one_tile(20), extras=extras, exact=exact.deflated(list(extras), 90))
    yield _vector("exact-deflated", "Exact columns of every type, DEFLATED", "6.5", plan)
    for code_ in (0, 1):
        base = Builder(91).position().ids()
        plan = base.plan(
            one_tile(11, 8),
            rounds=(2, 3),
            levels=[1, 3],
            original_order=True,
            exact=exact.row_order(code_),
        )
        yield _vector(
            f"row-order-{code_}", f"Row order, code {code_}", "6.5 9", plan, levels=(1,), feed=True
        )
    base = Builder(93).position().opacity().ids()
    entries = [
        (0, 0, 0x7F800000),
        (2, 3, 0xFF800000),
        (2, 4, 77),
        (5, 3, 0x7FC00000),
        (9, 1, 0x80000000),
    ]
    plan = base.plan(one_tile(10), exact=exact.exceptions(entries))
    yield _vector("exceptions", "Values that are replaced bit for bit", "6.5 9", plan)
    base = Builder(94).position().opacity()
    plan = base.plan(
        one_tile(8), elements=True, exact=exact.elements(), layout={**LAYOUT, "vertex_index": 1}
    )
    yield _vector("elements", "Two other elements around the vertices", "6.5 9", plan)
    base = Builder(95).position().opacity()
    make = exact.together(
        exact.deflated(["x", "opacity"], 95),
        exact.row_order(1),
        exact.exceptions([(3, 2, 1 << 30)]),
    )
    plan = base.plan(
        one_tile(9), levels=[1, 2], exact_columns=("x", "opacity"), original_order=True, exact=make
    )
    yield _vector(
        "exact-groups", "Exact columns replace those of groups", "6.5 9", plan, levels=(1,)
    )


def _modelled() -> Iterator[Vector]:
    for type_ in (*exact.INTEGER_TYPES, "f4", "f8"):
        real = type_[0] == "f"
        models = {
            "a": ColumnModel(3 if real else -2, 0, NO_SOURCE),
            "b": ColumnModel(5 if real else 0, 0, PREVIOUS_ROW, contexts=16),
            "c": ColumnModel(
                4 if real else -1,
                0,
                0,
                1,
                -900,
                9,
                np.array([3, -2, 5, 7], np.int32),
                contexts=16,
            ),
        }
        base = Builder(100).position().opacity()
        plan = base.plan(
            one_tile(30),
            extras=dict.fromkeys(models, type_),
            exact=exact.modelled(models, exact.smooth_column, 101),
        )
        yield _vector(
            f"modelled-{type_}",
            f"Modelled columns of type {type_}: no source, row before, positions and columns",
            "6.5.1",
            plan,
        )
    for type_, exponent in (("f4", 0), ("f8", 10)):
        models = {"a": ColumnModel(exponent, 0, NO_SOURCE, contexts=16)}
        base = Builder(102).position()
        plan = base.plan(
            one_tile(24),
            extras={"a": type_},
            exact=exact.modelled(models, exact.draw_column, 103),
        )
        yield _vector(
            f"modelled-special-{type_}",
            "Zeros, infinities, NaN, denormal and huge values",
            "6.5.1",
            plan,
        )
    models = {"a": ColumnModel(3, 9, 3, 0, 12, 4, np.array([1, -1], np.int32))}
    base = Builder(104).position().fine().opacity().sensitivity()
    plan = base.plan(
        one_tile(24),
        extras={"a": "f4"},
        exact=exact.modelled(models, lambda s, t, n: exact.smooth_column(s, t, n, 9), 105),
    )
    yield _vector(
        "modelled-zeros", "Low mantissa bits that are not sent; a residual source", "6.5.1", plan
    )
    models = {"a": ColumnModel(2, 0, 0, 0, 0, 6, np.array([1, 2, 3], np.int32))}
    base = Builder(106).position().opacity().scale().fine()
    plan = base.plan(
        [TilePlan((4, 4, 4), (8, 7)), TilePlan((3, 3, 3), (6, 9), (16, 0, 0))],
        rounds=(2, 2),
        extras={"a": "f4"},
        exact=exact.modelled(models, exact.smooth_column, 107),
    )
    yield _vector("modelled-fine", "A column foretold by positions with fine bits", "6.5.1", plan)


def _layouts() -> Iterator[Vector]:
    full = {
        "comments": ["made for a test", " spaces  inside "],
        "obj_info": ["units metres"],
        "vertex_comments": ["about the vertices"],
        "vertex_index": 2,
    }
    for name, layout in (
        ("ascii", {"text": True}),
        ("big-endian", {"byte_order": ">"}),
        ("little-endian", {}),
    ):
        types = (*exact.INTEGER_TYPES, "f4", "f8")
        extras = {f"e_{t}": t for t in types}
        make = exact.together(exact.deflated(list(extras), 111, smooth=True), exact.elements())
        base = Builder(110).position("f8").opacity().ids("label", "u2", [1, 500])
        plan = base.plan(
            one_tile(12),
            extras=extras,
            elements=True,
            exact=make,
            layout={**LAYOUT, **full, **layout},
        )
        yield _vector(f"layout-{name}", f"A PLY layout: {name}, with comments", "4.4 9", plan)
    base = Builder(112).position().opacity().ids()
    order = ("label", "z", "c_f4", "y", "c_u1", "opacity", "x", "c_f8")
    constants = {
        "c_f4": ("f4", struct.pack("<f", -0.0)),
        "c_u1": ("u1", b"\xfe"),
        "c_f8": ("f8", struct.pack("<d", 1e300)),
    }
    plan = base.plan(one_tile(7), constants=constants, order=order)
    yield _vector("constants", "Constants; properties in an order of their own", "4.4 9", plan)


def _ancillary() -> Iterator[Vector]:
    coded = code(plain(10, 120))
    data = coded.file.find("DATA")
    coded.file.put_before(
        data,
        Piece(b"aTCH", payloads.attachment(b"LICENCE.txt", b"free\n")),
        Piece(b"aTCH", payloads.attachment("köpfe.json".encode(), b"{}" * 50)),
    )
    table = {
        "property": "label",
        "objects": [
            {
                "id": -3,
                "name": "chair",
                "colour": "#00ff7f",
                "count": 4,
                "box": [[0, 0, 0], [1, 2, 3]],
            },
            {"id": 100, "name": "", "colour": None, "count": 0, "box": None},
        ],
    }
    coded.file.put_behind(coded.file.find("SCHM"), Piece(b"oBJT", payloads.object_table(table)))
    yield good("attachments", KIND, "Attachments and an object table", "13", coded, feed=True)
