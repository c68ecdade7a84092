"""Pruning: what goes, what stays, and what is said about it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("numba")

from csgs_codec import EncodeOptions, Scene, decode, encode
from csgs_codec.encoder.descent import Descent
from csgs_codec.encoder.look import choose_cameras
from csgs_codec.encoder.prepare import Prepared, prepare
from csgs_codec.encoder.prune import Pruned, prune
from csgs_codec.encoder.surroundings import look_around, look_aside
from csgs_codec.encoder.views import View
from csgs_codec.errors import UnsupportedError
from csgs_codec.render import rasterise, render
from csgs_codec.render.auto_cameras import look_at
from csgs_codec.render.cameras import Camera
from csgs_codec.render.gaussians import RenderGaussians
from csgs_codec.render.influence import removal
from tests import scenes

SHELL, HIDDEN, CLEAR = 400, 30, 20


def ball() -> Scene:
    """A shell of opaque Gaussians of many colours, some inside it, and transparent ones around."""
    random = np.random.default_rng(3)
    height = 1 - (2 * np.arange(SHELL) + 1) / SHELL
    turn = np.pi * (1 + np.sqrt(5)) * np.arange(SHELL)
    ring = np.sqrt(1 - height**2)
    shell = np.stack([ring * np.cos(turn), ring * np.sin(turn), height], axis=1)
    inside = random.normal(0, 0.08, (HIDDEN, 3))
    around = random.normal(0, 1.0, (CLEAR, 3))
    count = SHELL + HIDDEN + CLEAR
    values = {
        **dict(zip("xyz", np.concatenate([shell, inside, around]).T, strict=True)),
        **{f"f_dc_{k}": random.uniform(-1.5, 1.5, count) for k in range(3)},
        "opacity": np.r_[np.full(SHELL, 6.0), np.full(HIDDEN, 2.0), np.full(CLEAR, -6.0)],
        **{f"scale_{k}": np.r_[np.full(SHELL, -1.8), np.full(HIDDEN + CLEAR, -3.0)]
           for k in range(3)},
        "rot_0": np.ones(count),
        **{f"rot_{k}": np.zeros(count) for k in (1, 2, 3)},
    }  # fmt: skip
    scene = Scene({name: column.astype(np.float32) for name, column in values.items()})
    scene.columns["label"] = np.repeat([1, 2, 3], [SHELL, HIDDEN, CLEAR]).astype(np.int32)
    order = random.permutation(count)
    return scene.select(order)


def all_round(count: int = 24, side: int = 96, distance: float = 4.0) -> tuple[Camera, ...]:
    """Cameras on all sides of the origin, above and below."""
    height = 1 - (2 * np.arange(count) + 1) / count
    turn = np.pi * (1 + np.sqrt(5)) * np.arange(count)
    ring = np.sqrt(1 - height**2)
    eyes = distance * np.stack([ring * np.cos(turn), ring * np.sin(turn), height], axis=1)
    lens = np.array([[1.2 * side, 0, side / 2], [0, 1.2 * side, side / 2], [0, 0, 1]])
    up, middle = np.array([0.1, 0.2, 1.0]), np.zeros(3)
    return tuple(Camera("c", side, side, lens, look_at(eye, middle, up)) for eye in eyes)


def pruned(scene: Scene, **options: Any) -> tuple[Prepared, Pruned]:
    chosen = EncodeOptions(**{"cameras": all_round(), "prune": "auto", "quality": 90.0, **options})
    return prune(prepare(scene, chosen), chosen, lambda share: None)


def error(scene: Scene, original: Scene) -> float:
    """Mean squared error of pictures from between the encoder's cameras."""
    pair = [RenderGaussians.from_scene(s) for s in (scene, original)]
    views = all_round(9, distance=3.5)
    pictures = [[render(g, view)[0] for view in views] for g in pair]
    return float(np.mean((np.array(pictures[0]) - np.array(pictures[1])) ** 2))


def test_removal_is_the_change_of_the_picture() -> None:
    gaussians, view = RenderGaussians.from_scene(ball()), all_round()[3]
    projection = rasterise.project(gaussians, view)
    tiles = rasterise.bin_tiles(projection)
    raster = rasterise.forward(projection, tiles, projection.rgb)
    found = removal(projection, tiles, raster).change
    front = np.argsort(-found)
    for row in front[[0, 5, 40]]:
        others = gaussians.select(np.delete(np.arange(gaussians.count), row))
        change = float(((render(others, view)[0] - raster.image) ** 2).sum())
        assert found[row] == pytest.approx(change, rel=0.02)
    labels = ball().columns["label"]
    assert not found[labels == 3].any()


def test_hidden_and_transparent_ones_go_and_only_they() -> None:
    scene = ball()
    prepared, found = pruned(scene)
    labels = scene.columns["label"]
    assert (labels[found.kept] == 1).all()
    assert len(found.kept) == SHELL
    assert (found.removed, found.transparent, found.hidden) == (HIDDEN + CLEAR, CLEAR, HIDDEN)
    assert found.unseen == 0
    assert prepared.scene.count == SHELL
    assert error(prepared.original, scene) < 1e-6


