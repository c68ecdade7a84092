"""The columns of one group, filled tile layer by tile layer (spec section 9): floats begin here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csgs_codec.attributes.coding import Q6, GroupCoding
from csgs_codec.container.kinds import LABEL_KINDS, GroupKind
from csgs_codec.decoder.chunk import Tools, silent_rows
from csgs_codec.errors import CorruptError
from csgs_codec.hyperprior.tile import Tile
from csgs_codec.numerics.backend import kernels

Generic = NDArray[np.generic]

_ROWS = 4096


@dataclass(frozen=True)
class Columns:
    """Where a group's values go.

    Attributes
    ----------
    group : int
    named : dict of str to ndarray, shape (n,)
    block : ndarray of float32, shape (columns, n), optional
        The same memory where all are float32: what the kernels write.
    """

    group: int
    named: dict[str, Generic]
    block: NDArray[np.float32] | None

    @classmethod
    def make(cls, group: int, typed: list[tuple[str, np.dtype[Any]]], count: int) -> Columns:
        """Allocate columns of ``count`` rows, given their names and types."""
        if all(dtype == np.float32 for _, dtype in typed):
            block = np.empty((len(typed), count), np.float32)
            return cls(group, {name: block[i] for i, (name, _) in enumerate(typed)}, block)
        return cls(group, {name: np.empty(count, dtype) for name, dtype in typed}, None)

    def write(self, begin: int, values: Generic) -> None:
        """Set rows from ``begin`` on, shape (rows, columns)."""
        for column, value in zip(self.named.values(), values.T, strict=True):
            column[begin : begin + len(values)] = value


def fill(
    tools: Tools,
    tile: Tile,
    layer: int,
    columns: Columns,
    begin: int,
    decoded: int,
    part: slice = slice(None),
) -> None:
    """Write one layer of one tile to the rows from ``begin`` on.

    Parameters
    ----------
    tools, tile, layer
    columns : Columns
    begin : int
    decoded : int
        How many groups of the layer are decoded.
    part : slice
        Neighbouring places within the layer; all by default.
    """
    group = columns.group
    kind = tools.header.groups[group].kind
    if kind is GroupKind.POSITION:
        _fill_positions(tools, tile, layer, columns, begin, decoded, part)
        return
    v_q6 = tile.values(group)[tile.rows(layer)][part]
    if kind in LABEL_KINDS:
        (column,) = columns.named.values()
        column[begin : begin + len(v_q6)] = _labels(tools.labels[group].palette, v_q6, column.dtype)
        return
    _fill_values(tools.codings[group], v_q6, columns, begin)
    silent = silent_rows(tools.sentinels, tile, layer, group)
    if silent is not None:
        silent, sentinel = silent[part], tools.sentinels[group]
        labels = tile.values(sentinel)[tile.rows(layer), 0][part]
        found = tools.labels[sentinel].palette[labels[silent]]
        for column in columns.named.values():
            column[begin : begin + len(v_q6)][silent] = found


def _fill_values(
    coding: GroupCoding, v_q6: NDArray[np.int32], columns: Columns, begin: int
) -> None:
    """Dequantise; opacities are few enough for numpy."""
    fast = kernels()
    if fast is None or columns.block is None or coding.kind is GroupKind.OPACITY:
        for at in range(0, len(v_q6), _ROWS):
            columns.write(begin + at, coding.dequantise(v_q6[at : at + _ROWS]))
        return
    step, centre = coding.step / Q6, coding.centre.astype(np.float64)
    if coding.transform is not None:
        basis, mean = coding.transform.basis, coding.transform.mean.astype(np.float64)
        fast.values_linear(v_q6, step, centre, basis, mean, columns.block, begin)
    elif coding.kind is GroupKind.ROTATION:
        fast.values_rotation(v_q6, step, centre, columns.block, begin)
    else:
        fast.values_plain(v_q6, step, centre, columns.block, begin)


def _fill_positions(
    tools: Tools, tile: Tile, layer: int, columns: Columns, begin: int, decoded: int, part: slice
) -> None:
    """Centres of the cells: of the fine ones where the level holds them."""
    whole = tile.rows(layer)
    places = range(whole.start, whole.stop)[part]
    rows = slice(places.start, places.stop)
    fine, bits = np.zeros((rows.stop - rows.start, 3), np.int32), np.zeros(0, np.int8)
    for group, rule in tools.fine_rules.items():
        if decoded > group:
            fine, bits = tile.values(group)[rows], tile.step_classes(group, rule, layer)[part]
    if not len(bits):
        bits = np.zeros(len(fine), np.int8)
    step, origin = tools.header.grid_step, np.array(tools.header.origin)
    fast = kernels()
    if fast is not None and columns.block is not None:
        cells = tile.cells[rows]
        fast.values_position(cells, fine, bits, tile.origin, step, origin, columns.block, begin)
        return
    for at in range(0, len(fine), _ROWS):
        piece = slice(rows.start + at, min(rows.start + at + _ROWS, rows.stop))
        size = np.exp2(-bits[at : at + _ROWS, None].astype(np.float64))
        within = (fine[at : at + _ROWS] + 0.5) * size
        columns.write(begin + at, (tile.grid(piece) + within) * step + origin)


def _labels(palette: NDArray[np.int64], v: NDArray[np.int32], dtype: np.dtype[Any]) -> Generic:
    """Label values, checked to fit the column's type."""
    restored = palette.astype(dtype).astype(np.int64)
    if (restored != palette).any():
        raise CorruptError("a label does not fit the type of its property")
    return palette[v[:, 0]]
