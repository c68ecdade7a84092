"""Cameras of a COLMAP model, text or binary."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from csgs_codec.errors import CameraError, CsgsError, UnsupportedError
from csgs_codec.render.cameras import Camera, find_photo, make_camera

# number in binary files, name, number of parameters
_MODELS = (
    ("SIMPLE_PINHOLE", 3),
    ("PINHOLE", 4),
    ("SIMPLE_RADIAL", 4),
    ("RADIAL", 5),
    ("OPENCV", 8),
    ("OPENCV_FISHEYE", 8),
    ("FULL_OPENCV", 12),
    ("FOV", 5),
    ("SIMPLE_RADIAL_FISHEYE", 4),
    ("RADIAL_FISHEYE", 5),
    ("THIN_PRISM_FISHEYE", 12),
)
_PLACES = ("", "sparse/0", "sparse", "colmap/sparse/0")
Lens = tuple[int, int, tuple[float, float, float, float]]


def find_model(path: Path) -> Path | None:
    """Folder of the COLMAP model at, or inside, a path; None if there is none."""
    if path.name in ("cameras.bin", "cameras.txt", "images.bin", "images.txt"):
        path = path.parent
    for place in _PLACES:
        folder = path / place
        if any((folder / f"cameras.{kind}").is_file() for kind in ("bin", "txt")):
            return folder
    return None


def read_colmap(folder: Path) -> list[Camera]:
    """Read the cameras of a model, by the name of their image.

    Raises
    ------
    CameraError, UnsupportedError
    """
    kind = "bin" if (folder / "cameras.bin").is_file() else "txt"
    file = folder / f"cameras.{kind}"
    try:
        lenses = _binary_lenses(file) if kind == "bin" else _text_lenses(file)
        file = folder / f"images.{kind}"
        poses = _binary_poses(file) if kind == "bin" else _text_poses(file)
        photos = (folder.parent.parent, folder.parent, folder)
        cameras = []
        for name, camera, numbers in sorted(poses, key=lambda pose: pose[0]):
            if camera not in lenses:
                raise CameraError(f"there is no camera {camera}", field="CAMERA_ID", image=name)
            width, height, lens = lenses[camera]
            turn = _rotation(numbers[:4])
            photo = find_photo(photos, name)
            built = make_camera(name, (width, height), lens, turn, numbers[4:], None, photo)
            cameras.append(built)
    except CsgsError as error:
        raise error.located(file=str(file)) from None
    except struct.error:
        raise CameraError("file is too short", file=str(file)) from None
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise CameraError(f"cannot be read: {error}", file=str(file)) from error
    return cameras


def _rotation(quaternion: tuple[float, ...]) -> NDArray[np.float64]:
    length = float(np.linalg.norm(quaternion))
    if not 0 < length < np.inf:
        raise CameraError("quaternion has no length", field="QW QX QY QZ")
    w, x, y, z = (value / length for value in quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def _lens(model: str, width: int, height: int, parameters: tuple[float, ...]) -> Lens:
    if model == "PINHOLE" and len(parameters) == 4:
        fx, fy, cx, cy = parameters
        return width, height, (fx, fy, cx, cy)
    if model == "SIMPLE_PINHOLE" and len(parameters) == 3:
        focal, cx, cy = parameters
        return width, height, (focal, focal, cx, cy)
    if model in ("PINHOLE", "SIMPLE_PINHOLE"):
        raise CameraError(f"{len(parameters)} parameters of a {model}", field="PARAMS")
    raise UnsupportedError(f"camera model {model} is no pinhole; undistort the images first")


def _lines(file: Path) -> list[str]:
    lines = file.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


def _text_lenses(file: Path) -> dict[int, Lens]:
    lenses = {}
    for line in _lines(file):
        words = line.split()
        if words and len(words) < 4:
            raise CameraError(f"line {line!r} is too short", field="CAMERA_ID MODEL WIDTH HEIGHT")
        if words:
            numbers = tuple(float(word) for word in words[4:])
            lenses[int(words[0])] = _lens(words[1], int(words[2]), int(words[3]), numbers)
    return lenses


def _text_poses(file: Path) -> list[tuple[str, int, tuple[float, ...]]]:
    poses = []
    # each image has a second line, with its points, that may be empty
    for line in _lines(file)[::2]:
        words = line.split(maxsplit=9)
        if len(words) != 10:
            raise CameraError(f"line {line!r} is too short", field="IMAGE_ID .. NAME")
        poses.append((words[9], int(words[8]), tuple(float(word) for word in words[1:8])))
    return poses


def _binary_lenses(file: Path) -> dict[int, Lens]:
    data = file.read_bytes()
    (count,), at = struct.unpack_from("<Q", data), 8
    lenses = {}
    for _ in range(count):
        identity, model, width, height = struct.unpack_from("<iiQQ", data, at)
        at += 24
        if not 0 <= model < len(_MODELS):
            raise UnsupportedError(f"camera model number {model} is unknown")
        name, size = _MODELS[model]
        lenses[identity] = _lens(name, width, height, struct.unpack_from(f"<{size}d", data, at))
        at += 8 * size
    return lenses


def _binary_poses(file: Path) -> list[tuple[str, int, tuple[float, ...]]]:
    data = file.read_bytes()
    (count,), at = struct.unpack_from("<Q", data), 8
    poses = []
    for _ in range(count):
        _, *numbers, camera = struct.unpack_from("<i7di", data, at)
        at += 64
        end = data.find(b"\0", at)
        if end < 0:
            raise CameraError("file is too short", field="NAME")
        name = data[at:end].decode("utf-8")
        (points,) = struct.unpack_from("<Q", data, end + 1)
        at = end + 9 + 24 * points
        poses.append((name, camera, tuple(numbers)))
    if at > len(data):
        raise CameraError("file is too short", field="POINTS2D")
    return poses
