"""Symbols under which features keep the class that a head gives them."""

from __future__ import annotations

import itertools

import numpy as np

from csgs_codec.attributes.coding import GroupCoding
from csgs_codec.attributes.transform import LinearTransform
from csgs_codec.container.kinds import GroupKind
from csgs_codec.encoder.classes import ClassErrors, typical_margin
from csgs_codec.encoder.quantise import symbol_bits
from csgs_codec.semantics.heads import Head

WIDTH, STEP = 3, 0.5


def coding(features: np.ndarray) -> GroupCoding:
    transform = LinearTransform.fit([features], np.ones(len(features)), WIDTH, 10)
    return GroupCoding(GroupKind.SEMANTIC, STEP, np.zeros(WIDTH, np.float32), transform=transform)


def some(count: int = 60, factor: float = 1.0) -> tuple[ClassErrors, np.ndarray, Head]:
    random = np.random.default_rng(2)
    head = Head(random.normal(0, 1, (5, WIDTH)), random.normal(0, 0.1, 5))
    features = random.normal(0, 1, (count, WIDTH))
    return ClassErrors.of([features], head, coding(features), STEP, factor), features, head


def cost(judged: ClassErrors, i: int, residual: np.ndarray, k: np.ndarray, index: int) -> float:
    """What the module says a Gaussian's symbols cost, written down again."""
    error = residual - k
    moved = (judged.logits[judged.own[i]] - judged.logits[judged.near[i]]) @ error / judged.reach[i]
    towards = np.where(moved > 0, moved**2 * (1 + 2 * moved**2), 0.3 * moved**2)
    bits = symbol_bits()[index, np.abs(k)].sum()
    return float(judged.urgency[i] @ towards + judged.plain[i] * error @ error + bits)


def test_symbols_are_about_as_good_as_any() -> None:
    judged, features, _ = some(factor=4.0)
    random, index = np.random.default_rng(3), 18
    residual = random.normal(0, 1.5, features.shape)
    chosen = judged.choose(residual, np.full(features.shape, index, np.uint8))
    reach = [np.array(k) for k in itertools.product(range(-5, 6), repeat=WIDTH)]
    best = [min(cost(judged, i, residual[i], k, index) for k in reach) for i in range(60)]
    ours = [cost(judged, i, residual[i], chosen[i], index) for i in range(60)]
    nearest = np.rint(residual).astype(int)
    rounded = [cost(judged, i, residual[i], nearest[i], index) for i in range(60)]
    assert min(np.subtract(ours, best)) > -1e-9
    assert max(np.subtract(ours, rounded)) < 1e-9
    near = np.subtract(ours, best) < 0.5
    assert near.mean() > 0.85, "two symbols at once would be better for few"
    assert np.median(ours) < 0.6 * np.median(rounded)


def test_little_is_said_where_the_class_is_foretold() -> None:
    judged, features, head = some(400, factor=2.0)
    axes = coding(features).transform
    assert axes is not None
    foretold = 0.7 * features
    residual = (features - foretold) @ axes.basis.T / STEP
    k = judged.choose(residual, np.full(features.shape, 14, np.uint8))
    kept = head.labels(foretold + k * STEP @ axes.basis) == head.labels(features)
    assert kept.mean() > 0.98
    assert np.count_nonzero(k) < 0.3 * np.count_nonzero(np.rint(residual))


def test_nothing_is_said_where_nothing_is_coded() -> None:
    judged, features, _ = some()
    index = np.full(features.shape, 18, np.uint8)
    index[::2, 1] = 0
    k = judged.choose(np.full(features.shape, 3.0), index)
    assert not k[::2, 1].any() and k.any()
    heard = np.arange(60) % 3 > 0
    more = judged.at(np.flatnonzero(heard)).among(heard)
    again = more.choose(np.full(features.shape, 3.0), index)
    assert not again[~heard].any()
    np.testing.assert_array_equal(again[heard], k[heard])


def test_lower_qualities_cost_less_and_rare_classes_more() -> None:
    fine, features, head = some(400)
    coarse = some(400, factor=4.0)[0]
    np.testing.assert_allclose(coarse.urgency, fine.urgency / 16)
    np.testing.assert_allclose(coarse.plain, fine.plain / 16)
    members = np.bincount(head.labels(features), minlength=5)
    rare, usual = members[members > 0].argmin(), members.argmax()
    assert fine.plain[fine.own == rare].min() > fine.plain[fine.own == usual].max()
    assert (np.diff(fine.reach, axis=1) >= 0).all()


def test_margins_of_heads_that_tell_nothing_apart() -> None:
    alike = Head(np.ones((4, WIDTH)), np.zeros(4))
    features = np.random.default_rng(1).normal(size=(30, WIDTH))
    judged = ClassErrors.of([features[:11], features[11:]], alike, coding(features), STEP, 1.0)
    assert np.isfinite(judged.urgency).all()
    assert typical_margin(np.zeros(3)) == 1.0 and typical_margin(np.array([0.0, 2.0])) == 2.0
