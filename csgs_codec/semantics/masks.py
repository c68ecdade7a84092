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
from csgs_codec.render.cameras import Camera

Labels = NDArray[np.int64]

_FOLDERS = ("masks", "labels", "object_mask")
_PARTS_OF_NAMES = re.compile(r"[\\/]")


def find_masks(
    camera_file: Path, cameras: Sequence[Camera], folder: Path | None = None
) -> dict[str, Path]:
    """Find the label map of each view.

    Parameters
    ----------
    camera_file : Path
        File, or folder of a COLMAP data set.
    cameras : sequence of Camera
    folder : Path, optional
        Holds one PNG named after each view. By default the ``label_path`` of the frames of a
        ``transforms.json`` counts, then a folder ``masks``, ``labels`` or ``object_mask`` beside
        the camera file.

    Returns
    -------
    dict of str to Path
        By the view's name; views without a label map are missing.

    Raises
    ------
    UsageError
        No view has one.
    """
    beside = camera_file if camera_file.is_dir() else camera_file.parent
    listed = _listed(camera_file)
    found = {c.name: listed[c.name] for c in cameras if c.name in listed} if not folder else {}
    places = [folder] if folder else [beside / name for name in _FOLDERS]
    for place in places:
        found = found or masks_in(place, cameras)
    if not found:
        known = f"{cameras[0].name}.png" if cameras else "none"
        looked = ", ".join(str(place) for place in places)
        raise UsageError(f"no label map is named like a view (such as {known}) in {looked}")
    return found


def masks_in(folder: Path, cameras: Sequence[Camera]) -> dict[str, Path]:
    """PNG files of a folder that are named after views, with or without the photo's suffix."""
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
    rows = (2 * np.arange(camera.height) + 1) * labels.shape[0] // (2 * camera.height)
    columns = (2 * np.arange(camera.width) + 1) * labels.shape[1] // (2 * camera.width)
    return labels.astype(np.int64)[rows[:, None], columns]


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
