"""PLY output that plyfile alone gets wrong, and scenes that outlive their file."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from plyfile import PlyElement

from csgs_codec.io.ply import read_ply, write_ply
from csgs_codec.scene import PlyLayout, Scene
from tests import scenes


def written(scene: Scene) -> bytes:
    stream = io.BytesIO()
    write_ply(stream, scene)
    return stream.getvalue()


@pytest.mark.parametrize(
    "layout", [{"byte_order": "<"}, {"byte_order": ">"}, {"text": True}], ids=str
)
def test_scalars_beside_lists_keep_their_values(tmp_path: Path, layout: dict[str, object]) -> None:
    scene = scenes.decorated(5)
    scene.layout = dataclasses.replace(scene.layout, **layout)
    path = tmp_path / "scene.ply"
    write_ply(path, scene)
    found = read_ply(path)
    for before, after in zip(scene.elements, found.elements, strict=True):
        assert after["focal"].tolist() == before["focal"].tolist()
        for a, b in zip(before["indices"], after["indices"], strict=True):
            assert b.tolist() == a.tolist()
    assert written(found) == path.read_bytes()


def test_big_endian_lists_byte_for_byte() -> None:
    data = np.empty(1, [("focal", "f4"), ("indices", object)])
    data["focal"], data["indices"][0] = 1.0, np.array([258], "i4")
    camera = PlyElement.describe(
        data, "camera", len_types={"indices": "u2"}, val_types={"indices": "i4"}
    )
    column = np.array([1], np.uint8)
    scene = Scene({"a": column}, PlyLayout(byte_order=">"), (camera,))
    body = written(scene).partition(b"end_header\n")[2]
    assert body == bytes.fromhex("01 3f800000 0001 00000102")


@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_names_that_the_buffer_protocol_cannot_spell(tmp_path: Path, byte_order: str) -> None:
    columns = {"a:b": np.array([1.5, 2], np.float32), "c": np.arange(2, dtype=np.uint8)}
    path = tmp_path / "scene.ply"
    write_ply(path, Scene(columns, PlyLayout(byte_order=byte_order)))
    found = read_ply(path).columns
    assert {name: c.tolist() for name, c in found.items()} == {
        name: c.tolist() for name, c in columns.items()
    }


@pytest.mark.parametrize("columns", [("x",), ("x", "y", "z")], ids=len)
def test_scene_may_be_written_over_its_own_file(tmp_path: Path, columns: tuple[str, ...]) -> None:
    """Pages of a truncated memory map are gone: nothing may still point into the file."""
    rows = 40_000
    path = tmp_path / "scene.ply"
    camera = np.zeros(rows, [("f", "<f4")])
    camera["f"] = np.arange(rows)
    element = PlyElement.describe(camera, "camera")
    source = Scene({n: np.arange(rows, dtype="f4") for n in columns}, elements=(element,))
    write_ply(path, source)
    before = path.read_bytes()
    scene = read_ply(path)
    write_ply(path, scene)
    assert path.read_bytes() == before
    path.write_bytes(b"")
    assert scene.columns["x"][-1] == rows - 1
    assert scene.elements[0]["f"][-1] == rows - 1
