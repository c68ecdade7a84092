"""Look at a scene more widely than for its quantisers, to learn which Gaussians matter at all.

From each place where the encoder looks from, a second camera looks into a random direction: what
lies aside of the pictures matters to someone who looks around.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csgs_codec.encoder.views import View
from csgs_codec.render import rasterise
from csgs_codec.render.cameras import Camera
from csgs_codec.render.gaussians import RenderGaussians
from csgs_codec.render.influence import removal

F64 = NDArray[np.float64]
Rows = NDArray[np.bool_]

DRAWN = 1 / 255
_ASIDE_WEIGHT = 1 / 3
_MOST_PITCH = 0.6
_EXPOSED = 0.05
_SURROUNDED_BY = 12
_SURROUNDED = 0.35


@dataclass(frozen=True)
class Surroundings:
    """What was seen.

    Attributes
    ----------
    views : list of View
    weights : ndarray of float64
        What the squared error of each view counts; sums to 1.
    effect : ndarray of float64, shape (n,)
        Mean squared error of a picture if this Gaussian alone were left out.
    transparent : ndarray of bool, shape (n,)
        Too transparent to be drawn from anywhere.
    hidden : ndarray of bool, shape (n,)
        Not transparent, but views on all sides have other Gaussians in front of it.
    unseen : ndarray of bool, shape (n,)
        Neither, but hardly exposed to any view: someone who stands elsewhere may see it.
    """

    views: list[View]
    weights: F64
    effect: F64
    transparent: Rows
    hidden: Rows
    unseen: Rows


def look_around(gaussians: RenderGaussians, cameras: Sequence[Camera], seed: int) -> Surroundings:
    """Take pictures of a scene, straight ahead and aside."""
    aside = look_aside(cameras, seed)
    share = np.full(len(cameras), 1 / len(cameras))
    weights = np.concatenate(((1 - _ASIDE_WEIGHT) * share, _ASIDE_WEIGHT * share))
    views, effect, exposure = [], np.zeros(gaussians.count), np.zeros(gaussians.count)
    looks, towards = np.zeros(gaussians.count), np.zeros((gaussians.count, 3))
    for camera, weight in zip((*cameras, *aside), weights, strict=True):
        projection = rasterise.project(gaussians, camera)
        tiles = rasterise.bin_tiles(projection)
        raster = rasterise.forward(projection, tiles, projection.rgb)
        found = removal(projection, tiles, raster)
        exposure = np.maximum(exposure, found.exposure)
        effect += found.change * (weight / raster.image.size)
        views.append(View(camera, raster.image))
        there = np.flatnonzero(projection.visible)
        away = camera.centre - gaussians.means[there]
        looks[there] += 1
        towards[there] += away / np.linalg.norm(away, axis=1, keepdims=True)
    transparent = gaussians.opacity < DRAWN
    shown = (exposure >= _EXPOSED) | transparent
    one_sided = np.linalg.norm(towards, axis=1) > _SURROUNDED * looks
    hidden = ~shown & (looks >= _SURROUNDED_BY) & ~one_sided
    return Surroundings(views, weights, effect, transparent, hidden, ~shown & ~hidden)


def look_aside(cameras: Sequence[Camera], seed: int) -> list[Camera]:
    """Cameras at the same places with small square pictures of random directions, 90 degrees."""
    random = np.random.default_rng(seed)
    found = []
    for camera in cameras:
        side = max(1, round(math.sqrt(camera.width * camera.height) / 2))
        lens = np.array([[side / 2, 0, side / 2], [0, side / 2, side / 2], [0, 0, 1.0]])
        yaw = random.uniform(-math.pi, math.pi)
        pitch = random.uniform(-_MOST_PITCH, _MOST_PITCH)
        view = np.eye(4)
        view[:3] = _turn(yaw, pitch) @ camera.world_to_camera[:3]
        found.append(Camera(camera.name, side, side, lens, view))
    return found


def _turn(yaw: float, pitch: float) -> F64:
    """Rotation of camera axes: about the vertical one, then about the horizontal one."""
    a, b, c, d = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
    around = np.array([[a, 0, b], [0, 1, 0], [-b, 0, a]])
    over = np.array([[1, 0, 0], [0, c, -d], [0, d, c]])
    return np.asarray(over @ around)
