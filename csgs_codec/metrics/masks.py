"""Label maps of views: PNG files whose pixel values are ids of classes, or of instances."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csgs_codec.errors import CameraError, UnsupportedError, UsageError
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


def require_masks(
    camera_file: Path, cameras: Sequence[Camera], folder: Path | None
) -> dict[str, Path]:
    """Find the label maps of a folder, or without one those beside a camera file.

    Raises
    ------
    UsageError
        No view has one.
    """
    found = masks_in(folder, cameras) if folder else find_masks(camera_file, cameras)
    if not found:
        place = folder or (camera_file if camera_file.is_dir() else camera_file.parent)
        known = f"{cameras[0].name}.png" if cameras else "none"
        raise UsageError(f"no label map is named like a view (such as {known})", file=str(place))
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


def class_names(camera_file: Path) -> tuple[str, ...]:
    """Names of the ids 0, 1, ... that a camera file, or one beside it, tells; or nothing.

    ``classes`` is a list; ``label_names`` an object from ids to names. Ids without a name in
    between are called by their number.
    """
    folder = camera_file if camera_file.is_dir() else camera_file.parent
    for path in (camera_file, folder / "transforms.json", folder / "cameras.json"):
        data = _json(path)
        classes, names = data.get("classes"), data.get("label_names")
        if isinstance(classes, list) and classes:
            return tuple(str(name) for name in classes)
        if isinstance(names, dict) and names and all(str(k).isdecimal() for k in names):
            by_id = {int(k): str(name) for k, name in names.items()}
            return tuple(by_id.get(k, str(k)) for k in range(max(by_id) + 1))
    return ()


def _json(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds; empty where there is none."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return {}
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _listed(camera_file: Path) -> dict[str, Path]:
    """Label maps that the frames of a ``transforms.json`` name, by view."""
    frames = _json(camera_file).get("frames")
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
        raise UnsupportedError(f"label map holds colours ({mode}), not ids", **where)
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
