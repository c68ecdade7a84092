"""How much of the pictures each Gaussian is."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from csgs_codec.errors import UnsupportedError
from csgs_codec.render import Camera, RenderGaussians


def blended_weight(gaussians: RenderGaussians, cameras: Sequence[Camera]) -> NDArray[np.float64]:
    """Weights with which a Gaussian is blended, summed over all pixels of all views.

    Parameters
    ----------
    gaussians : RenderGaussians
    cameras : sequence of Camera

    Returns
    -------
    ndarray of float64, shape (n,)
        In pixels; 0 for a Gaussian that no view shows.

    Raises
    ------
    UnsupportedError
        numba is not installed.
    """
    if find_spec("numba") is None:
        raise UnsupportedError("rendered weights need numba")
    from csgs_codec.render import rasterise

    total = np.zeros(gaussians.count)
    colours = np.zeros((gaussians.count, 1), np.float32)
    for camera in cameras:
        projection = rasterise.project(gaussians, camera)
        tiles = rasterise.bin_tiles(projection)
        raster = rasterise.forward(projection, tiles, colours)
        ones = np.ones_like(raster.image)
        total += rasterise.backward(projection, tiles, colours, raster, ones).colours[:, 0]
    return total
