"""Symbols under which features keep their class, one Gaussian after the other.

Kernels take the logits that a step of each component adds, the classes that a Gaussian might be
taken for, and what a move towards them costs; see :mod:`csgs_codec.encoder.classes`.
"""

import numpy as np
from numba import njit

from csgs_codec.numerics.numba_options import OPTIONS

_SWEEPS = 4


@njit(**OPTIONS)
def choose_rows(
    begin, end, residual, scale_index, bits, logits, own, near, reach, urgency, plain, laws, out
):
    """Fill rows of ``out``, shape (n, components), with the better of two descents."""
    components, rivals = residual.shape[1], near.shape[1]
    k = np.zeros(components, np.int32)
    error = np.zeros(components, np.float64)
    slopes = np.zeros((rivals, components), np.float64)
    moved = np.zeros(rivals, np.float64)
    for i in range(begin, end):
        for j in range(rivals):
            for c in range(components):
                slopes[j, c] = (logits[own[i], c] - logits[near[i, j], c]) / reach[i, j]
        least = np.inf
        for nearest in (False, True):
            for c in range(components):
                k[c] = np.rint(residual[i, c]) if nearest and scale_index[i, c] > 0 else 0
                error[c] = residual[i, c] - k[c]
            for j in range(rivals):
                moved[j] = 0.0
                for c in range(components):
                    moved[j] += slopes[j, c] * error[c]
            _descend(k, error, moved, scale_index[i], bits, slopes, urgency[i], plain[i], laws)
            total = 0.0
            for c in range(components):
                total += plain[i] * error[c] * error[c] + _charge(bits, scale_index[i, c], k[c])
            for j in range(rivals):
                total += urgency[i, j] * _cost(moved[j], laws)
            if total < least:
                least = total
                out[i] = k


@njit(**OPTIONS)
def _descend(k, error, moved, scale_index, bits, slopes, urgency, plain, laws):
    """Move symbols one by one, by one or to 0, for as long as that pays."""
    for _ in range(_SWEEPS):
        settled = True
        for c in range(len(k)):
            if scale_index[c] == 0:
                continue
            spent, best, move = _charge(bits, scale_index[c], k[c]), 0.0, 0
            for by in (1, -1, -k[c]):
                change = _charge(bits, scale_index[c], k[c] + by) - spent
                change += plain * (by * by - 2.0 * by * error[c])
                for j in range(len(moved)):
                    after = moved[j] - by * slopes[j, c]
                    change += urgency[j] * (_cost(after, laws) - _cost(moved[j], laws))
                if change < best:
                    best, move = change, by
            if move != 0:
                settled = False
                k[c] += move
                error[c] -= move
                for j in range(len(moved)):
                    moved[j] -= move * slopes[j, c]
        if settled:
            return


@njit(inline="always")
def _cost(moved, laws):
    """Cost of the share of the way to another class; moves away from it matter less."""
    squared = moved * moved
    return squared * (1.0 + laws[0] * squared) if moved > 0 else laws[1] * squared


@njit(inline="always")
def _charge(bits, scale_index, k):
    return bits[scale_index, min(abs(k), bits.shape[1] - 1)]
