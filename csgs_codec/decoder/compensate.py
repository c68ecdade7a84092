"""Level compensation: fewer Gaussians fill the picture (spec section 10).

A level that lacks Gaussians would render with holes. Its Gaussians are enlarged, the more the
farther their decoded neighbours are, and made more opaque. All of it happens after parsing, so it
may be floating-point; the full level is never touched.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from csgs_codec.container.header import Compensation

F64 = NDArray[np.float64]

WINDOW = 8
NEAREST = 4
_EXCESS_RANGE = (-2.0, 3.0)
_LARGEST_OPACITY = 0.999
_TINY = 1e-20


def log_spacing(positions: F64) -> F64:
    """Log of the root mean square distance to the 4 nearest of 8 Gaussians before and 8 behind.

    Parameters
    ----------
    positions : ndarray of float64, shape (n, 3)
        In Morton order.
    """
    count = len(positions)
    squared = np.full((count, 2 * WINDOW), np.inf)
    for apart in range(1, min(WINDOW, count - 1) + 1):
        step = ((positions[apart:] - positions[:-apart]) ** 2).sum(axis=1)
        squared[:-apart, apart - 1] = step
        squared[apart:, WINDOW + apart - 1] = step
    used = min(NEAREST, count - 1)
    if used < 1:
        return np.full(count, 0.5 * np.log(_TINY))
    nearest = np.partition(squared, used - 1, axis=1)[:, :used]
    return np.asarray(0.5 * np.log(nearest.mean(axis=1) + _TINY))


def enlarge(log_scales: F64, spacing: F64, compensation: Compensation) -> F64:
    """Enlarged log scales, shape (n, axes).

    ``excess`` compares the spacing with the two larger axes (with all that there are if fewer).
    """
    ordered = np.sort(log_scales, axis=1)[:, -2:]
    excess = np.clip(spacing - ordered.mean(axis=1), *_EXCESS_RANGE)
    growth = compensation.scale_offset + compensation.spacing_pull * excess
    return log_scales + growth[:, None]


def deepen(logit: F64, compensation: Compensation) -> F64:
    """Opacity logits whose optical depth ``t`` became ``exp(gain) * t ** exponent``."""
    opacity = np.minimum(1.0 / (1.0 + np.exp(-np.clip(logit, -60.0, 60.0))), _LARGEST_OPACITY)
    depth = -np.log1p(-opacity)
    deeper = np.exp(compensation.depth_gain) * depth**compensation.depth_exponent
    return np.asarray(np.log(np.expm1(np.minimum(deeper, 60.0)) + 1e-30))
