"""Features against features, and rows against rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from csgs_codec.errors import UsageError
from csgs_codec.metrics.features import compare_features, describe_semantics
from csgs_codec.metrics.matching import in_same_order, match_rows
from csgs_codec.metrics.segmentation import label_map
from csgs_codec.metrics.weights import blended_weight
from csgs_codec.render import RenderGaussians, render
from csgs_codec.schema import assign_roles
from csgs_codec.semantics.heads import Head
from tests.scenes import inria, with_semantics
from tests.unit.test_segmentation import camera, two_sheets

pytest.importorskip("scipy")
HEAD = Head(np.eye(3)[:, :2] + 0.0, np.array([0.0, 0, 0.1]))


def turned(degrees: np.ndarray, length: np.ndarray | float = 1.0) -> np.ndarray:
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) * np.reshape(length, (-1, 1))


class TestCompareFeatures:
    def test_angles_in_degrees_down_to_tiny_ones(self) -> None:
        apart = np.array([0.0, 1e-7, 1, 30, 90, 179])
        score = compare_features(turned(np.zeros(6)), turned(apart, 2.0))
        assert score.angle_max == pytest.approx(179)
        assert score.angle_mean == pytest.approx(apart.mean())
        assert score.magnitude_error == pytest.approx(1.0)
        tiny = compare_features(turned(np.zeros(1)), turned(apart[1:2]))
        assert tiny.angle_mean == pytest.approx(1e-7, rel=1e-6)
        assert score.argmax_agreement is score.margin is score.margin_decoded is None

    def test_tail(self) -> None:
        score = compare_features(turned(np.zeros(100)), turned(np.arange(100.0)))
        assert score.angle_p95 == pytest.approx(94)
        weights = np.where(np.arange(100) < 10, 1.0, 0.0)
        weighted = compare_features(turned(np.zeros(100)), turned(np.arange(100.0)), None, weights)
        assert weighted.angle_p95 == pytest.approx(9) and weighted.angle_mean == pytest.approx(4.5)
        assert weighted.angle_max == pytest.approx(99)

    def test_zero_rows_are_counted_apart(self) -> None:
        before = turned(np.zeros(5))
        before[[1, 3, 4]] = 0
        after = before.copy()
        after[3] = 1e-6
        after[0] = 0
        score = compare_features(before, after)
        assert (score.rows, score.zero_rows, score.zero_rows_kept) == (2, 3, 2)
        assert score.angle_max == pytest.approx(90) and score.angle_mean == pytest.approx(45)

    def test_rows_that_are_not_finite_do_not_count(self) -> None:
        before = turned(np.zeros(3))
        before[1, 0] = np.nan
        score = compare_features(before, before)
        assert score.rows == 2 and score.angle_max == 0 and score.zero_rows == 0

    def test_classes_and_margins(self) -> None:
        before = turned(np.array([10.0, 80, 44]))
        after = turned(np.array([20.0, 10, 46]))
        score = compare_features(before, after, HEAD)
        assert score.argmax_agreement == pytest.approx(1 / 3)
        by_hand = [HEAD.logits(f) for f in (before, after)]
        kept = [
            [row[k] - np.delete(row, k).max() for row, k in zip(rows, (0, 1, 0), strict=True)]
            for rows in by_hand
        ]
        assert score.margin == pytest.approx(np.mean(kept[0]))
        assert score.margin_decoded == pytest.approx(np.mean(kept[1]))
        assert score.margin_decoded < 0 < score.margin

    def test_nothing_to_compare(self) -> None:
        score = compare_features(np.zeros((0, 2)), np.zeros((0, 2)), HEAD)
        assert score.rows == 0 and score.angle_mean == 0

    def test_shapes_must_agree(self) -> None:
        with pytest.raises(UsageError):
            compare_features(np.zeros((3, 2)), np.zeros((4, 2)))
        with pytest.raises(UsageError, match="takes 2 features"):
            compare_features(np.zeros((3, 3)), np.zeros((3, 3)), HEAD)
        with pytest.raises(UsageError, match="weights"):
            compare_features(np.zeros((3, 2)), np.zeros((3, 2)), None, np.ones(2))


def test_scenes_are_described_by_group() -> None:
    scene = with_semantics(with_semantics(inria(200, 0), "goi"))
    changed = replace(scene, columns={n: c.copy() for n, c in scene.columns.items()})
    changed.columns["sem_0"] += 1
    head = Head(np.random.default_rng(0).normal(size=(5, 16)), np.zeros(5))
    found = describe_semantics(scene, changed, assign_roles(scene), head)
    assert sorted(found) == ["obj_dc", "sem"]
    assert found["obj_dc"].angle_max == 0 and found["obj_dc"].argmax_agreement == 1
    assert found["sem"].angle_mean > 5 and found["sem"].argmax_agreement is None
    del changed.columns["sem_3"]
    named = describe_semantics(scene, changed, assign_roles(scene), {"obj_dc": head})
    assert named == {"obj_dc": found["obj_dc"]}
    with pytest.raises(UsageError):
        describe_semantics(scene, changed.select(slice(5)), assign_roles(scene))


class TestMatching:
    def grid(self) -> np.ndarray:
        axis = np.arange(5.0)
        return np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3)

    def test_a_shuffled_scene_is_put_together_again(self) -> None:
        random = np.random.default_rng(1)
        original, order = self.grid(), random.permutation(125)[:100]
        decoded = original[order] + random.uniform(-0.4, 0.4, (100, 3))
        for reach in (0.4, None):
            matching = match_rows(original, decoded, reach)
            assert matching.rows == 100
            assert (order[matching.decoded] == matching.original).all()
        assert len(match_rows(original, decoded, 0.4).decoded) == 100

    def test_what_could_be_two_rows_is_none(self) -> None:
        original = np.array([[0.0, 0, 0], [0.5, 0, 0], [4, 0, 0], [9, 0, 0], [9, 0, 0]])
        decoded = np.array([[0.1, 0, 0], [0.45, 0, 0], [4.2, 0, 0], [9, 0, 0], [9, 0, 0]])
        matching = match_rows(original, decoded, reach=0.5)
        assert matching.original.tolist() == [2] and matching.decoded.tolist() == [2]
        twice = match_rows(original[:3], decoded[[2, 2]], reach=0.5)
        assert len(twice.original) == 0 and twice.rows == 2

    def test_nothing_within_reach_is_no_pair(self) -> None:
        assert len(match_rows(self.grid(), self.grid()[:3] + 0.3, reach=0.2).original) == 0

    def test_rows_that_are_not_finite_have_no_pair(self) -> None:
        original = self.grid()
        original[7, 1] = np.nan
        matching = match_rows(original, original[::-1].copy(), 0.1)
        assert len(matching.original) == 124 and 7 not in matching.original
        assert len(match_rows(original[7:8], original).original) == 0

    def test_order_is_told_by_distances(self) -> None:
        original = np.random.default_rng(2).normal(size=(500, 3))
        assert in_same_order(original, original + 0.01)
        assert not in_same_order(original, original[::-1])
        assert not in_same_order(original, original[:-1])
        assert in_same_order(original[:1], original[:1] + 1)


def test_blended_weight_is_what_features_are_blended_with() -> None:
    gaussians = two_sheets()
    view = camera()
    weight = blended_weight(gaussians, [view, view])
    features = np.random.default_rng(3).normal(size=(gaussians.count, 2)).astype(np.float32)
    blended = render(gaussians, view, features)[2]
    assert blended is not None
    np.testing.assert_allclose(weight @ features, 2 * blended.sum(axis=(0, 1)), rtol=1e-3)
    behind = RenderGaussians(
        -gaussians.means, *(vars(gaussians)[k] for k in list(vars(gaussians))[1:])
    )
    assert (blended_weight(behind, [view]) == 0).all()
    assert (label_map(behind, features, HEAD, view) == 2).all()
