"""Automatic cameras see what a scene is about."""

from __future__ import annotations

import numpy as np
import pytest

from csgs_codec.errors import CameraError
from csgs_codec.render import RenderGaussians, render
from csgs_codec.render.auto_cameras import look_at, place_cameras
from csgs_codec.render.cameras import Camera
from csgs_codec.render.places import Solid, weighted_quantiles
from csgs_codec.render.rasterise import project


def ball_on_ground(n: int = 3000) -> RenderGaussians:
    """A finely modelled ball on a coarse plane z = 0, whose up is +z, away from the origin."""
    random = np.random.default_rng(0)
    ball = random.normal(size=(n, 3))
    ball *= 0.5 / np.linalg.norm(ball, axis=1, keepdims=True)
    ground = np.column_stack([random.uniform(-6, 6, (n, 2)), np.full(n, -0.5)])
    means = np.concatenate([ball, ground]) + np.array([10.0, 5, 0.5])
    scales = np.concatenate([np.full((n, 3), 0.02), np.tile([0.2, 0.2, 0.01], (n, 1))])
    sh = random.normal(size=(2 * n, 1, 3))
    arrays = means, np.tile([1.0, 0, 0, 0], (2 * n, 1)), scales, np.full(2 * n, 0.9), sh
    return RenderGaussians(*(np.ascontiguousarray(a, np.float32) for a in arrays))


def test_views_of_a_ball_on_the_ground() -> None:
    g = ball_on_ground()
    cameras = place_cameras(g, 6, 64, 48)
    again = place_cameras(g, 6, 64, 48)
    assert [c.name for c in cameras] == [f"auto_{k:03d}" for k in range(6)]
    focus = np.array([10.0, 5, 0.5])
    directions = []
    for camera, same in zip(cameras, again, strict=True):
        assert (camera.world_to_camera == same.world_to_camera).all()
        x, y, z = (camera.world_to_camera @ [*focus, 1])[:3]
        assert z > 0.5 and abs(x / z) < 0.3 and abs(y / z) < 0.3
        assert camera.centre[2] > 0.1, "below the ground"
        assert camera.world_to_camera[1, 2] < 0, "upside down"
        assert render(g, camera, use="cpu")[1].mean() > 0.3
        directions.append((camera.centre - focus) / np.linalg.norm(camera.centre - focus))
    closeness = np.array(directions) @ np.array(directions).T - 2 * np.eye(6)
    assert closeness.max() < np.cos(np.radians(20))


def test_cameras_look_where_they_should() -> None:
    for up in ([0.0, -1, 0], [1.0, 1, 1]):
        view = look_at(np.array([1.0, 2, 3]), np.array([4.0, 5, 6]), np.array(up))
        assert np.allclose(view @ [4, 5, 6, 1], [0, 0, np.sqrt(27), 1])
        assert np.allclose(view[:3, :3] @ view[:3, :3].T, np.eye(3))


def test_a_scene_that_shows_nothing() -> None:
    g = ball_on_ground(5)
    with pytest.raises(CameraError, match="nothing to look at"):
        place_cameras(RenderGaussians(g.means, g.quats, g.scales, 0 * g.opacity, g.sh))


def test_one_gaussian_is_enough() -> None:
    g = ball_on_ground(5).select(np.array([0]))
    cameras = place_cameras(g, 3, 40, 40)
    assert all(project(g, camera).visible.all() for camera in cameras)


def far_apart(balls: int) -> RenderGaussians:
    """Several balls, each far from the others."""
    one = ball_on_ground(800).select(np.arange(800))
    shifts = np.arange(balls)[:, None] * np.array([60.0, 0, 0], np.float32)
    means = np.concatenate([one.means + shift for shift in shifts.astype(np.float32)])
    rest = (np.concatenate([a] * balls) for a in (one.quats, one.scales, one.opacity, one.sh))
    return RenderGaussians(means, *rest)


def test_a_scene_of_several_places_is_looked_at_one_by_one() -> None:
    scene = far_apart(3)
    whole = Solid.of(scene)
    assert len(place_cameras(scene, 2, 200, 200)) == 2
    cameras = place_cameras(scene, 6, 200, 200, count_of=lambda places: 32 * places)
    assert [c.name for c in cameras] == [f"auto_{k:03d}" for k in range(len(cameras))]
    assert len(cameras) == 96 and whole.pixels(cameras) > 0.7
    for ball in np.split(np.arange(scene.count), 3):
        place = Solid.of(scene.select(ball))
        near = [c for c in cameras if np.linalg.norm(c.centre - place.points[0]) < 15]
        assert len(near) >= 15 and place.pixels(near) > 0.7


def test_places_are_found() -> None:
    scene = far_apart(3)
    solid = Solid.of(scene)
    ball = np.arange(scene.count) // (scene.count // 3)
    places = solid.places(wanted=30.0)
    assert sorted(np.concatenate(places)) == list(solid.rows)
    assert all(len(set(ball[rows])) == 1 for rows in places)
    assert len(places) == 3
    assert len(solid.places(wanted=1e-3)) == 16
    assert len(solid.places(wanted=np.inf)) == 2


@pytest.mark.parametrize("count", [1, 2, 5, 15])
@pytest.mark.filterwarnings("error")
def test_a_few_gaussians_far_apart(count: int) -> None:
    few = ball_on_ground(20).select(np.arange(count))
    means = np.random.default_rng(count).normal(size=(count, 3)).astype(np.float32) * 1000
    scene = RenderGaussians(means, few.quats, few.scales, few.opacity, few.sh)
    cameras = place_cameras(scene, 6, 100, 100)
    assert len(cameras) == 6
    assert all(np.isfinite(camera.world_to_camera).all() for camera in cameras)


def test_sizes_in_pixels_are_those_of_the_nearest_view() -> None:
    one = ball_on_ground(5).select(np.array([0]))
    target = one.means[0].astype(np.float64)
    lens = np.array([[100.0, 0, 20], [0, 100, 20], [0, 0, 1]])
    up, ahead = np.array([0.0, 1, 0]), np.array([0.0, 0, 1])
    views = [look_at(target + distance * ahead, target, up) for distance in (4.0, 2.0)]
    away = look_at(target + ahead, target + 3 * ahead, up)
    cameras = [Camera("", 40, 40, lens, view) for view in (*views, away)]
    assert Solid.of(one).pixels(cameras) == pytest.approx(100 * 0.02 / 2)
    assert Solid.of(one).pixels(cameras[2:]) == 0


def test_weighted_quantiles() -> None:
    found = weighted_quantiles(
        np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 2.0]), [0.25, 0.75, 1]
    )
    assert found.tolist() == [1.0, 2.0, 3.0]
