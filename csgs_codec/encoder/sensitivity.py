"""What an error in an attribute of a Gaussian does to pictures of the scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csgs_codec.container.kinds import GroupKind

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Sensitivity:
    """Diagonal of ``J^T J`` of the renders, averaged over views, pixels and colour channels.

    An error of ``e`` in one coordinate of one Gaussian adds ``s e**2`` to the mean squared error of
    a picture.

    Attributes
    ----------
    by_kind : dict of GroupKind to ndarray of float64, shape (n,)
        Mean over the coordinates of POSITION (units of the PLY), OPACITY (logit), SCALE (log),
        ROTATION (unit quaternion) and DC (SH coefficient).
    turns : ndarray of float64, shape (n, 3)
        ROTATION by its coordinates: the unit quaternion where it turns about each axis of the
        Gaussian.
    directions : ndarray of float64, shape (k, k)
        Second moments of the ``k`` SH basis functions over the seen directions, weighted by what
        colour does, scaled to a mean diagonal of 1.
    """

    by_kind: dict[GroupKind, F64]
    turns: F64
    directions: F64
