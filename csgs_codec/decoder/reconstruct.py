"""From decoded integers to the columns of a scene (spec section 9): floats begin here."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from plyfile import PlyElement

from csgs_codec.attributes.exact import apply_exceptions
from csgs_codec.container.header import Compensation
from csgs_codec.container.kinds import LABEL_KINDS, GroupKind
from csgs_codec.decoder.chunk import Tools, silent_rows
from csgs_codec.decoder.compensate import deepen, enlarge, log_spacing
from csgs_codec.decoder.parser import Parser
from csgs_codec.decoder.scene_decoder import SceneDecoder
from csgs_codec.errors import CorruptError, PlyError
from csgs_codec.hyperprior.tile import Tile
from csgs_codec.io.ply import elements_from_ply_bytes
from csgs_codec.levels import Coverage, coverage
from csgs_codec.numerics.mlp import single_threaded_blas
from csgs_codec.scene import PlyLayout, Scene

Generic = NDArray[np.generic]


def reconstruct(parser: Parser, decoder: SceneDecoder, compensate: bool = True) -> Scene:
    """Return the scene at the level that ``decoder`` has reached.

    Rows are layer after layer, then tile after tile: the rows of a lower level are the first rows
    of a higher one. Columns of groups that the level does not hold are absent. With ``compensate``
    the scales and opacities of a level that lacks Gaussians are adapted as the file says.
    """
    return _Reconstruction(parser, decoder, compensate).scene()


class _Reconstruction:
    def __init__(self, parser: Parser, decoder: SceneDecoder, compensate: bool) -> None:
        self._parser, self._decoder = parser, decoder
        self._header, self._manifest = parser.header, parser.manifest
        level = parser.levels[decoder.levels_decoded - 1]
        passes = level.passes
        self._compensation = level.compensation if compensate else Compensation()
        self._cover: Coverage = coverage(parser.header, passes)
        counts = parser.tiles.counts[:, : self._cover.layers].T
        self._starts = np.concatenate([[0], np.cumsum(counts)])
        self._count = int(self._starts[-1])

    def scene(self) -> Scene:
        columns: dict[str, Generic] = {}
        named = enumerate(self._manifest.groups)
        replaced = self._decoder.exact.columns
        held = [
            (g, n.columns)
            for g, n in named
            if n.columns and self._covered(g) and not replaced.keys() >= set(n.columns)
        ]
        with single_threaded_blas(), ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            for found in pool.map(lambda item: self._group_columns(*item), held):
                columns.update(found)
        for name, value in self._manifest.constants.items():
            dtype = self._manifest.dtype(name)
            constant = np.frombuffer(value, dtype.newbyteorder("<")).astype(dtype)
            columns[name] = np.repeat(constant, self._count)
        if self._compensation.active:
            self._compensate(columns)
        exact = self._decoder.exact
        columns.update(exact.columns)
        names = [name for name, _ in self._manifest.properties]
        ordered = {name: columns[name] for name in names if name in columns}
        scene = Scene(ordered, PlyLayout.from_json(self._manifest.layout))
        if exact.exceptions is not None:
            apply_exceptions(self._all_properties(ordered, names), exact.exceptions)
        if exact.elements is not None:
            scene.elements = _other_elements(exact.elements)
        if exact.row_order is not None:
            inverse = np.empty_like(exact.row_order)
            inverse[exact.row_order] = np.arange(len(inverse))
            scene = scene.select(inverse)
        return scene

    def _compensate(self, columns: dict[str, Generic]) -> None:
        """Adapt scales and opacities in place."""
        names = {
            g.kind: m.columns
            for g, m in zip(self._header.groups, self._manifest.groups, strict=True)
        }
        scales, opacity = names.get(GroupKind.SCALE), names.get(GroupKind.OPACITY)
        if scales and scales[0] in columns:
            spacing = self._log_spacing(
                np.stack([columns[n] for n in names[GroupKind.POSITION]], 1)
            )
            values = np.stack([columns[n] for n in scales], axis=1).astype(np.float64)
            for name, column in zip(
                scales, enlarge(values, spacing, self._compensation).T, strict=True
            ):
                columns[name][:] = column
        if opacity and opacity[0] in columns:
            logit = columns[opacity[0]].astype(np.float64)
            columns[opacity[0]][:] = deepen(logit, self._compensation)

    def _log_spacing(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Spacing of each row, tile by tile."""
        spacing = np.empty(len(positions))
        layers, tiles = self._cover.layers, self._header.tiles
        for index in range(tiles):
            places = [layer * tiles + index for layer in range(layers)]
            rows = np.concatenate([np.arange(*self._starts[p : p + 2]) for p in places])
            keys = self._decoder.tile(index).keys[: len(rows)]
            in_order = rows[np.argsort(keys, kind="stable")]
            spacing[in_order] = log_spacing(positions[in_order].astype(np.float64))
        return spacing

    def _all_properties(self, columns: dict[str, Generic], names: list[str]) -> dict[str, Generic]:
        """Columns by property index; properties that are absent get a scratch column."""
        return {n: columns.get(n, np.zeros(self._count, self._manifest.dtype(n))) for n in names}

    def _covered(self, group: int) -> bool:
        """Whether a group has values: labels for every row, other groups for some rows."""
        held = [count > group for count in self._cover.groups[: self._cover.layers]]
        return all(held) if self._header.groups[group].kind in LABEL_KINDS else any(held)

    def _group_columns(self, group: int, names: tuple[str, ...]) -> dict[str, Generic]:
        columns = {n: np.empty(self._count, self._manifest.dtype(n)) for n in names}
        tiles = self._header.tiles
        for layer in range(self._cover.layers):
            for index in range(tiles):
                place = layer * tiles + index
                begin, end = int(self._starts[place]), int(self._starts[place + 1])
                if begin == end:
                    continue
                values = self._values(self._decoder.tile(index), layer, group)
                for name, column in zip(names, values.T, strict=True):
                    columns[name][begin:end] = column
        return columns

    def _values(self, tile: Tile, layer: int, group: int) -> Generic:
        """Values of a group in one tile layer, shape (n, columns)."""
        kind = self._header.groups[group].kind
        tools = self._parser.tools
        rows = tile.rows(layer)
        if kind is GroupKind.POSITION:
            fine = any(self._cover.groups[layer] > group for group in tools.fine_rules)
            return positions_of(tools, tile, layer, fine)
        if kind in LABEL_KINDS:
            name = self._manifest.groups[group].columns[0]
            palette = tools.labels[group].palette
            return _labels(palette, tile.values(group)[rows], self._manifest.dtype(name))
        values = tools.codings[group].dequantise(tile.values(group)[rows])
        silent = silent_rows(tools.sentinels, tile, layer, group)
        if silent is not None:
            sentinel = tools.sentinels[group]
            palette = tools.labels[sentinel].palette
            values[silent] = palette[tile.values(sentinel)[rows][silent]]
        return values



