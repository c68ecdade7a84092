"""Syntax of the file: fields, chunks, header, levels, manifest, limits."""

from __future__ import annotations

import dataclasses
import json
import struct
import zlib

import numpy as np
import pytest

from csgs_codec.container.chunks import OVERHEAD, SIGNATURE, check_signature, frame, read_chunk
from csgs_codec.container.fields import FieldReader, FieldWriter
from csgs_codec.container.header import (
    EXACT_PASS_LAYER,
    Compensation,
    GroupDeclaration,
    Header,
    LevelEntry,
    Pass,
    Tiles,
    read_levels,
    write_levels,
)
from csgs_codec.container.inflate import inflate
from csgs_codec.container.kinds import GroupKind
from csgs_codec.container.manifest import Manifest, NamedGroup
from csgs_codec.errors import CorruptError, LimitError, TruncatedError, UnsupportedError
from csgs_codec.levels import check_script, coverage
from csgs_codec.limits import TILE_CAPACITY, Limits

LIMITS = Limits()


# --- fields


def test_fields_round_trip() -> None:
    fields = FieldWriter().put("u8", 255).put("u16", 65_535, 0).put("u32", 2**32 - 1)
    fields.put("u64", 2**64 - 1).put("i8", -128).put("i32", -(2**31)).put("f32", 0.5)
    fields.put("f64", -1e300).blob(b"abc").array(np.array([[1, 2], [3, 4]]), np.uint16).raw(b"!")
    reader = FieldReader(fields.finish(), "TEST")
    assert reader.integer("u8") == 255
    assert [reader.integer("u16"), reader.integer("u16")] == [65_535, 0]
    assert [reader.integer("u32"), reader.integer("u64")] == [2**32 - 1, 2**64 - 1]
    assert [reader.integer("i8"), reader.integer("i32")] == [-128, -(2**31)]
    assert [reader.real("f32"), reader.real("f64")] == [0.5, -1e300]
    assert bytes(reader.blob()) == b"abc"
    assert reader.array((2, 2), np.uint16).tolist() == [[1, 2], [3, 4]]
    assert reader.remaining == 1
    with pytest.raises(CorruptError, match="1 unread"):
        reader.finish()
    assert bytes(reader.raw(1)) == b"!"
    reader.finish()


def test_fields_are_little_endian() -> None:
    payload = FieldWriter().put("u32", 0x01020304).array(np.array([5], ">u2"), np.uint16).finish()
    assert payload == b"\x04\x03\x02\x01\x05\x00"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_must_be_finite(value: float) -> None:
    with pytest.raises(CorruptError):
        FieldReader(struct.pack("<d", value), "TEST").real("f64")


def test_overruns_and_ranges_say_where() -> None:
    for read in (
        lambda r: r.integer("u32"),
        lambda r: r.real("f64"),
        lambda r: r.raw(3),
        lambda r: r.raw(-1),
        lambda r: r.array((2**40, 2**40), np.float64),
        lambda r: r.integer("u16", 0, 0x0100),
        lambda r: r.integer("u16", 0x0202, None),
    ):
        with pytest.raises(CorruptError) as caught:
            read(FieldReader(b"\x01\x02", "TEST", offset=100))
        assert caught.value.context["chunk"] == "TEST"
        assert 100 <= caught.value.context["offset"] <= 102
    with pytest.raises(CorruptError):
        FieldReader(b"\x05\0\0\0abcd", "TEST").blob()


# --- chunks


def test_chunk_frame() -> None:
    data = frame("DATA", b"payload")
    assert data[:8] == b"DATA\x07\0\0\0"
    assert data[-4:] == struct.pack("<I", zlib.crc32(data[:-4]))
    assert len(data) == OVERHEAD + 7
    chunk = read_chunk(b"??" + data, 2, LIMITS)
    assert (chunk.type, bytes(chunk.payload), chunk.offset) == ("DATA", b"payload", 2)
    assert chunk.end == 2 + len(data)
    assert chunk.critical
    assert not read_chunk(frame("note", b""), 0, LIMITS).critical


def test_truncated_chunks() -> None:
    data = frame("DATA", b"payload")
    for end in range(len(data)):
        with pytest.raises(TruncatedError):
            read_chunk(data[:end], 0, LIMITS)


def test_every_bit_of_a_chunk_is_protected() -> None:
    data = frame("DATA", b"payload")
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises((CorruptError, TruncatedError, LimitError)):
            read_chunk(bytes(damaged), 0, LIMITS)


