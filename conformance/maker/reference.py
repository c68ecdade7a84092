"""Columns of a level, value by value as sections 9 and 10 of the specification say.

Everything is binary64 or decimal arithmetic of Python in a fixed order, so every machine gets the
same bytes; nothing is shared with a decoder.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import Decimal, localcontext

import numpy as np

from conformance.maker.coder import EXACT_LAYER, Coded
from conformance.maker.plan import INACTIVE, NO_SENTINEL, Group
from csgs_codec.container.kinds import LABEL_KINDS, RESIDUAL_KINDS, GroupKind
from csgs_codec.hyperprior.tile import Tile

_DIGITS = 40


@dataclass
class Columns:
    """A level as a decoder gives it.

    Attributes
    ----------
    values : dict of str to ndarray
        Columns in the order of the schema.
    bits : set of str
        Columns that are equal bit for bit in every decoder.
    groups : dict of str to int
        Group of each of the others: tolerances are relative to its largest magnitude.
    elements : bytes, optional
        A PLY with the other elements.
    """

    values: dict[str, np.ndarray]
    bits: set[str]
    groups: dict[str, int]
    elements: bytes | None = None
    compensated: bool = False
    rows: int = 0
    types: dict[str, str] = field(default_factory=dict)


def columns_at(coded: Coded, level: int, compensate: bool) -> Columns:
    """Return what a decoder must give for a level, counted from 1."""
    return _Level(coded, level, compensate).columns()


class _Level:
    def __init__(self, coded: Coded, level: int, compensate: bool) -> None:
        self.coded, self.plan = coded, coded.plan
        entry = coded.file.levels[level - 1]
        self.compensation = entry.compensation if compensate else INACTIVE
        self.done = [0] * self.plan.layers
        self.exact = False
        for pass_ in coded.header.passes[: entry.passes]:
            if pass_.layer == EXACT_LAYER:
                self.exact = True
            else:
                self.done[pass_.layer] += len(pass_.groups)
        self.layers = [layer for layer, done in enumerate(self.done) if done]
        self.rows = [
            (tile, layer, row)
            for layer in self.layers
            for tile in coded.tiles
            for row in range(tile.rows(layer).start, tile.rows(layer).stop)
        ]

    def columns(self) -> Columns:
        plan, facts = self.plan, self.coded.exact
        types = dict(plan.properties())
        found: dict[str, np.ndarray] = {}
        bits: set[str] = set()
        groups: dict[str, int] = {}
        for number, group in enumerate(plan.groups):
            if not self._held(number, group):
                continue
            for name, column in zip(group.columns, self._group(number, group), strict=True):
                found[name] = _rounded(column, types[name])
                groups[name] = number
            if group.kind in LABEL_KINDS:
                bits |= set(group.columns)
        for name, (type_, value) in plan.constants.items():
            found[name] = np.frombuffer(value * len(self.rows), f"<{type_}")
            bits.add(name)
        active = self.compensation != INACTIVE
        if active:
            self._compensate(found, types)
        if self.exact:
            for name, values in facts.columns.items():
                found[name] = values.copy()
                bits.add(name)
            self._except(found, list(types), types)
            if facts.row_order is not None:
                inverse = np.argsort(np.array(facts.row_order))
                found = {name: values[inverse] for name, values in found.items()}
        ordered = {name: found[name] for name in types if name in found}
        elements = facts.elements if self.exact else None
        return Columns(ordered, bits, groups, elements, active, len(self.rows), types)

    def _held(self, number: int, group: Group) -> bool:
        if not group.columns:
            return False
        held = [self.done[layer] > number for layer in self.layers]
        return all(held) if group.kind in LABEL_KINDS else any(held)

    def _group(self, number: int, group: Group) -> list[list[float]]:
        if group.kind == GroupKind.POSITION:
            rows = [self._position(*row) for row in self.rows]
        elif group.kind in LABEL_KINDS:
            assert group.labels is not None
            palette = group.labels.palette
            return [[palette[int(tile.values(number)[row, 0])] for tile, _, row in self.rows]]
        else:
            assert group.kind in RESIDUAL_KINDS
            rows = [self._residual(number, group, *row) for row in self.rows]
        return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in group.columns]

    def _position(self, tile: Tile, layer: int, row: int) -> list[float]:
        width, fine = 0, [0, 0, 0]
        for number, group in enumerate(self.plan.groups):
            if group.kind == GroupKind.POSITION_FINE and self.done[layer] > number:
                at = row - tile.rows(layer).start
                width = int(tile.step_classes(number, group.rule, layer)[at])
                fine = tile.values(number)[row].tolist()
        cells = tile.grid(slice(row, row + 1))[0].tolist()
        return [
            self.plan.origin[a] + (cells[a] + (fine[a] + 0.5) / (1 << width)) * self.plan.grid_step
            for a in range(3)
        ]

    def _residual(self, number: int, group: Group, tile: Tile, layer: int, row: int) -> list[float]:
        sentinel = group.sentinel
        if sentinel != NO_SENTINEL and self.done[layer] > sentinel:
            index = int(tile.values(sentinel)[row, 0])
            if index:
                labels = self.plan.groups[sentinel].labels
                assert labels is not None
                return [float(labels.palette[index])] * len(group.columns)
        v = tile.values(number)[row].tolist() if self.done[layer] > number else [0] * group.channels
        centre = [float(np.float32(c)) for c in group.centre] or [0.0] * group.channels
        y = [a * (group.step / 64) + c for a, c in zip(v, centre, strict=True)]
        if group.transform is not None:
            scale = 1 << group.transform.bits
            return [
                float(np.float32(mean))
                + sum(
                    a * (basis[m] / scale)
                    for a, basis in zip(y, group.transform.basis, strict=True)
                )
                for m, mean in enumerate(group.transform.mean)
            ]
        if group.kind == GroupKind.OPACITY:
            return [_opacity(y[0])]
        return _rotation(y) if group.kind == GroupKind.ROTATION else y

    def _compensate(self, found: dict[str, np.ndarray], types: dict[str, str]) -> None:
        offset, pull, gain, exponent = (float(np.float32(v)) for v in self.compensation)
        for group in self.plan.groups:
            if not group.columns or group.columns[0] not in found:
                continue
            if group.kind == GroupKind.SCALE:
                rows = np.stack([found[name] for name in group.columns], 1).astype(float).tolist()
                for row, spacing in zip(rows, self._spacings(found), strict=True):
                    largest = sorted(row)[-2:]
                    excess = spacing - sum(largest) / len(largest)
                    growth = offset + pull * min(max(excess, -2.0), 3.0)
                    row[:] = [value + growth for value in row]
                for name, column in zip(group.columns, zip(*rows, strict=True), strict=True):
                    found[name] = _rounded(list(column), types[name])
            elif group.kind == GroupKind.OPACITY:
                name = group.columns[0]
                deeper = [_deepened(float(a), gain, exponent) for a in found[name]]
                found[name] = _rounded(deeper, types[name])

    def _spacings(self, found: dict[str, np.ndarray]) -> list[float]:
        names = self.plan.groups[0].columns
        points = np.stack([found[name] for name in names], axis=1).astype(float).tolist()
        spacing = [0.0] * len(points)
        for tile in self.coded.tiles:
            mine = [i for i, (other, _, _) in enumerate(self.rows) if other is tile]
            mine.sort(key=lambda i: int(self.rows[i][0].keys[self.rows[i][2]]))
            used = min(4, len(mine) - 1)
            for place, i in enumerate(mine):
                near = mine[max(0, place - 8) : place] + mine[place + 1 : place + 9]
                squared = sorted(
                    sum((a - b) ** 2 for a, b in zip(points[i], points[j], strict=True))
                    for j in near
                )[:used]
                mean = sum(squared) / used if used else 0.0
                spacing[i] = 0.5 * _log(mean + 1e-20)
        return spacing

    def _except(
        self, found: dict[str, np.ndarray], names: list[str], types: dict[str, str]
    ) -> None:
        for row, index, value in self.coded.exact.exceptions:
            name = names[index]
            if name in found:
                size = np.dtype(types[name]).itemsize
                raw = value.to_bytes(8, "little")[:size]
                found[name][row] = np.frombuffer(raw, f"<{types[name]}")[0]


def _rounded(values: list[float], type_: str) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.array(values, "f8" if type_[0] == "f" else "i8").astype(f"<{type_}")


def _opacity(y: float) -> float:
    with localcontext() as context:
        context.prec = _DIGITS
        third = Decimal(y) / 3
        return float(3 * (third.exp() - (-third).exp()) / 2)


def _rotation(y: list[float]) -> list[float]:
    n = y[0] * y[0] + y[1] * y[1] + y[2] * y[2]
    m = min(n, 4.0)
    r = math.sqrt(min(1.0, 4.0 / max(n, 4.0)))
    return [1 - m / 2, *(a * r * math.sqrt(1 - m / 4) for a in y)]


def _deepened(a: float, gain: float, exponent: float) -> float:
    with localcontext() as context:
        context.prec = _DIGITS
        logit = Decimal(min(max(a, -60.0), 60.0))
        o = min(1 / (1 + (-logit).exp()), Decimal("0.999"))
        t = -(1 - o).ln()
        deeper = min(Decimal(gain).exp() * t ** Decimal(exponent), Decimal(60))
        return float((deeper.exp() - 1 + Decimal("1e-30")).ln())


def _log(value: float) -> float:
    with localcontext() as context:
        context.prec = _DIGITS
        return float(Decimal(value).ln())
