"""State of one tile while it is coded: shared by encoder and decoder (spec section 7.1).

Rows of a tile are layer after layer, in Morton order within a layer; a layer is coded in rounds.
Everything that a context may use is derived here, from integers that the decoder has.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from csgs_codec.attributes.steps import StepRule, features_of
from csgs_codec.container.header import Header, Tiles
from csgs_codec.container.kinds import GroupKind
from csgs_codec.hyperprior.neighbours import Neighbours, Places, layer_neighbours, round_slices
from csgs_codec.numerics.morton import decode_cells
from csgs_codec.numerics.positional import encode_cells

I32 = NDArray[np.int32]


class Tile:
    """One tile.

    Parameters
    ----------
    header, tiles : Header, Tiles
    index : int
        Number of the tile.

    Attributes
    ----------
    keys : ndarray of uint64, shape (rows,)
    cells : ndarray of int32, shape (rows, 3)
        Cell of each key, within the tile.
    origin : ndarray of int64, shape (3,)
        First cell of the tile in the scene.
    """

    def __init__(self, header: Header, tiles: Tiles, index: int) -> None:
        self.index = index
        self.bits = tuple(int(b) for b in tiles.bits[index])
        self.depth = sum(self.bits)
        self._header = header
        self.origin = tiles.origin[index]
        self._starts = np.concatenate([[0], np.cumsum(tiles.counts[index])]).astype(int)
        self.keys = np.zeros(int(self._starts[-1]), np.uint64)
        self.cells = np.zeros((len(self.keys), 3), np.int32)
        self._values: dict[int, I32] = {}
        self._neighbours: dict[int, Neighbours] = {}
        self._encoded_positions = (-1, np.zeros((0, 0), np.uint8))

    def rows(self, layer: int) -> slice:
        """Rows of a layer."""
        return slice(int(self._starts[layer]), int(self._starts[layer + 1]))

    def set_keys(self, layer: int, keys: NDArray[np.uint64]) -> None:
        """Store the decoded Morton keys of a layer."""
        self._set_keys(self.rows(layer), keys)

    def set_all_keys(self, keys: NDArray[np.uint64]) -> None:
        """Store the Morton keys of all layers."""
        self._set_keys(slice(0, len(keys)), keys)

    def _set_keys(self, rows: slice, keys: NDArray[np.uint64]) -> None:
        self.keys[rows] = keys
        self.cells[rows] = decode_cells(keys, self.bits)

    def earlier_keys(self, layer: int) -> NDArray[np.uint64]:
        """Sorted keys of all earlier layers."""
        return np.sort(self.keys[: self.rows(layer).start])

    def grid(self, rows: slice) -> NDArray[np.int64]:
        """Coarse grid coordinates in the scene, shape (n, 3)."""
        return self.cells[rows] + self.origin

    def encoded_positions(self, layer: int, octaves: int) -> NDArray[np.uint8]:
        """Positional encoding of a layer, shape (n, 6 * octaves), octave after octave."""
        latest, known = self._encoded_positions
        if latest != layer or known.shape[1] < 6 * octaves:
            offset = self.origin - np.array(self._header.unit_offset, np.int64)
            shift = self._header.unit_shift
            known = encode_cells(self.cells[self.rows(layer)], offset, shift, octaves)
            self._encoded_positions = layer, known
        return known[:, : 6 * octaves]

    def rounds(self, layer: int) -> list[slice]:
        """Places within a layer, round after round: the order in which groups are coded."""
        return round_slices(self._header.rounds[layer])

    def neighbours(self, layer: int) -> Neighbours:
        """Neighbours of a layer among the earlier layers and rounds."""
        if layer not in self._neighbours:
            rows, rounds = self.rows(layer), self._header.rounds[layer]
            places = Places.of(self.keys[: rows.stop], self.cells[: rows.stop], self.bits)
            self._neighbours[layer] = layer_neighbours(places, rows.start, rounds)
        return self._neighbours[layer]

    def values(self, group: int) -> I32:
        """Decoded integers of a group for all rows, created as zeros."""
        if group not in self._values:
            channels = self._header.groups[group].channels
            self._values[group] = np.zeros((len(self.keys), channels), np.int32)
        return self._values[group]

    def release(self) -> None:
        """Give up all but the keys: nothing more will be decoded."""
        self._values.clear()
        self._neighbours.clear()
        self._encoded_positions = (-1, np.zeros((0, 0), np.uint8))

    def digest(self, layer: int, groups: tuple[int, ...]) -> bytes:
        """SHA-256 of a layer's integers: keys as u64, all else as i32, group after group."""
        digest = hashlib.sha256()
        rows = self.rows(layer)
        for group in groups:
            if self._header.groups[group].kind is GroupKind.POSITION:
                digest.update(self.keys[rows].astype("<u8", copy=False).data)
            else:
                digest.update(self.values(group)[rows].astype("<i4", copy=False).data)
        return digest.digest()

    def _features(self, group: int, rows: slice) -> NDArray[np.int64]:
        """Features of step classes: what was coded before ``group``."""

        def decoded(kind: GroupKind) -> I32 | None:
            known = self._header.groups[:group]
            found = [number for number, declared in enumerate(known) if declared.kind is kind]
            return self.values(found[-1])[rows] if found else None

        scales, opacity = decoded(GroupKind.SCALE), decoded(GroupKind.OPACITY)
        sensitivity = decoded(GroupKind.SENSITIVITY)
        return features_of(scales, opacity, sensitivity, rows.stop - rows.start)

    def step_classes(self, group: int, rule: StepRule, layer: int) -> NDArray[np.int8]:
        """Step classes of a layer for a group with the given rule."""
        rows = self.rows(layer)
        if rule.constant:
            return np.zeros(rows.stop - rows.start, np.int8)
        return rule.classes(self._features(group, rows))
