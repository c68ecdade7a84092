"""Label maps of views: PNG files whose pixel values are class ids."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from csgs_codec.errors import CameraError, UnsupportedError
from csgs_codec.render import Camera

Labels = NDArray[np.int64]

_FOLDERS = ("masks", "labels", "object_mask")
_PARTS_OF_NAMES = re.compile(r"[\\/]")


def find_masks(camera_file: Path, cameras: Sequence[Camera]) -> dict[str, Path]:
    """Find the label maps that lie beside a camera file.

    Known layouts: a ``transforms.json`` whose frames have a ``label_path``, and a folder ``masks``,
    ``labels`` or ``object_mask`` (Gaussian Grouping) with one PNG named after each view.

    Parameters
    ----------
    camera_file : Path
        File, or folder of a COLMAP data set.
    cameras : sequence of Camera

    Returns
    -------
    dict of str to Path
        By the view's name; views without a label map are missing.
    """
    folder = camera_file if camera_file.is_dir() else camera_file.parent
    listed = {} if camera_file.is_dir() else _listed(camera_file)
    found = {c.name: listed[c.name] for c in cameras if c.name in listed}
    for name in () if found else _FOLDERS:
        if (folder / name).is_dir():
            found = masks_in(folder / name, cameras)
        if found:
            break
    return found


def masks_in(folder: Path, cameras: Sequence[Camera]) -> dict[str, Path]:
    """Find the label maps of a folder: PNG files named after the views.

    Returns
    -------
    dict of str to Path
        By the view's name; views without a label map are missing.
    """
    found = {}
    for camera in cameras:
        last = _PARTS_OF_NAMES.split(camera.name)[-1]
        for name in (f"{last}.png", f"{Path(last).stem}.png"):
            if (folder / name).is_file():
                found[camera.name] = folder / name
                break
    return found


def _listed(camera_file: Path) -> dict[str, Path]:
    """Label maps that the frames of a ``transforms.json`` name, by view."""
    try:
        data = json.loads(camera_file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        said = f"cannot be read as JSON: {error}"
        raise CameraError(said, file=str(camera_file)) from error
    frames = data.get("frames") if isinstance(data, dict) else None
    listed = {}
    for frame in frames if isinstance(frames, list) else ():
        if not isinstance(frame, dict):
            continue
        name, label = frame.get("file_path"), frame.get("label_path")
        if isinstance(name, str) and isinstance(label, str):
            path = camera_file.parent / label
            if path.is_file():
                listed[Path(name).stem] = path
    return listed


def read_mask(path: Path, camera: Camera) -> Labels:
    """Read a label map in the camera's size, by nearest neighbour.

    Grey pictures of 8 or 16 bits hold the ids as they are; of a picture with a palette the indices
    count, not the colours.

    Returns
    -------
    ndarray of int64, shape (height, width)

    Raises
    ------
    CameraError
        The file cannot be read.
    UnsupportedError
        It holds colours instead of ids, or Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise UnsupportedError("label maps need Pillow: install csgs_codec[eval]") from error
    where = {"file": str(path), "camera": camera.name}
    try:
        with Image.open(path) as opened:
            mode, labels = opened.mode, np.asarray(opened)
    except (OSError, SyntaxError, ValueError) as error:
        raise CameraError(f"label map cannot be read: {error}", **where) from error
    if labels.ndim != 2:
        raise UnsupportedError(f"label map holds colours ({mode}), not class ids", **where)
    return resize_labels(labels.astype(np.int64), camera.width, camera.height)


def resize_labels(labels: Labels, width: int, height: int) -> Labels:
    """Resample by nearest neighbour: the value under the centre of each new pixel.

    Parameters
    ----------
    labels : ndarray of int64, shape (any, any)
    width, height : int

    Returns
    -------
    ndarray of int64, shape (height, width)
    """
    rows = (2 * np.arange(height) + 1) * labels.shape[0] // (2 * height)
    columns = (2 * np.arange(width) + 1) * labels.shape[1] // (2 * width)
    return labels[rows[:, None], columns]
