"""Payloads that deflate something, with blocks whose bytes do not depend on a version of zlib."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from conformance.maker.plan import Group, Labels, Plan, Transform
from csgs_codec.attributes.buckets import Layout, split
from csgs_codec.attributes.exact_columns import (
    ABOVE,
    BELOW,
    ESCAPE_ORDER,
    HALF_WIDTH,
    ColumnModel,
    Past,
    Sources,
    differences,
    symbols_of,
)
from csgs_codec.container.fields import FieldWriter
from csgs_codec.container.kinds import LABEL_KINDS, GroupKind
from csgs_codec.numerics.bits import BitWriter
from csgs_codec.numerics.rans import RansEncoder
from csgs_codec.numerics.side import encode_integers
from csgs_codec.numerics.tables import FrequencyTables, normalise_frequencies

TABLES = 104
SYMBOLS = 256
_LARGEST_STORED = 65535
_MASK = (1 << 64) - 1


def stored(data: bytes, piece: int = _LARGEST_STORED, header: bytes = b"\x78\x01") -> bytes:
    """Return a zlib stream of stored blocks with so many bytes each."""
    pieces = [data[at : at + piece] for at in range(0, len(data), piece)] or [b""]
    out = [header]
    for number, part in enumerate(pieces):
        size = struct.pack("<HH", len(part), len(part) ^ 0xFFFF)
        out += [bytes([number == len(pieces) - 1]), size, part]
    return b"".join(out) + struct.pack(">I", zlib.adler32(data))


def fixed_huffman(data: bytes) -> bytes:
    """Return a zlib stream of one block with fixed codes and no matches (RFC 1951, 3.2.6)."""
    bits = BitWriter()
    bits.put(np.array([1, 2], np.uint64), np.array([1, 2], np.uint8))
    for byte in data:
        code, width = (0x30 + byte, 8) if byte < 144 else (0x190 + byte - 144, 9)
        bits.put(np.array([code], np.uint64), np.array([width], np.uint8))
    bits.put(np.array([0], np.uint64), np.array([7], np.uint8))
    packed = bytes(int(f"{byte:08b}"[::-1], 2) for byte in bits.finish())
    return b"\x78\x01" + packed + struct.pack(">I", zlib.adler32(data))


def schema_document(plan: Plan) -> dict[str, object]:
    """Return the JSON object of the SCHM chunk."""
    document: dict[str, object] = {
        "layout": plan.layout,
        "properties": [list(pair) for pair in plan.properties()],
        "groups": [
            {"name": group.name or f"group {i}", "columns": list(group.columns)}
            for i, group in enumerate(plan.groups)
        ],
        "constants": {name: value.hex() for name, (_, value) in plan.constants.items()},
        "extras": list(plan.extras),
        "elements": plan.elements,
        "original_order": plan.original_order,
        "encoder": "conformance",
    }
    if plan.exact_columns:
        document["exact"] = list(plan.exact_columns)
    return document | plan.schema


def schema(document: object) -> bytes:
    """Return a SCHM payload."""
    return text_payload(json.dumps(document, separators=(",", ":")).encode())


def text_payload(text: bytes) -> bytes:
    """Return the payload of SCHM or oBJT with any text."""
    return struct.pack("<I", len(text)) + stored(text)


def position_tables(weights: dict[int, list[int]]) -> bytes:
    """Return a KDTB payload."""
    bits = BitWriter()
    for table in range(TABLES):
        sent = table in weights
        bits.put(np.array([sent], np.uint64), np.array([1], np.uint8))
        for weight in weights.get(table, []):
            number = weight + 16
            size = number.bit_length()
            bits.put(np.array([0, number], np.uint64), np.array([size - 5, size], np.uint8))
    return bits.finish()


def group_payload(number: int, group: Group) -> bytes:
    """Return a GRUP payload."""
    fields = FieldWriter().put("u8", number)
    if group.kind == GroupKind.POSITION_FINE:
        group.rule.write(fields)
    elif group.kind in LABEL_KINDS:
        assert group.labels is not None
        fields.raw(label_coding(group.labels))
    else:
        fields.put("u8", group.sentinel).put("f64", group.step)
        fields.put("f32", *(group.centre or [0.0] * group.channels))
        group.rule.write(fields)
        if group.transform is not None:
            _write_transform(fields, group.transform)
    return fields.finish()


def label_coding(labels: Labels) -> bytes:
    """Return the part of a GRUP payload that describes labels."""
    jumps = [b - a for a, b in pairwise([0, *labels.palette])]
    packed = b"".join(struct.pack("<Q", jump & _MASK) for jump in jumps)
    fields = FieldWriter().put("u32", len(labels.palette)).blob(stored(packed))
    for row in labels.agreement:
        fields.put("u16", *row)
    return fields.put("u16", len(labels.explicit)).put("u16", *labels.explicit).finish()


def _write_transform(fields: FieldWriter, transform: Transform) -> None:
    flat = np.array([value for row in transform.basis for value in row], np.int64)
    fields.put("u16", len(transform.basis), len(transform.mean))
    fields.put("u8", transform.bits, transform.scale_index).put("f32", *transform.mean)
    fields.blob(encode_integers(flat, np.full(len(flat), transform.scale_index, np.uint8)))


def attachment(name: bytes, data: bytes, *, sha256: bytes | None = None) -> bytes:
    """Return an aTCH payload."""
    fields = FieldWriter().put("u16", len(name)).raw(name)
    fields.raw(hashlib.sha256(data).digest() if sha256 is None else sha256)
    return fields.put("u64", len(data)).raw(stored(data)).finish()


def object_table(document: object) -> bytes:
    """Return an oBJT payload."""
    return text_payload(json.dumps(document, separators=(",", ":")).encode())


def planes(array: np.ndarray) -> bytes:
    """Return the byte planes of an array (spec 6.5)."""
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return little.view(np.uint8).reshape(len(array), array.dtype.itemsize).T.tobytes()


def exact_column(index: int, values: np.ndarray) -> bytes:
    """Return an XDAT payload of kind COLUMN, code DEFLATED."""
    return struct.pack("<BHB", 0, index, 0) + stored(planes(values))


def elements(ply: bytes) -> bytes:
    """Return an XDAT payload of kind ELEMENTS."""
    return struct.pack("<BQ", 1, len(ply)) + stored(ply)


def exceptions(entries: Iterable[tuple[int, int, int]]) -> bytes:
    """Return an XDAT payload of kind EXCEPTIONS from rows, properties and bits, rows upward."""
    found = list(entries)
    rows = [row for row, _, _ in found]
    body = b"".join(struct.pack("<I", b - a) for a, b in pairwise([0, *rows]))
    body += b"".join(struct.pack("<H", index) for _, index, _ in found)
    body += b"".join(struct.pack("<Q", bits) for _, _, bits in found)
    return struct.pack("<BI", 2, len(found)) + stored(body)


def row_order(order: list[int], code: int) -> bytes:
    """Return an XDAT payload of kind ROW_ORDER."""
    if code == 0:
        steps = np.array([b - a for a, b in pairwise([0, *order])], np.int64)
        return struct.pack("<BB", 3, 0) + stored(planes(steps))
    bits, left = BitWriter(), sorted(order)
    for row in order:
        width = (len(left) - 1).bit_length()
        bits.put(np.array([left.index(row)], np.uint64), np.array([width], np.uint8))
        left.remove(row)
    return struct.pack("<BB", 3, 1) + bits.finish()


def modelled_column(
    index: int,
    values: np.ndarray,
    model: ColumnModel,
    sources: Sources,
    past: Past,
    weights: np.ndarray | None = None,
) -> bytes:
    """Return an XDAT payload of kind COLUMN, code MODELLED (spec 6.5.1); ``past`` is updated.

    Parameters
    ----------
    index : int
        Of the property.
    values : ndarray
    model : ColumnModel
    sources : callable
        Integers of a group, one array for each channel.
    past : Past
    weights : ndarray of uint8, shape (contexts + 1, 256), optional
        All 7 by default: even tables.
    """
    layout = Layout.of(values.dtype)
    parts = split(values, layout, model.exponent, model.zeros)
    difference, raw = differences(model, parts, sources, past)
    symbol = symbols_of(difference, raw)
    near_zero = parts.near_zero & ~raw
    gap = parts.gap[near_zero]
    if weights is None:
        weights = np.full((model.contexts + 1, SYMBOLS), 7, np.uint8)
    tables = FrequencyTables([normalise_frequencies(row.astype(np.int64) ** 2) for row in weights])
    rans, bits = RansEncoder(), BitWriter()
    rans.put(symbol, past.contexts(model.contexts), tables)
    rans.put(gap, np.full(len(gap), model.contexts, np.uint8), tables)
    excess = np.abs(difference[(symbol == ABOVE) | (symbol == BELOW)]) - HALF_WIDTH - 1
    bits.put_exp_golomb(excess, np.full(len(excess), ESCAPE_ORDER, np.uint8))
    layout.put_raw(bits, values[raw])
    layout.put_exponents(bits, parts.exponent[near_zero][gap == layout.far_gap])
    bits.put(parts.tail[~raw], parts.width[~raw])
    past.update(difference, np.where(raw, 0, parts.bucket), model.earlier)
    fields = FieldWriter().put("u8", 0).put("u16", index).put("u8", 1)
    model.write(fields)
    return fields.blob(stored(weights.tobytes())).blob(rans.finish()).raw(bits.finish()).finish()
