"""Symbols of features that are compared by angle."""

from __future__ import annotations

import numpy as np

from csgs_codec.attributes.coding import GroupCoding
from csgs_codec.attributes.transform import LinearTransform
from csgs_codec.container.kinds import GroupKind
from csgs_codec.encoder.angular import RADIAL, directions, turn_symbols
from csgs_codec.encoder.quantise import choose_symbols, rate_unit, symbol_bits


def cost(
    k: np.ndarray, residual: np.ndarray, index: np.ndarray, weight: np.ndarray, axis: np.ndarray
) -> np.ndarray:
    error = residual - k
    squared = (error**2).sum(axis=1) - (1 - RADIAL) * (error * axis).sum(axis=1) ** 2
    return squared + rate_unit(weight) * symbol_bits()[index, np.abs(k)].sum(axis=1)


def test_symbols_become_cheaper_and_no_single_move_helps() -> None:
    random = np.random.default_rng(1)
    residual = random.laplace(0, 1.5, (500, 6))
    index = random.integers(1, 40, residual.shape).astype(np.uint8)
    weight = np.exp(random.uniform(-1, 1, 500))
    axis = random.normal(size=residual.shape)
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    first = choose_symbols(residual, index, weight)
    turned = turn_symbols(first, residual, index, weight, axis)
    before, after = (cost(k, residual, index, weight, axis) for k in (first, turned))
    assert (after <= before + 1e-6).all()
    assert after.mean() < 0.995 * before.mean()
    again = turn_symbols(turned, residual, index, weight, axis)
    assert (again == turned).all(axis=1).mean() > 0.95


def test_what_is_not_coded_stays_zero() -> None:
    residual = np.array([[0.9, 400.2]])
    index = np.array([[0, 63]], np.uint8)
    axis = np.array([[1.0, 0.0]])
    k = turn_symbols(np.array([[0, 400]], np.int32), residual, index, np.ones(1), axis)
    assert k.tolist() == [[0, 400]]


def test_directions_are_those_of_the_features() -> None:
    random = np.random.default_rng(2)
    features = random.normal(2.0, 1.0, (200, 5))
    transform = LinearTransform.fit([features], np.ones(200), 5, 10)
    coding = GroupCoding(
        GroupKind.SEMANTIC, 0.3, np.arange(5, dtype=np.float32), transform=transform
    )
    found = directions(coding, coding.latents(features))
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    np.testing.assert_allclose(found @ transform.basis, unit, atol=2e-3)
    zero = directions(coding, coding.latents(np.zeros((1, 5))))
    assert np.linalg.norm(zero) < 1e-3