@pytest.mark.parametrize("type_", [b"DAT1", b"DAT ", b"\0\0\0\0", b"D\xc4TA"])
def test_chunk_types_are_letters(type_: bytes) -> None:
    with pytest.raises(CorruptError):
        read_chunk(type_ + bytes(8), 0, LIMITS)
    with pytest.raises(CorruptError):
        read_chunk(type_, 0, LIMITS)
    with pytest.raises(TruncatedError):
        read_chunk(type_[:3], 0, LIMITS)


def test_chunk_limit_comes_before_its_bytes() -> None:
    with pytest.raises(LimitError):
        read_chunk(b"DATA" + struct.pack("<I", 101), 0, Limits(chunk_bytes=100))


def test_signature() -> None:
    check_signature(SIGNATURE + b"more")
    for end in range(8):
        with pytest.raises(TruncatedError):
            check_signature(SIGNATURE[:end])
    for wrong in (b"ply\n", SIGNATURE.replace(b"\r\n", b"\n") + b"H", b"\x09" + SIGNATURE[1:]):
        with pytest.raises(UnsupportedError):
            check_signature(wrong)


# --- inflate


def test_inflate() -> None:
    packed = zlib.compress(b"x" * 1000)
    assert inflate(packed, 1000) == b"x" * 1000
    assert inflate(zlib.compress(b""), 0) == b""
    for data, size in (
        (packed, 999),
        (packed, 1001),
        (packed, 0),
        (packed[:-1], 1000),
        (packed + b"\0", 1000),
        (b"", 0),
        (b"not zlib", 8),
    ):
        with pytest.raises(CorruptError):
            inflate(data, size)


