"""Step classes follow from decoded integers."""

from __future__ import annotations

import numpy as np
import pytest

from csgs_codec.attributes.steps import LARGEST_CLASS, STEP_Q6, StepRule, features_of
from csgs_codec.container.fields import FieldReader, FieldWriter
from csgs_codec.errors import CorruptError
from csgs_codec.hyperprior.network import reconstruct


def test_steps_are_half_octaves_around_one() -> None:
    assert STEP_Q6[LARGEST_CLASS] == 64
    wanted = [round(64 * 2 ** (c / 2)) for c in range(-LARGEST_CLASS, LARGEST_CLASS + 1)]
    assert STEP_Q6.tolist() == wanted


def test_classes() -> None:
    rule = StepRule(bias=10, coefficients=(1, -2, 3, 4, 0, 0), shift=2, low=-3, high=5)
    features = np.array(
        [
            [0, 0, 0, 0, 9, 9],
            [4, 4, 4, 4, 0, 0],
            [-9, 9, 0, 0, 0, 0],
            [9, 0, 9, 9, 0, 0],
            [0, 3, 0, 0, 0, 0],
        ]
    )
    # 10, 34, -17, 82 and 4, halves rounded up: 12 >> 2, 36 >> 2, -15 >> 2, 84 >> 2, 6 >> 2
    assert rule.classes(features).tolist() == [3, 5, -3, 5, 1]
    assert rule.classes(features).dtype == np.int8


def test_classes_need_64_bits() -> None:
    rule = StepRule(0, (2**31 - 1, 0, 0, 0, 0, 0), 40, -8, 8)
    features = np.array([[2**30, 0, 0, 0, 0, 0], [-(2**30), 0, 0, 0, 0, 0], [2**9, 0, 0, 0, 0, 0]])
    assert rule.classes(features).tolist() == [8, -8, 1]


def test_constant_rules() -> None:
    assert StepRule().constant
    assert not StepRule(high=1).constant
    assert StepRule().classes(np.array([[7, 7, 7, 7, 7, 7]])).tolist() == [0]


@pytest.mark.parametrize(
    ("columns", "wanted"),
    [
        ([[3, 1, 2]], [1, 2, 3]),
        ([[5, 4]], [4, 5, 5]),
        ([[6]], [6, 6, 6]),
        ([[6, 1, 5, 2, 4, 3]], [1, 4, 6]),
    ],
)
def test_features_are_smallest_middle_and_largest_scale(
    columns: list[list[int]], wanted: list[int]
) -> None:
    scales, opacity = np.array(columns, np.int32), np.array([[-7]], np.int32)
    sensitivity = np.array([[8, -9]], np.int32)
    assert features_of(scales, opacity, sensitivity, 1).tolist() == [[*wanted, -7, 8, -9]]
    assert features_of(None, opacity, None, 1).tolist() == [[0, 0, 0, -7, 0, 0]]
    assert features_of(scales, None, None, 1).tolist() == [[*wanted, 0, 0, 0]]


def test_rule_survives_writing() -> None:
    rule = StepRule(-(2**30), (1, -1, 2**30, -(2**30), 5, -6), 40, -8, 8)
    fields = FieldWriter()
    rule.write(fields)
    assert StepRule.read(FieldReader(fields.finish(), "GRUP"), -8, 8) == rule
    with pytest.raises(CorruptError):
        StepRule.read(FieldReader(fields.finish(), "GRUP"), 0, 8)


def test_reconstruction(backend: str) -> None:
    mu_q6 = np.array([[100, -5], [0, 0]], np.int32)
    k = np.array([[2, -1], [3, 0]], np.int32)
    found = reconstruct(mu_q6, k, np.array([0, 8], np.int8))
    assert found.tolist() == [[228, -69], [3072, 0]]
    assert found.dtype == np.int32


@pytest.mark.parametrize("sign", [1, -1])
def test_values_outside_the_range_are_refused(backend: str, sign: int) -> None:
    """The product needs more than 32 bits; ``|v_q6| < 2**30`` must hold."""
    classes = np.array([8], np.int8)
    zero = np.zeros((1, 1), np.int32)
    for k in (2**20, 2**24 - 1):
        with pytest.raises(CorruptError):
            reconstruct(zero, np.array([[sign * k]], np.int32), classes)
    assert reconstruct(zero, np.array([[sign * (2**20 - 1)]], np.int32), classes)[0, 0] != 0
