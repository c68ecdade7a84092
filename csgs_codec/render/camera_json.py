"""Cameras in JSON: nerfstudio and instant-ngp, INRIA, and lists with world-to-camera matrices."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csgs_codec.errors import CameraError, CsgsError, UnsupportedError
from csgs_codec.render.cameras import Camera, find_photo, make_camera

_DISTORTION = ("k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2")
_PINHOLES = ("PINHOLE", "SIMPLE_PINHOLE", "OPENCV", "SIMPLE_RADIAL", "RADIAL", "PERSPECTIVE")
_REQUIRED: Any = object()


class Fields:
    """Entries of one camera, then those that the whole file shares."""

    def __init__(self, *entries: Any) -> None:
        for entry in entries:
            if not isinstance(entry, dict):
                raise CameraError(f"an object is expected, not {type(entry).__name__}")
        self.entries = entries

    def get(self, name: str, default: Any = _REQUIRED) -> Any:
        """First value of a field."""
        for entry in self.entries:
            if entry.get(name) is not None:
                return entry[name]
        if default is _REQUIRED:
            raise CameraError("field is missing", field=name)
        return default

    def number(self, name: str, default: Any = _REQUIRED) -> float:
        """Return a field that is a finite number."""
        value = self.get(name, default)
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        if not fits or not math.isfinite(value):
            raise CameraError(f"{value!r} is not a number", field=name)
        return float(value)

    def pixels(self, name: str) -> int:
        """Return a field that is a whole number."""
        value = self.number(name)
        if value != int(value):
            raise CameraError(f"{value!r} is not a whole number of pixels", field=name)
        return int(value)

    def text(self, name: str) -> str | None:
        """Return a field that is text, if it is there."""
        value = self.get(name, None)
        if value is not None and not isinstance(value, str | int):
            raise CameraError(f"{value!r} is not text", field=name)
        return None if value is None else str(value)

    def array(self, name: str, *shapes: tuple[int, ...]) -> NDArray[np.float64]:
        """Return a field that is an array of finite numbers of one of some shapes."""
        try:
            value = np.array(self.get(name), np.float64)
        except (TypeError, ValueError):
            raise CameraError("not an array of numbers", field=name) from None
        if value.shape not in shapes or not np.isfinite(value).all():
            raise CameraError(f"not finite numbers of shape {shapes[0]}", field=name)
        return value


def read_json(path: Path) -> list[Camera]:
    """Read a JSON file of cameras; see :func:`csgs_codec.render.cameras.read_cameras`."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CameraError(f"cannot be read as JSON: {error}", file=str(path)) from error
    if isinstance(data, list):
        entries: Any = data
        parse: Callable[[Fields, Path, int], Camera] = _inria
    else:
        kinds: dict[str, Callable[[Fields, Path, int], Camera]] = {
            "frames": _nerfstudio,
            "views": _view,
            "cameras": _matrices,
        }
        kind = next((k for k in kinds if isinstance(data, dict) and k in data), None)
        if kind is None:
            said = "neither a list nor an object with 'frames', 'cameras' or 'views'"
            raise CameraError(said, file=str(path))
        entries, parse = data[kind], kinds[kind]
        if not isinstance(entries, list):
            raise CameraError("a list is expected", file=str(path), field=kind)
    shared = data if isinstance(data, dict) else {}
    cameras = []
    for number, entry in enumerate(entries):
        try:
            cameras.append(parse(Fields(entry, shared), path, number))
        except CsgsError as error:
            raise error.located(file=str(path), camera=number) from None
    return cameras


def _photo(path: Path, name: str | None) -> Path | None:
    return None if name is None else find_photo((path.parent,), name)


