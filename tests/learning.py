"""Three blobs of Gaussians, cameras around them, and label maps: what learning is tried on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from csgs_codec.render import Camera, RenderGaussians, render
from csgs_codec.render.auto_cameras import look_at
from csgs_codec.scene import Scene
from tests.scenes import inria

BLOBS = 3
SIDE = 48


@dataclass
class Toy:
    """A scene whose labels are known: 0 is the background, blob ``b`` has the label ``b + 1``."""

    scene: Scene
    labels: np.ndarray
    cameras: list[Camera]
    masks: list[np.ndarray]


def toy(count: int = 450, views: int = 6) -> Toy:
    """Opaque blobs on the corners of a triangle, seen from around."""
    random = np.random.default_rng(5)
    scene = inria(count, 0)
    blob = random.integers(0, BLOBS, count)
    angle = 2 * np.pi * np.arange(BLOBS) / BLOBS
    centres = 2.0 * np.column_stack([np.cos(angle), np.sin(angle), np.zeros(BLOBS)])
    xyz = centres[blob] + random.normal(0, 0.45, (count, 3))
    for axis, values in zip("xyz", xyz.T, strict=True):
        scene.columns[axis] = values.astype(np.float32)
    scene.columns["opacity"] = np.full(count, 3.0, np.float32)
    for k in range(3):
        scene.columns[f"scale_{k}"] = np.full(count, np.log(0.2), np.float32)
    cameras = [_camera(f"view_{k}", 2 * np.pi * k / views) for k in range(views)]
    gaussians = RenderGaussians.from_scene(scene)
    onehot = np.eye(BLOBS, dtype=np.float32)[blob]
    return Toy(scene, blob + 1, cameras, [_mask(gaussians, c, onehot) for c in cameras])


def _camera(name: str, angle: float) -> Camera:
    eye = np.array([8 * np.cos(angle), 8 * np.sin(angle), 5.0])
    lens = np.array([[50.0, 0, SIDE / 2], [0, 50.0, SIDE / 2], [0, 0, 1]])
    view = look_at(eye, np.zeros(3), np.array([0.0, 0, 1]))
    return Camera(name, SIDE, SIDE, lens, view)


def _mask(gaussians: RenderGaussians, camera: Camera, onehot: np.ndarray) -> np.ndarray:
    _, alpha, shares = render(gaussians, camera, onehot, use="cpu")
    assert shares is not None
    return np.where(alpha > 0.5, 1 + shares.argmax(axis=2), 0).astype(np.int64)
