"""Violations of HEAD, LEVS, TILE and KDTB (sections 4.2, 4.3, 4.5 to 4.8 and 10)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from conformance.maker import payloads
from conformance.maker.coder import Coded, code
from conformance.maker.pieces import FilePieces, LevelFields, patched
from conformance.maker.plan import Plan, TilePlan
from conformance.maker.vector import Vector
from conformance.recipes import exact
from conformance.recipes.bad import bad, edited, field, head, with_head, with_payload
from conformance.recipes.shapes import Builder, bare, layered, one_tile, plain
from csgs_codec.numerics.bits import BitWriter

NAN, INF = float("nan"), float("inf")


def vectors() -> Iterator[Vector]:
    """Return these vectors."""
    for make in (_ranges, _limits, _kinds, _script, _levels, _tiles, _tables):
        yield from make()


def _ranges() -> Iterator[Vector]:
    rule = "a field of HEAD is outside its range"
    changes: dict[str, dict[str, object]] = {
        "layers-0": {"layers": 0, "rounds": ()},
        "layers-17": {"layers": 17, "rounds": (1,) * 17},
        "tiles-above-n": {"tiles": 13},
        "origin-nan": {"origin": (0.0, NAN, 0.0)},
        "origin-infinite": {"origin": (0.0, 0.0, INF)},
        "grid-step-0": {"grid_step": 0.0},
        "grid-step-negative": {"grid_step": -0.5},
        "grid-step-nan": {"grid_step": NAN},
        "unit-shift-41": {"unit_shift": 41},
        "rounds-0": {"rounds": (0,)},
        "rounds-9": {"rounds": (9,)},
        "channels-0": {"groups": [(0, 3, 3), (5, 0, 1), (9, 1, 1)]},
        "channels-1025": {"groups": [(0, 3, 3), (5, 1025, 1), (9, 1, 1)]},
        "columns-1025": {"groups": [(0, 3, 3), (5, 1, 1025), (9, 1, 1)]},
        "pass-layer": {"passes": [(1, (0, 1, 2))]},
        "pass-layer-254": {"passes": [(0, (0, 1, 2)), (254, ())]},
        "pass-group": {"passes": [(0, (0, 1, 2, 3))]},
        "pass-empty": {"passes": [(0, (0, 1, 2)), (0, ())]},
    }
    for name, change in changes.items():
        yield bad(
            f"head-{name}", f"{rule}: {name.replace('-', ' ')}", "4.5", with_head(plain(), **change)
        )
    many = [(0, (0, 1, 2))] * 1025
    yield bad("head-passes-1025", f"{rule}: 1025 passes", "4.5", with_head(plain(), passes=many))
    early = {"layers": 0, "rounds": (), "groups": [(200, 1, 1)], "passes": []}
    yield bad(
        "first-violation",
        "the first violation determines the outcome: layers, not the group kind",
        "3.4",
        with_head(plain(), **early),
    )


def _limits() -> Iterator[Vector]:
    for count in ((1 << 28) + 1, (1 << 64) - 1):
        file = with_head(plain(), gaussians=count)
        yield bad(
            f"gaussians-{count}", f"{count} Gaussians are above the limit", "4.5 11", file, "limit"
        )
    count = 1 << 22
    file = with_head(plain(), gaussians=count, groups=[(0, 3, 3), (5, 510, 1), (9, 1, 1)])
    yield bad(
        "values-channels", "Gaussians times channels are above the limit", "4.5 11", file, "limit"
    )
    groups = [(0, 3, 3), (1, 1, 2), (200, 1, 1)]
    yield bad(
        "order-shape-kind",
        "groups are judged one by one: a shape before an unknown kind",
        "3.4",
        with_head(plain(), groups=groups),
    )
    file = with_head(Plan(633, [], []), groups=[(200, 1, 1)], passes=[])
    yield bad(
        "order-kind-none",
        "an unknown kind before groups without Gaussians",
        "3.4",
        file,
        "unsupported",
    )
    names = {f"c{i}": ("u1", b"\x01") for i in range(6)}
    coded = code(Builder(630).position().plan(one_tile(3), constants=names))
    coded.file.find("HEAD").payload = head(coded, gaussians=1 << 28)
    coded.file.levels[0].gaussians = 1 << 28
    yield bad(
        "values-properties",
        "Gaussians times properties are above the limit",
        "4.4 11",
        coded.file,
        "limit",
    )
    yield bad("due-list", "more than 2^22 data chunks in the due list", "11", _due_list(), "limit")


def _due_list() -> FilePieces:
    """1024 passes over 4097 tiles."""
    builder = Builder(631).position()
    for index in range(254):
        builder.ids(f"i{index}", "u1", [1])
    layers = 4
    script = [(layer, (g,)) for layer in range(layers) for g in range(255)]
    plan = builder.plan([TilePlan((0, 0, 0), (1,) * layers)], rounds=(1,) * layers, script=script)
    coded = code(plan)
    tiles = 4113
    coded.file.find("HEAD").payload = head(coded, tiles=tiles, gaussians=tiles * layers)
    coded.file.levels[0].gaussians = tiles * layers
    counts = struct.pack("<I", 1) * (tiles * layers)
    coded.file.find("TILE").payload = bytes(tiles * 15) + counts
    coded.file.pieces = [p for p in coded.file.pieces if p.place is None and p.type != b"GRUP"]
    return coded.file


def _kinds() -> Iterator[Vector]:
    rule = "HEAD departs from the table of group kinds"
    shapes = {
        "position-channels": (0, 2, 3),
        "opacity-2": (1, 2, 2),
        "opacity-columns": (1, 1, 2),
        "opacity-none": (1, 1, 0),
        "scale-columns": (2, 3, 2),
        "fine-channels": (3, 1, 0),
        "fine-columns": (3, 3, 3),
        "rotation-channels": (4, 4, 4),
        "rotation-columns": (4, 3, 3),
        "id-channels": (9, 2, 1),
        "id-columns": (9, 1, 0),
        "id-two": (9, 1, 2),
        "sentinel-channels": (10, 2, 0),
        "sentinel-columns": (10, 1, 1),
        "sensitivity-channels": (11, 3, 0),
        "sensitivity-columns": (11, 2, 2),
    }
    passes = [(0, (0, 1))]
    for name, shape in shapes.items():
        first = (0, 3, 3) if shape[0] else (0, 3, 2)
        file = with_head(plain(), groups=[first, shape], passes=passes)
        said = f"kind {shape[0]} with {shape[1]} channels and {shape[2]} columns"
        yield bad(f"kind-{name}", f"{rule}: {said}", "4.2", file)
    for name, kind in (("position", 0), ("opacity", 1), ("scale", 2), ("fine", 3), ("rotation", 4)):
        shape = {0: (3, 3), 1: (1, 1), 2: (2, 2), 3: (3, 0), 4: (3, 4)}[kind]
        groups = [(0, 3, 3), (kind, *shape), (kind, *shape)]
        yield bad(
            f"two-{name}",
            f"{rule}: more than one group of kind {kind}",
            "4.2",
            with_head(plain(), groups=groups),
        )
    groups = [(1, 1, 1), (0, 3, 3), (9, 1, 1)]
    yield bad(
        "position-second",
        f"{rule}: positions are not group 0",
        "4.2",
        with_head(plain(), groups=groups),
    )
    groups = [(1, 1, 1), (9, 1, 1), (9, 1, 1)]
    yield bad(
        "position-none",
        f"{rule}: groups without positions",
        "4.2",
        with_head(plain(), groups=groups),
    )
    yield bad(
        "groups-none",
        "N > 0 and there are no groups",
        "4.2",
        with_head(plain(), groups=[], passes=[]),
    )
    empty = Plan(632, [], [])
    file = with_head(empty, groups=[(0, 3, 3)], passes=[(0, (0,))])
    yield bad("groups-empty-scene", "N = 0 and there are groups", "4.2", file)


def _script() -> Iterator[Vector]:
    scripts: dict[str, tuple[str, list[tuple[int, tuple[int, ...]]]]] = {
        "exact-first": (
            "an exact pass must be the last",
            [(255, ()), (0, (0, 1, 2)), (1, (0, 1, 2))],
        ),
        "exact-twice": (
            "an exact pass must be the last",
            [(0, (0, 1, 2)), (1, (0, 1, 2)), (255, ()), (255, ())],
        ),
        "exact-lists": (
            "an exact pass lists no group",
            [(0, (0, 1, 2)), (1, (0, 1, 2)), (255, (0,))],
        ),
        "group-twice-in-pass": ("a pass lists no group twice", [(0, (0, 1, 1, 2)), (1, (0, 1, 2))]),
        "group-twice": (
            "groups are listed as 0, 1, 2",
            [(0, (0, 1, 2)), (0, (2,)), (1, (0, 1, 2))],
        ),
        "group-order": ("groups are listed as 0, 1, 2", [(0, (0, 2, 1)), (1, (0, 1, 2))]),
        "group-skipped": ("groups are listed as 0, 1, 2", [(0, (0, 2)), (0, (1,)), (1, (0, 1, 2))]),
        "layer-first": (
            "the layer before was listed earlier",
            [(1, (0,)), (0, (0, 1, 2)), (1, (1, 2))],
        ),
        "layer-overtakes": (
            "the layer before was listed earlier",
            [(0, (0,)), (1, (0, 1)), (0, (1, 2)), (1, (2,))],
        ),
        "group-missing": ("every group of every layer is listed", [(0, (0, 1, 2)), (1, (0, 1))]),
        "layer-missing": ("every group of every layer is listed", [(0, (0, 1, 2))]),
        "none": ("every group of every layer is listed", []),
        "only-exact": ("every group of every layer is listed", [(255, ())]),
    }
    plan = Builder(640).position().opacity().ids().plan(one_tile(4, 4), rounds=(1, 1))
    for name, (rule, script) in scripts.items():
        yield bad(f"script-{name}", rule, "4.3", with_head(plan, passes=script))
    file = with_head(replace(Plan(641, [], []), exact=exact.deflated([], 1)), passes=[(0, (0,))])
    yield bad(
        "script-no-groups", "a pass lists a group that is not there: there are none", "4.3", file
    )


def _levels() -> Iterator[Vector]:
    def level(edit: Callable[[list[LevelFields]], object], plan: Plan | None = None) -> FilePieces:
        return edited(plan or layered(), lambda c: edit(c.file.levels))

    def put(number: int, **values: object) -> Callable[[list[LevelFields]], None]:
        def edit(levels: list[LevelFields]) -> None:
            for name, value in values.items():
                setattr(levels[number], name, value)

        return edit

    rule = "a field of LEVS is outside its range"
    none = edited(layered(), lambda c: setattr(c.file, "table", b"\0"))
    yield bad("levels-0", f"{rule}: no levels", "4.6", none)
    yield bad("level-end-0", f"{rule}: the first end is 0", "4.6", level(put(0, end=0)))
    same = edited(layered(), lambda c: setattr(c.file.levels[1], "end", c.file.ends()[0]))
    yield bad("level-end-same", f"{rule}: an end is not behind the one before", "4.6", same)
    yield bad(
        "level-end-back",
        f"{rule}: an end is not behind the one before",
        "4.6",
        level(put(1, end=9)),
    )
    yield bad(
        "level-gaussians-above-n",
        f"{rule}: more Gaussians than the scene",
        "4.6",
        level(put(2, gaussians=23)),
    )
    yield bad(
        "level-passes-0", f"{rule}: the first level has no pass", "4.6", level(put(0, passes=0))
    )
    yield bad(
        "level-passes-same",
        f"{rule}: no more passes than the level before",
        "4.6",
        level(put(1, passes=1)),
    )
    yield bad(
        "level-passes-above", f"{rule}: more passes than the script", "4.6", level(put(2, passes=5))
    )
    yield bad(
        "level-passes-empty-script",
        f"{rule}: passes although the script is empty",
        "4.6",
        level(put(0, passes=1), Plan(650, [], [])),
    )
    yield bad(
        "level-last",
        "the last level must have all passes of the script",
        "4.6",
        level(put(2, passes=3)),
    )
    for place, name in enumerate(("scale-offset", "spacing-pull", "depth-gain", "depth-exponent")):
        made = [0.0, 0.0, 0.0, 1.0]
        made[place] = (NAN, INF, -INF, NAN)[place]
        yield bad(
            f"level-{name}",
            f"an f32 field is not finite: {name}",
            "3.1 4.6",
            level(put(0, compensation=tuple(made))),
        )
    for number, wrong in ((0, 9), (0, 11), (1, 10)):
        yield bad(
            f"level-{number + 1}-gaussians-{wrong}",
            "a level miscounts its Gaussians",
            "4.6",
            level(put(number, gaussians=wrong)),
        )
    for number in (1, 2):
        yield bad(
            f"level-{number + 1}-active",
            "compensation is active for a level that holds all Gaussians",
            "10",
            level(put(number, compensation=(0.0, 0.0, 0.5, 1.0))),
        )


def _tiles() -> Iterator[Vector]:
    def tile(offset: int, code_: str, *values: int, plan: Plan | None = None) -> FilePieces:
        def edit(coded: Coded) -> None:
            piece = coded.file.find("TILE")
            piece.payload = patched(piece.payload, offset, code_, *values)

        return edited(plan or plain(), edit)

    for axis in range(3):
        yield bad(
            f"tile-bits-{'xyz'[axis]}",
            "a tile spans more than 2^21 cells",
            "4.7",
            tile(12 + axis, "B", 22),
        )
    yield bad("tile-count-more", "the counts do not add up to N", "4.7", tile(15, "I", 13))
    yield bad("tile-count-fewer", "the counts do not add up to N", "4.7", tile(15, "I", 11))
    yield bad(
        "tile-count-huge",
        "a tile has more than 65536 Gaussians",
        "4.7 11",
        tile(15, "I", 0xFFFFFFFF),
    )
    coded = code(plain())
    coded.file.find("HEAD").payload = head(coded, gaussians=65537)
    coded.file.levels[0].gaussians = 65537
    coded.file.find("TILE").payload = patched(coded.file.find("TILE").payload, 15, "I", 65537)
    yield bad("tile-65537", "a tile has more than 65536 Gaussians", "4.7", coded.file)
    plan = Builder(660).position().plan(one_tile(3, 3), rounds=(1, 1))
    yield bad(
        "tile-counts-wrap",
        "the counts do not add up to N, but for 32 bits they do",
        "4.7",
        tile(15, "II", 0x80000003, 0x80000003, plan=plan),
    )


def _tables() -> Iterator[Vector]:
    def tables(bits: BitWriter) -> FilePieces:
        return with_payload(bare(), "KDTB", bits.finish())

    yield bad(
        "kdtb-empty",
        "the bits of KDTB end early: none",
        "N3.4 N5.1",
        with_payload(bare(), "KDTB", b""),
    )
    yield bad(
        "kdtb-left-over",
        "a byte of KDTB is left over",
        "N3.4 N5.3",
        with_payload(bare(), "KDTB", bytes(14)),
    )
    bits = BitWriter()
    for _ in range(103):
        field(bits, 0, 1)
    field(bits, 1, 1)
    yield bad("kdtb-no-weights", "the bits of KDTB end within a table", "N3.4 N5.1", tables(bits))
    weights = payloads.position_tables({0: [1, 1]})
    assert len(weights) * 8 - (104 + 10) >= 1
    padded = weights[:-1] + bytes([weights[-1] | 1])
    yield bad(
        "kdtb-padding",
        "the last bits of KDTB are not zero",
        "N5.3",
        with_payload(bare(), "KDTB", padded),
    )
    bits = BitWriter()
    field(bits, 1, 1)
    field(bits, 0, 31)
    field(bits, 1, 36)
    bits.put(np.zeros(130, np.uint64), np.ones(130, np.uint8))
    yield bad(
        "kdtb-prefix", "an Exp-Golomb code has a prefix of more than 30 zeros", "N5.2", tables(bits)
    )
    bits = BitWriter()
    field(bits, 1, 1)
    field(bits, 0, 9)
    yield bad("kdtb-cut", "the bits of KDTB end within an Exp-Golomb code", "N5.2", tables(bits))
