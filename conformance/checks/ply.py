"""A small reader of PLY files: any format, scalars and lists."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2",
    "ushort": "u2", "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4",
    "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}


@dataclass
class Element:
    """One element; a property is (name, type) or, for a list, (name, type, type of lengths)."""

    name: str
    count: int
    properties: list[tuple[str, ...]] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    rows: list[list[object]] = field(default_factory=list)


@dataclass
class Ply:
    """A PLY file."""

    format: str
    comments: list[str]
    obj_info: list[str]
    elements: list[Element]


def read(data: bytes) -> Ply:
    """Read a PLY.

    Raises
    ------
    ValueError
        It is malformed.
    """
    head, mark, body = data.partition(b"end_header\n")
    if not mark or not head.startswith(b"ply\n"):
        raise ValueError("not a PLY")
    ply = Ply("", [], [], [])
    for line in head.decode("ascii").split("\n")[1:]:
        _header_line(ply, line)
    order = _ORDERS[ply.format]
    if not order:
        _read_text(ply, body.decode("ascii"))
    else:
        _read_binary(ply, body, order)
    return ply


def _header_line(ply: Ply, line: str) -> None:
    word, _, rest = line.partition(" ")
    if word == "format":
        ply.format = rest.split()[0]
    elif word == "comment":
        (ply.elements[-1].comments if ply.elements else ply.comments).append(rest)
    elif word == "obj_info":
        ply.obj_info.append(rest)
    elif word == "element":
        name, count = rest.split()
        ply.elements.append(Element(name, int(count)))
    elif word == "property":
        words = rest.split()
        if words[0] == "list":
            ply.elements[-1].properties.append((words[3], _TYPES[words[2]], _TYPES[words[1]]))
        else:
            ply.elements[-1].properties.append((words[1], _TYPES[words[0]]))
    elif line:
        raise ValueError(f"header line {line!r}")


def _read_text(ply: Ply, text: str) -> None:
    words = iter(text.split())
    for element in ply.elements:
        for _ in range(element.count):
            row: list[object] = []
            for _, type_, *length in element.properties:
                count = int(next(words)) if length else 1
                values = [_number(next(words), type_) for _ in range(count)]
                row.append(values if length else values[0])
            element.rows.append(row)
        _to_columns(element)
    if next(words, None) is not None:
        raise ValueError("words behind the last element")


def _number(word: str, type_: str) -> float:
    return float(word) if type_[0] == "f" else int(word)


def _read_binary(ply: Ply, body: bytes, order: str) -> None:
    at = 0
    for element in ply.elements:
        if all(len(p) == 2 for p in element.properties):
            dtype = np.dtype([(p[0], order + p[1]) for p in element.properties])
            if element.properties:
                rows = np.frombuffer(body, dtype, element.count, at)
                at += rows.nbytes
                element.columns = {p[0]: rows[p[0]] for p in element.properties}
            continue
        for _ in range(element.count):
            row: list[object] = []
            for _, type_, *length in element.properties:
                count = 1
                if length:
                    count = int(np.frombuffer(body, order + length[0], 1, at)[0])
                    at += np.dtype(length[0]).itemsize
                values = np.frombuffer(body, order + type_, count, at)
                at += values.nbytes
                row.append(values.tolist() if length else values[0].item())
            element.rows.append(row)
    if at != len(body):
        raise ValueError("bytes behind the last element")


def _to_columns(element: Element) -> None:
    if any(len(p) == 3 for p in element.properties):
        return
    for place, (name, type_) in enumerate(element.properties):
        element.columns[name] = np.array([row[place] for row in element.rows]).astype(type_)
    element.rows = []
