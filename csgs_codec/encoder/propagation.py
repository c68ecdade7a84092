"""What errors of a Gaussian do to those that are foretold from it.

Values are predicted from those of neighbours that are coded before, so an error of an early
Gaussian is inherited, or has to be corrected, again and again. As video coders weigh blocks by what
later pictures take from them (the macroblock tree of x264), each Gaussian counts for itself and for
a share of everybody in whose prediction it has a say.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from csgs_codec.hyperprior.blend import NeighbourBlend
from csgs_codec.hyperprior.neighbours import MISSING
from csgs_codec.hyperprior.tile import Tile

F64 = NDArray[np.float64]

PASSED_ON = 0.6
_DECAY = 16  # by the squared distance


def importances(tiles: Sequence[Tile], layers: int) -> list[F64]:
    """Weight of each Gaussian's errors; their geometric mean is 1.

    Parameters
    ----------
    tiles : sequence of Tile
        With the keys of all layers.
    layers : int

    Returns
    -------
    list of ndarray, one per tile, shape (rows,)
    """
    found = [_importance(tile, layers) for tile in tiles]
    middle = np.exp(np.log(np.concatenate(found)).mean())
    return [values / middle for values in found]


def _importance(tile: Tile, layers: int) -> F64:
    """1, and what the later ones pass on: those of the nearest neighbours get the most."""
    importance = np.ones(len(tile.keys))
    blend = NeighbourBlend(_DECAY, np.zeros(0, np.uint8))
    for layer in reversed(range(layers)):
        own, near = importance[tile.rows(layer)], tile.neighbours(layer)
        for part in reversed(tile.rounds(layer)):
            found = near.part(part)
            share = blend.weights(found) / 256.0
            passed = PASSED_ON * own[part][:, None] * share
            known = found.row != MISSING
            importance += np.bincount(found.row[known], passed[known], minlength=len(importance))
    return importance
