"""Arithmetic on curves of benchmarks/rate_distortion.py."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("scipy")

from rd_bench import curves

CURVE = [(1000.0, 30.0), (2000.0, 36.0), (4000.0, 42.0), (8000.0, 48.0)]


class TestBdRate:
    def test_a_curve_against_itself_is_zero(self) -> None:
        rate = curves.bd_rate(CURVE, CURVE)
        assert rate is not None
        assert rate.percent == pytest.approx(0, abs=1e-9)
        assert (rate.low, rate.high) == (30, 48)

    @pytest.mark.parametrize("factor", [0.25, 0.5, 3.0])
    def test_bytes_scaled_by_a_factor(self, factor: float) -> None:
        rate = curves.bd_rate([(factor * s, p) for s, p in CURVE], CURVE)
        assert rate is not None
        assert rate.percent == pytest.approx(100 * (factor - 1))

    def test_only_the_common_range_counts(self) -> None:
        # octaves: ours one per 6 dB, theirs one per 3 dB from the same start
        theirs = [(1000.0 * 2 ** (d / 3), 30.0 + d) for d in (0, 3, 6)]
        rate = curves.bd_rate(CURVE, theirs)
        assert rate is not None
        assert (rate.low, rate.high) == (30, 36)
        # at the mean of 3 dB: 0.5 octaves against 1
        assert rate.percent == pytest.approx(100 * (2**-0.5 - 1))

    def test_antisymmetric_in_log(self) -> None:
        theirs = [(1500.0, 31.0), (2500.0, 35.0), (9000.0, 44.0)]
        one, two = curves.bd_rate(CURVE, theirs), curves.bd_rate(theirs, CURVE)
        assert one is not None and two is not None
        assert (1 + one.percent / 100) * (1 + two.percent / 100) == pytest.approx(1)

    def test_none_without_overlap_or_with_one_point(self) -> None:
        assert curves.bd_rate(CURVE, [(10, 10.0), (20, 20.0)]) is None
        assert curves.bd_rate(CURVE, [(10, 35.0)]) is None
        assert curves.bd_rate([], CURVE) is None

    def test_points_that_are_beaten_do_not_count(self) -> None:
        beaten = [*CURVE, (5000.0, 41.0), (2000.0, 33.0)]
        assert curves.front(beaten) == CURVE
        rate = curves.bd_rate(beaten, CURVE)
        assert rate is not None and rate.percent == pytest.approx(0, abs=1e-9)


class TestInterpolation:
    @pytest.mark.parametrize("size, psnr", CURVE)
    def test_goes_through_the_points(self, size: float, psnr: float) -> None:
        assert curves.bytes_at(CURVE, psnr) == pytest.approx(size)

    def test_between_points_is_log_linear_on_a_log_linear_curve(self) -> None:
        assert curves.bytes_at(CURVE, 39.0) == pytest.approx(2000 * math.sqrt(2))

    def test_is_monotone(self) -> None:
        jagged = [(1000, 30.0), (1010, 35.0), (9000, 35.5), (9100, 41.0)]
        sizes = [curves.bytes_at(jagged, p) for p in np.linspace(30, 41, 50)]
        assert None not in sizes
        assert sizes == sorted(sizes)  # type: ignore[type-var]

    def test_none_outside(self) -> None:
        assert curves.bytes_at(CURVE, 29.9) is None
        assert curves.bytes_at(CURVE, 48.1) is None
        assert curves.bytes_at([], 30) is None
        assert curves.bytes_at([(5.0, 30.0)], 30) == 5


class TestCloser:
    @staticmethod
    def true(q: float) -> float:
        return 20 + 0.3 * q + 0.001 * q * q

    @pytest.mark.parametrize("target", [25.0, 41.0, 57.5])
    def test_finds_targets_inside_and_outside(self, target: float) -> None:
        tried = [(q, self.true(q)) for q in (50.0, 70.0, 90.0)]
        curves.close_in(tried, target, self.true, most=6, tolerance=0.1)
        assert min(abs(p - target) for _, p in tried) <= 0.1

    def test_measures_no_more_than_allowed_and_nothing_if_near(self) -> None:
        tried = [(q, self.true(q)) for q in (50.0, 90.0)]
        curves.close_in(tried, 25.0, self.true, most=1, tolerance=0.001)
        assert len(tried) == 3
        curves.close_in(tried, self.true(90), self.true, most=5, tolerance=0.1)
        assert len(tried) == 3

    @pytest.mark.parametrize("target, edge", [(999.0, 100.0), (-999.0, 1.0)])
    def test_stops_at_the_ends(self, target: float, edge: float) -> None:
        tried = [(q, self.true(q)) for q in (50.0, 90.0)]
        curves.close_in(tried, target, self.true, most=20, tolerance=0.1)
        assert [q for q, _ in tried[2:]] == [edge]
