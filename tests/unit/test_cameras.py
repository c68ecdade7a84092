"""Camera files of every layout say the same; bad ones say where."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from csgs_codec.errors import CameraError, UnsupportedError
from csgs_codec.render import Camera, read_cameras

QUATERNION = np.array([0.8, 0.2, -0.4, 0.4])
TURN = np.array(
    [
        [1 - 2 * (0.16 + 0.16), 2 * (-0.08 - 0.32), 2 * (0.08 - 0.32)],
        [2 * (-0.08 + 0.32), 1 - 2 * (0.04 + 0.16), 2 * (-0.16 - 0.16)],
        [2 * (0.08 + 0.32), 2 * (-0.16 + 0.16), 1 - 2 * (0.04 + 0.16)],
    ]
)
SHIFT = np.array([0.5, -1.5, 3.0])
LENS = {"fx": 100.0, "fy": 110.0, "cx": 33.0, "cy": 21.0}


def view_matrix() -> np.ndarray:
    view = np.eye(4)
    view[:3, :3], view[:3, 3] = TURN, SHIFT
    return view


def transforms(**more: Any) -> dict[str, Any]:
    pose = np.linalg.inv(view_matrix())
    pose[:3, 1:3] *= -1
    frame = {"file_path": "images/a.png", "transform_matrix": pose.tolist()}
    lens = {"fl_x": 100.0, "fl_y": 110.0, "cx": 33.0, "cy": 21.0}
    return {"w": 64, "h": 40, **lens, "frames": [frame], **more}


def views() -> dict[str, Any]:
    size = {"width": 64, "height": 40}
    pose = {"R_w2c": TURN.tolist(), "t_w2c": SHIFT.tolist()}
    return {"views": [{"id": 7, "split": "test", "file": "a.png", **size, **LENS, **pose}]}


def matrices() -> dict[str, Any]:
    k = [[100.0, 0, 33], [0, 110, 21], [0, 0, 1]]
    camera = {"name": "a", "W": 64, "H": 40, "K": k, "viewmat": view_matrix().tolist()}
    return {"cameras": [camera]}


def inria() -> list[dict[str, Any]]:
    where = {"position": (-TURN.T @ SHIFT).tolist(), "rotation": TURN.T.tolist()}
    return [{"id": 0, "img_name": "a", "width": 64, "height": 40, **LENS, **where}]


def write(path: Path, data: Any) -> Path:
    path.write_text(json.dumps(data))
    return path


def check(camera: Camera, centred: bool = False) -> None:
    assert (camera.width, camera.height) == (64, 40)
    assert np.abs(camera.world_to_camera - view_matrix()).max() < 1e-12
    centre = (32, 20) if centred else (33, 21)
    wanted = np.array([[100.0, 0, centre[0]], [0, 110, centre[1]], [0, 0, 1]])
    assert (camera.intrinsics == wanted).all()
    assert np.allclose(camera.world_to_camera @ [*camera.centre, 1], [0, 0, 0, 1])


@pytest.mark.parametrize("make", [transforms, views, matrices, inria])
def test_json_layouts(make: Any, tmp_path: Path) -> None:
    photo = tmp_path / "images/a.png"
    photo.parent.mkdir()
    photo.touch()
    (camera,) = read_cameras(write(tmp_path / "cameras.json", make()))
    check(camera, centred=make is inria)
    assert camera.image == photo
    assert camera.name == ("007" if make is views else "a")
    assert camera.split == ("test" if make is views else None)


def test_transforms_by_angle_and_splits(tmp_path: Path) -> None:
    data = transforms(camera_angle_x=2 * np.arctan(0.32), test_filenames=["images/a.png"])
    for name in ("fl_x", "fl_y", "cx", "cy"):
        del data[name]
    (camera,) = read_cameras(write(tmp_path / "t.json", data))
    assert np.allclose(camera.intrinsics[0], [100, 0, 32]) and camera.split == "test"
    assert camera.intrinsics[1, 1] == camera.intrinsics[0, 0] and camera.image is None
    (camera,) = read_cameras(write(tmp_path / "transforms_val.json", transforms()))
    assert camera.split == "val"


def colmap_text(folder: Path, model: str = "PINHOLE", numbers: str = "100 110 33 21") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cameras.txt").write_text(f"# comment\n3 {model} 64 40 {numbers}\n")
    words = " ".join(str(v) for v in (*QUATERNION, *SHIFT))
    lines = f"# comment\n2 {words} 3 b.png\n\n1 {words} 3 a.png\n1.5 2.5 -1\n"
    (folder / "images.txt").write_text(lines)
    return folder


def colmap_binary(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    lenses = struct.pack("<QiiQQ4d", 1, 3, 1, 64, 40, 100, 110, 33, 21)
    (folder / "cameras.bin").write_bytes(lenses)
    images = struct.pack("<Q", 2)
    for identity, name in ((2, b"b.png"), (1, b"a.png")):
        images += struct.pack("<i7di", identity, *QUATERNION, *SHIFT, 3) + name + b"\0"
        images += struct.pack("<Qddq", 1, 1.5, 2.5, -1)
    (folder / "images.bin").write_bytes(images)
    return folder


@pytest.mark.parametrize("make", [colmap_text, colmap_binary])
def test_colmap(make: Any, tmp_path: Path) -> None:
    folder = make(tmp_path / "sparse/0")
    photo = tmp_path / "images/b.png"
    photo.parent.mkdir()
    photo.touch()
    file = next(folder.glob("images.*"))
    for path in (tmp_path, folder, file):
        cameras = read_cameras(path)
        assert [c.name for c in cameras] == ["a.png", "b.png"]
        assert cameras[1].image == photo
        check(cameras[0])
    whole = file.read_bytes()
    file.write_bytes(whole[:-9] if file.suffix == ".bin" else whole[:60])
    with pytest.raises(CameraError, match="too short"):
        read_cameras(tmp_path)


def test_colmap_models(tmp_path: Path) -> None:
    colmap_text(tmp_path, "SIMPLE_PINHOLE", "100 32 20")
    assert read_cameras(tmp_path)[0].intrinsics[1, 1] == 100
    colmap_text(tmp_path, "OPENCV", "100 100 32 20 0 0 0 0")
    with pytest.raises(UnsupportedError, match="OPENCV") as caught:
        read_cameras(tmp_path)
    assert "cameras.txt" in str(caught.value)
    colmap_text(tmp_path, "PINHOLE", "100 100 32")
    with pytest.raises(CameraError, match="3 parameters"):
        read_cameras(tmp_path)


def without(data: dict[str, Any], key: str, field: str, value: Any = None) -> dict[str, Any]:
    data[key][0][field] = value
    return data


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"frames": {}}, "field frames"),
        ([], "no cameras"),
        ({"other": 1}, "neither"),
        ([5], "object is expected"),
        ({**transforms(), "w": None}, "field w"),
        ({**transforms(), "h": "x"}, "field h"),
        ({**transforms(), "w": 10.5}, "field w"),
        ({**transforms(), "w": -4}, "-4 x 40"),
        ({**transforms(), "fl_x": 0}, "focal"),
        ({**transforms(), "fl_x": None}, "field fl_x"),
        ({**transforms(), "fl_x": None, "camera_angle_x": 7}, "camera_angle_x"),
        (without(transforms(), "frames", "transform_matrix", [[1, 2]]), "transform_matrix"),
        (without(views(), "views", "R_w2c"), "field R_w2c"),
        (without(views(), "views", "R_w2c", (2 * TURN).tolist()), "rotation"),
        (without(views(), "views", "t_w2c", [1, "a", 2]), "field t_w2c"),
        (without(matrices(), "cameras", "viewmat", [[float("nan")] * 4] * 4), "viewmat"),
    ],
)
def test_bad_json_names_file_and_field(data: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(CameraError, match=said) as caught:
        read_cameras(write(tmp_path / "cameras.json", data))
    assert str(tmp_path / "cameras.json") in str(caught.value)


def test_what_is_no_pinhole(tmp_path: Path) -> None:
    for more in ({"k1": 0.1}, {"camera_model": "OPENCV_FISHEYE"}, {"is_fisheye": True}):
        with pytest.raises(UnsupportedError):
            read_cameras(write(tmp_path / "t.json", transforms(**more)))
    read_cameras(write(tmp_path / "t.json", transforms(k1=0, camera_model="OPENCV")))


def test_no_cameras_at_all(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    for path in (tmp_path, tmp_path / "x.json", tmp_path / "missing.json"):
        with pytest.raises(CameraError):
            read_cameras(path)
