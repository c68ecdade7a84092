"""Rate-distortion-optimised symbols of features that are compared by angle.

An error along a feature vector leaves its angle as it is, so it counts only :data:`RADIAL` of what
one across it does: some, because renderers blend features before anyone compares them. Symbols are
moved one by one from where :func:`~csgs_codec.encoder.quantise.choose_symbols` put them, each in
the light of the errors of all others.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from csgs_codec.attributes.coding import GroupCoding
from csgs_codec.encoder.quantise import LARGEST_SEARCHED, rate_unit, symbol_bits

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

RADIAL = 0.5
_SWEEPS = 2
_LEAST_LENGTH = 1e-6


def directions(coding: GroupCoding, latents: F64) -> F64:
    """Unit vectors of features in the components of their transform, shape (n, channels).

    0 for features of length 0.

    Parameters
    ----------
    coding : GroupCoding
        With a transform whose axes are orthonormal.
    latents : ndarray of float64, shape (n, channels)
    """
    assert coding.transform is not None
    nothing = np.zeros((1, coding.transform.mean.size))
    features = latents * coding.step + coding.centre - coding.transform.forward(nothing)
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(lengths, _LEAST_LENGTH * coding.step))


def turn_symbols(
    k: I32, residual: F64, scale_index: NDArray[np.uint8], weight: F64, direction: F64
) -> I32:
    """Move symbols where errors may point along a direction.

    Parameters
    ----------
    k, residual, scale_index, weight
        See :func:`~csgs_codec.encoder.quantise.choose_symbols`; ``k`` is what it returned.
    direction : ndarray of float64, shape (n, channels)
        Unit vectors.
    """
    bits, unit = symbol_bits(), rate_unit(weight)
    k = k.copy()
    error = residual - k
    along = (error * direction).sum(axis=1)
    for channel in list(range(k.shape[1])) * _SWEEPS:
        index, axis, own = scale_index[:, channel], direction[:, channel], error[:, channel]
        now = k[:, channel].copy()
        spent = bits[index, np.minimum(np.abs(now), LARGEST_SEARCHED)]
        movable = (index > 0) & (np.abs(now) < LARGEST_SEARCHED)
        best, move = np.zeros(len(k)), np.zeros(len(k), np.int32)
        for by in (-1, 1):
            moved = np.minimum(np.abs(now + by), LARGEST_SEARCHED)
            radial = (along - by * axis) ** 2 - along**2
            rate = np.where(movable, bits[index, moved] - spent, np.inf)
            cost = 1.0 - 2.0 * by * own - (1.0 - RADIAL) * radial + unit * rate
            better = cost < best
            best[better], move[better] = cost[better], by
        k[:, channel] += move
        error[:, channel] -= move
        along -= move * axis
    return k
