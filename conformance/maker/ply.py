"""PLY files as expected of a decoder, in the layout that the schema asks for."""

from __future__ import annotations

import numpy as np

from conformance.maker.reference import Columns

PLY_TYPES = {
    "i1": "char", "u1": "uchar", "i2": "short", "u2": "ushort",
    "i4": "int", "u4": "uint", "f4": "float", "f8": "double",
}  # fmt: skip


def write(columns: Columns, layout: dict[str, object]) -> bytes:
    """Return a PLY; other elements are carried over from the bytes of ELEMENTS."""
    text, order = layout["text"], str(layout["byte_order"])
    kind = "ascii" if text else {"<": "binary_little_endian", ">": "binary_big_endian"}[order]
    head = ["ply", f"format {kind} 1.0"]
    head += [f"comment {line}" for line in layout["comments"]]  # type: ignore[attr-defined]
    head += [f"obj_info {line}" for line in layout["obj_info"]]  # type: ignore[attr-defined]
    others = split_elements(columns.elements) if columns.elements else []
    vertex = [f"element vertex {columns.rows}"]
    vertex += [f"comment {line}" for line in layout["vertex_comments"]]  # type: ignore[attr-defined]
    vertex += [f"property {PLY_TYPES[columns.types[name]]} {name}" for name in columns.values]
    parts = [(lines, _in_layout(rows, bool(text), order)) for lines, rows in others]
    place = min(int(str(layout["vertex_index"])), len(parts))
    parts.insert(place, (vertex, _vertex(columns, bool(text), order)))
    for lines, _ in parts:
        head += lines
    header = "\n".join([*head, "end_header"]) + "\n"
    return header.encode("ascii") + b"".join(body for _, body in parts)


def _vertex(columns: Columns, text: bool, order: str) -> bytes:
    arrays = list(columns.values.values())
    if text:
        rows = [" ".join(_word(value) for value in row) for row in zip(*arrays, strict=True)]
        return "".join(f"{row}\n" for row in rows).encode()
    joined = np.empty(
        columns.rows, [(f"c{i}", a.dtype.newbyteorder(order)) for i, a in enumerate(arrays)]
    )
    for i, array in enumerate(arrays):
        joined[f"c{i}"] = array
    return joined.tobytes() if arrays else b""


def _word(value: np.generic) -> str:
    return str(int(value)) if value.dtype.kind in "iu" else repr(float(value))


Row = list[tuple[str, list[object]]]


def split_elements(ply: bytes) -> list[tuple[list[str], list[Row]]]:
    """Return header lines and rows of each element of a little-endian binary PLY."""
    head, body = ply.split(b"end_header\n", 1)
    elements: list[tuple[list[str], list[Row]]] = []
    for line in head.decode("ascii").splitlines():
        if line.startswith("element"):
            elements.append(([line], []))
        elif elements:
            elements[-1][0].append(line)
    codes = {long: short for short, long in PLY_TYPES.items()}
    at = 0

    def take(code: str, count: int = 1) -> list[object]:
        nonlocal at
        values = np.frombuffer(body, f"<{code}", count, at)
        at += values.nbytes
        return values.tolist()

    for lines, rows in elements:
        for _ in range(int(lines[0].split()[2])):
            row: Row = []
            for words in (line.split() for line in lines[1:] if line.startswith("property")):
                if words[1] == "list":
                    size = take(codes[words[2]])
                    row.append((codes[words[2]], size))
                    row.append((codes[words[3]], take(codes[words[3]], int(str(size[0])))))
                else:
                    row.append((codes[words[1]], take(codes[words[1]])))
            rows.append(row)
    return elements


def _in_layout(rows: list[Row], text: bool, order: str) -> bytes:
    if text:
        lines = [" ".join(str(v) for _, values in row for v in values) for row in rows]
        return "".join(f"{line}\n" for line in lines).encode()
    return b"".join(
        np.array(values, f"{order}{code}").tobytes() for row in rows for code, values in row
    )
