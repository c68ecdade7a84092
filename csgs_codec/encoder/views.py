"""Pictures of the scene that an encoder looks at: how sensitive they are, and what they show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csgs_codec.container.kinds import GroupKind
from csgs_codec.encoder.sensitivity import Sensitivity
from csgs_codec.render import rasterise
from csgs_codec.render.cameras import Camera
from csgs_codec.render.gaussians import RenderGaussians
from csgs_codec.render.influence import directions, influence

F32 = NDArray[np.float32]
_C0 = 0.28209479177387814
ROW_STRIDE = 4
MEASURED_STRIDE = 4
_MEASURED = (GroupKind.POSITION, GroupKind.OPACITY, GroupKind.SCALE, GroupKind.DC)


@dataclass(frozen=True)
class View:
    """A camera and the picture that it takes of the original, shape (height, width, 3)."""

    camera: Camera
    picture: F32


def take_pictures(
    gaussians: RenderGaussians,
    cameras: Sequence[Camera],
    fitted: int,
    tell: Callable[[float], None] = lambda share: None,
) -> tuple[list[View], Sensitivity, float]:
    """Render the original and measure what errors would do.

    Parameters
    ----------
    gaussians : RenderGaussians
    cameras : sequence of Camera
    fitted : int
        How many Gaussians all pictures that are kept may show, each counted in every picture.
    tell : callable
        Called with the share done.

    Returns
    -------
    views : list of View
    sensitivity : Sensitivity
        Over all cameras.
    seen : float
        Share of the Gaussians that change any picture.
    """
    count, width = gaussians.count, gaussians.sh.shape[1]
    sums = {kind: np.zeros(count) for kind in _MEASURED}
    turns = np.zeros((count, 3))
    seen = np.zeros((width, width))
    views, shown = [], 0
    for number, camera in enumerate(cameras):
        projection = rasterise.project(gaussians, camera)
        tiles = rasterise.bin_tiles(projection)
        raster = rasterise.forward(projection, tiles, projection.rgb)
        found = influence(gaussians, camera, projection, tiles, raster, MEASURED_STRIDE)
        pixels = 3.0 * camera.width * camera.height * len(cameras)
        slope = gaussians.opacity * (1 - gaussians.opacity)
        measured = {
            GroupKind.POSITION: found.position,
            GroupKind.OPACITY: found.opacity * slope**2,
            GroupKind.SCALE: found.log_scale,
            GroupKind.DC: _C0**2 * found.colour,
        }
        for kind, values in measured.items():
            sums[kind] += values / pixels
        turns += found.quaternion / pixels
        there = np.flatnonzero(found.colour)
        basis = directions(gaussians.means[there], camera, width)
        seen += (basis * found.colour[there, None]).T @ basis
        if shown + len(there) <= fitted * (number + 1) / len(cameras):
            views.append(View(camera, raster.image))
            shown += len(there)
        tell((number + 1) / len(cameras))
    seen_at_all = float((sums[GroupKind.DC] > 0).mean())
    sums = {kind: np.nan_to_num(values, posinf=0.0) for kind, values in sums.items()}
    turns = np.nan_to_num(turns, posinf=0.0)
    by_kind = {**sums, GroupKind.ROTATION: turns.mean(axis=1)}
    trace = max(float(np.trace(seen)), 1e-30)
    moments = np.nan_to_num(seen) * width / trace
    return views, Sensitivity(by_kind, turns, moments), seen_at_all
