"""Arithmetic on rate-distortion curves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator  # type: ignore[import-untyped]

Pair = tuple[float, float]
"""Bytes and PSNR in dB."""


@dataclass(frozen=True)
class BdRate:
    """Bjontegaard's difference of rates.

    Attributes
    ----------
    percent : float
        Mean change of bytes at the same PSNR; -50 says half the bytes.
    low, high : float
        The common range of PSNR, in dB.
    """

    percent: float
    low: float
    high: float


def front(points: Iterable[Pair]) -> list[Pair]:
    """Points that no other beats, in rising order of both bytes and PSNR."""
    best: list[Pair] = []
    for size, psnr in sorted(points, key=lambda p: (p[0], -p[1])):
        if not best or psnr > best[-1][1]:
            best.append((size, psnr))
    return best


def _log_rate(points: Sequence[Pair]) -> PchipInterpolator:
    return PchipInterpolator([p for _, p in points], [math.log(s) for s, _ in points])


def bd_rate(ours: Iterable[Pair], theirs: Iterable[Pair]) -> BdRate | None:
    """Compare two curves by piecewise cubic interpolation of log rate over PSNR.

    Parameters
    ----------
    ours, theirs : iterable of (bytes, PSNR)
        Points that another one of the same curve beats do not count.

    Returns
    -------
    BdRate or None
        None if a curve has fewer than two points or they have no common range.
    """
    curves = front(ours), front(theirs)
    if min(map(len, curves)) < 2:
        return None
    low = max(curve[0][1] for curve in curves)
    high = min(curve[-1][1] for curve in curves)
    if low >= high:
        return None
    areas = [float(_log_rate(curve).integrate(low, high)) for curve in curves]
    change = math.exp((areas[0] - areas[1]) / (high - low)) - 1
    return BdRate(100 * change, low, high)


def bytes_at(points: Iterable[Pair], psnr: float) -> float | None:
    """Bytes of a curve at a PSNR, or None outside its range."""
    curve = front(points)
    if not curve or not curve[0][1] <= psnr <= curve[-1][1]:
        return None
    if len(curve) == 1:
        return curve[0][0]
    return float(np.exp(_log_rate(curve)(psnr)))


def next_quality(tried: Sequence[tuple[float, float]], target: float) -> float | None:
    """Choose the quality to try next on the way to a PSNR.

    Parameters
    ----------
    tried : sequence of (quality, PSNR)
        At least two.
    target : float
        PSNR wanted.

    Returns
    -------
    float or None
        By linear interpolation between the neighbours of the target, kept away from both, or by
        extrapolation within 1 to 100. None if nothing is left to try.
    """
    known = sorted(tried)
    below = [k for k in known if k[1] <= target]
    above = [k for k in known if k[1] > target]
    if below and above:
        (q0, p0), (q1, p1) = below[-1], above[0]
        share = min(max((target - p0) / (p1 - p0), 0.1), 0.9)
        return q0 + share * (q1 - q0)
    (q0, p0), (q1, p1) = (known[-2], known[-1]) if below else (known[0], known[1])
    slope = max((p1 - p0) / (q1 - q0), 0.05)
    edge, at = (q1, p1) if below else (q0, p0)
    wanted = edge + 1.2 * (target - at) / slope
    quality = min(max(wanted, 1.0), 100.0)
    return None if quality == edge else quality


def close_in(
    tried: list[tuple[float, float]],
    target: float,
    measure: Callable[[float], float],
    most: int,
    tolerance: float,
) -> None:
    """Measure more qualities until one is near a PSNR; ``tried`` grows.

    Parameters
    ----------
    tried : list of (quality, PSNR)
    target : float
    measure : callable
        PSNR of a quality.
    most : int
        How many may be measured.
    tolerance : float
        Near enough, in dB.
    """
    for _ in range(most):
        if min(abs(psnr - target) for _, psnr in tried) <= tolerance:
            return
        quality = next_quality(tried, target)
        if quality is None:
            return
        quality = round(quality, 2)
        if any(quality == known for known, _ in tried):
            return
        tried.append((quality, measure(quality)))
