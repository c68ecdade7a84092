"""Rate-distortion-optimised symbols."""

from __future__ import annotations

import numpy as np
import pytest

from csgs_codec.encoder.quantise import (
    LAMBDA,
    LEAST_WEIGHT,
    choose_symbols,
    scale_offsets,
    symbol_bits,
)
from csgs_codec.numerics.bits import BitWriter
from csgs_codec.numerics.rans import RansEncoder
from csgs_codec.numerics.residuals import encode_residuals


def coded_bits(k: np.ndarray, index: np.ndarray) -> float:
    rans, bits = RansEncoder(), BitWriter()
    encode_residuals(k.astype(np.int32), index, rans, bits)
    return rans.cost + bits.size


@pytest.mark.parametrize("index", [1, 2, 10, 25, 40, 63])
def test_bits_are_those_of_the_coder(index: int) -> None:
    for k in (0, 1, -1, 2, 7, 30, 126, -127):
        told = symbol_bits()[index, abs(k)]
        assert coded_bits(np.array([[k]]), np.array([[index]], np.uint8)) == pytest.approx(told)


def cost(residual: np.ndarray, k: np.ndarray, index: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return weight[:, None] * (residual - k) ** 2 + LAMBDA * symbol_bits()[index, np.abs(k)]


def test_no_symbol_near_by_is_cheaper() -> None:
    random = np.random.default_rng(1)
    residual = random.laplace(0, 1.5, (400, 3))
    index = random.integers(1, 40, (400, 3)).astype(np.uint8)
    weight = np.exp(random.uniform(-2, 2, 400))
    k = choose_symbols(residual, index, weight)
    chosen = cost(residual, k, index, weight)
    nearest = np.rint(residual).astype(int)
    for other in (nearest, np.zeros_like(k), nearest - np.sign(nearest)):
        assert (chosen <= cost(residual, other, index, weight) + 1e-6).all()


def test_heavy_errors_leave_no_choice_and_light_ones_vanish() -> None:
    residual = np.linspace(-3, 3, 61)[:, None] + 0.01
    index = np.full(residual.shape, 12, np.uint8)
    heavy = choose_symbols(residual, index, np.full(61, 1e9))
    assert np.array_equal(heavy, np.rint(residual))
    light = choose_symbols(residual, index, np.full(61, 1e-9))
    assert np.array_equal(light, choose_symbols(residual, index, np.full(61, LEAST_WEIGHT)))
    assert not light[np.abs(residual) < 1.5].any()


def test_uncoded_and_huge_residuals() -> None:
    residual = np.array([[5.0, 1000.4, -4e5]])
    k = choose_symbols(residual, np.array([[0, 5, 63]], np.uint8))
    assert k.tolist() == [[0, 1000, -400000]]


def test_offsets_make_symbols_cheaper() -> None:
    random = np.random.default_rng(2)
    k = np.rint(random.laplace(0, 0.5, (3000, 2)) * np.array([1.0, 8.0])).astype(np.int32)
    index = np.full(k.shape, 22, np.uint8)
    offsets = scale_offsets(k, index)
    assert offsets[0] < 0 < offsets[1]
    moved = (index + offsets).astype(np.uint8)
    assert coded_bits(k, moved) < coded_bits(k, index)


def together(residual: np.ndarray, k: np.ndarray, index: np.ndarray, form: np.ndarray) -> float:
    error = residual - k
    spent = np.einsum("ni,nij,nj->n", error, form, error)
    return float((spent + LAMBDA * symbol_bits()[index, np.abs(k)].sum(axis=1)).mean())


def test_errors_go_where_a_quadratic_form_does_not_see_them() -> None:
    random = np.random.default_rng(2)
    residual = random.laplace(0, 1.5, (300, 3))
    index = np.full((300, 3), 20, np.uint8)
    axes = np.linalg.qr(random.normal(size=(300, 3, 3)))[0]
    form = np.einsum("nij,j,nkj->nik", axes, np.array([0.0, 1.5, 1.5]), axes)
    k = choose_symbols(residual, index, form)
    alone = choose_symbols(residual, index, np.ones(300))
    assert together(residual, k, index, form) < 0.9 * together(residual, alone, index, form)
    nothing = np.zeros_like(index)
    assert not choose_symbols(residual, nothing, form).any()


def test_a_round_form_is_a_weight() -> None:
    random = np.random.default_rng(3)
    residual = random.laplace(0, 1.5, (300, 3))
    index = random.integers(1, 40, (300, 3)).astype(np.uint8)
    heavy = np.full(300, 2.0)
    form = (heavy[:, None, None] - LEAST_WEIGHT) * np.eye(3)
    assert np.array_equal(
        choose_symbols(residual, index, form), choose_symbols(residual, index, heavy)
    )
