"""Derivatives of the bits of residuals, sixteen at a time.

With ``u = sqrt(2) / sigma`` and ``d = |residual|`` the probability of the step around a residual is
``1 - (exp(-(d + 1/2) u) + exp((d - 1/2) u)) / 2`` within half a step of the mean, and
``exp((1/2 - d) u) (1 - exp(-u)) / 2`` beyond.
"""

import math

import numpy as np
from numba import njit

from csgs_codec.encoder.laplace import LOG_SIGMA_RANGE
from csgs_codec.numerics.numba_options import OPTIONS
from csgs_codec.render.lanes import LANES, exp, load, select, store

_LOW, _HIGH = (np.float32(v) for v in LOG_SIGMA_RANGE)
_LARGEST_U = np.float32(math.sqrt(2.0) * math.exp(-LOG_SIGMA_RANGE[0]))
_ZERO, _HALF, _ONE, _TWO = (np.float32(v) for v in (0, 0.5, 1, 2))
_BITS = np.float32(1 / math.log(2.0))


@njit(**OPTIONS)
def slopes(residual, log_sigma, by_residual, by_log_sigma):
    """Fill the last two arrays; all are flat, float32 and of one length."""
    whole = len(residual) // LANES * LANES
    for at in range(0, whole, LANES):
        _sixteen(residual, log_sigma, by_residual, by_log_sigma, at)
    left = len(residual) - whole
    if left:
        padded = np.zeros((4, LANES), np.float32)
        padded[0, :left], padded[1, :left] = residual[whole:], log_sigma[whole:]
        _sixteen(padded[0], padded[1], padded[2], padded[3], 0)
        by_residual[whole:], by_log_sigma[whole:] = padded[2, :left], padded[3, :left]


@njit(inline="always")
def _sixteen(residual, log_sigma, by_residual, by_log_sigma, at):
    r, s = load(residual, at), load(log_sigma, at)
    clamped = select(s < _LOW, _LOW, select(s > _HIGH, _HIGH, s))
    u = _LARGEST_U * exp(_LOW - clamped)
    d = select(r < _ZERO, -r, r)
    half = exp(-_HALF * u)
    near = select(d < _HALF, d, _HALF)
    gone = exp(-near * u)
    below, above = half * gone, half / gone
    twice = _TWO - below - above
    near_d = u * (below - above) / twice
    near_u = ((near + _HALF) * below + (_HALF - near) * above) / twice
    whole = half * half
    far_u = (_HALF - d) + whole / (_ONE - whole)
    is_near = d < _HALF
    by_d = select(is_near, near_d, -u)
    by_u = select(is_near, near_u, far_u)
    store(by_residual, at, _BITS * select(r < _ZERO, by_d, -by_d))
    free = (s >= _LOW) & (s <= _HIGH)
    store(by_log_sigma, at, select(free, _BITS * u * by_u, _ZERO))
