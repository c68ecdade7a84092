"""Scenes and files that several tests share; encoding trains networks, so it is done once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from csgs_codec import EncodeOptions, Scene, encode
from tests import scenes


@dataclass(frozen=True)
class Encoded:
    """A scene and its file."""

    scene: Scene
    data: bytes


def semantic_scene(count: int) -> Scene:
    """SH3, 16 semantic features with some all-zero rows, a label, a float that has no role."""
    scene = scenes.with_semantics(scenes.inria(count, 3))
    silent = np.arange(0, count, 7)
    for name in scene.columns:
        if name.startswith("obj_dc_"):
            scene.columns[name][silent] = 0
    x = scene.columns["x"]
    scene.columns["label"] = (x > 0).astype(np.uint8) + 2 * (x > 2).astype(np.uint8)
    scene.columns["uncertainty"] = np.random.default_rng(5).random(count).astype(np.float32)
    scene.columns["opacity"][3] = np.inf
    scene.columns["scale_1"][5] = -np.inf
    return scene


@pytest.fixture(scope="session")
def trained() -> Encoded:
    """Enough Gaussians for networks to be trained; row order kept."""
    scene = semantic_scene(2500)
    return Encoded(scene, encode(scene, EncodeOptions(order="keep")).data)


@pytest.fixture(scope="session")
def small() -> Encoded:
    """A few Gaussians, static networks."""
    scene = semantic_scene(40)
    return Encoded(scene, encode(scene).data)
