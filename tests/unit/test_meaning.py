"""What errors of semantic features cost, and that encoding follows it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from csgs_codec import EncodeOptions, Scene, decode, encode
from csgs_codec.container.kinds import GroupKind
from csgs_codec.decoder import parse
from csgs_codec.encoder.meaning import feature_coding, judge
from csgs_codec.errors import UnsupportedError, UsageError
from csgs_codec.metrics.features import compare_features
from csgs_codec.semantics.heads import Head

WIDTH = 6
COLUMNS = tuple(f"semantic_{i}" for i in range(WIDTH))


def clusters(count: int = 2500) -> tuple[np.ndarray, np.ndarray, Head]:
    """Positions, features of very different lengths in four clumps, and a head for the clumps."""
    rng = np.random.default_rng(11)
    label = rng.integers(0, 4, count)
    xyz = (
        rng.normal(0, 0.2, (count, 3))
        + np.array([[0, 0, 0], [3, 0, 0], [0, 3, 0], [0, 0, 3]])[label]
    )
    centres = 3.0 * np.eye(WIDTH)[:4]
    features = centres[label] + rng.normal(0, 0.6, (count, WIDTH))
    features *= np.exp(rng.normal(0, 0.7, (count, 1)))
    return xyz, features, Head(centres, np.zeros(4))


def scene(xyz: np.ndarray, features: np.ndarray) -> Scene:
    columns = dict(zip("xyz", xyz.T.astype(np.float32), strict=True))
    return Scene(columns | dict(zip(COLUMNS, features.T.astype(np.float32), strict=True)))


def coded(metric: object, **options: object) -> tuple[float, np.ndarray, np.ndarray, Head]:
    xyz, features, head = clusters()
    chosen = head if metric == "head" else metric
    made = EncodeOptions(look=False, order="keep", semantic_metric=chosen, **options)  # type: ignore[arg-type]
    result = encode(scene(xyz, features), made)
    bits = sum(b for name, b in result.group_bits.items() if name.startswith("semantic"))
    return bits / len(xyz), features, decode(result.data).stack(COLUMNS), head


def test_short_features_get_fine_steps_under_cosine() -> None:
    """At equal bits large angles are smaller than when every error counts the same."""
    (bits, before, after, _), (even_bits, _, even, _) = coded("cosine"), coded("l2")
    ours, other = compare_features(before, after), compare_features(before, even)
    assert ours.angle_p95 < 0.7 * other.angle_p95 * 2 ** ((even_bits - bits) / WIDTH)


def test_a_head_keeps_classes_for_fewer_bits() -> None:
    bits, before, after, head = coded("head", semantic_quality=50.0)
    blind_bits, _, blind, _ = coded("l2", semantic_quality=50.0)
    assert bits < 0.6 * blind_bits
    lost, blindly = (head.labels(x) != head.labels(before) for x in (after, blind))
    assert lost.mean() < 0.01
    assert lost.sum() < 0.3 * blindly.sum()


def test_steps_of_gaussians_are_sent_only_where_they_differ() -> None:
    xyz, features, head = clusters()
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    for values, metric, count in (
        (features, "cosine", 1),
        (unit, "cosine", 0),
        (features, head, 0),
    ):
        options = EncodeOptions(look=False, semantic_metric=metric)  # type: ignore[arg-type]
        data = encode(scene(xyz, values), options).data
        kinds = [group.kind for group in parse(data).header.groups]
        assert kinds.count(GroupKind.SENSITIVITY) == count


def test_a_head_that_fits_nothing_is_refused() -> None:
    xyz, features, _ = clusters(50)
    other = Head(np.ones((3, WIDTH + 1)), np.zeros(3))
    with pytest.raises(UsageError, match="7 columns"):
        encode(scene(xyz, features), EncodeOptions(look=False, semantic_metric=other))


def test_quality_of_features_is_their_own() -> None:
    bits, before, after, _ = coded("cosine", quality=75.0, semantic_quality=50.0)
    fine_bits, _, fine, _ = coded("cosine", quality=75.0)
    assert bits < 0.6 * fine_bits
    assert compare_features(before, after).angle_mean > compare_features(before, fine).angle_mean
    with pytest.raises(UnsupportedError):
        EncodeOptions(semantic_quality=0.0)


def test_the_report_is_of_the_decoded_file() -> None:
    xyz, features, _ = clusters()
    result = encode(scene(xyz, features), EncodeOptions(look=False, order="keep"))
    before = features.astype(np.float32)
    score = compare_features(before, decode(result.data).stack(COLUMNS))
    assert result.semantics["semantic"].angle_mean == pytest.approx(score.angle_mean, abs=1e-3)


def test_errors_of_a_head_are_those_of_differences_of_logits() -> None:
    """What is added to all logits alike costs next to nothing."""
    _, features, head = clusters()
    shifted = Head(head.weight + np.arange(WIDTH), head.bias)
    metric, same = judge([features], head).metric, judge([features], shifted).metric
    assert metric is not None
    assert same is not None
    np.testing.assert_allclose(metric, same, atol=1e-9)
    assert judge([features], Head(np.ones((3, WIDTH + 1)), np.zeros(3))).metric is None


def test_components_that_do_not_matter_are_not_coded() -> None:
    rng = np.random.default_rng(3)
    features = rng.normal(0, 1, (500, 2)) @ rng.normal(0, 1, (2, 40))
    meaning = judge([features], "cosine")
    assert feature_coding([features], meaning, 1.0, False).channels == 2


def test_a_class_of_few_gaussians_keeps_its_component() -> None:
    rng = np.random.default_rng(5)
    label = np.repeat([0, 1, 2], [1500, 1490, 10])
    centres = 3.0 * np.eye(WIDTH)[:3]
    features = centres[label] + rng.normal(0, 0.05, (3000, WIDTH))
    head = Head(centres, np.zeros(3))
    meaning = judge([features], head)
    transform = feature_coding([features], meaning, 4.0, False).transform
    assert transform is not None
    kept = transform.inverse(transform.forward(centres))
    assert (head.labels(kept) == [0, 1, 2]).all()
    blind = feature_coding([features], replace(meaning, say=None), 4.0, False).transform
    assert blind is not None
    assert blind.components < transform.components, "few of many do not matter to energy"


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_columns_that_only_repeat_do_not_make_steps_finer(noise: float) -> None:
    """Errors stay the same share of features when those are written into many more columns."""
    random = np.random.default_rng(4)
    features = random.normal(0, 1, (600, WIDTH)) * np.linspace(3, 0.5, WIDTH)
    spread_out = features @ np.linalg.qr(random.normal(size=(128, WIDTH)))[0].T
    spread_out += noise / np.sqrt(128) * random.normal(size=spread_out.shape)
    narrow, wide = judge([features], "cosine"), judge([spread_out], "cosine")
    assert wide.step == pytest.approx(narrow.step, rel=0.02)
    rms = np.sqrt((features**2).mean())
    assert narrow.step == pytest.approx(0.3 * rms)
