"""Rendering with gsplat on a CUDA device. torch is imported here, so import this late."""

from __future__ import annotations

import math

import gsplat
import numpy as np
import torch

from csgs_codec.render.cameras import Camera
from csgs_codec.render.gaussians import Floats, RenderGaussians

_NEAR = 0.01


def render_cuda(
    gaussians: RenderGaussians,
    camera: Camera,
    features: Floats | None = None,
    background: Floats | None = None,
) -> tuple[Floats, Floats, Floats | None]:
    """Render one view; see :func:`csgs_codec.render.render`."""
    behind = np.zeros(3, np.float32) if background is None else background
    degree = math.isqrt(gaussians.sh.shape[1]) - 1
    rgb, alpha = _rasterise(gaussians, camera, gaussians.sh, degree, behind)
    if features is None:
        return rgb, alpha, None
    nothing = np.zeros(features.shape[1], np.float32)
    return rgb, alpha, _rasterise(gaussians, camera, features, None, nothing)[0]


@torch.no_grad()
def _rasterise(
    gaussians: RenderGaussians,
    camera: Camera,
    colours: Floats,
    degree: int | None,
    background: Floats,
) -> tuple[Floats, Floats]:
    def put(array: object) -> torch.Tensor:
        return torch.as_tensor(np.ascontiguousarray(array, np.float32), device="cuda")

    g = gaussians
    image, alpha, _ = gsplat.rasterization(
        *(put(a) for a in (g.means, g.quats, g.scales, g.opacity, colours)),
        viewmats=put(camera.world_to_camera)[None],
        Ks=put(camera.intrinsics)[None],
        width=camera.width,
        height=camera.height,
        near_plane=_NEAR,
        sh_degree=degree,
        backgrounds=put(background)[None],
        packed=False,
    )
    return image[0].cpu().numpy(), alpha[0, ..., 0].cpu().numpy()
