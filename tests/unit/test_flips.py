"""What a picture gains or loses when one Gaussian joins, or leaves, a set."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")

from csgs_codec.render import rasterise
from csgs_codec.render.flips import Flips, flips
from csgs_codec.render.gaussians import RenderGaussians
from tests.unit.test_influence import camera, scene, shoot

COUNT = 60


def members_of(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(COUNT) < 0.4


def looked(gaussians: RenderGaussians, members: np.ndarray, *rows: int) -> Flips:
    projection = rasterise.project(gaussians, camera())
    picture = shoot(scene(COUNT, 5), camera())[2].image
    return flips(projection, rasterise.bin_tiles(projection), members, picture, *rows)


def error(gaussians: RenderGaussians, members: np.ndarray) -> float:
    picture = shoot(gaussians.select(np.flatnonzero(members)), camera())[2].image
    wanted = shoot(scene(COUNT, 5), camera())[2].image
    return float(np.mean((picture.astype(np.float64) - wanted) ** 2))


@pytest.mark.parametrize("opacity", [None, 0.98])
def test_flips_are_what_rendering_again_says(opacity: float | None) -> None:
    gaussians, members = scene(COUNT), members_of(1)
    if opacity is not None:
        gaussians.opacity[:] = opacity
    found = looked(gaussians, members)
    before = error(gaussians, members)
    assert found.error == pytest.approx(before, rel=1e-5)
    changes = []
    for row in range(COUNT):
        flipped = members.copy()
        flipped[row] ^= True
        changes.append(error(gaussians, flipped) - before)
    # light behind a pixel that became opaque is not known
    near = 1e-7 if opacity is None else 1e-3 * np.abs(changes).max()
    assert found.change == pytest.approx(np.array(changes), abs=near)


def test_rows_of_pixels_add_up() -> None:
    gaussians, members = scene(COUNT), members_of(2)
    whole = looked(gaussians, members)
    thirds = [looked(gaussians, members, 3, phase) for phase in range(3)]
    assert np.mean([one.change for one in thirds], axis=0) == pytest.approx(whole.change, abs=1e-7)
    # pictures of 52 rows: the first third has one more
    assert np.mean([one.error for one in thirds]) == pytest.approx(whole.error, rel=1e-5)


def test_no_members_and_all() -> None:
    gaussians = scene(COUNT)
    nobody, everybody = np.zeros(COUNT, bool), np.ones(COUNT, bool)
    assert looked(gaussians, nobody).error == pytest.approx(error(gaussians, nobody), rel=1e-5)
    assert looked(gaussians, everybody).error == pytest.approx(
        error(gaussians, everybody), rel=1e-5
    )
