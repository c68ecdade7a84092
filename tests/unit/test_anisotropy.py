"""What errors of rotations cost, turn by turn."""

from __future__ import annotations

import numpy as np
import pytest

from csgs_codec.attributes.warps import rotation_forward
from csgs_codec.encoder.anisotropy import LEAST_RATIO, ratios, rotation_metric


def turned(unit: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Unit quaternions moved along the tangents in which a Gaussian turns about its axes."""
    w, x, y, z = unit.T
    tangents = np.stack([[-x, w, z, -y], [-y, -z, w, x], [-z, y, -x, w]]).transpose(2, 0, 1)
    return unit + np.einsum("ni,nij->nj", turn, tangents)


def test_errors_in_the_chart_cost_what_the_turns_cost() -> None:
    random = np.random.default_rng(1)
    quaternions = 3 * random.normal(size=(200, 4))
    unit = quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)
    unit = unit[np.abs(unit[:, 0]) > 0.02]
    costs = random.uniform(0.1, 3, (len(unit), 3))
    turn = 1e-6 * random.normal(size=(len(unit), 3))
    moved = rotation_forward(turned(unit, turn)) - rotation_forward(unit)
    found = np.einsum("ni,nij,nj->n", moved, rotation_metric(2 * unit, costs), moved)
    assert found == pytest.approx((costs * turn**2).sum(axis=1), rel=1e-3)


def test_ratios_are_relative_and_bounded() -> None:
    found = ratios(np.array([[3.0, 0.0, 0.0], [2.0, 2.0, 2.0], [0.0, 0.0, 0.0]]))
    assert found == pytest.approx(
        np.array([[3.0, LEAST_RATIO, LEAST_RATIO], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    )
