"""Legal files that our encoder never writes: structure, groups, labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

from conformance.maker.coder import code
from conformance.maker.pieces import Piece
from conformance.maker.plan import Group, Labels, Plan, TilePlan
from conformance.maker.seeded import Seeded
from conformance.maker.vector import Vector, good
from conformance.recipes.shapes import (
    BY_SCALE,
    Builder,
    compensated,
    layered,
    little,
    one_tile,
    plain,
)
from csgs_codec.attributes.steps import StepRule
from csgs_codec.container.kinds import GroupKind

KIND = "uncommon"


def vectors() -> Iterator[Vector]:
    """Return these vectors."""
    for make in (_order, _scripts, _levels, _tiles, _residuals, _labels, _tables, _warps):
        yield from make()


def _vector(id_: str, title: str, sections: str, plan: Plan, **rest: Any) -> Vector:
    return good(id_, KIND, title, sections, code(plan), **rest)


def _order() -> Iterator[Vector]:
    builder = Builder(200).position().transformed(GroupKind.SEMANTIC, 4, 2)
    builder.ids().transformed(GroupKind.SH, 9, 3, rule=BY_SCALE).rotation().scale().opacity().fine()
    plan = builder.plan(one_tile(16, 14), rounds=(2, 2))
    yield _vector("kinds-backward", "Kinds in the reverse of the usual order", "4.2 5.4", plan)
    builder = Builder(201).position()
    for index in range(3):
        builder.transformed(GroupKind.DC, 2, 1, prefix=f"dc{index}_").sensitivity().sentinel()
    rule = StepRule(100, (0, 0, 0, 0, 7, -3), 9, -4, 4)
    builder.transformed(GroupKind.FEATURE, 3, 2, rule=rule, sentinel=6)
    yield _vector(
        "kinds-repeated",
        "Three groups each of DC, SENSITIVITY and SENTINEL: the last counts",
        "4.2 5.4 6.4",
        builder.plan(one_tile(20)),
    )
    builder = Builder(202).position().opacity().transformed(GroupKind.SH, 0, 4)
    builder.transformed(GroupKind.SEMANTIC, 3, 2, own=(1, 2))
    yield _vector(
        "no-columns",
        "A transformed group without columns, only a context of others",
        "4.2 5.3",
        builder.plan(one_tile(12)),
    )
    for how, title in (
        ("early", "All GRUP and NETW chunks directly behind KDTB"),
        ("late", "GRUP chunks together, then networks in any order"),
    ):
        plan = replace(little(203), describe=how)
        yield _vector(f"described-{how}", title, "4.1", plan, levels=(1,))
    coded = code(replace(layered(204), describe="due"))
    ids = [coded.file.remove(coded.file.find(t, 4)) for t in ("GRUP",)]
    coded.file.put_behind(coded.file.find("DATA", place=(1, 0)), *ids)
    yield good("described-between", KIND, "A GRUP between the DATA of earlier passes", "4.1", coded)
    builder = Builder(205).position()
    builder.groups += [
        Group(GroupKind.ID, 1, (f"id_{i}",), "u1", labels=Labels([3])) for i in range(254)
    ]
    yield _vector("groups-255", "255 groups", "4.5 11", builder.plan(one_tile(2)))
    builder = (
        Builder(206)
        .position()
        .transformed(GroupKind.FEATURE, 1, 1024, octaves=0, neighbours=0, hidden=())
    )
    yield _vector("channels-1024", "A group of 1024 channels", "4.5", builder.plan(one_tile(1)))
    builder = Builder(207).position().transformed(GroupKind.FEATURE, 1024, 1, octaves=0, prefix="f")
    yield _vector("columns-1024", "A group of 1024 columns", "4.5", builder.plan(one_tile(2)))


def _scripts() -> Iterator[Vector]:
    builder = Builder(210).position().opacity().scale().ids()
    deep = [(layer, (group,)) for group in range(4) for layer in range(3)]
    yield _vector(
        "script-by-group",
        "Each group of all layers before the next group",
        "4.3 8.2",
        builder.plan(one_tile(6, 5, 4), rounds=(1, 2, 3), script=deep, levels=[1, 3, 5, 8, 12]),
        levels=(1, 2, 3, 4),
    )
    stairs = [
        (0, (0, 1)),
        (1, (0,)),
        (0, (2,)),
        (1, (1, 2)),
        (2, (0, 1, 2)),
        (0, (3,)),
        (1, (3,)),
        (2, (3,)),
    ]
    yield _vector(
        "script-stairs",
        "Layers overtake one another group by group; ids come last",
        "4.3 9",
        Builder(211)
        .position()
        .opacity()
        .scale()
        .ids()
        .plan(
            one_tile(6, 5, 4),
            rounds=(3, 2, 1),
            script=stairs,
            levels=[2, 5, 7, 8],
            compensation={1: (0.25, 0.0, 0.0, 1.0), 2: (0.0, 0.0, 0.0, 1.0)},
        ),
        levels=(1, 2, 3),
    )
    builder = Builder(212).position()
    for index in range(63):
        builder.ids(f"id_{index}", "u1", [index])
    script = [(layer, (g,)) for layer in range(16) for g in range(64)]
    yield _vector(
        "passes-1024",
        "1024 passes: 16 layers of 64 groups",
        "4.3 11",
        builder.plan([TilePlan((1, 1, 1), (1,) + (0,) * 15)], rounds=(1,) * 16, script=script),
    )


def _levels() -> Iterator[Vector]:
    builder = Builder(220).position()
    for index in range(254):
        builder.ids(f"id_{index}", "u1", [7])
    script = [(0, (g,)) for g in range(255)]
    yield _vector(
        "levels-255",
        "255 levels, one for each group",
        "4.6 11",
        builder.plan(one_tile(1, bits=(0, 0, 0)), script=script, levels=list(range(1, 256))),
    )
    for id_, title, counts in (
        (
            "level-without-data",
            "A level that only an ancillary chunk fills: its layer is empty",
            (5, 0, 4),
        ),
        ("level-at-kdtb", "The first level ends behind KDTB: layer 0 is empty", (0, 6, 4)),
    ):
        builder = Builder(221).position().opacity()
        plan = builder.plan(
            one_tile(*counts),
            rounds=(2, 2, 2),
            levels=[1, 2, 3],
            describe="due",
            script=[(0, (0,)), (1, (0,)), (2, (0,)), (0, (1,)), (1, (1,)), (2, (1,))],
        )
        plan.levels = [1, 2, 6]
        coded = code(plan)
        if not counts[1]:
            mark = coded.file.find("DATA", place=(0, 0))
            filler = Piece(b"fILL", b"")
            coded.file.put_behind(mark, filler)
            filler.level = 2
        yield good(id_, KIND, title, "4.3 8.1", coded, levels=(1, 2))
    plan = replace(
        layered(223), compensation={1: (-0.5, 2.0, -0.25, 1.5), 2: (0.0, 0.0, 1e-30, 1.0)}
    )
    plan = replace(plan, script=[(0, (0, 1, 2)), (0, (3, 4)), (1, (0, 1)), (1, (2, 3, 4))])
    yield _vector(
        "compensation-odd",
        "Shrinking, and compensation that is as good as none",
        "10",
        plan,
        levels=(1, 2),
    )
    builder = Builder(224).position().scale().opacity()
    tiles = [TilePlan((4, 4, 4), (c, 3), (16 * i, 0, 0)) for i, c in enumerate((1, 2, 3, 17))]
    yield _vector(
        "compensation-few",
        "Spacing in tiles of one, two and three Gaussians, and of duplicates",
        "10",
        builder.plan(
            [*tiles, TilePlan((0, 0, 0), (5, 1), (80, 0, 0))],
            rounds=(1, 1),
            levels=[1, 2],
            compensation=compensated(),
        ),
        levels=(1,),
        plain=(1,),
    )
    plan = replace(plain(9, 225), exact=lambda _: [], levels=[2])
    yield _vector("exact-pass-empty", "An exact pass without XDAT", "4.3 6.5", plan)


def _tiles() -> Iterator[Vector]:
    builder = Builder(230).position().opacity().ids()
    plan = builder.plan(one_tile(50, 20, bits=(0, 0, 0)), rounds=(4, 3))
    yield _vector(
        "one-cell", "A tile of one cell with 70 Gaussians: keys take no bits", "6.2 7.2", plan
    )
    tiles = [
        TilePlan((3, 3, 3), (0, 0)),
        TilePlan((2, 3, 4), (5, 0)),
        TilePlan((2, 3, 4), (0, 6)),
        TilePlan((5, 0, 1), (3, 2), (4, 0, 0)),
        TilePlan((0, 0, 0), (0, 0)),
    ]
    plan = (
        Builder(231).usual().plan(tiles, rounds=(3, 1), levels=[1, 2], compensation=compensated())
    )
    yield _vector(
        "tiles-empty", "Empty tiles and tile layers, overlapping tiles", "4.7", plan, levels=(1,)
    )
    plan = (
        Builder(232)
        .position()
        .opacity()
        .plan(
            [TilePlan((21, 21, 21), (30, 30), (0xFFFFFFFF, 0, 0x80000000))],
            rounds=(3, 3),
            unit_offset=(0xFFFFFFFF, 5, 0),
            unit_shift=40,
        )
    )
    yield _vector(
        "bits-63", "Keys of 63 bits, tails above 32 bits, cells beyond 2^32", "6.2 N2 N8", plan
    )
    corners = [0, 1, (1 << 63) - 1, (1 << 62), (1 << 63) - 2]
    plan = (
        Builder(233)
        .position()
        .ids()
        .plan([TilePlan((21, 21, 21), (5, 9), keys={0: corners})], rounds=(1, 2), unit_shift=9)
    )
    yield _vector("corners", "Gaussians in the corners of the largest tile", "7.2 N8", plan)
    plan = (
        Builder(234)
        .position()
        .opacity()
        .plan([TilePlan((21, 0, 0), (40,)), TilePlan((0, 17, 3), (40,))], rounds=(4,))
    )
    yield _vector("flat", "Tiles that are a line and a sheet", "6.2 7.2 N8", plan)
    tiles = [TilePlan((1, 1, 1), (1, 1), (i, 0, 0)) for i in range(40)]
    plan = Builder(235).position().ids("p", "u1", [9, 10]).plan(tiles, rounds=(1, 8))
    yield _vector("tiles-40", "As many tiles as a layer has Gaussians", "4.7", plan)
    builder = Builder(236).position().opacity()
    many = [5] * 30 + [6] * 30 + [40] * 60 + list(range(64))
    plan = builder.plan([TilePlan((2, 2, 2), (184,), keys={0: many})], rounds=(8,))
    yield _vector("duplicates", "Dozens of Gaussians in one cell among others", "6.2 7.2", plan)
    plan = (
        Builder(237)
        .position()
        .opacity()
        .plan(
            [TilePlan((6, 6, 6), (40, 60), keys={0: [7] * 40, 1: [7] * 20 + [8] * 40})],
            rounds=(2, 6),
        )
    )
    yield _vector(
        "duplicates-layers", "Duplicates of Gaussians of the layer before", "6.2 7.2", plan
    )


def _extreme(_seeded: Seeded, index: int, half_width: int) -> int:
    """Residuals as large as they may be."""
    largest = (1 << 20) if _seeded.chance(2) else half_width + 1
    return largest if _seeded.chance(2) else -largest


def _residuals() -> Iterator[Vector]:
    builder = Builder(240).position().opacity().scale(decay=None)
    for group in builder.groups[1:]:
        group.draw = _extreme
    yield _vector(
        "residuals-huge",
        "Residuals of a million steps; every symbol is an escape",
        "N6 5.5",
        builder.plan(one_tile(20)),
    )
    builder = Builder(241).position().opacity(neighbours=0, decay=None)
    network = builder.groups[1].network
    assert network is not None
    network.layers[-1].weights[:, 0] = 0
    network.layers[-1].bias[0] = 0
    sizes = iter([(1 << 24) - 1, 1 - (1 << 24), (1 << 23), -127, 127, 1000, 0, 1])
    builder.groups[1].draw = lambda _s, _t, _h: next(sizes)
    yield _vector(
        "residuals-limit",
        "Residuals of 2^24 - 1, values near 2^30",
        "N6 5.5",
        builder.plan(one_tile(8), rounds=(1,)),
    )
    for scale, title in ((0, "0: nothing is coded"), (1, "1"), (33, "about 33"), (63, "63")):
        builder = (
            Builder(242 + scale)
            .position()
            .transformed(
                GroupKind.SEMANTIC, 4, 3, scale=scale, own=(), hidden=(), octaves=0, neighbours=0
            )
        )
        network = builder.groups[1].network
        assert network is not None
        last = network.layers[-1]
        last.weights[:] = 0
        if scale != 33:
            last.bias[3:] = scale << 14
        yield _vector(
            f"scale-index-{scale}", f"Scale indices {title}", "N3.3 N6", builder.plan(one_tile(30))
        )
    for low, high in ((-8, -8), (8, 8), (-8, 8)):
        rule = StepRule(-9, (30, -20, 10, 5, 0, 0), 7, low, high)
        builder = (
            Builder(250).position().opacity().scale().transformed(GroupKind.DC, 3, 3, rule=rule)
        )
        yield _vector(
            f"classes{low}to{high}",
            f"Step classes from {low} to {high}",
            "5.4 N9.4",
            builder.plan(one_tile(30)),
        )
    limit = 1 << 30
    rules = [
        StepRule(limit, (limit,) * 6, 40, -8, 8),
        StepRule(-limit, (-limit,) * 6, 0, -3, 7),
        StepRule(5, (0,) * 6, 1, -8, 8),
    ]
    builder = Builder(251).position().opacity().scale().sensitivity()
    for index, rule in enumerate(rules):
        builder.transformed(GroupKind.SH, 2, 2, rule=rule, prefix=f"s{index}_")
    yield _vector(
        "rules-extreme",
        "Step rules with the largest coefficients and shifts",
        "5.4 N2",
        builder.plan(one_tile(20)),
    )
    for low, high in ((0, 0), (8, 8)):
        builder = Builder(252).position().fine(StepRule(0, (0,) * 6, 0, low, high))
        yield _vector(
            f"fine-{low}", f"Fine positions of {low} bits", "6.3 9", builder.plan(one_tile(9))
        )


def _labels() -> Iterator[Vector]:
    even = [[0, 0, 0]] * 8
    builder = (
        Builder(260)
        .position()
        .ids("one", "u1", [200])
        .ids("even", "i4", [1, 2, 3], [0, 0, 0], even)
    )
    yield _vector(
        "palette-one",
        "A palette of one value; weights that are all 0",
        "5.6 N3.2",
        builder.plan(one_tile(20)),
    )
    skewed = [[65535, 0, 0], [0, 65535, 0], [0, 0, 65535], *[[1, 65535, 65535]] * 5]
    values = [i * i for i in range(256)]
    weights = [65535, *[0] * 254, 65535]
    builder = Builder(261).position().ids("skewed", "u4", values, weights, skewed)
    yield _vector(
        "palette-256",
        "A listed palette of 256 values with skewed weights",
        "5.6 N3.2",
        builder.plan(one_tile(40), rounds=(4,)),
    )
    builder = Builder(262).position().ids("spare", "i1", [5 * i - 128 for i in range(50)])
    yield _vector(
        "palette-spare", "More palette values than Gaussians", "5.6", builder.plan(one_tile(6))
    )
    wide = [-(1 << 63), -5, 1 << 40, (1 << 63) - 1]
    builder = Builder(263).position().sentinel(wide)
    builder.transformed(GroupKind.SEMANTIC, 3, 3, sentinel=1, type_="f8")
    builder.transformed(GroupKind.DC, 3, 3, sentinel=1)
    yield _vector(
        "sentinel-wide",
        "Sentinel values beyond 53 bits, for two groups of columns",
        "5.6 9",
        builder.plan(one_tile(24)),
    )
    builder = Builder(264).position().ids("mark", "i4", [-7, 3, 9], [1, 1, 1]).opacity()
    builder.groups[2].sentinel = 1
    builder.scale().rotation()
    builder.groups[3].sentinel = 1
    builder.groups[4].sentinel = 1
    yield _vector(
        "sentinel-is-id",
        "An id group marks rows of opacities, scales and rotations",
        "6.4 9",
        builder.plan(one_tile(20, 10), rounds=(2, 3), levels=[1, 2], compensation=compensated()),
        levels=(1,),
    )
    builder = Builder(265).position().sentinel([0, 1])
    assert builder.groups[1].labels is not None
    builder.groups[1].labels.explicit = [0, 65535]
    builder.transformed(GroupKind.DC, 3, 3, sentinel=1)
    yield _vector(
        "sentinel-most", "Most rows are marked", "6.4", builder.plan(one_tile(16), rounds=(5,))
    )


def _tables() -> Iterator[Vector]:
    seeded = Seeded(270)
    sizes = [min(t // 8 + 2, 16) if t < 64 else 16 for t in range(104)]
    every = {t: [seeded.below(1 << seeded.below(9)) for _ in range(n)] for t, n in enumerate(sizes)}
    plan = (
        Builder(270)
        .position()
        .plan([TilePlan((7, 7, 7), (150, 120, 100))], rounds=(1, 1, 1), tables=every)
    )
    yield _vector("tables-all", "All 104 position tables are sent", "4.8 N3.4", plan)
    huge = {t: [0] * (n - 1) + [(1 << 34)] for t, n in enumerate(sizes) if t % 3}
    plan = Builder(271).position().plan([TilePlan((5, 5, 5), (60, 20))], rounds=(1, 1), tables=huge)
    yield _vector(
        "tables-skewed",
        "Weights of 2^34 beside 0: most symbols are as rare as possible",
        "4.8 N2 N3.2",
        plan,
    )
    zero = {t: [0] * n for t, n in enumerate(sizes)}
    plan = Builder(272).position().plan([TilePlan((5, 5, 5), (40, 20))], rounds=(1, 1), tables=zero)
    yield _vector("tables-zero", "Weights that are all 0", "4.8 N3.2", plan)
    sizes_large = [9, 15, 16, 31, 33, 127, 129, 255, 257, 300]
    tiles = [
        TilePlan((3, 3, 3), (a, b), (8 * i, 0, 0)) for i, (a, b) in enumerate(pairwise(sizes_large))
    ]
    plan = Builder(273).position().plan(tiles, rounds=(1, 1))
    yield _vector("bins", "Cells with up to 300 Gaussians: bins and their plain bits", "6.2", plan)


def _warps() -> Iterator[Vector]:
    builder = Builder(280).position().opacity(decay=None, neighbours=0).scale(decay=None)
    builder.groups[1].step, builder.groups[2].step = 800.0, 5e36
    values = iter([3, -3, 0, 1, -1, 2, 3, -2, 1, 0])
    builder.groups[1].draw = lambda _s, _t, _h: next(values)
    yield _vector(
        "infinite",
        "Values beyond the range of f4 become infinite",
        "5.2 9",
        builder.plan(one_tile(10), rounds=(1,)),
    )
    builder = Builder(281).position().opacity().rotation().transformed(GroupKind.DC)
    for group in builder.groups[1:]:
        group.step = 5e-324
    yield _vector(
        "step-smallest",
        "The smallest step there is: columns are their centres",
        "5.1 9",
        builder.plan(one_tile(6)),
    )
    builder = Builder(282).position().scale(4).opacity()
    builder.groups[1].type = "f8"
    builder.groups[2].type = "f8"
    yield _vector(
        "f8-groups",
        "Scales and opacities of type f8",
        "9 10",
        builder.plan(one_tile(9, 9), rounds=(2, 2), levels=[1, 2], compensation=compensated()),
        levels=(1,),
        plain=(1,),
    )
    builder = Builder(283).position().rotation(own=(), decay=None)
    builder.groups[1].step = 40.0
    yield _vector(
        "rotation-far", "Rotations far beyond the antipode", "5.2", builder.plan(one_tile(9))
    )
