"""From decoded integers to the columns of a scene (spec section 9): floats begin here."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import numpy as np
from numpy.typing import NDArray
from plyfile import PlyElement

from csgs_codec.attributes.exact import apply_exceptions
from csgs_codec.container.header import Compensation
from csgs_codec.container.kinds import LABEL_KINDS, GroupKind
from csgs_codec.decoder.columns import Columns, fill
from csgs_codec.decoder.compensate import deepen, enlarge, log_spacing
from csgs_codec.decoder.parser import Parser
from csgs_codec.decoder.scene_decoder import SceneDecoder
from csgs_codec.errors import CorruptError, PlyError
from csgs_codec.io.ply import elements_from_ply_bytes
from csgs_codec.levels import Coverage, coverage
from csgs_codec.limits import Limits
from csgs_codec.numerics.mlp import single_threaded_blas
from csgs_codec.scene import PlyLayout, Scene

Generic = NDArray[np.generic]


def reconstruct(
    parser: Parser, decoder: SceneDecoder, compensate: bool = True, release: bool = False
) -> Scene:
    """Return the scene at the level that ``decoder`` has reached.

    Rows are layer after layer, then tile after tile: the rows of a lower level are the first rows
    of a higher one. Columns of groups that the level does not hold are absent. With ``compensate``
    the scales and opacities of a level that lacks Gaussians are adapted as the file says. With
    ``release`` the integers of a tile are given up as soon as they are columns: ``decoder`` can go
    no further. Values that their type cannot hold become infinite, without a warning.
    """
    with np.errstate(all="ignore"):
        return _Reconstruction(parser, decoder, compensate, release).scene()


class _Reconstruction:
    def __init__(
        self, parser: Parser, decoder: SceneDecoder, compensate: bool, release: bool
    ) -> None:
        self._release = release
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
        replaced = self._decoder.exact.columns.keys()
        held = [
            Columns.make(group, [(n, self._manifest.dtype(n)) for n in named.columns], self._count)
            for group, named in enumerate(self._manifest.groups)
            if self._asked(named.columns)
            and self._covered(group)
            and not replaced >= set(named.columns)
        ]
        with single_threaded_blas(), ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            list(pool.map(self._fill, range(self._header.tiles), repeat(held)))
        for one in held:
            columns.update(one.named)
        for name, value in self._manifest.constants.items():
            dtype = self._manifest.dtype(name)
            constant = np.frombuffer(value, dtype.newbyteorder("<")).astype(dtype)
            columns[name] = np.full(self._count, constant[0])
        if self._compensation.active:
            self._compensate(columns)
        exact = self._decoder.exact
        columns.update(exact.columns)
        names = [name for name, _ in self._manifest.properties]
        ordered = {n: columns[n] for n in names if n in columns and self._asked((n,))}
        scene = Scene(ordered, PlyLayout.from_json(self._manifest.layout))
        if exact.exceptions is not None:
            apply_exceptions([ordered.get(name) for name in names], exact.exceptions)
        if exact.elements is not None:
            scene.elements = _other_elements(exact.elements, self._parser.limits)
        if exact.row_order is not None:
            inverse = np.empty_like(exact.row_order)
            inverse[exact.row_order] = np.arange(len(inverse))
            scene = scene.select(inverse)
        return scene

    def _asked(self, names: tuple[str, ...]) -> bool:
        """Whether one of some properties is wanted."""
        part = self._decoder.part
        return bool(names) if part is None else not part.columns.isdisjoint(names)

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

    def _covered(self, group: int) -> bool:
        """Whether a group has values: labels for every row, other groups for some rows."""
        held = [count > group for count in self._cover.groups[: self._cover.layers]]
        return all(held) if self._header.groups[group].kind in LABEL_KINDS else any(held)

    def _fill(self, index: int, held: list[Columns]) -> None:
        """Write the rows of one tile."""
        tile = self._decoder.tile(index)
        for layer in range(self._cover.layers):
            place = layer * self._header.tiles + index
            begin, end = int(self._starts[place]), int(self._starts[place + 1])
            with np.errstate(all="ignore"):
                for columns in held if begin < end else ():
                    fill(self._parser.tools, tile, layer, columns, begin, self._cover.groups[layer])
        if self._release:
            tile.release()


def _other_elements(ply: bytes, limits: Limits) -> tuple[PlyElement, ...]:
    try:
        elements = elements_from_ply_bytes(ply, limits)
    except PlyError as error:
        raise CorruptError(error.message, chunk="XDAT") from error
    if any(element.name == "vertex" for element in elements):
        raise CorruptError("the other elements hold a vertex element", chunk="XDAT")
    return elements