def test_exposure_is_what_reaches_the_eye() -> None:
    gaussians = RenderGaussians.from_scene(ball())
    seen = np.zeros(gaussians.count)
    for view in all_round():
        projection = rasterise.project(gaussians, view)
        tiles = rasterise.bin_tiles(projection)
        raster = rasterise.forward(projection, tiles, projection.rgb)
        seen = np.maximum(seen, removal(projection, tiles, raster).exposure)
    labels = ball().columns["label"]
    assert seen.max() <= 1.0001
    assert seen[labels == 2].max() < 0.05 < 0.2 < seen[labels == 1].min()


def test_what_is_hidden_from_one_side_only_is_kept() -> None:
    scene = ball()
    above = tuple(c for c in all_round(60) if c.centre[2] > 1.5)
    _, found = pruned(scene, cameras=above)
    seen = look_around(RenderGaussians.from_scene(scene), above, 0)
    assert found.unseen == seen.unseen.sum() > 20
    assert np.isin(np.flatnonzero(seen.unseen), found.kept).all()
    below = (scene.columns["label"] == 1) & (scene.columns["z"] < -0.5)
    assert below[seen.unseen].sum() > 5


def test_a_share_is_met_and_the_others_make_up_for_it() -> None:
    scene = ball()
    for k, column in enumerate(scenes.smooth(scene.stack(("x", "y", "z")), 3, 0, 0.0).T):
        scene.columns[f"f_dc_{k}"] = column.astype(np.float32)
    prepared, found = pruned(scene, prune=0.3)
    assert len(found.kept) == round(0.7 * scene.count)
    assert np.array_equal(found.kept, np.unique(found.kept))
    assert error(prepared.original, scene) < 0.6 * error(scene.select(found.kept), scene)


def test_coarser_files_want_fewer_gaussians() -> None:
    scene = scenes.inria(400, 0, seed=6)
    counts = [len(pruned(scene, cameras=None, quality=q)[1].kept) for q in (50.0, 75.0, 100.0)]
    assert counts[0] < counts[1] < counts[2]


def test_rows_keep_their_order_ids_and_extras() -> None:
    scene = ball()
    scene.columns["name"] = np.arange(scene.count, dtype=np.int32)
    result = encode(
        scene, EncodeOptions(cameras=all_round(), prune="auto", order="keep", ids=("name",))
    )
    assert result.pruned is not None
    back = decode(result.data)
    assert np.array_equal(back.columns["name"], result.pruned.kept)
    assert np.array_equal(back.columns["label"], scene.columns["label"][result.pruned.kept])
    said = "\n".join(result.notes)
    gone = result.pruned.removed
    assert f"pruned {gone} of {scene.count} Gaussians" in said
    assert "name, label went with them" in said
    assert "label: no Gaussian of 2 ids is left, such as 2" in said
    assert "row numbers have changed" in said


def test_defective_rows_are_left_alone() -> None:
    scene = ball()
    clear = np.flatnonzero(scene.columns["label"] == 3)[:2]
    scene.columns["f_dc_0"][clear] = np.nan
    result = encode(
        scene, EncodeOptions(cameras=all_round(), prune="auto", nan="keep", order="keep")
    )
    back = decode(result.data)
    assert result.pruned is not None and np.isin(clear, result.pruned.kept).all()
    assert np.isnan(back.columns["f_dc_0"]).sum() == 2
    assert any("2 rows with NaN" in note for note in result.notes)


def test_looking_aside_keeps_the_place() -> None:
    for camera, aside in zip(all_round(6), look_aside(all_round(6), 1), strict=True):
        assert np.allclose(camera.centre, aside.centre)
        assert aside.width == camera.width // 2


def test_descent_follows_the_rows_it_keeps() -> None:
    gaussians = RenderGaussians.from_scene(scenes.inria(60, 1))
    views = [View(c, render(gaussians, c)[0]) for c in choose_cameras(gaussians, None)[:4]]
    moved = replace(gaussians, sh=gaussians.sh + np.float32(0.05))
    descent = Descent(moved, views, np.full(4, 0.25), 0)
    before = descent.run(1.0).error
    rows = np.arange(0, 60, 2)
    sh = descent.gaussians.sh[rows]
    descent.keep(rows)
    assert np.array_equal(descent.gaussians.sh, sh)
    assert descent.run(0.0).error != before
    assert np.array_equal(descent.gaussians.sh, sh)


@pytest.mark.parametrize("other", [{"lossless": True}, {"max_error": {"dc": 0.1}}, {"look": False}])
def test_contradictions(other: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedError, match="prun"):
        EncodeOptions(prune="auto", **other)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.2])
def test_shares_that_make_no_sense(share: float) -> None:
    with pytest.raises(UnsupportedError, match="between 0 and 1"):
        EncodeOptions(prune=share)


def test_scenes_that_cannot_be_rendered() -> None:
    with pytest.raises(UnsupportedError, match="pruning needs pictures"):
        encode(scenes.gaussian_2d(40), EncodeOptions(prune="auto"))
