"""Pictures of Gaussians: gsplat where there is a CUDA device, a CPU rasteriser elsewhere.

Nothing heavy is imported before the first picture; the CPU path never imports torch.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from importlib.util import find_spec

import numpy as np

from csgs_codec.errors import UnsupportedError
from csgs_codec.render.cameras import Camera, read_cameras
from csgs_codec.render.gaussians import Floats, RenderGaussians

__all__ = ["Camera", "RenderGaussians", "backend", "read_cameras", "render"]


@cache
def backend() -> str:
    """``cuda`` if a CUDA device and gsplat are there, else ``cpu``."""
    if find_spec("gsplat") is None or find_spec("torch") is None or not _has_cuda_driver():
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _has_cuda_driver() -> bool:
    """Whether the driver's library loads: cheaper than asking torch."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def render(
    gaussians: RenderGaussians,
    camera: Camera,
    features: Floats | None = None,
    background: Floats | None = None,
    use: str | None = None,
) -> tuple[Floats, Floats, Floats | None]:
    """Render one view.

    Parameters
    ----------
    gaussians : RenderGaussians
    camera : Camera
    features : ndarray of float32, shape (n, channels), optional
        Blended with the same weights as the colours, on a background of zero.
    background : ndarray of float32, shape (3,), optional
        Black by default.
    use : {"cpu", "cuda"}, optional
        Backend; :func:`backend` by default.

    Returns
    -------
    rgb : ndarray of float32, shape (height, width, 3)
        Not clamped above.
    alpha : ndarray of float32, shape (height, width)
    features : ndarray of float32, shape (height, width, channels), or None

    Raises
    ------
    UnsupportedError
        The CPU rasteriser is needed and numba is not installed.
    """
    if (use or backend()) == "cuda":
        from csgs_codec.render.cuda import render_cuda

        return render_cuda(gaussians, camera, features, background)
    if find_spec("numba") is None:
        raise UnsupportedError("rendering without CUDA needs numba")
    from csgs_codec.render import rasterise

    projection = rasterise.project(gaussians, camera)
    tiles = rasterise.bin_tiles(projection)
    colours, behind = projection.rgb, np.zeros(3, np.float32)
    if background is not None:
        behind = np.asarray(background, np.float32)
    if features is not None:
        colours = np.concatenate((colours, features), axis=1, dtype=np.float32)
        behind = np.concatenate((behind, np.zeros(features.shape[1], np.float32)))
    raster = rasterise.forward(projection, tiles, colours, behind)
    alpha = 1 - raster.transmittance
    if features is None:
        return raster.image, alpha, None
    return raster.image[..., :3], alpha, raster.image[..., 3:]
