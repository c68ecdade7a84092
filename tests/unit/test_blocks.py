"""Features of many columns are encoded block by block, and nothing else changes."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from csgs_codec import EncodeOptions, Scene, decode, encode
from csgs_codec import scene as scene_module
from csgs_codec.attributes.transform import LinearTransform
from csgs_codec.encoder import decoded
from csgs_codec.encoder.bounded import Bounds
from csgs_codec.encoder.meaning import feature_coding, judge
from csgs_codec.encoder.prepare import sentinel_labels
from csgs_codec.metrics.features import compare_features
from csgs_codec.schema import Group, Role
from csgs_codec.semantics.heads import Head
from tests.scenes import inria, smooth

WIDTH = 24
NAMES = tuple(f"semantic_{i}" for i in range(WIDTH))


def wide(count: int, width: int = WIDTH, rank: int = 5) -> Scene:
    """Features of low rank with a little noise; every ninth row is empty."""
    scene = inria(count, 0)
    random = np.random.default_rng(2)
    low = smooth(scene.stack(("x", "y", "z")), rank, 3) + 1
    features = low @ random.normal(size=(rank, width)) + 0.02 * random.normal(size=(count, width))
    features[::9] = 0
    columns = {f"semantic_{i}": c.astype(np.float32) for i, c in enumerate(features.T)}
    return Scene({**scene.columns, **columns})


def test_blocks_are_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = wide(100)
    assert len(scene.blocks(NAMES)) == 1
    monkeypatch.setattr(scene_module, "BLOCK_VALUES", 7 * WIDTH + 3)
    blocks, some = scene.blocks(NAMES), np.arange(99, 0, -2)
    assert len(blocks) == 15 and {len(block) for block in blocks} == {7, 2}
    assert (np.concatenate(list(blocks)) == scene.stack(NAMES)).all()
    assert (np.concatenate(list(scene.blocks(NAMES, some))) == scene.stack(NAMES)[some]).all()
    assert (blocks[-1] == blocks[14]).all() and len(blocks[3:5]) == 2
    assert len(Scene({n: c[:0] for n, c in scene.columns.items()}).blocks(NAMES)[0]) == 0


def test_planning_does_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = wide(500)
    head = Head(np.random.default_rng(0).normal(size=(4, WIDTH)), np.zeros(4))
    whole = [scene.stack(NAMES)]
    monkeypatch.setattr(scene_module, "BLOCK_VALUES", 64 * WIDTH)
    blocks = scene.blocks(NAMES)
    assert (sentinel_labels(blocks) == sentinel_labels(whole)).all()
    weights = np.linspace(0.5, 2, 500)
    one, many = (LinearTransform.fit(b, weights, WIDTH, 10) for b in (whole, blocks))
    np.testing.assert_allclose(many.mean, one.mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(many.spread, one.spread, rtol=1e-3, atol=1e-5)
    for metric in ("cosine", "l2", head):
        one, many = judge(whole, metric), judge(blocks, metric)  # type: ignore[arg-type]
        assert many.step == pytest.approx(one.step)
        np.testing.assert_allclose(many.octaves, one.octaves, atol=1e-9)
        first, second = (feature_coding(b, one, 1.0, False) for b in (whole, blocks))
        assert first.channels == second.channels < WIDTH
        assert abs(second.centre - first.centre).max() < 4 * first.step  # medians of a sample


def test_spread_is_that_of_the_components() -> None:
    features = wide(300).stack(NAMES)
    weights = np.linspace(1, 3, 300)
    metric = np.diag(np.linspace(1, 2, WIDTH))
    fitted = LinearTransform.fit([features], weights, WIDTH, 10, metric)
    squared = fitted.forward(features) ** 2
    wanted = np.sqrt(weights @ squared / weights.sum())
    assert fitted.spread is not None
    np.testing.assert_allclose(fitted.spread, wanted, rtol=1e-6, atol=1e-6)


def test_a_wide_scene_comes_back_as_well_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = wide(2000)
    options = EncodeOptions(look=False, order="keep")
    one = encode(scene, options)
    monkeypatch.setattr(scene_module, "BLOCK_VALUES", 300 * WIDTH)
    monkeypatch.setattr(decoded, "PART_VALUES", 70 * WIDTH)
    many = encode(scene, options)
    assert len(many.data) == pytest.approx(len(one.data), rel=0.02)
    back = decode(many.data).stack(NAMES)
    score = compare_features(scene.stack(NAMES), back)
    assert score.angle_mean == pytest.approx(one.semantics["semantic"].angle_mean, rel=0.1)
    said = many.semantics["semantic"]
    assert said.angle_mean == pytest.approx(score.angle_mean, rel=1e-5)
    assert said.zero_rows == said.zero_rows_kept == score.zero_rows_kept == len(range(0, 2000, 9))


def test_planning_holds_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    width, count = 256, 6000
    scene = wide(count, width)
    names = tuple(f"semantic_{i}" for i in range(width))
    monkeypatch.setattr(scene_module, "BLOCK_VALUES", 1 << 15)
    tracemalloc.start()
    blocks = scene.blocks(names)
    feature_coding(blocks, judge(blocks, "cosine"), 1.0, False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * count * width / 2


def test_bounds_do_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = wide(600)
    options = EncodeOptions(look=False, order="keep", max_error={"semantic": 0.05})
    one = encode(scene, options)
    monkeypatch.setattr(scene_module, "BLOCK_VALUES", 64 * WIDTH)
    many = encode(scene, options)
    assert len(many.data) == pytest.approx(len(one.data), rel=0.02)
    for made in (one, many):
        assert np.abs(decode(made.data).stack(NAMES) - scene.stack(NAMES)).max() <= 0.05


def test_bounding_holds_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    width, count = 256, 6000
    scene = wide(count, width)
    names = tuple(f"semantic_{i}" for i in range(width))
    group = Group("semantic", Role.SEMANTIC, names)
    coding = feature_coding(scene.blocks(names), judge(scene.blocks(names), "l2"), 1.0, False)
    monkeypatch.setattr(scene_module, "BLOCK_VALUES", 1 << 15)
    tracemalloc.start()
    Bounds({"semantic": 0.1}).tighten(group, coding, scene, np.ones(count, np.bool_))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * count * width / 2
