"""In which order the codec will send Gaussians, and from which it will predict each."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from csgs_codec.encoder.appearance import Appearance
from csgs_codec.encoder.importance import LAYER_ENDS, choose_layers
from csgs_codec.encoder.options import EncodeOptions
from csgs_codec.encoder.partition import make_partition, place_order
from csgs_codec.encoder.plan import Grid
from csgs_codec.encoder.prepare import prepare
from csgs_codec.hyperprior.neighbours import NEIGHBOURS, Places, find_neighbours
from csgs_codec.numerics.morton import encode_keys
from csgs_codec.scene import Scene

I64 = NDArray[np.int64]


@dataclass(frozen=True)
class CodingOrder:
    """What is decoded before what.

    Attributes
    ----------
    layers : tuple of ndarray of int64
        Rows of each layer.
    near : ndarray of int64, shape (n, 4)
        Rows of earlier layers that each Gaussian is predicted from; 0 where there are fewer.
    weight : ndarray of float32, shape (n, 4)
        What each counts, by inverse squared distance; sums to 1, or to 0 where there are none.
    """

    layers: tuple[I64, ...]
    near: I64
    weight: NDArray[np.float32]

    @classmethod
    def of(cls, scene: Scene) -> CodingOrder:
        """Order of a scene with at least one Gaussian, as csgs-encode would choose it."""
        options = EncodeOptions(nan="keep", look=False)
        prepared = prepare(scene, options)
        grid = Grid.of(
            prepared.scene, Appearance(prepared.scene, prepared.groups), options.fineness
        )
        by_place = place_order(grid.cells)
        layer = choose_layers(prepared.scene, prepared.groups, by_place, LAYER_ENDS)
        partition = make_partition(grid.cells, by_place, layer)
        near = np.zeros((scene.count, NEIGHBOURS), np.int64)
        weight = np.zeros((scene.count, NEIGHBOURS), np.float32)
        for tile, counts in enumerate(partition.tiles.counts):
            rows = partition.tile_rows(tile)
            cells = grid.cells[rows] - grid.cells[rows].min(axis=0)
            bits = [int(s).bit_length() for s in cells.max(axis=0)]
            places = Places.of(encode_keys(cells, bits), cells, bits)
            for start, end in pairwise(np.cumsum(counts)):
                order = np.argsort(places.keys[:start], kind="stable")
                found = find_neighbours(places[start:end], places[order]).row[:, :NEIGHBOURS]
                known = found >= 0
                here = rows[start:end]
                source = order[found] if len(order) else found
                near[here] = np.where(known, rows[source], 0)
                apart = cells[start:end, None] - cells[source]
                heavy = known / (1.0 + (apart.astype(np.float64) ** 2).sum(axis=2))
                weight[here] = heavy / np.maximum(heavy.sum(axis=1, keepdims=True), 1e-30)
        layers = tuple(np.flatnonzero(layer == k) for k in range(int(layer.max()) + 1))
        return cls(layers, near, weight)