def test_inflate_stops_at_the_announced_size() -> None:
    """A bomb of a gigabyte is not unpacked: one byte too many is enough to know."""
    engine = zlib.compressobj(9)
    bomb = b"".join(engine.compress(bytes(1 << 20)) for _ in range(1 << 6)) + engine.flush()
    import tracemalloc

    tracemalloc.start()
    with pytest.raises(CorruptError):
        inflate(bomb, 1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


# --- header


def make_header(**changes: object) -> Header:
    header = Header(
        gaussians=100,
        layers=2,
        tiles=3,
        origin=(-1.5, 0.0, 1e6),
        grid_step=0.01,
        unit_offset=(1, 2, 3),
        unit_shift=4,
        rounds=(5, 2),
        groups=(
            GroupDeclaration(GroupKind.POSITION, 3, 3),
            GroupDeclaration(GroupKind.SH, 30, 45),
            GroupDeclaration(GroupKind.ID, 1, 1),
        ),
        passes=(
            Pass(0, (0, 1)),
            Pass(1, (0, 1)),
            Pass(0, (2,)),
            Pass(1, (2,)),
            Pass(EXACT_PASS_LAYER, ()),
        ),
    )
    return dataclasses.replace(header, **changes)


SCALES_OF_OTHER_WIDTH = GroupDeclaration(GroupKind.SCALE, 2, 3)


def reread(header: Header, limits: Limits = LIMITS) -> Header:
    return Header.read(FieldReader(header.write(), "HEAD"), limits)


def test_header_survives_writing() -> None:
    header = make_header()
    assert reread(header) == header
    assert header.passes[-1].exact
    empty = make_header(gaussians=0, layers=1, rounds=(1,), tiles=0, groups=(), passes=())
    assert reread(empty) == empty


@pytest.mark.parametrize(
    "change",
    [
        {"layers": 0},
        {"layers": 17},
        {"tiles": 101},
        {"grid_step": 0.0},
        {"grid_step": float("inf")},
        {"origin": (0.0, float("nan"), 0.0)},
        {"unit_shift": 41},
        {"groups": (GroupDeclaration(GroupKind.SH, 0, 45),)},
        {"groups": (GroupDeclaration(GroupKind.SH, 1025, 45),)},
        {"groups": (GroupDeclaration(GroupKind.SH, 9, 1025),)},
        {"groups": (GroupDeclaration(GroupKind.POSITION, 3, 3), SCALES_OF_OTHER_WIDTH)},
        {"passes": (Pass(2, (0,)),)},
        {"passes": (Pass(0, (3,)),)},
        {"passes": (Pass(0, (0, 0)),)},
        {"passes": (Pass(0, ()),)},
    ],
    ids=str,
)
def test_invalid_headers_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(CorruptError):
        reread(make_header(**change))


def test_transformed_groups_need_no_columns() -> None:
    """They may be contexts of others only."""
    groups = (GroupDeclaration(GroupKind.POSITION, 3, 3), GroupDeclaration(GroupKind.SH, 2, 0))
    header = make_header(groups=groups, passes=(Pass(0, (0, 1)), Pass(1, (0, 1))))
    assert reread(header) == header


def test_header_limits() -> None:
    header = make_header()
    reread(header, Limits(gaussians=100, values=3400))
    with pytest.raises(LimitError):
        reread(header, Limits(gaussians=99))
    with pytest.raises(LimitError):
        reread(header, Limits(values=3399))
    with pytest.raises(LimitError):
        reread(make_header(gaussians=2**63))


@pytest.mark.parametrize("major", [0, 2])
def test_other_major_versions_are_unsupported(major: int) -> None:
    payload = make_header(version=(major, 0)).write()
    with pytest.raises(UnsupportedError):
        Header.read(FieldReader(payload, "HEAD"), LIMITS)


def test_minor_versions_are_all_read() -> None:
    assert reread(make_header(version=(1, 7))).version == (1, 7)


def test_unknown_kinds_are_unsupported() -> None:
    with pytest.raises(UnsupportedError):
        payload = make_header(groups=(GroupDeclaration(99, 1, 1),), passes=()).write()
        Header.read(FieldReader(payload, "HEAD"), LIMITS)


def test_header_has_no_spare_bytes() -> None:
    payload = make_header().write()
    for damaged in (payload + b"\0", *(payload[:end] for end in range(len(payload)))):
        with pytest.raises(CorruptError):
            Header.read(FieldReader(damaged, "HEAD"), LIMITS)


# --- tiles


def make_tiles(**changes: object) -> Tiles:
    counts = np.array([[10, 20], [0, 30], [40, 0]])
    bits = np.array([[21, 0, 5]] * 3, np.uint8)
    return dataclasses.replace(Tiles(np.arange(9).reshape(3, 3) * 2**28, bits, counts), **changes)


def test_tiles_survive_writing() -> None:
    tiles = make_tiles()
    found = Tiles.read(FieldReader(tiles.write(), "TILE"), make_header())
    for name in ("origin", "bits", "counts"):
        assert np.array_equal(getattr(found, name), getattr(tiles, name))
    assert found.origin.dtype == found.counts.dtype == np.int64


@pytest.mark.parametrize(
    "tiles",
    [
        make_tiles(bits=np.full((3, 3), 22, np.uint8)),
        make_tiles(counts=np.array([[10, 20], [0, 30], [40, 1]])),
        make_tiles(counts=np.zeros((3, 2), np.int64)),
    ],
    ids=["bits", "sum", "zero"],
)
def test_invalid_tiles_are_refused(tiles: Tiles) -> None:
    with pytest.raises(CorruptError):
        Tiles.read(FieldReader(tiles.write(), "TILE"), make_header())


def test_tile_capacity() -> None:
    counts = np.array([[TILE_CAPACITY, 0], [1, 0], [0, 0]])
    header = make_header(gaussians=TILE_CAPACITY + 1)
    Tiles.read(FieldReader(make_tiles(counts=counts).write(), "TILE"), header)
    counts = np.array([[TILE_CAPACITY, 1], [0, 0], [0, 0]])
    with pytest.raises(CorruptError):
        Tiles.read(FieldReader(make_tiles(counts=counts).write(), "TILE"), header)


# --- levels and the script


def entries() -> list[LevelEntry]:
    return [
        LevelEntry(1000, 2, 60, bytes(range(32)), Compensation(0.5, 0.25, -1.0, 2.0)),
        LevelEntry(2000, 4, 100, bytes(32)),
        LevelEntry(2**40, 5, 100, b"\xff" * 32),
    ]


def test_levels_survive_writing() -> None:
    assert read_levels(FieldReader(write_levels(entries()), "LEVS"), make_header()) == entries()


@pytest.mark.parametrize(
    ("place", "change"),
    [
        (1, {"end": 1000}),
        (1, {"passes": 2}),
        (2, {"passes": 6}),
        (0, {"gaussians": 101}),
        (0, {"compensation": Compensation(depth_gain=float("nan"))}),
        (1, {"compensation": Compensation(depth_exponent=float("inf"))}),
    ],
    ids=str,
)
def test_invalid_levels_are_refused(place: int, change: dict[str, object]) -> None:
    levels = entries()
    levels[place] = dataclasses.replace(levels[place], **change)
    with pytest.raises(CorruptError):
        read_levels(FieldReader(write_levels(levels), "LEVS"), make_header())


@pytest.mark.parametrize("levels", [[], entries()[:2]], ids=len)
def test_levels_must_hold_every_pass(levels: list[LevelEntry]) -> None:
    with pytest.raises(CorruptError):
        read_levels(FieldReader(write_levels(levels), "LEVS"), make_header())


def test_script_and_coverage() -> None:
    header = make_header()
    check_script(header)
    assert coverage(header, 0).layers == 0
    assert coverage(header, 1).groups == (2, 0)
    assert coverage(header, 3).groups == (3, 2)
    assert (coverage(header, 4).layers, coverage(header, 4).exact) == (2, False)
    assert coverage(header, 5).exact


@pytest.mark.parametrize(
    "passes",
    [
        (Pass(0, (0, 1, 2)), Pass(1, (0, 1))),
        (Pass(0, (0, 1, 2)),),
        (Pass(1, (0, 1, 2)), Pass(0, (0, 1, 2))),
        (Pass(0, (1, 0, 2)), Pass(1, (0, 1, 2))),
        (Pass(0, (0, 1)), Pass(1, (0, 1, 2)), Pass(0, (2,))),
        (Pass(0, (0, 1, 2)), Pass(0, (0,)), Pass(1, (0, 1, 2))),
        (Pass(EXACT_PASS_LAYER, ()), Pass(0, (0, 1, 2)), Pass(1, (0, 1, 2))),
        (Pass(0, (0, 1, 2)), Pass(1, (0, 1, 2)), Pass(EXACT_PASS_LAYER, (0,))),
        (),
    ],
    ids=range(9),
)
def test_scripts_that_break_the_order_are_refused(passes: tuple[Pass, ...]) -> None:
    with pytest.raises(CorruptError):
        check_script(make_header(passes=passes))


# --- manifest


def make_manifest(**changes: object) -> Manifest:
    manifest = Manifest(
        layout={"text": False},
        properties=(
            *((axis, "f4") for axis in "xyz"),
            *((f"f_rest_{i}", "f4") for i in range(45)),
            ("label", "u1"),
            ("nx", "f8"),
            ("odd", "i2"),
        ),
        groups=(
            NamedGroup("position", ("x", "y", "z")),
            NamedGroup("sh", tuple(f"f_rest_{i}" for i in range(45))),
            NamedGroup("label", ("label",)),
        ),
        constants={"nx": bytes(8)},
        extras=("odd",),
        elements=True,
        original_order=False,
        encoder="test",
    )
    return dataclasses.replace(manifest, **changes)


def reread_manifest(payload: bytes, limits: Limits = LIMITS) -> Manifest:
    return Manifest.read(FieldReader(payload, "SCHM"), make_header(), limits)


def test_manifest_survives_writing() -> None:
    manifest = make_manifest()
    assert reread_manifest(manifest.write()) == manifest
    assert manifest.dtype("nx") == np.float64


@pytest.mark.parametrize(
    "change",
    [
        {"extras": ()},
        {"extras": ("odd", "x")},
        {"extras": ("odd", "unknown")},
        {"constants": {}},
        {"constants": {"nx": bytes(4)}},
        {"groups": make_manifest().groups[:2]},
        {"properties": (*make_manifest().properties, ("x", "f4"))},
        {"properties": (*make_manifest().properties[:-1], ("odd", "f2"))},
        {"properties": (*make_manifest().properties[:-1], ("odd", "O"))},
    ],
    ids=range(9),
)
def test_contradictory_manifests_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(CorruptError):
        reread_manifest(make_manifest(**change).write())


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"{}", b"null", b"\xff", b"[" * 100_000, b'{"layout": 1}', b"{'a': 1}"],
    ids=lambda t: t[:8].decode("latin1"),
)
def test_manifest_that_is_not_the_document(text: bytes) -> None:
    payload = FieldWriter().put("u32", len(text)).raw(zlib.compress(text)).finish()
    with pytest.raises(CorruptError):
        reread_manifest(payload)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("groups", [[]]),
        ("groups", {"name": 1}),
        ("constants", {"nx": "zz"}),
        ("constants", {"nx": 5}),
        ("constants", []),
        ("properties", [["x"]]),
        ("properties", 3),
        ("extras", None),
    ],
)
def test_manifest_entries_of_the_wrong_type(key: str, value: object) -> None:
    payload = make_manifest().write()
    document = json.loads(inflate(payload[4:], int.from_bytes(payload[:4], "little")))
    text = json.dumps(document | {key: value}).encode()
    payload = FieldWriter().put("u32", len(text)).raw(zlib.compress(text)).finish()
    with pytest.raises(CorruptError):
        reread_manifest(payload)


def test_manifest_size_is_bounded() -> None:
    with pytest.raises(CorruptError):
        reread_manifest(make_manifest().write(), Limits(inflated_bytes=10))
