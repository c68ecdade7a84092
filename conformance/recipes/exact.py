"""Exact data for scenes: columns of every type and code, elements, exceptions, row order."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

from conformance.maker import payloads
from conformance.maker.coder import Coded
from conformance.maker.seeded import Seeded
from csgs_codec.attributes.exact_columns import ColumnModel, Past

INTEGER_TYPES = ("i1", "u1", "i2", "u2", "i4", "u4")
ELEMENTS = (
    b"ply\nformat binary_little_endian 1.0\nelement camera 2\nproperty float focal\n"
    b"property list uchar int indices\nelement note 1\nproperty ushort year\nend_header\n"
    + struct.pack("<fB2i", 1.5, 2, -7, 70000)
    + struct.pack("<fB", 2.25, 0)
    + struct.pack("<H", 2026)
)


def draw_column(seeded: Seeded, type_: str, count: int) -> np.ndarray:
    """Return values of every magnitude that a type has, with special ones among floats."""
    size = np.dtype(type_).itemsize
    if type_[0] != "f":
        raw = [seeded.word() >> (64 - 8 * size) for _ in range(count)]
        return np.array(raw, f"<u{size}").view(f"<{type_}")
    values = [(seeded.between(-2000, 2000) / 64) for _ in range(count)]
    column = np.array(values, f"<{type_}")
    special = [0.0, -0.0, float("inf"), float("-inf"), float("nan"), 1e-30, -1e-39, 3e38]
    for place, value in enumerate(special[: max(count - 4, 0)]):
        column[3 + place] = value
    return column


def smooth_column(seeded: Seeded, type_: str, count: int, low_zeros: int = 0) -> np.ndarray:
    """Return values that change slowly; the low bits of the mantissas may be 0."""
    steps = [seeded.between(-9, 9) for _ in range(count)]
    values = np.cumsum(np.array(steps, np.int64)) + 40
    if type_[0] != "f":
        return (values % 100).astype(f"<{type_}")
    scaled = values.astype(f"<{type_}") * np.array(1.0 + (0 if low_zeros else 2.0**-12), type_)
    return np.asarray(scaled / np.array(8, type_), f"<{type_}")


Maker = Callable[[Coded], list[bytes]]


def deflated(names: list[str], seed: int, smooth: bool = False) -> Maker:
    """XDAT of some properties, each DEFLATED."""

    def make(coded: Coded) -> list[bytes]:
        seeded = Seeded(seed)
        out = []
        properties = dict(coded.plan.properties())
        for name in names:
            draw = smooth_column if smooth else draw_column
            values = draw(seeded, properties[name], coded.plan.count)
            coded.exact.columns[name] = values
            out.append(payloads.exact_column(list(properties).index(name), values))
        return out

    return make


def modelled(
    models: dict[str, ColumnModel],
    draw: Callable[[Seeded, str, int], np.ndarray],
    seed: int,
    weights: dict[str, np.ndarray] | None = None,
) -> Maker:
    """XDAT of some properties, each MODELLED, in the order of the dictionary."""

    def make(coded: Coded) -> list[bytes]:
        seeded, past = Seeded(seed), Past(coded.plan.count)
        properties = dict(coded.plan.properties())
        out = []
        for name, model in models.items():
            values = draw(seeded, properties[name], coded.plan.count)
            coded.exact.columns[name] = values
            index = list(properties).index(name)
            own = None if weights is None else weights.get(name)
            out.append(payloads.modelled_column(index, values, model, coded.integers, past, own))
        return out

    return make


def together(*makers: Maker) -> Maker:
    """XDAT chunks of several makers, one after the other."""
    return lambda coded: [payload for make in makers for payload in make(coded)]


def elements(ply: bytes = ELEMENTS) -> Maker:
    """XDAT of other elements."""

    def make(coded: Coded) -> list[bytes]:
        coded.exact.elements = ply
        return [payloads.elements(ply)]

    return make


def exceptions(entries: list[tuple[int, int, int]]) -> Maker:
    """XDAT of exceptions: rows, properties, bits."""

    def make(coded: Coded) -> list[bytes]:
        coded.exact.exceptions = entries
        return [payloads.exceptions(entries)]

    return make


def row_order(code: int, seed: int = 77) -> Maker:
    """XDAT of a random row order."""

    def make(coded: Coded) -> list[bytes]:
        order = Seeded(seed).shuffled(range(coded.plan.count))
        coded.exact.row_order = order
        return [payloads.row_order(order, code)]

    return make
