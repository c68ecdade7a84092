"""PLY files, through plyfile."""

from __future__ import annotations

import io
import os
import re
from typing import BinaryIO

import numpy as np
from plyfile import PlyData, PlyElement, PlyListProperty, PlyParseError

from csgs_codec.errors import LimitError, PlyError
from csgs_codec.limits import DEFAULT_LIMITS, Limits
from csgs_codec.scene import Column, PlyLayout, Scene

_HEADER_LIMIT = 1 << 22
_ROWS_WITHOUT_PROPERTIES = 1 << 16
_ROWS_TOGETHER = 2048
_EMBEDDED = ["format", "binary_little_endian", "1.0"]
_TYPE_BYTES = {
    **dict.fromkeys(("char", "int8", "uchar", "uint8"), 1),
    **dict.fromkeys(("short", "int16", "ushort", "uint16"), 2),
    **dict.fromkeys(("int", "int32", "uint", "uint32", "float", "float32"), 4),
    **dict.fromkeys(("double", "float64"), 8),
}


def read_ply(path: str | os.PathLike[str]) -> Scene:
    """Read a PLY of any flavour; the scene stays valid when the file changes or disappears.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Scene

    Raises
    ------
    PlyError
        The file is missing, malformed or shorter than its header says, naming element, row and
        property where known.
    """
    try:
        with open(path, "rb") as stream:
            _check_counts(stream, os.fstat(stream.fileno()).st_size)
            stream.seek(0)
            data = _read_data(stream, _has_rows(stream))
    except PlyError as error:
        raise error.located(file=str(path)) from None
    except PlyParseError as error:
        raise PlyError(f"malformed PLY: {error}", file=str(path)) from error
    except (OSError, ValueError, OverflowError, UnicodeDecodeError, KeyError) as error:
        raise PlyError(f"cannot be read as PLY: {error}", file=str(path)) from error
    return _to_scene(data, str(path))


def _read_data(stream: BinaryIO, mmap: bool) -> PlyData:
    """Read; a number in a text that is too large for its type becomes infinite."""
    with np.errstate(over="ignore"):
        return PlyData.read(stream, mmap=mmap)


def elements_from_ply_bytes(data: bytes, limits: Limits = DEFAULT_LIMITS) -> tuple[PlyElement, ...]:
    """Return the elements of a small binary little-endian PLY held in memory.

    Raises
    ------
    PlyError
    LimitError
        So many rows with lists would take too long.
    """
    stream = io.BytesIO(data)
    if [line for line in _header(stream) if line[:1] == ["format"]] != [_EMBEDDED]:
        raise PlyError("embedded elements are not in binary, little-endian")
    stream.seek(0)
    if _check_counts(stream, len(data)) > limits.list_rows:
        raise LimitError(f"other elements have more than {limits.list_rows} rows with lists")
    stream.seek(0)
    try:
        return tuple(_read_data(stream, False).elements)
    except (PlyParseError, ValueError, OverflowError, KeyError) as error:
        raise PlyError(f"embedded elements are malformed: {error}") from error


def elements_to_ply_bytes(elements: tuple[PlyElement, ...]) -> bytes:
    """Serialise elements as a binary little-endian PLY."""
    stream = io.BytesIO()
    _write_data(stream, PlyData(elements, text=False, byte_order="<"), {})
    return stream.getvalue()


def write_ply(target: str | os.PathLike[str] | BinaryIO, scene: Scene) -> None:
    """Write a scene in the layout that it carries (format, names, order, comments, elements)."""
    layout = scene.layout
    names = list(scene.columns)
    rows = np.empty(scene.count, [(name, scene.columns[name].dtype) for name in names])
    for name in names if layout.text else ():
        rows[name] = scene.columns[name]
    vertex = PlyElement.describe(rows, "vertex", comments=list(layout.vertex_comments))
    elements = list(scene.elements)
    elements.insert(min(layout.vertex_index, len(elements)), vertex)
    data = PlyData(
        elements,
        text=layout.text,
        byte_order=layout.byte_order,
        comments=list(layout.comments),
        obj_info=list(layout.obj_info),
    )
    if isinstance(target, str | os.PathLike):
        with open(target, "wb") as stream:
            _write_data(stream, data, scene.columns)
    else:
        _write_data(target, data, scene.columns)


def _write_data(stream: BinaryIO, data: PlyData, vertex: dict[str, Column]) -> None:
    """Write header and body; rows of a binary ``vertex`` element are put together from columns.

    plyfile's own binary writer keeps scalars beside lists in native byte order, and refuses
    property names that the buffer protocol cannot spell (``:``).
    """
    if data.text:
        data.write(stream)
        return
    stream.write(data.header.encode("ascii") + b"\n")
    for element in data.elements:
        if any(isinstance(prop, PlyListProperty) for prop in element.properties):
            _write_rows_with_lists(stream, element, data.byte_order)
        elif element.name == "vertex" and element.properties:
            _write_columns(stream, vertex, element.dtype(data.byte_order), element.count)
        elif element.properties:
            rows = np.ascontiguousarray(element.data, element.dtype(data.byte_order))
            stream.write(rows.view(np.uint8).data)


