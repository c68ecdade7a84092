"""Files that are small and valid, and decode to as much as their header likes to say."""

from __future__ import annotations

import json
import struct
import zlib

import numpy as np

from csgs_codec.container.chunks import SIGNATURE, frame
from csgs_codec.container.fields import FieldWriter
from csgs_codec.container.header import (
    GroupDeclaration,
    Header,
    LevelEntry,
    Pass,
    Tiles,
    write_levels,
)
from csgs_codec.container.kinds import GroupKind
from csgs_codec.limits import TILE_CAPACITY
from csgs_codec.numerics.side import encode_integers

_NO_SENTINEL, _NO_INTEGERS = 255, struct.pack("<I", 0)
_ROW_INDEX = 30


def many_from_nothing(tiles: int, channels: int, constants: int = 0) -> bytes:
    """Full tiles of one cell, with a group whose values are never sent: no bit for any Gaussian."""
    names = [f"f{i}" for i in range(channels)]
    still = [f"c{i}" for i in range(constants)]
    groups = [GroupDeclaration(GroupKind.POSITION, 3, 3)]
    if channels:
        groups.append(GroupDeclaration(GroupKind.FEATURE, channels, channels))
    header = Header(
        tiles * TILE_CAPACITY, 1, tiles, (0.0, 0.0, 0.0), 1.0, (0, 0, 0), 0, (1,), tuple(groups),
        (Pass(0, tuple(range(len(groups)))),),
    )  # fmt: skip
    table = Tiles(
        np.zeros((tiles, 3), np.int64),
        np.zeros((tiles, 3), np.uint8),
        np.full((tiles, 1), TILE_CAPACITY),
    )
    body = [("SCHM", _schema(names, still)), ("TILE", table.write()), ("KDTB", bytes(13))]
    if channels:
        body += [("GRUP", _group(channels)), ("NETW", _network())]
    data = [FieldWriter().put("u16", 0).put("u32", tile).blob(b"") for tile in range(tiles)]
    return _file(header, body + [("DATA", fields.finish()) for fields in data])


def _file(header: Header, body: list[tuple[str, bytes]]) -> bytes:
    framed = b"".join(frame(*chunk) for chunk in body)
    before = SIGNATURE + frame("HEAD", header.write())
    level = LevelEntry(0, 1, header.gaussians, bytes(32))
    end = len(before) + len(frame("LEVS", write_levels([level]))) + len(framed)
    level = LevelEntry(end, 1, header.gaussians, bytes(32))
    return before + frame("LEVS", write_levels([level])) + framed


def _schema(names: list[str], constants: list[str]) -> bytes:
    types = dict.fromkeys(("x", "y", "z", *names), "f4") | dict.fromkeys(constants, "f8")
    groups = [{"name": "p", "columns": ["x", "y", "z"]}]
    groups += [{"name": "f", "columns": names}] if names else []
    document = {
        "properties": list(types.items()),
        "groups": groups,
        "constants": dict.fromkeys(constants, "00" * 8),
        "extras": [],
        "elements": False,
        "original_order": False,
        "encoder": "",
        "layout": {
            "text": False, "byte_order": "<", "comments": [], "obj_info": [],
            "vertex_comments": [], "vertex_index": 0,
        },
    }  # fmt: skip
    text = json.dumps(document, separators=(",", ":")).encode()
    return struct.pack("<I", len(text)) + zlib.compress(text, 9)


def _group(channels: int) -> bytes:
    fields = FieldWriter().put("u8", 1, _NO_SENTINEL).put("f64", 1.0)
    fields.array(np.zeros(channels), np.float32)
    fields.put("i32", *([0] * 7)).put("u8", 0).put("i8", 0, 0)
    fields.put("u16", channels, channels).put("u8", 0, 1)
    return fields.array(np.zeros(channels), np.float32).blob(_NO_INTEGERS).finish()


def _network() -> bytes:
    """A network without inputs whose scales are so small that nothing is coded."""
    fields = FieldWriter().put("u8", 1, 0, 0, 0, 0, 0, 0, 0).put("u8", 8, 1)
    return fields.blob(_NO_INTEGERS).blob(_NO_INTEGERS).blob(_NO_INTEGERS).finish()


def heavy_networks(groups: int, hidden: int = 256) -> bytes:
    """A file of one Gaussian whose networks have 4096 inputs, all weights sent as nothing."""
    width = 511
    names = [[f"g{g}_{i}" for i in range(width)] for g in range(groups)]
    declared = [GroupDeclaration(GroupKind.POSITION, 3, 3)]
    declared += [GroupDeclaration(GroupKind.FEATURE, width, width)] * groups
    every = tuple(range(groups + 1))
    header = Header(
        1, 1, 1, (0.0, 0.0, 0.0), 1.0, (0, 0, 0), 0, (1,), tuple(declared), (Pass(0, every),)
    )
    table = Tiles(np.zeros((1, 3), np.int64), np.zeros((1, 3), np.uint8), np.ones((1, 1)))
    flat = [name for listed in names for name in listed]
    schema = json.loads(zlib.decompress(_schema(flat, [])[4:]))
    schema["groups"][1:] = [{"name": "f", "columns": listed} for listed in names]
    text = json.dumps(schema).encode()
    body = [("SCHM", struct.pack("<I", len(text)) + zlib.compress(text)), ("TILE", table.write())]
    body.append(("KDTB", bytes(13)))
    for group in range(1, groups + 1):
        body.append(("GRUP", bytes([group]) + _group(width)[1:]))
        body.append(("NETW", _wide_network(group, width, hidden)))
    data = FieldWriter().put("u16", 0).put("u32", 0).blob(b"").finish()
    return _file(header, [*body, ("DATA", data)])


def _wide_network(group: int, width: int, hidden: int) -> bytes:
    fields = FieldWriter().put("u8", group, 0, 0, 8, 0)
    fields.put("u8", group).put("u16", width)
    fields.array(np.zeros(width), np.int32).array(np.zeros(width), np.uint8)
    fields.put("u8", 0, 0, 1).put("u16", hidden)
    rows = np.zeros(8 * (width + 1), np.int64)
    rows[0] = 1 - _ROW_INDEX
    for steps in (rows, rows[:hidden]):
        index = np.full(len(steps), _ROW_INDEX, np.uint8)
        fields.put("u8", 1, 1).blob(encode_integers(steps, index))
        fields.blob(_NO_INTEGERS).blob(_NO_INTEGERS)
    return fields.finish()
