"""Decoded integers of a scene in canonical row order: what exact columns are foretold from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from csgs_codec.container.kinds import LABEL_KINDS, GroupKind
from csgs_codec.decoder.chunk import Tools
from csgs_codec.hyperprior.tile import Tile

I64 = NDArray[np.int64]

CELL_SHIFT = 9
_MOST_FINE_BITS = 8


class CanonicalIntegers:
    """Integers of groups, row by canonical row.

    Parameters
    ----------
    tools : Tools
    tile : callable
        State of a tile by its number, decoded up to the exact pass.
    """

    def __init__(self, tools: Tools, tile: Callable[[int], Tile]) -> None:
        self._tools, self._tile = tools, tile
        self._kept: dict[int, list[I64]] = {}

    def channels(self, group: int) -> int:
        """Integers of a group per row; 0 for a group that cannot foretell a column."""
        groups = self._tools.header.groups
        if group >= len(groups) or groups[group].kind in LABEL_KINDS | {GroupKind.POSITION_FINE}:
            return 0
        return groups[group].channels

    def __call__(self, group: int) -> list[I64]:
        """Integers of a group, an array of shape (gaussians,) for each channel.

        Those of POSITION are places in ``2**-9`` cells: the middle of the fine cell.
        """
        if group not in self._kept:
            header = self._tools.header
            out = np.empty((header.groups[group].channels, header.gaussians), np.int64)
            begin = 0
            for layer in range(header.layers):
                for index in range(header.tiles):
                    tile = self._tile(index)
                    rows = tile.rows(layer)
                    end = begin + rows.stop - rows.start
                    if header.groups[group].kind is GroupKind.POSITION:
                        out[:, begin:end] = self._places(tile, layer).T
                    else:
                        out[:, begin:end] = tile.values(group)[rows].T
                    begin = end
            self._kept = {group: list(out)}
        return self._kept[group]

    def _places(self, tile: Tile, layer: int) -> I64:
        rows = tile.rows(layer)
        places = tile.grid(rows) << CELL_SHIFT
        for group, rule in self._tools.fine_rules.items():
            bits = tile.step_classes(group, rule, layer).astype(np.int64)[:, None]
            fine = tile.values(group)[rows].astype(np.int64)
            return np.asarray(places + ((2 * fine + 1) << (_MOST_FINE_BITS - bits)))
        return np.asarray(places + (1 << (CELL_SHIFT - 1)))
