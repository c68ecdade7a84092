"""Axes of what neighbours do not foretell."""

from __future__ import annotations

import numpy as np

from csgs_codec import Scene
from csgs_codec.attributes.transform import LinearTransform
from csgs_codec.encoder.innovation import independent_axes, innovations

NAMES = ("semantic_0", "semantic_1", "semantic_2")


def turn(angle: float) -> np.ndarray:
    """Rotation in the plane of the first two axes."""
    axes = np.eye(3)
    axes[:2, :2] = [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
    return axes


def test_differences_leave_out_what_is_smooth() -> None:
    random = np.random.default_rng(1)
    xyz = random.uniform(0, 1, (4000, 3))
    noise = random.normal(0, 0.1, xyz.shape)
    values = np.column_stack([xyz, 20 * xyz + noise])
    names = ("x", "y", "z", *NAMES)
    scene = Scene({n: c.astype(np.float32) for n, c in zip(names, values.T, strict=True)})
    rows = np.arange(0, 4000, 2)
    found = innovations(scene, NAMES, rows, np.zeros(2000))
    assert found.shape == (1998, 3)
    assert found.std() < 0.4 * values[:, 3:].std()
    halved = innovations(scene, NAMES, rows, np.ones(2000))
    np.testing.assert_allclose(halved, found / 2)


def test_axes_are_those_of_most_differences() -> None:
    random = np.random.default_rng(2)
    wanted = turn(0.5)
    differences = random.normal(0, 1, (5000, 3)) * np.array([4.0, 1.0, 0.2]) @ wanted
    differences[:20] = 1e3 * np.array([0.0, 1.0, 1.0])
    axes = independent_axes(differences, 0.3)
    assert axes is not None
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-9)
    assert abs(axes[np.abs(axes @ wanted[0]).argmax()] @ wanted[0]) > 0.99
    assert independent_axes(differences[:20], 0.3) is None


def test_a_rotated_transform_spans_the_same_space() -> None:
    random = np.random.default_rng(3)
    features = random.normal(0, 1, (400, 3)) * np.array([5.0, 2.0, 1.0])
    fitted = LinearTransform.fit([features], np.ones(400), 3, 10)
    rotated = fitted.rotated(turn(1.0))
    np.testing.assert_allclose(rotated.inverse(rotated.forward(features)), features, atol=1e-9)
    assert rotated.spread is not None
    np.testing.assert_allclose(rotated.spread, rotated.forward(features).std(axis=0), rtol=0.01)
    assert (np.diff(rotated.spread) <= 0).all()
