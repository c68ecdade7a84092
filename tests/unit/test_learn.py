"""Learning features from masks: parts on their own, and whole runs on a toy scene."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("scipy")
pytest.importorskip("numba")
pytest.importorskip("PIL")

import torch
from PIL import Image

from csgs_codec.encoder.meaning import FEATURE_STEP
from csgs_codec.errors import CameraError, UnsupportedError, UsageError
from csgs_codec.metrics.masks import class_names, masks_in, read_mask, require_masks
from csgs_codec.render import RenderGaussians, render
from csgs_codec.semantics.learn import Learned, LearnOptions, ViewMap, learn, map_view
from csgs_codec.semantics.learn.data import choose_views
from csgs_codec.semantics.learn.maps import SparseMap
from csgs_codec.semantics.learn.order import CodingOrder
from csgs_codec.semantics.learn.quality import judge, nearest
from csgs_codec.semantics.learn.quantise import FeatureCodec
from csgs_codec.semantics.learn.score import segmentation_score, separation_score
from tests.learning import SIDE, Toy, toy


@pytest.fixture(scope="module")
def scene() -> Toy:
    return toy()


def maps(scene: Toy, masks: list[np.ndarray] | None = None) -> list[ViewMap]:
    gaussians = RenderGaussians.from_scene(scene.scene)
    pairs = zip(scene.cameras, masks or scene.masks, strict=True)
    return [map_view(gaussians, camera, mask, SIDE) for camera, mask in pairs]


@pytest.fixture(scope="module")
def views(scene: Toy) -> list[ViewMap]:
    return maps(scene)


@pytest.fixture(scope="module")
def learned(scene: Toy, views: list[ViewMap]) -> Learned:
    return learn(scene.scene, views[1:], LearnOptions(dim=6, steps=300, device="cpu"))


def test_maps_blend_as_pictures_do(scene: Toy) -> None:
    gaussians = RenderGaussians.from_scene(scene.scene)
    values = np.random.default_rng(0).normal(size=(gaussians.count, 2)).astype(np.float32)
    camera, mask = scene.cameras[0], scene.masks[0]
    _, _, wanted = render(gaussians, camera, values, use="cpu")
    assert wanted is not None
    found = map_view(gaussians, camera, mask, SIDE // 3, ignore=0)
    assert found.area == 9
    assert np.array_equal(found.labels >= 0, mask[::3, ::3].reshape(-1) > 0)
    # weights below 1/512 are left out
    blended = (found.weights @ values).reshape(SIDE // 3, SIDE // 3, 2)
    assert np.abs(blended - wanted[::3, ::3]).max() < 0.05


def test_sparse_maps_are_differentiable(views: list[ViewMap]) -> None:
    sparse = SparseMap(views[0].weights, "cpu")
    values = torch.randn(views[0].weights.shape[1], 3, requires_grad=True)
    ((sparse @ values) ** 2).sum().backward()
    dense = views[0].weights.toarray()
    wanted = 2 * dense.T @ (dense @ values.detach().numpy())
    assert np.allclose(values.grad.numpy(), wanted, atol=1e-3)


def test_learning_recovers_labels_in_a_view_it_has_not_seen(
    scene: Toy, views: list[ViewMap], learned: Learned
) -> None:
    assert learned.head is not None
    score = segmentation_score(views[:1], learned.features, learned.head)
    assert score.accuracy > 0.97
    assert score.miou > 0.93
    shown = learned.quality.seen > 20
    labels = learned.head.labels(4 * learned.features)
    assert np.mean(labels[shown] == scene.labels[shown]) > 0.95


def test_the_same_seed_learns_the_same(scene: Toy, views: list[ViewMap]) -> None:
    options = LearnOptions(dim=3, steps=4, seed=7, device="cpu")
    first, again = (learn(scene.scene, views, options).features for _ in range(2))
    assert np.array_equal(first, again)


def test_the_rate_term_lowers_the_estimated_bits(scene: Toy, views: list[ViewMap]) -> None:
    bits = []
    for rate in (0.0, 0.02):
        options = LearnOptions(dim=6, steps=200, rate=rate, quality_weights=False, device="cpu")
        bits.append(learn(scene.scene, views, options).bits)
    assert bits[1] < 0.8 * bits[0]


def test_masks_of_single_views_separate_objects(scene: Toy) -> None:
    renamed = [np.random.default_rng(k).permutation(4)[mask] for k, mask in enumerate(scene.masks)]
    views = maps(scene, renamed)
    made = learn(
        scene.scene, views[1:], LearnOptions(dim=6, steps=300, ids="per-view", device="cpu")
    )
    assert made.head is None
    assert separation_score(views[:1], made.features) > 0.9
    shown = made.quality.seen > 20
    unit = made.features / np.linalg.norm(made.features, axis=1, keepdims=True)
    means = np.stack([unit[shown & (scene.labels == k)].mean(axis=0) for k in (1, 2, 3)])
    likeness = means @ means.T
    assert np.diag(likeness).min() > 0.5
    assert (likeness - np.diag(np.diag(likeness))).max() < 0.3


def test_floaters_and_disputed_gaussians_are_unreliable(scene: Toy) -> None:
    masks = [mask.copy() for mask in scene.masks]
    for mask in masks[::2]:  # half of the views call the first blob something else
        mask[mask == 1] = 4
    xyz = scene.scene.stack(("x", "y", "z"))
    xyz[0] += 40.0
    views = maps(scene, masks)
    quality = judge(views, nearest(xyz), True, 5)
    usual = np.median(quality.reliability[scene.labels == 2])
    assert quality.isolation[0] > 10
    assert quality.reliability[0] < 0.1 * usual
    assert np.median(quality.reliability[scene.labels == 1]) < 0.7 * usual
    assert np.median(judge(views, nearest(xyz), False, 5).agreement[scene.labels == 1]) > 0.9


def test_unreliable_gaussians_follow_their_neighbours(scene: Toy, views: list[ViewMap]) -> None:
    spread = []
    _, near = nearest(scene.scene.stack(("x", "y", "z")))
    for weighted in (False, True):
        options = LearnOptions(
            dim=6, steps=200, qat=False, rate=0, quality_weights=weighted, device="cpu"
        )
        made = learn(scene.scene, views, options)
        apart = made.features - made.features[near].mean(axis=1)
        poor = made.quality.reliability < 0.1
        assert poor.sum() > 5
        spread.append((apart[poor] ** 2).mean() / (made.features**2).mean())
    assert spread[1] < 0.5 * spread[0]


def test_the_modelled_codec_rounds_around_its_predictions(scene: Toy, learned: Learned) -> None:
    order = CodingOrder.of(scene.scene)
    assert np.array_equal(np.sort(np.concatenate(order.layers)), np.arange(scene.scene.count))
    layer = np.empty(scene.scene.count, int)
    for number, rows in enumerate(order.layers):
        layer[rows] = number
    used = order.weight > 0
    assert (layer[order.near] < layer[:, None])[used].all()
    codec = FeatureCodec(order, 6, FEATURE_STEP, "cpu")
    features = torch.from_numpy(learned.features).requires_grad_()
    codec.refit(features)
    with torch.no_grad():
        latents = codec.latents(features)
        known = codec.rounded(latents)
        # no further off than a step and a half, and nothing new at the second time
        assert float((known - latents).abs().max()) < 1.5
    seen = codec.restored(features, known)
    error = (seen - features).detach().numpy()
    rms = np.sqrt((learned.features**2).mean())
    assert 0 < np.abs(error).max() < 1.5 * FEATURE_STEP * rms * np.sqrt(6)
    seen.sum().backward()
    assert torch.equal(features.grad, torch.ones_like(features))


def test_views_are_held_out(scene: Toy) -> None:
    masks = {camera.name: Path() for camera in scene.cameras}
    learning, held = choose_views(scene.cameras, masks, 4)
    assert (len(learning), held) == (4, [])
    many = [
        replace(camera, name=f"{turn}{camera.name}") for turn in "ab" for camera in scene.cameras
    ]
    masks = {camera.name: Path() for camera in many}
    learning, held = choose_views(many, masks, 99)
    assert [camera.name for camera in held] == ["aview_0", "bview_2"]
    assert len(learning) == 10
    split = [replace(camera, split="test") for camera in many]
    with pytest.raises(UsageError, match="held out"):
        choose_views(split, masks, 4)


def test_learning_refuses_what_it_cannot_use(scene: Toy) -> None:
    nothing = maps(scene, [np.full_like(mask, -1) for mask in scene.masks])
    with pytest.raises(UsageError, match="no pixel"):
        learn(scene.scene, nothing)
    with pytest.raises(UsageError, match="no class number"):
        learn(scene.scene, maps(scene, [mask + 60_000 for mask in scene.masks]))
    with pytest.raises(UsageError):
        LearnOptions(dim=0)
    with pytest.raises(UsageError):
        LearnOptions(rate=-1)
    if not torch.cuda.is_available():
        with pytest.raises(UnsupportedError, match="CUDA"):
            learn(scene.scene, maps(scene), LearnOptions(device="cuda"))


def test_masks_are_found_read_and_named(scene: Toy, tmp_path: Path) -> None:
    camera = scene.cameras[0]
    file = tmp_path / "transforms.json"
    frame = {"file_path": "images/view_0.jpg", "label_path": "ids.png"}
    file.write_text(json.dumps({"frames": [frame], "label_names": {"0": "none", "2": "cup"}}))
    with pytest.raises(UsageError, match=r"view_0\.png"):
        require_masks(file, scene.cameras, None)
    mask = np.arange(4, dtype=np.uint8).reshape(2, 2)
    Image.fromarray(mask).save(tmp_path / "ids.png")
    assert require_masks(file, scene.cameras, None) == {"view_0": tmp_path / "ids.png"}
    assert class_names(file) == ("none", "1", "cup")
    assert class_names(tmp_path / "cameras.json") == ("none", "1", "cup")
    read = read_mask(tmp_path / "ids.png", camera)
    assert np.array_equal(read, np.kron(mask, np.ones((SIDE // 2, SIDE // 2), int)))
    (tmp_path / "own").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "own/view_1.png")
    (tmp_path / "own/view_2.png").write_bytes(b"no picture")
    found = masks_in(tmp_path / "own", scene.cameras)
    assert set(found) == {"view_1", "view_2"}
    with pytest.raises(UnsupportedError, match="colours"):
        read_mask(found["view_1"], camera)
    with pytest.raises(CameraError, match="cannot be read"):
        read_mask(found["view_2"], camera)
