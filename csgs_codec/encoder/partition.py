"""Cut a scene into tiles (by place) and layers (by importance), in canonical row order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csgs_codec.container.header import Tiles
from csgs_codec.errors import LimitError
from csgs_codec.limits import TILE_CAPACITY
from csgs_codec.numerics.morton import encode_keys

I64 = NDArray[np.int64]

TILE_TARGET = 49152
GRID_BITS = 21


@dataclass(frozen=True)
class Partition:
    """A scene on the grid.

    Attributes
    ----------
    cells : ndarray of int64, shape (n, 3)
        Coarse grid cell of each Gaussian, in the scene's own row order.
    order : ndarray of int64, shape (n,)
        Scene row of each canonical row (layer, then tile, then Morton order).
    tiles : Tiles
    """

    cells: I64
    order: I64
    tiles: Tiles

    def tile_rows(self, tile: int) -> I64:
        """Scene rows of a tile, layer after layer."""
        counts = self.tiles.counts
        starts = np.concatenate([[0], np.cumsum(counts.T.reshape(-1))])
        pieces = [
            self.order[starts[place] : starts[place + 1]]
            for place in range(tile, counts.size, len(counts))
        ]
        return np.concatenate(pieces) if pieces else np.zeros(0, np.int64)


def place_order(cells: I64) -> I64:
    """Rows in Morton order over the whole scene.

    Raises
    ------
    LimitError
        The scene spans more cells than the format can address.
    """
    if len(cells) and int(cells.max()) >= 1 << GRID_BITS:
        raise LimitError(
            f"the scene spans more than 2**{GRID_BITS} grid cells; use a lower quality"
        )
    return np.argsort(encode_keys(cells, (GRID_BITS,) * 3), kind="stable")


def make_partition(cells: I64, by_place: I64, layer: I64) -> Partition:
    """Partition a scene of at least one Gaussian.

    Parameters
    ----------
    cells : ndarray of int64, shape (n, 3)
        Grid cells, not negative.
    by_place : ndarray of int64, shape (n,)
        Rows in Morton order.
    layer : ndarray of int64, shape (n,)
        Layer of each row.
    """
    tile_count = -(-len(cells) // TILE_TARGET)
    if tile_count * TILE_CAPACITY < len(cells):
        raise LimitError("too many Gaussians in one tile")
    layers = int(layer.max()) + 1
    origins, bits, counts, rows = [], [], [], []
    for members in np.array_split(by_place, tile_count):
        low, high = cells[members].min(axis=0), cells[members].max(axis=0)
        span = [int(s).bit_length() for s in high - low]
        keys = encode_keys(cells[members] - low, span)
        origins.append(low)
        bits.append(span)
        counts.append(np.bincount(layer[members], minlength=layers))
        rows.append(members[np.lexsort((keys, layer[members]))])
    tiles = Tiles(np.array(origins), np.array(bits, np.uint8), np.array(counts, np.int64))
    order = [
        tile_rows[np.flatnonzero(layer[tile_rows] == number)]
        for number in range(layers)
        for tile_rows in rows
    ]
    return Partition(cells, np.concatenate(order), tiles)
