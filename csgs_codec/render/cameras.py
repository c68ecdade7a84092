"""Cameras: pinhole, OpenCV axes, pixel centres at half pixels."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from csgs_codec.errors import CameraError

_LARGEST_SIDE = 1 << 15
_PHOTO_SUFFIXES = ("", ".png", ".jpg", ".jpeg", ".JPG", ".PNG")


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
        Photograph of the view, if the camera file names one that exists.
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


def read_cameras(path: str | os.PathLike[str]) -> list[Camera]:
    """Read cameras of any known kind.

    Parameters
    ----------
    path : path-like
        ``transforms.json`` (nerfstudio, instant-ngp), INRIA's ``cameras.json``, JSON with
        ``cameras`` (viewmat, K, W, H) or ``views`` (R_w2c, t_w2c), or the folder of a COLMAP model
        or of the data set around it.

    Returns
    -------
    list of Camera
        In the order of the file; of COLMAP by name.

    Raises
    ------
    CameraError
        Something is missing or makes no sense; names the file, the camera and the field.
    UnsupportedError
        The lens has distortion, or is no pinhole.
    """
    from csgs_codec.render.camera_json import read_json
    from csgs_codec.render.colmap import find_model, read_colmap

    source = Path(path)
    folder = find_model(source)
    if folder is not None:
        cameras = read_colmap(folder)
    elif source.is_dir():
        raise CameraError("no COLMAP model (cameras and images, .bin or .txt)", file=str(source))
    else:
        cameras = read_json(source)
    if not cameras:
        raise CameraError("there are no cameras", file=str(source))
    return cameras


def make_camera(
    name: str,
    size: tuple[int, int],
    lens: tuple[float, float, float, float],
    rotation: ArrayLike,
    translation: ArrayLike,
    split: str | None = None,
    image: Path | None = None,
) -> Camera:
    """Build a camera from checked numbers.

    Parameters
    ----------
    name : str
    size : (width, height)
    lens : (fx, fy, cx, cy)
        Pixels.
    rotation : array-like, shape (3, 3)
        World to camera.
    translation : array-like, shape (3,)
    split : str, optional
    image : Path, optional

    Raises
    ------
    CameraError
    """
    if not all(0 < side <= _LARGEST_SIDE for side in size):
        raise CameraError(f"picture of {size[0]} x {size[1]} pixels", camera=name)
    if not (np.isfinite(lens).all() and lens[0] > 0 and lens[1] > 0):
        raise CameraError(f"focal lengths or centre make no sense: {lens}", camera=name)
    turn = np.asarray(rotation, np.float64)
    if not (np.abs(turn @ turn.T - np.eye(3)).max() < 1e-3 and np.linalg.det(turn) > 0):
        raise CameraError("rotation is no rotation", camera=name)
    view = np.eye(4)
    view[:3, :3], view[:3, 3] = turn, translation
    if not np.isfinite(view).all():
        raise CameraError("position is not finite", camera=name)
    fx, fy, cx, cy = lens
    intrinsics = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
    return Camera(name, *size, intrinsics, view, split, image)


def find_photo(folders: tuple[Path, ...], name: str) -> Path | None:
    """Find the file of a photograph in or beside some folders, with or without its suffix."""
    for folder in folders:
        for place in (folder / name, folder / "images" / name):
            for suffix in _PHOTO_SUFFIXES:
                candidate = place.with_name(place.name + suffix) if suffix else place
                if candidate.is_file():
                    return candidate
    return None
