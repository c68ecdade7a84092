"""Draws the integers of a plan while it codes them: what a decoder must find is known by then."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field

import numpy as np

from conformance.maker.payloads import group_payload, position_tables, schema, schema_document
from conformance.maker.pieces import FilePieces, LevelFields, Piece
from conformance.maker.plan import INACTIVE, NO_SENTINEL, Group, Plan, TilePlan
from conformance.maker.seeded import Seeded
from csgs_codec.attributes.positions import build_tables, encode_keys
from csgs_codec.attributes.steps import LARGEST_CLASS, STEP_Q6
from csgs_codec.container.header import GroupDeclaration, Header, Pass, Tiles
from csgs_codec.container.kinds import LABEL_KINDS, GroupKind
from csgs_codec.hyperprior.contexts import LayerContext
from csgs_codec.hyperprior.tile import Tile
from csgs_codec.numerics.bits import BitWriter
from csgs_codec.numerics.rans import RansEncoder
from csgs_codec.numerics.residuals import encode_residuals
from csgs_codec.numerics.tables import FrequencyTables, half_widths, normalise_frequencies

EXACT_LAYER = 255
_SAME, _OTHER, _EXPLICIT = range(3)
_USUAL = 6


@dataclass
class ExactFacts:
    """What the XDAT chunks of a file say."""

    columns: dict[str, np.ndarray] = field(default_factory=dict)
    elements: bytes | None = None
    exceptions: list[tuple[int, int, int]] = field(default_factory=list)
    row_order: list[int] | None = None


@dataclass
class Coded:
    """A file in pieces, and the integers that it holds."""

    plan: Plan
    file: FilePieces
    header: Header
    tiles: list[Tile]
    exact: ExactFacts

    def integers(self, group: int) -> list[np.ndarray]:
        """Integers of a group in canonical rows, as exact columns see them (spec 6.5.1)."""
        rows = [
            self._seen(tile, layer, group)
            for layer in range(self.plan.layers)
            for tile in self.tiles
        ]
        return list(np.concatenate(rows).T)

    def _seen(self, tile: Tile, layer: int, group: int) -> np.ndarray:
        rows = tile.rows(layer)
        if self.plan.groups[group].kind != GroupKind.POSITION:
            return tile.values(group)[rows].astype(np.int64)
        cells = tile.grid(rows) << 9
        for number, other in enumerate(self.plan.groups):
            if other.kind == GroupKind.POSITION_FINE:
                width = tile.step_classes(number, other.rule, layer).astype(np.int64)[:, None]
                fine = tile.values(number)[rows].astype(np.int64)
                return cells + ((2 * fine + 1) << (8 - width))
        return cells + 256


def code(plan: Plan) -> Coded:
    """Code a plan."""
    return _Coder(plan).run()


class _Coder:
    def __init__(self, plan: Plan) -> None:
        self.plan, self.seeded = plan, Seeded(plan.seed)
        passes = [Pass(layer, groups) for layer, groups in plan.full_script()]
        if plan.exact is not None:
            passes.append(Pass(EXACT_LAYER, ()))
        declared = [
            GroupDeclaration(GroupKind(g.kind), g.channels, len(g.columns)) for g in plan.groups
        ]
        self.header = Header(
            plan.count, plan.layers, len(plan.tiles), plan.origin, plan.grid_step,
            plan.unit_offset, plan.unit_shift, plan.rounds, tuple(declared), tuple(passes),
            plan.version,
        )  # fmt: skip
        shape = (len(plan.tiles), 3)
        self.table = Tiles(
            np.array([t.origin for t in plan.tiles], np.int64).reshape(shape),
            np.array([t.bits for t in plan.tiles], np.uint8).reshape(shape),
            np.array([t.counts for t in plan.tiles], np.int64).reshape(shape[0], plan.layers),
        )
        self.tiles = [Tile(self.header, self.table, i) for i in range(len(plan.tiles))]
        weights = {table: np.array(row, np.int64) for table, row in plan.tables.items()}
        self.position_tables = build_tables(weights)
        self.exact = ExactFacts()

    def run(self) -> Coded:
        plan, header = self.plan, self.header
        file = FilePieces([], [])
        add = file.pieces.append
        add(Piece(b"HEAD", header.write()))
        add(Piece(b"LEVS", b""))
        add(Piece(b"SCHM", schema(schema_document(plan))))
        add(Piece(b"TILE", self.table.write()))
        add(Piece(b"KDTB", position_tables(plan.tables)))
        coded = Coded(plan, file, header, self.tiles, self.exact)
        level_ends = plan.levels or [len(header.passes)]
        chain, digest, level = b"", b"", 1
        done = [0] * plan.layers
        if plan.describe == "early":
            self._describe(file, range(len(plan.groups)), 1)
        for number, pass_ in enumerate(header.passes):
            if plan.describe != "early":
                fresh = [g for g in pass_.groups if pass_.layer == 0]
                self._describe(file, fresh, level)
            if pass_.exact:
                assert plan.exact is not None
                for payload in plan.exact(coded):
                    add(Piece(b"XDAT", payload, level))
                    chain += hashlib.sha256(payload).digest()
            else:
                done[pass_.layer] += len(pass_.groups)
                chain += self._code_pass(file, number, pass_, level)
            if number + 1 in level_ends:
                digest = hashlib.sha256(digest + chain).digest()
                chain = b""
                held = sum(t.counts[i] for t in plan.tiles for i in range(plan.layers) if done[i])
                made = plan.compensation.get(level, INACTIVE)
                file.levels.append(LevelFields(number + 1, held, digest, made))
                level += 1
        if not header.passes:
            file.levels.append(LevelFields(0, 0, hashlib.sha256().digest()))
        return coded

    def _describe(self, file: FilePieces, groups: object, level: int) -> None:
        described = [g for g in groups if not self.plan.groups[g].positions]  # type: ignore[attr-defined]
        chunks = [
            Piece(b"GRUP", group_payload(g, self.plan.groups[g]), level, g) for g in described
        ]
        networks = [
            Piece(b"NETW", network.payload(g), level, g)
            for g in described
            if (network := self.plan.groups[g].network) is not None
        ]
        if self.plan.describe == "late":
            file.pieces += [*chunks, *self.seeded.shuffled(networks)]
            return
        for chunk in chunks:
            file.pieces += [chunk, *(n for n in networks if n.group == chunk.group)]

    def _code_pass(self, file: FilePieces, number: int, pass_: Pass, level: int) -> bytes:
        chain = b""
        for tile, planned in zip(self.tiles, self.plan.tiles, strict=True):
            if planned.counts[pass_.layer]:
                payload = struct.pack("<HI", number, tile.index)
                payload += self._code_chunk(tile, planned, pass_)
                file.pieces.append(Piece(b"DATA", payload, level, place=(number, tile.index)))
                chain += tile.digest(pass_.layer, pass_.groups)
        return chain

    def _code_chunk(self, tile: Tile, planned: TilePlan, pass_: Pass) -> bytes:
        rans, bits = RansEncoder(), BitWriter()
        for number in pass_.groups:
            group = self.plan.groups[number]
            if group.kind == GroupKind.POSITION:
                self._positions(tile, planned, pass_.layer, rans, bits)
            elif group.kind == GroupKind.POSITION_FINE:
                self._fine(tile, number, pass_.layer, bits)
            elif group.kind in LABEL_KINDS:
                self._labels(tile, number, pass_.layer, rans, bits)
            else:
                self._residuals(tile, number, pass_.layer, rans, bits)
        stream = rans.finish()
        return struct.pack("<I", len(stream)) + stream + bits.finish()

    def _positions(
        self, tile: Tile, planned: TilePlan, layer: int, rans: RansEncoder, bits: BitWriter
    ) -> None:
        count = planned.counts[layer]
        known = [int(key) for key in tile.earlier_keys(layer)]
        keys = planned.keys.get(layer) or self._draw_keys(count, tile.depth, known)
        sorted_keys = np.array(sorted(keys), np.uint64)
        earlier = tile.earlier_keys(layer)
        encode_keys(sorted_keys, earlier, tile.depth, self.position_tables, rans, bits)
        tile.set_keys(layer, sorted_keys)

    def _draw_keys(self, count: int, depth: int, known: list[int]) -> list[int]:
        """Keys that lie in clusters, some of them twice."""
        keys: list[int] = []
        for _ in range(count):
            fresh = self.seeded.word() >> (64 - depth) if depth else 0
            near = [*known, *keys]
            if near and not self.seeded.chance(4):
                around = self.seeded.pick(near)
                free = self.seeded.below(depth // 2 + 1)
                fresh = around ^ (fresh & ((1 << free) - 1))
            keys.append(fresh)
        return keys

    def _fine(self, tile: Tile, number: int, layer: int, bits: BitWriter) -> None:
        widths = tile.step_classes(number, self.plan.groups[number].rule, layer).astype(np.uint8)
        fine = [[self.seeded.below(1 << int(w)) for _ in range(3)] for w in widths]
        tile.values(number)[tile.rows(layer)] = fine
        bits.put(np.array(fine, np.uint64).reshape(-1), np.repeat(widths, 3))

    def _residuals(
        self, tile: Tile, number: int, layer: int, rans: RansEncoder, bits: BitWriter
    ) -> None:
        group = self.plan.groups[number]
        assert group.network is not None
        network = group.network.of(number)
        classes = tile.step_classes(number, group.rule, layer)
        context = LayerContext(network.layout, tile, layer, classes)
        rows = tile.rows(layer)
        values = tile.values(number)[rows]
        for part in tile.rounds(layer):
            own = np.ascontiguousarray(classes[part])
            mu_q6, index = network.predict(context.inputs(part), own)
            mu_q6 = mu_q6 + network.blended(tile, layer, part)
            if group.sentinel != NO_SENTINEL:
                marked = tile.values(group.sentinel)[rows, 0][part] > 0
                mu_q6[marked] = 0
                index[marked] = 0
            drawn = [self._residual(group, int(t)) for t in index.reshape(-1)]
            k = np.array(drawn, np.int64).reshape(index.shape)
            step_q6 = STEP_Q6[own.astype(np.intp) + LARGEST_CLASS].astype(np.int64)
            exact = mu_q6 + k * step_q6[:, None]
            values[part] = np.clip(exact, -(1 << 31), (1 << 31) - 1)
            encode_residuals(k.astype(np.int32), index, rans, bits)

    def _residual(self, group: Group, index: int) -> int:
        half_width = int(half_widths()[index])
        if index == 0:
            return 0
        if group.draw is not None:
            return group.draw(self.seeded, index, half_width)
        if self.seeded.chance(24):
            beyond = half_width + 1 + self.seeded.below(40)
            return beyond if self.seeded.chance(2) else -beyond
        usual = min(half_width, _USUAL)
        return self.seeded.between(-usual, usual)

    def _labels(
        self, tile: Tile, number: int, layer: int, rans: RansEncoder, bits: BitWriter
    ) -> None:
        coding = self.plan.groups[number].labels
        assert coding is not None
        values = tile.values(number)[:, 0]
        rows, found = tile.rows(layer), tile.neighbours(layer)
        size = len(coding.palette)
        agreement = _tables(coding.agreement)
        for part in tile.rounds(layer):
            near_rows = found.part(part).row
            choices, tables, explicit, target = [], [], [], []
            for near in near_rows.tolist():
                seen = [int(values[row]) for row in near if row >= 0]
                choice, label, agree = self._label(seen, size)
                target.append(label)
                if seen:
                    choices.append(choice)
                    tables.append(agree - 1)
                if choice == _EXPLICIT:
                    explicit.append(label)
            values[rows][part] = target
            rans.put(np.array(choices, np.uint8), np.array(tables, np.uint8), agreement)
            if coding.explicit:
                zeros = np.zeros(len(explicit), np.uint8)
                rans.put(np.array(explicit, np.uint8), zeros, _tables([coding.explicit]))
            else:
                widths = np.full(len(explicit), (size - 1).bit_length(), np.uint8)
                bits.put(np.array(explicit, np.uint64), widths)

    def _label(self, near: list[int], size: int) -> tuple[int, int, int]:
        """Choice, label and number of agreeing neighbours (spec 5.6)."""
        fresh = self.seeded.below(size)
        if not near:
            return _EXPLICIT, fresh, 0
        first = near[0]
        others = [label for label in near if label != first]
        agree = near.count(first) if others else 8
        lot = self.seeded.below(10)
        if lot < 2:
            return _EXPLICIT, fresh, agree
        if lot < 5 and others:
            return _OTHER, others[0], agree
        return _SAME, first, agree


def _tables(weights: list[list[int]]) -> FrequencyTables:
    return FrequencyTables([normalise_frequencies(np.array(row, np.int64)) for row in weights])
