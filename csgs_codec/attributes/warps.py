"""Charts in which opacity and rotation are quantised (spec section 5.2).

Opacity: an error of a logit matters less the larger the logit is, so logits are compressed by
``k asinh(x / k)``. Rotation: the unit quaternion with ``w >= 0`` is mapped to the point whose
length is its chord to the identity; the map is close to volume preserving and needs only square
roots.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

OPACITY_KNEE = 3.0
_CHORD_SQUARED_MAX = 4.0


def opacity_forward(logit: F64) -> F64:
    """Compress opacity logits, any shape."""
    return OPACITY_KNEE * np.arcsinh(logit / OPACITY_KNEE)


def opacity_inverse(value: F64) -> F64:
    """Undo :func:`opacity_forward`; what exceeds the range of floats becomes infinite."""
    with np.errstate(over="ignore"):
        return OPACITY_KNEE * np.sinh(value / OPACITY_KNEE)


def rotation_forward(quaternion: F64) -> F64:
    """Map quaternions (w, x, y, z), any non-zero norm, shape (n, 4), to the chart, shape (n, 3)."""
    unit = quaternion / np.linalg.norm(quaternion, axis=1, keepdims=True)
    unit = np.where(unit[:, :1] < 0, -unit, unit)
    return unit[:, 1:] * np.sqrt(2.0 / (1.0 + unit[:, :1]))


def rotation_inverse(chart: F64) -> F64:
    """Map chart points, shape (n, 3), to unit quaternions (w, x, y, z), shape (n, 4).

    Points beyond the antipode (possible only through coarse steps) are pulled back to it.
    """
    squared = (chart * chart).sum(axis=1, keepdims=True)
    pull = np.sqrt(np.minimum(1.0, _CHORD_SQUARED_MAX / np.maximum(squared, _CHORD_SQUARED_MAX)))
    squared = np.minimum(squared, _CHORD_SQUARED_MAX)
    vector = chart * pull * np.sqrt(1.0 - squared / 4.0)
    return np.concatenate([1.0 - squared / 2.0, vector], axis=1)
