"""Rate-distortion-optimised choice of residual symbols.

Each symbol minimises ``weight * (r - k)**2 + LAMBDA * bits(k)``, where ``r`` is the residual in
steps and ``bits`` is what the table of the predicted scale charges. ``LAMBDA`` is the slope of the
rate-distortion curve of a uniform quantiser at high rate, so a weight of 1 means that the step
already is the right one for the Gaussian; a smaller weight lets errors grow where pictures do not
see them.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from csgs_codec.numerics.residuals import escape_orders
from csgs_codec.numerics.tables import PRECISION, half_widths, laplace_tables

F64 = NDArray[np.float64]
U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]

LAMBDA = 0.115
LEAST_WEIGHT = 0.125
LARGEST_SEARCHED = 127
# Bits per squared residual in units of its variance, were residuals Gaussian.
_QUADRATIC = 0.72
_SWEEPS = 2


@cache
def symbol_bits() -> NDArray[np.float32]:
    """Bits of ``|k|`` under each table, shape (64, 128); infinite where nothing but 0 is coded."""
    tables, half = laplace_tables(), half_widths()
    bits = np.full((len(half), LARGEST_SEARCHED + 1), np.inf, np.float32)
    bits[0, 0] = 0.0
    for index in range(1, len(half)):
        h = int(half[index])
        frequency = np.diff(tables.cdf[index].astype(np.float64))
        cost = PRECISION - np.log2(frequency[: 2 * h + 2])
        bits[index, : h + 1] = cost[h : 2 * h + 1]
        beyond = np.arange(h + 1, LARGEST_SEARCHED + 1)
        order = int(escape_orders(np.array([index], np.uint8))[0])
        prefix = np.floor(np.log2(beyond - h - 1 + (1 << order)))
        bits[index, h + 1 :] = cost[2 * h + 1] + 2 * prefix + 2 - order
    return bits


def choose_symbols(residual: F64, scale_index: U8, weight: F64 | None = None) -> I32:
    """Choose the symbols of residuals.

    Parameters
    ----------
    residual : ndarray of float64, shape (n, channels)
        In steps.
    scale_index : ndarray of uint8, shape (n, channels)
    weight : ndarray of float64, shape (n,) or (n, channels, channels), optional
        What a squared error of one step costs, relative to what the step was chosen for: the same
        for all channels, or as a quadratic form. Below 1/8 it counts as 1/8, so that no
        value strays more than a few steps.

    Returns
    -------
    ndarray of int32, shape (n, channels)
        0 where the scale index is 0.
    """
    if weight is not None and weight.ndim == 3:
        return _choose_together(residual, scale_index, weight)
    unit = rate_unit(np.ones(len(residual)) if weight is None else weight)
    return _choose_alone(residual, scale_index, unit[:, None])


def _choose_alone(residual: F64, scale_index: U8, unit: F64) -> I32:
    """Minimise ``(residual - k)**2 + unit * bits`` channel by channel."""
    bits = symbol_bits()
    size = np.abs(residual)
    nearest = np.rint(size)
    best = nearest.copy()
    cost = np.full(residual.shape, np.inf)
    searched = np.minimum(nearest, LARGEST_SEARCHED).astype(np.intp)
    for candidate in (searched, np.maximum(searched - 1, 0), np.zeros_like(searched)):
        total = (size - candidate) ** 2 + unit * bits[scale_index, candidate]
        better = (total < cost) & (nearest <= LARGEST_SEARCHED)
        best[better] = candidate[better]
        cost[better] = total[better]
    best[scale_index == 0] = 0
    return (np.sign(residual) * best).astype(np.int32)


def _choose_together(residual: F64, scale_index: U8, form: F64) -> I32:
    """Minimise ``e.T form e + LAMBDA * bits`` with ``e = residual - k``, channel after channel.

    Starts at the real numbers that minimise it were bits quadratic, so that errors can go where
    they cost nothing although that takes several channels at once.
    """
    channels = residual.shape[1]
    form = form + LEAST_WEIGHT * np.eye(channels)
    spread = 0.1 * np.exp2((scale_index - 1.0) / 6.0)
    ridge = LAMBDA * _QUADRATIC / spread**2
    start = form + ridge[:, :, None] * np.eye(channels)
    pulled = np.linalg.solve(start, np.einsum("nij,nj->ni", form, residual)[:, :, None])
    k = np.rint(pulled[:, :, 0])
    k[scale_index == 0] = 0
    for _ in range(_SWEEPS):
        for c in range(channels):
            error = residual - k
            error[:, c] = 0.0
            own = form[:, c, c]
            target = residual[:, c] + np.einsum("nj,nj->n", form[:, c], error) / own
            unit = (LAMBDA / own)[:, None]
            k[:, c] = _choose_alone(target[:, None], scale_index[:, c : c + 1], unit)[:, 0]
    return k.astype(np.int32)


def rate_unit(weight: F64) -> F64:
    """What a bit costs each Gaussian, in squared steps, shape (n,)."""
    return LAMBDA / np.maximum(weight, LEAST_WEIGHT)


def scale_offsets(k: I32, scale_index: U8) -> NDArray[np.int64]:
    """Shift of each channel's scale index that makes its symbols cheapest, shape (channels,)."""
    bits = symbol_bits()
    size = np.minimum(np.abs(k), LARGEST_SEARCHED)
    shifts = np.arange(-8, 4)
    live = scale_index > 0
    index = scale_index.astype(np.int64)
    costs = np.empty((len(shifts), k.shape[1]))
    for place, shift in enumerate(shifts):
        moved = np.clip(index + shift, 1, len(bits) - 1)
        costs[place] = np.where(live, bits[moved, size], 0.0).sum(axis=0)
    return shifts[costs.argmin(axis=0)]
