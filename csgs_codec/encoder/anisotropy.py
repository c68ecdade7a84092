"""Which turns of a Gaussian pictures care about.

One that is round about an axis can be turned about it without anything to see. Symbols are chosen
with that in mind.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

LEAST_RATIO = 0.03
_TINY = 1e-300


def ratios(by_axis: F64) -> F64:
    """Squared sensitivities relative to their mean over the axes, shape (n, 3); 1 where all are 0.

    Parameters
    ----------
    by_axis : ndarray of float64, shape (n, 3)
    """
    mean = by_axis.mean(axis=1, keepdims=True)
    relative = np.where(mean > 0, by_axis / np.maximum(mean, _TINY), 1.0)
    return np.maximum(relative, LEAST_RATIO)


def rotation_metric(quaternions: F64, turns: F64) -> F64:
    """What squared errors in the chart of rotations cost, shape (n, 3, 3).

    Parameters
    ----------
    quaternions : ndarray of float64, shape (n, 4)
        (w, x, y, z), any length but 0.
    turns : ndarray of float64, shape (n, 3)
        What squared errors of the unit quaternion cost, for turns about the axes of the Gaussian.
    """
    unit = quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)
    unit = np.where(unit[:, :1] < 0, -unit, unit)
    w, v = unit[:, 0, None, None], unit[:, 1:]
    cross = np.zeros((len(v), 3, 3))
    cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = -v[:, 2], v[:, 1], -v[:, 0]
    cross -= cross.transpose(0, 2, 1)
    # the chart is v sqrt(2 / (1 + w)), and turning changes v by w u + v x u and w by -v u
    outer = v[:, :, None] * v[:, None, :]
    by_turn = np.sqrt(2 / (1 + w)) * (w * np.eye(3) + cross + outer / (2 * (1 + w)))
    by_chart = np.linalg.inv(by_turn)
    return np.asarray(np.einsum("nij,ni,nik->njk", by_chart, turns, by_chart))
