"""What a picture by some of the Gaussians gains or loses if one of them, or another, is flipped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csgs_codec.render import flip_kernels
from csgs_codec.render.gaussians import Floats
from csgs_codec.render.rasterise import Projection, TileLists, in_pieces

_PIECES_PER_THREAD = 12
_TILES = 8


@dataclass(frozen=True)
class Flips:
    """One picture.

    Attributes
    ----------
    change : ndarray of float64, shape (n,)
        Change of the mean squared error if this Gaussian alone changed sides; 0 if not in sight.
    error : float
        Mean squared error of the picture by the members.
    """

    change: NDArray[np.float64]
    error: float


def flips(
    projection: Projection,
    tiles: TileLists,
    members: NDArray[np.bool_],
    picture: Floats,
    stride: int = 1,
    phase: int = 0,
) -> Flips:
    """Look at a picture by members, and at what leaving them out or others in would change.

    Parameters
    ----------
    projection, tiles
        Of all Gaussians.
    members : ndarray of bool, shape (n,)
    picture : ndarray of float32, shape (height, width, 3)
        What should be seen, on a black background.
    stride, phase : int
        Only rows ``phase``, ``phase + stride`` ... of pixels are looked at; sums are scaled up.
    """
    change = np.empty(len(tiles.ids), np.float32)
    count = tiles.tiles_x * tiles.tiles_y
    errors = np.empty(count, np.float32)
    inputs = (
        *(tiles.tiles_x, tiles.offsets, tiles.ids, projection.packed, projection.rgb),
        *(members, picture, stride, phase % stride, change, errors),
    )
    in_pieces(
        lambda begin, end: flip_kernels.flip_tiles(begin, end, *inputs),
        count,
        _PIECES_PER_THREAD,
        _TILES,
    )
    scale = stride / picture.size
    by_row = np.bincount(tiles.ids, change, len(projection.depth))
    return Flips(
        np.asarray(by_row * scale, np.float64), float(errors.sum(dtype=np.float64)) * scale
    )