def _nerfstudio(fields: Fields, path: Path, number: int) -> Camera:
    model = str(fields.get("camera_model", "PINHOLE"))
    bent = [name for name in _DISTORTION if fields.number(name, 0.0) != 0]
    if model not in _PINHOLES or fields.get("is_fisheye", False):
        raise UnsupportedError(f"camera model {model} is no pinhole", field="camera_model")
    if bent:
        raise UnsupportedError(f"lens distortion ({', '.join(bent)}); undistort the images first")
    file = fields.text("file_path")
    photo = _photo(path, file)
    if photo is not None and fields.get("w", None) is None:
        width, height = _photo_size(photo)
    else:
        width, height = fields.pixels("w"), fields.pixels("h")
    fx = _focal(fields, "fl_x", "camera_angle_x", width)
    fy = fx if fields.get("fl_y", None) is None else fields.number("fl_y")
    if fields.get("fl_y", None) is None and fields.get("camera_angle_y", None) is not None:
        fy = _focal(fields, "fl_y", "camera_angle_y", height)
    centre = fields.number("cx", width / 2), fields.number("cy", height / 2)
    pose = fields.array("transform_matrix", (4, 4), (3, 4))
    turn = (pose[:3, :3] * np.array([1.0, -1, -1])).T
    name = Path(file).stem if file else f"{number:03d}"
    split = fields.text("split") or _listed_split(fields, file) or _split_of_name(path)
    shift = -turn @ pose[:3, 3]
    return make_camera(name, (width, height), (fx, fy, *centre), turn, shift, split, photo)


def _focal(fields: Fields, name: str, angle: str, side: int) -> float:
    if fields.get(name, None) is not None or fields.get(angle, None) is None:
        return fields.number(name)
    value = fields.number(angle)
    if not 0 < value < math.pi:
        raise CameraError(f"{value!r} is no angle of view", field=angle)
    return side / 2 / math.tan(value / 2)


def _photo_size(photo: Path) -> tuple[int, int]:
    try:
        from PIL import Image

        with Image.open(photo) as picture:
            return picture.size
    except (ImportError, OSError) as error:
        said = f"field is missing and the photograph cannot be read: {error}"
        raise CameraError(said, field="w") from None


def _listed_split(fields: Fields, file: str | None) -> str | None:
    for split in ("train", "test", "val"):
        listed = fields.get(f"{split}_filenames", ())
        if isinstance(listed, list) and file in listed:
            return split
    return None


def _split_of_name(path: Path) -> str | None:
    last = path.stem.rpartition("_")[2]
    return last if last in ("train", "test", "val") else None


def _inria(fields: Fields, path: Path, number: int) -> Camera:
    name = fields.text("img_name") or fields.text("id") or f"{number:03d}"
    size = fields.pixels("width"), fields.pixels("height")
    lens = (fields.number("fx"), fields.number("fy"), size[0] / 2, size[1] / 2)
    turn = fields.array("rotation", (3, 3)).T
    shift = -turn @ fields.array("position", (3,))
    return make_camera(name, size, lens, turn, shift, fields.text("split"), _photo(path, name))


def _view(fields: Fields, path: Path, number: int) -> Camera:
    identity = fields.get("id", number)
    name = f"{identity:03d}" if isinstance(identity, int) else str(identity)
    size = fields.pixels("width"), fields.pixels("height")
    fx, fy, cx, cy = (fields.number(key) for key in ("fx", "fy", "cx", "cy"))
    turn, shift = fields.array("R_w2c", (3, 3)), fields.array("t_w2c", (3,))
    photo = _photo(path, fields.text("file"))
    return make_camera(name, size, (fx, fy, cx, cy), turn, shift, fields.text("split"), photo)


def _matrices(fields: Fields, path: Path, number: int) -> Camera:
    name = fields.text("name") or f"{number:03d}"
    size = fields.pixels("W"), fields.pixels("H")
    k, view = fields.array("K", (3, 3)), fields.array("viewmat", (4, 4), (3, 4))
    if k[0, 1] or k[1, 0]:
        raise UnsupportedError("skewed pixels", field="K")
    photo = _photo(path, fields.text("file") or name)
    lens = (float(k[0, 0]), float(k[1, 1]), float(k[0, 2]), float(k[1, 2]))
    return make_camera(name, size, lens, view[:3, :3], view[:3, 3], fields.text("split"), photo)
