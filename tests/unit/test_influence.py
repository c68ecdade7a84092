"""Squared derivatives of pictures, blending weights, and colours fitted to pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("numba")

from csgs_codec.container.kinds import GroupKind
from csgs_codec.encoder.refit import ColourFit
from csgs_codec.encoder.views import View, take_pictures
from csgs_codec.render import rasterise
from csgs_codec.render.cameras import Camera
from csgs_codec.render.gaussians import RenderGaussians
from csgs_codec.render.influence import BlendingWeights, directions, influence


def camera(turn: float = 0.0, width: int = 70, height: int = 52) -> Camera:
    lens = np.array([[60.0, 0, width / 2], [0, 60.0, height / 2], [0, 0, 1]])
    view = np.eye(4)
    view[:3, :3] = [[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]]
    view[2, 3] = 4.0
    return Camera("c", width, height, lens, view)


def scene(count: int = 40, seed: int = 0, coefficients: int = 4) -> RenderGaussians:
    random = np.random.default_rng(seed)
    sh = random.normal(0, 0.2, (count, coefficients, 3))
    sh[:, 0] += 1.0
    arrays = (
        random.uniform(-1, 1, (count, 3)),
        random.normal(size=(count, 4)),
        np.exp(random.uniform(-2.6, -1.2, (count, 3))),
        random.uniform(0.2, 0.9, count),
        sh,
    )
    return RenderGaussians(*(np.ascontiguousarray(a, np.float32) for a in arrays))


def unit(gaussians: RenderGaussians) -> RenderGaussians:
    length = np.linalg.norm(gaussians.quats, axis=1, keepdims=True)
    return replace(gaussians, quats=(gaussians.quats / length).astype(np.float32))


def shoot(gaussians: RenderGaussians, view: Camera):  # type: ignore[no-untyped-def]
    projection = rasterise.project(gaussians, view)
    tiles = rasterise.bin_tiles(projection)
    return projection, tiles, rasterise.forward(projection, tiles, projection.rgb)


def squared_change(gaussians: RenderGaussians, name: str, row: int, shift: np.ndarray) -> float:
    """Squared derivative of the picture along a shift of one Gaussian's attribute."""
    pictures = []
    for sign in (1, -1):
        array = getattr(gaussians, name).astype(np.float64)
        array[row] = array[row] + sign * shift
        moved = replace(gaussians, **{name: array.astype(np.float32)})
        pictures.append(shoot(moved, camera())[2].image.astype(np.float64))
    return float((((pictures[0] - pictures[1]) / 2) ** 2).sum())


@pytest.mark.parametrize(
    ("attribute", "name", "step"),
    [("position", "means", 2e-3), ("log_scale", "scales", 4e-3), ("quaternion", "quats", 4e-3)],
)
def test_squared_derivatives_of_geometry(attribute: str, name: str, step: float) -> None:
    gaussians = unit(scene())
    found = getattr(influence(gaussians, camera(), *shoot(gaussians, camera())), attribute)
    random = np.random.default_rng(3)
    rows = random.choice(40, 12, replace=False)
    numeric = np.empty((12, 3))
    for place, row in enumerate(rows):
        for axis in range(3):
            if name == "quats":
                w, x, y, z = gaussians.quats[row].astype(np.float64)
                # the three tangent directions of the unit quaternion
                shift = np.array([[-x, w, z, -y], [-y, -z, w, x], [-z, y, -x, w]])[axis]
            else:
                shift = np.eye(3)[axis]
                if name == "scales":
                    shift = shift * gaussians.scales[row]
            numeric[place, axis] = squared_change(gaussians, name, row, step * shift) / step**2
    if found.ndim == 1:
        numeric = numeric.mean(axis=1)
    # contributions that cross alpha = 1/255 jump, and the direction of the colour is left out
    assert np.sum(found[rows]) == pytest.approx(np.sum(numeric), rel=0.1)
    assert np.corrcoef(found[rows].ravel(), numeric.ravel())[0, 1] > 0.98


def test_squared_derivatives_of_opacity_and_colour() -> None:
    gaussians = scene()
    found = influence(gaussians, camera(), *shoot(gaussians, camera()))
    for row in range(0, 40, 5):
        numeric = squared_change(gaussians, "opacity", row, np.array(1e-3)) / 1e-6
        assert found.opacity[row] == pytest.approx(numeric, rel=0.08, abs=1e-2)
        shift = np.zeros((4, 3))
        shift[0] = 1e-2 / 0.28209479177387814
        numeric = squared_change(gaussians, "sh", row, shift) / 1e-4 / 3
        assert found.colour[row] == pytest.approx(numeric, rel=0.02, abs=1e-4)


def test_needles_across_the_picture_do_not_make_squares_negative() -> None:
    needles = scene(400, seed=8)
    needles = replace(needles, scales=needles.scales * np.float32([12, 0.02, 0.02]))
    found = influence(needles, camera(), *shoot(needles, camera()))
    for squared in (found.position, found.log_scale, found.quaternion, found.opacity):
        assert (squared >= 0).all() and squared.any()


def test_skipped_rows_are_made_up_for() -> None:
    gaussians = scene(200)
    shot = shoot(gaussians, camera())
    whole, half = (influence(gaussians, camera(), *shot, stride) for stride in (1, 2))
    assert half.colour.sum() == pytest.approx(whole.colour.sum(), rel=0.1)
    assert half.position.sum() == pytest.approx(whole.position.sum(), rel=0.1)