def positions_of(tools: Tools, tile: Tile, layer: int, fine: bool) -> NDArray[np.float64]:
    """Centres of the cells of a tile layer, of the fine ones where they are decoded, (n, 3)."""
    rows = tile.rows(layer)
    cells = tile.grid(rows).astype(np.float64)
    within = np.full(cells.shape, 0.5)
    if fine:
        for group, rule in tools.fine_rules.items():
            bits = tile.step_classes(group, rule, layer).astype(np.float64)[:, None]
            within = (tile.values(group)[rows] + 0.5) * np.exp2(-bits)
    return (cells + within) * tools.header.grid_step + np.array(tools.header.origin)


def _other_elements(ply: bytes) -> tuple[PlyElement, ...]:
    try:
        elements = elements_from_ply_bytes(ply)
    except PlyError as error:
        raise CorruptError(error.message, chunk="XDAT") from error
    if any(element.name == "vertex" for element in elements):
        raise CorruptError("the other elements hold a vertex element", chunk="XDAT")
    return elements


def _labels(palette: NDArray[np.int64], index: NDArray[np.int32], dtype: np.dtype[Any]) -> Generic:
    """Label values, checked to fit the column's type."""
    restored = palette.astype(dtype).astype(np.int64)
    if (restored != palette).any():
        raise CorruptError("a label does not fit the type of its property")
    return palette[index]