def _write_columns(
    stream: BinaryIO, columns: dict[str, Column], dtype: np.dtype[np.void], count: int
) -> None:
    """Rows in pieces that stay in the processor's cache."""
    for begin in range(0, count, _ROWS_TOGETHER):
        rows = np.empty(min(_ROWS_TOGETHER, count - begin), dtype)
        for name, column in columns.items():
            rows[name] = column[begin : begin + len(rows)]
        stream.write(rows.view(np.uint8).data)


def _write_rows_with_lists(stream: BinaryIO, element: PlyElement, order: str) -> None:
    for row in element.data:
        for prop in element.properties:
            value = row[prop.name]
            if isinstance(prop, PlyListProperty):
                length_dtype, value_dtype = prop.list_dtype(order)
                values = np.asarray(value, value_dtype).ravel()
                stream.write(np.array(values.size, length_dtype).tobytes() + values.tobytes())
            else:
                stream.write(np.array(value, prop.dtype(order)).tobytes())


def _to_scene(data: PlyData, path: str) -> Scene:
    names = [element.name for element in data.elements]
    if "vertex" not in names:
        raise PlyError("there is no vertex element", file=path)
    vertex = data["vertex"]
    columns = {}
    for prop in vertex.properties:
        if vertex.data.dtype[prop.name].hasobject:
            raise PlyError("vertex properties must not be lists", file=path, property=prop.name)
        column = vertex.data[prop.name]
        columns[prop.name] = np.array(column, column.dtype.newbyteorder("="))
    layout = PlyLayout(
        bool(data.text),
        ">" if data.byte_order == ">" else "<",
        tuple(data.comments),
        tuple(data.obj_info),
        tuple(vertex.comments),
        names.index("vertex"),
    )
    others = tuple(e for e in data.elements if e.name != "vertex")
    for element in others:
        element.data = np.array(element.data)
    return Scene(columns, layout, others)


def _header(stream: BinaryIO) -> list[list[str]]:
    """Words of each line of a header; the stream is left behind it.

    Lines must end where plyfile ends them, or it reads a header that was not checked: as the first
    one does, so that another kind of line end is part of a line.
    """
    text = stream.read(_HEADER_LIMIT)
    start = re.match(rb"ply(\r\n|\r|\n)", text)
    if start is None:
        raise PlyError("not a PLY file (it does not start with a line 'ply')")
    end = text.find(start[1] + b"end_header" + start[1])
    if end < 0:
        raise PlyError("PLY header has no 'end_header'")
    lines = text[:end].split(start[1])
    stream.seek(end + len(b"end_header") + 2 * len(start[1]))
    return [line.decode("ascii", "replace").split() for line in lines]


def list_rows(elements: tuple[PlyElement, ...]) -> int:
    """How many rows hold lists, each row once for each of its lists."""
    lists = (sum(isinstance(p, PlyListProperty) for p in e.properties) for e in elements)
    return sum(number * element.count for number, element in zip(lists, elements, strict=True))


def _check_counts(stream: BinaryIO, size: int) -> int:
    """Refuse counts that the file cannot hold, before anything is allocated for them.

    Returns
    -------
    int
        What :func:`list_rows` will be.
    """
    words = _header(stream)
    body = size - stream.tell()
    elements: list[tuple[str, int, int]] = []
    lists = 0
    for line in words:
        if line[:1] == ["element"] and len(line) == 3:
            if not line[2].isdigit():
                raise PlyError(f"element count {line[2]!r} is not a number", element=line[1])
            elements.append((line[1], int(line[2]), 0))
        elif line[:1] == ["property"] and len(line) >= 3 and elements:
            name, count, row = elements[-1]
            kind = line[2] if line[1] == "list" else line[1]
            elements[-1] = (name, count, row + _TYPE_BYTES.get(kind, 1))
            lists += count if line[1] == "list" else 0
    binary = any(line[:1] == ["format"] and line[1:2] != ["ascii"] for line in words)
    for name, count, row in elements:
        if count * (row if binary else 2) > body + 2:
            raise PlyError(f"file is too short for {count} rows", element=name)
    # these take no bytes in a binary file, but still time to read
    if sum(count for _, count, row in elements if not row) > _ROWS_WITHOUT_PROPERTIES:
        raise PlyError("too many rows without properties")
    return lists


def _has_rows(stream: BinaryIO) -> bool:
    """Whether every element has rows and properties: empty ones cannot be memory-mapped."""
    counts = [line[2] for line in _header(stream) if line[:1] == ["element"] and len(line) == 3]
    stream.seek(0)
    return all(int(count) > 0 for count in counts)