def test_blending_is_the_picture_and_its_transpose() -> None:
    gaussians = scene(120)
    projection, tiles, raster = shoot(gaussians, camera())
    blending, shown = BlendingWeights.of(projection, tiles, least=0.0)
    assert shown == pytest.approx(blending.planes(raster.image), abs=1e-6)
    planes = blending.forward(projection.rgb)
    assert planes == pytest.approx(shown, abs=1e-4)
    few, rows = blending.compact(120)
    assert np.array_equal(rows, np.unique(blending.ids))
    assert few.forward(projection.rgb[rows]) == pytest.approx(planes, abs=1e-6)
    random = np.random.default_rng(4)
    values = random.normal(size=(120, 3)).astype(np.float32)
    picture = blending.planes(random.normal(size=raster.image.shape).astype(np.float32))
    there = float(blending.forward(values) @ picture)
    back = float((values * blending.backward(picture, 120)).sum())
    assert there == pytest.approx(back, rel=1e-4, abs=1e-4)
    assert blending.squared(120) == pytest.approx(
        influence(gaussians, camera(), projection, tiles, raster).colour, rel=1e-4, abs=1e-5
    )


def test_fitted_colours_bring_pictures_back() -> None:
    original = scene(300)
    views = [View(camera(t), shoot(original, camera(t))[2].image) for t in np.linspace(-1, 1, 8)]
    random = np.random.default_rng(5)
    moved = (original.means + random.normal(0, 0.02, (300, 3))).astype(np.float32)
    lossy = replace(original, means=moved)
    fit = ColourFit(lossy, views)
    change = fit.solve(6, coefficients(0), 0.05)
    better = replace(lossy, sh=lossy.sh + change)

    def error(gaussians: RenderGaussians, turn: float) -> float:
        wanted = shoot(original, camera(turn))[2].image
        return float(((shoot(gaussians, camera(turn))[2].image - wanted) ** 2).mean())

    assert error(better, 1.0) < 0.6 * error(lossy, 1.0)
    assert error(better, 0.15) < 0.8 * error(lossy, 0.15), "a view that was not looked at"
    only_sh = ColourFit(lossy, views).solve(3, coefficients(1), 0.05)
    assert not only_sh[:, 0].any() and only_sh[:, 1:].any()


def coefficients(first: int) -> np.ndarray:
    """Every coefficient of degree 1 SH from one on, as directions, shape (v, 4, 3)."""
    return np.eye(12, dtype=np.float32)[3 * first :].reshape(-1, 4, 3)


def test_colours_are_fitted_along_directions_that_are_free() -> None:
    original = scene(200)
    views = [View(camera(t), shoot(original, camera(t))[2].image) for t in np.linspace(-1, 1, 6)]
    lossy = replace(original, sh=original.sh * np.float32(0.9))
    grey = np.zeros((2, 4, 3), np.float32)
    grey[0, 0], grey[1, 2] = 1.0, (1.0, 2.0, 0.0)
    free = np.zeros((200, 2), np.bool_)
    free[:80, 0] = free[50:120, 1] = True
    change = ColourFit(lossy, views).solve(4, grey, 0.05, free)
    changed = np.any(change != 0, axis=(1, 2))
    assert changed[:120].any() and not changed[120:].any()
    assert not change[:, 1].any() and not change[:, 3].any()
    assert not change[80:, 0].any() and not change[:50, 2].any()
    assert np.ptp(change[:, 0], axis=1).max() < 1e-6, "every colour channel alike"
    assert change[:, 2, 1] == pytest.approx(2 * change[:, 2, 0], rel=1e-4, abs=1e-7)
    assert change[:, 2, 0].any() and not change[:, 2, 2].any()


def test_colours_that_no_picture_asks_for_are_pulled_to_the_original() -> None:
    original = scene(200)
    behind = replace(original, means=original.means.copy())
    behind.means[:100, 2] = -30.0
    views = [View(camera(t), shoot(behind, camera(t))[2].image) for t in np.linspace(-1, 1, 4)]
    fit = ColourFit(behind, views)
    away = np.zeros_like(original.sh)
    away[:, 0] = 0.5
    fit.absorb(away)
    back = fit.solve(8, coefficients(0), 0.05)
    assert back[:100, 0] == pytest.approx(-away[:100, 0], abs=0.05)
    fit.absorb(-away)
    assert fit.solve(8, coefficients(0), 0.05) == pytest.approx(np.zeros_like(away), abs=1e-3)


def test_pictures_and_what_they_say() -> None:
    gaussians = scene(100)
    hidden = replace(gaussians, opacity=np.where(np.arange(100) < 50, gaussians.opacity, 0))
    views, sensitivity, seen = take_pictures(hidden, [camera(t) for t in (-1, 0, 1)], 150)
    assert len(views) == 3 and 0.3 < seen <= 0.5
    fewer = take_pictures(hidden, [camera(t) for t in (-1, 0, 1)], 75)[0]
    assert len(fewer) == 1 and (fewer[0].picture == views[1].picture).all()
    assert not (views[0].picture == views[1].picture).all()
    assert sensitivity.directions.shape == (4, 4)
    assert np.trace(sensitivity.directions) == pytest.approx(4)
    turns = sensitivity.turns.mean(axis=1)
    assert sensitivity.by_kind[GroupKind.ROTATION] == pytest.approx(turns)
    for values in sensitivity.by_kind.values():
        assert values.shape == (100,) and not values[50:].any() and (values >= 0).all()


def test_directions_of_a_camera() -> None:
    gaussians = scene(10)
    basis = directions(gaussians.means, camera(), 4)
    towards = gaussians.means - camera().centre
    towards = towards / np.linalg.norm(towards, axis=1, keepdims=True)
    assert basis[:, 0] == pytest.approx(0.28209479)
    assert basis[:, 1:] == pytest.approx(0.48860251 * towards[:, [1, 2, 0]] * [-1, 1, -1], abs=1e-5)
