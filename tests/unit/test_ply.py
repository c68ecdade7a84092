"""PLY files of every flavour in, the same bytes out."""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
import pytest

from csgs_codec.errors import PlyError
from csgs_codec.io.ply import elements_from_ply_bytes, elements_to_ply_bytes, read_ply, write_ply
from csgs_codec.scene import PlyLayout, Scene
from tests import scenes

BINARY = "format binary_little_endian 1.0\n"
XYZ = "property float x\nproperty float y\nproperty float z\n"
POINTS = np.array([[1, 2, 3], [4, 5, 6.5]], "<f4")


def header(*parts: str, kind: str = BINARY) -> bytes:
    return ("ply\n" + kind + "".join(parts) + "end_header\n").encode("ascii")


@pytest.fixture
def read(tmp_path: Path):
    """Read bytes as a PLY file."""

    def read_bytes(data: bytes) -> Scene:
        path = tmp_path / "scene.ply"
        path.write_bytes(data)
        return read_ply(path)

    return read_bytes


def written(scene: Scene) -> bytes:
    stream = io.BytesIO()
    write_ply(stream, scene)
    return stream.getvalue()


def xyz(scene: Scene) -> list[list[float]]:
    return scene.stack(("x", "y", "z")).tolist()


PLAIN = header("element vertex 2\n", XYZ) + POINTS.tobytes()


def test_canonical_file_keeps_its_bytes(read) -> None:
    scene = read(PLAIN)
    assert xyz(scene) == POINTS.tolist()
    assert scene.layout == PlyLayout()
    assert written(scene) == PLAIN


@pytest.mark.parametrize("name", scenes.SCENES)
@pytest.mark.parametrize("n", [0, 1, 20])
def test_written_scenes_are_fixed_points(read, name: str, n: int) -> None:
    scene = scenes.SCENES[name](n)
    data = written(scene)
    found = read(data)
    assert written(found) == data
    assert list(found.columns) == list(scene.columns)
    for key, column in scene.columns.items():
        assert found.columns[key].dtype == column.dtype
        assert found.columns[key].tobytes() == column.tobytes()
    assert found.layout == scene.layout
    assert [e.name for e in found.elements] == [e.name for e in scene.elements]


def test_ascii(read) -> None:
    data = header("element vertex 2\n", XYZ, kind="format ascii 1.0\n") + b"1 2 3\n4 5 6.5\n"
    scene = read(data)
    assert scene.layout.text
    assert xyz(scene) == POINTS.tolist()
    assert xyz(read(written(scene))) == POINTS.tolist()
    assert written(scene).startswith(b"ply\nformat ascii 1.0\n")


def test_big_endian(read) -> None:
    kind = "format binary_big_endian 1.0\n"
    data = header("element vertex 2\n", XYZ, kind=kind) + POINTS.astype(">f4").tobytes()
    scene = read(data)
    assert xyz(scene) == POINTS.tolist()
    assert scene.columns["x"].dtype == np.dtype(np.float32)
    assert scene.columns["x"].dtype.isnative
    assert written(scene) == data


def test_crlf_header(read) -> None:
    lines = header("comment hello\n", "element vertex 2\n", XYZ).replace(b"\n", b"\r\n")
    scene = read(lines + POINTS.tobytes())
    assert scene.layout.comments == ("hello",)
    assert xyz(scene) == POINTS.tolist()


def test_comments_and_obj_info_keep_their_place(read) -> None:
    data = header(
        "comment first\n",
        "obj_info num_cols 1\n",
        "element face 0\nproperty list uchar int v\n",
        "element vertex 2\ncomment of the vertices\n",
        XYZ,
    )
    scene = read(data + POINTS.tobytes())
    assert scene.layout.comments == ("first",)
    assert scene.layout.obj_info == ("num_cols 1",)
    assert scene.layout.vertex_comments == ("of the vertices",)
    assert scene.layout.vertex_index == 1
    assert read(written(scene)).layout == scene.layout


def test_comment_that_names_the_end_of_the_header(read) -> None:
    head = header("comment end_header comes later\n", "element vertex 2\n", XYZ)
    assert xyz(read(head + POINTS.tobytes())) == POINTS.tolist()
    absurd = "format ascii 1.0\n"
    head = header("comment end_header\n", f"element vertex {10**15}\n", XYZ, kind=absurd)
    with pytest.raises(PlyError):
        read(head + b"1 2 3\n")


@pytest.mark.parametrize(
    ("names", "dtype"),
    [
        (("char", "int8"), "i1"),
        (("uchar", "uint8"), "u1"),
        (("short", "int16"), "i2"),
        (("ushort", "uint16"), "u2"),
        (("int", "int32"), "i4"),
        (("uint", "uint32"), "u4"),
        (("float", "float32"), "f4"),
        (("double", "float64"), "f8"),
    ],
)
def test_type_aliases(read, names: tuple[str, str], dtype: str) -> None:
    value = np.array([77], dtype)
    for name in names:
        scene = read(header(f"element vertex 1\nproperty {name} a\n") + value.tobytes())
        assert scene.columns["a"].dtype == np.dtype(dtype)
        assert scene.columns["a"].tolist() == [77]


def test_elements_with_lists_around_the_vertices(read) -> None:
    """Before and after the vertices; lists make binary files without fixed row sizes."""
    scene = scenes.decorated(5)
    data = written(scene)
    assert data.index(b"element frame") < data.index(b"element vertex")
    assert data.index(b"element vertex") < data.index(b"element camera")
    found = read(data)
    for before, after in zip(scene.elements, found.elements, strict=True):
        assert after["focal"].tolist() == before["focal"].tolist()
        for a, b in zip(before["indices"], after["indices"], strict=True):
            assert b.dtype == np.int32
            assert a.tolist() == b.tolist()
    again = elements_from_ply_bytes(elements_to_ply_bytes(found.elements))
    assert [str(e) for e in again] == [str(e) for e in found.elements]


