"""Cameras: pinhole, OpenCV axes, pixel centres at half pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Camera:
    """One view.

    Attributes
    ----------
    name : str
    width, height : int
        Pixels.
    intrinsics : ndarray of float64, shape (3, 3)
        Without skew.
    world_to_camera : ndarray of float64, shape (4, 4)
        OpenCV axes: x right, y down, z forward.
    split : str or None
        Such as ``train`` or ``test``.
    image : Path or None
        Photograph of the view, if the camera file names one.
    """

    name: str
    width: int
    height: int
    intrinsics: NDArray[np.float64]
    world_to_camera: NDArray[np.float64]
    split: str | None = None
    image: Path | None = None

    @property
    def centre(self) -> NDArray[np.float64]:
        """Position in the world, shape (3,)."""
        rotation = self.world_to_camera[:3, :3]
        return -rotation.T @ self.world_to_camera[:3, 3]