def test_no_vertices(read) -> None:
    scene = read(header("element vertex 0\n", XYZ))
    assert scene.count == 0
    assert list(scene.columns) == ["x", "y", "z"]


MALFORMED = {
    "empty": b"",
    "not a PLY": b"\x89CSGS\r\n\x1a",
    "only the magic": b"ply\n",
    "no end_header": PLAIN[: PLAIN.index(b"end_header")],
    "no vertex": header("element face 2\n", XYZ) + POINTS.tobytes(),
    "vertex list": header("element vertex 1\nproperty list uchar float x\n") + b"\0",
    "unknown type": header("element vertex 1\nproperty half x\n") + bytes(8),
    "unknown format": PLAIN.replace(b"little", b"middle"),
    "twice the same property": header("element vertex 1\n", XYZ, XYZ) + bytes(24),
    "twice the vertices": header("element vertex 1\n", XYZ, "element vertex 1\n", XYZ) + bytes(24),
    "property before element": header(XYZ, "element vertex 1\n") + bytes(12),
    "negative count": header("element vertex -1\n", XYZ),
    "count is a word": header("element vertex many\n", XYZ),
    "ascii row too short": header("element vertex 2\n", XYZ, kind="format ascii 1.0\n")
    + b"1 2 3\n4 5\n",
    "ascii row too long": header("element vertex 1\n", XYZ, kind="format ascii 1.0\n")
    + b"1 2 3 4\n",
    "ascii not a number": header("element vertex 1\n", XYZ, kind="format ascii 1.0\n")
    + b"1 2 three\n",
    "list longer than the file": header(
        "element face 1\nproperty list uint float w\nelement vertex 1\n", XYZ
    )
    + b"\xff\xff\xff\x7f"
    + bytes(100),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_files_are_refused(read, name: str) -> None:
    with pytest.raises(PlyError) as caught:
        read(MALFORMED[name])
    assert str(caught.value.context["file"]).endswith("scene.ply")


def test_truncated_bodies_are_refused(read) -> None:
    body = len(PLAIN) - POINTS.nbytes
    for end in range(body, len(PLAIN)):
        with pytest.raises(PlyError):
            read(PLAIN[:end])


@pytest.mark.parametrize("kind", [BINARY, "format ascii 1.0\n"])
@pytest.mark.parametrize("count", [10**9, 10**15, 2**64, 10**30])
@pytest.mark.parametrize("element", ["vertex", "face"])
def test_absurd_counts_are_refused_at_once(read, kind: str, count: int, element: str) -> None:
    rest = "" if element == "vertex" else f"element vertex 1\n{XYZ}"
    began = time.perf_counter()
    with pytest.raises(PlyError):
        read(header(f"element {element} {count}\n", XYZ, rest, kind=kind) + b"1 2 3\n")
    assert time.perf_counter() - began < 1


def test_missing_file_is_a_ply_error(tmp_path: Path) -> None:
    with pytest.raises(PlyError, match="absent"):
        read_ply(tmp_path / "absent.ply")


def test_layout_survives_json() -> None:
    layout = PlyLayout(True, ">", ("a", "b"), ("c",), (), 3)
    assert PlyLayout.from_json(layout.to_json()) == layout


@pytest.mark.parametrize(
    "change",
    [
        {"text": 1},
        {"byte_order": "="},
        {"comments": "abc"},
        {"comments": ["two\nlines"]},
        {"comments": ["\r"]},
        {"obj_info": [3]},
        {"vertex_comments": None},
        {"vertex_index": -1},
        {"vertex_index": True},
        {"vertex_index": 256},
    ],
    ids=str,
)
def test_invalid_layouts_are_refused(change: dict[str, object]) -> None:
    from csgs_codec.errors import CorruptError

    with pytest.raises(CorruptError):
        PlyLayout.from_json(PlyLayout().to_json() | change)


def test_selection_keeps_everything_else() -> None:
    scene = scenes.decorated(10)
    found = scene.select(np.array([7, 2]))
    assert found.count == 2
    assert xyz(found) == [xyz(scene)[7], xyz(scene)[2]]
    assert found.layout is scene.layout
    assert found.elements is scene.elements


@pytest.mark.parametrize(
    "elements", ["element a 1000000000\n", "element a 50000\nelement b 50000\n"]
)
def test_rows_without_properties_are_bounded(tmp_path: Path, elements: str) -> None:
    """They take no bytes, so that a file of any size can claim any number of them."""
    path = tmp_path / "a.ply"
    path.write_bytes(header(elements))
    with pytest.raises(PlyError, match="without properties"):
        read_ply(path)


@pytest.mark.parametrize(
    ("ending", "other"), [(b"\n", b"\r"), (b"\r", b"\n"), (b"\r\n", b"\n"), (b"\r\n", b"\r")]
)
def test_headers_whose_lines_end_in_several_ways(
    tmp_path: Path, ending: bytes, other: bytes
) -> None:
    """Counts are those of the header that plyfile will read."""
    lines = [
        b"ply",
        b"format binary_little_endian 1.0",
        b"comment a" + other + b"end_header",
        b"element vertex 1000000000",
        b"property list uchar int y",
        b"end_header",
    ]
    path = tmp_path / "a.ply"
    path.write_bytes(ending.join(lines) + ending + bytes(4))
    with pytest.raises(PlyError, match="too short for 1000000000 rows"):
        read_ply(path)
