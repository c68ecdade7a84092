"""Files made to cost more than they weigh."""

from __future__ import annotations

import io
import json
import pickle
import struct
import time
import tracemalloc
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from csgs_codec import (
    CorruptError,
    EncodeOptions,
    LimitError,
    Scene,
    decode,
    encode,
    probe,
    read_attachments,
)
from csgs_codec.container.attachments import Attachment
from csgs_codec.container.chunks import SIGNATURE, frame
from csgs_codec.container.fields import FieldReader, FieldWriter
from csgs_codec.container.header import VERSION
from csgs_codec.container.inflate import inflate
from csgs_codec.errors import SidecarError, UnsupportedError, UsageError
from csgs_codec.io.ply import elements_from_ply_bytes
from csgs_codec.io.sidecars import merge_sidecar
from csgs_codec.limits import DEFAULT_LIMITS, TILE_CAPACITY, Limits
from csgs_codec.semantics.heads import head_from_bytes
from tests import scenes
from tests.fuzz.amplify import heavy_networks, many_from_nothing
from tests.fuzz.csgs import Part, assemble, parts_of

ROWS = 8
MIB = 1 << 20
SECONDS = 5


def peak(action: object) -> int:
    """Most that Python and numpy allocate while something runs."""
    tracemalloc.start()
    try:
        assert callable(action)
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_forty_bytes_that_claim_a_billion_gaussians() -> None:
    head = frame("HEAD", struct.pack("<HHQBI", *VERSION, 10**9, 1, 1) + bytes(3))
    assert len(SIGNATURE + head) == 40

    def run() -> None:
        with pytest.raises(LimitError, match="1000000000 Gaussians"):
            decode(SIGNATURE + head)

    assert peak(run) < MIB


def test_a_file_that_sends_no_bit_for_its_gaussians() -> None:
    """Valid, so it is decoded; who wants to, bounds what it may take before anything is held."""
    data = many_from_nothing(2, 3)
    assert len(data) < 800
    scene = decode(data)
    assert scene.count == 2 * TILE_CAPACITY and list(scene.columns)[-1] == "f2"
    per_row = 20 + 4 * 6 + 4 * 6
    assert decode(data, limits=Limits(memory=scene.count * per_row)).count == scene.count

    def run() -> None:
        with pytest.raises(LimitError, match="more than the limit"):
            decode(data, limits=Limits(memory=scene.count * per_row - 1))

    assert peak(run) < MIB


def test_the_largest_scene_that_the_limits_allow() -> None:
    """2^28 Gaussians in 80 kB of tile table: described at once, refused under a memory limit."""
    data = many_from_nothing(4096, 0)
    assert probe(data).gaussians == 1 << 28
    assert peak(lambda: probe(data)) < 32 * MIB
    with pytest.raises(LimitError):
        decode(data, limits=Limits(memory=2 << 30))
    with pytest.raises(LimitError, match="Gaussians"):
        decode(many_from_nothing(4097, 0))


def test_networks_that_are_sent_for_nothing() -> None:
    data = heavy_networks(2)
    assert probe(data).gaussians
    with pytest.raises(LimitError, match="weights"):
        probe(data, Limits(model_integers=3_000_000))
    many = heavy_networks(20)
    begin = time.process_time()
    with pytest.raises(LimitError, match=r"weights.*NETW"):
        probe(many)
    assert time.process_time() - begin < SECONDS


@pytest.fixture(scope="module")
def file() -> bytes:
    scene = scenes.with_labels(scenes.inria(ROWS, 0, normals=False))
    scene.columns["extra"] = np.arange(ROWS, dtype=np.int32)
    scene = Scene(scene.columns, scene.layout, (scenes.other_element(),))
    options = EncodeOptions(order="keep", attachments={"a.txt": b"text"})
    return encode(scene, options).data


def with_payload(data: bytes, kind: bytes, start: bytes, payload: bytes) -> bytes:
    """Replace the first chunk of a type whose payload begins with some bytes."""
    parts = list(parts_of(data))
    at = next(
        n for n, p in enumerate(parts) if p.type == kind and p.payload.startswith(start)
    )  # fmt: skip
    parts[at] = replace(parts[at], payload=payload)
    return assemble(parts)


BOMB = zlib.compress(bytes(20 * MIB), 9)


@pytest.mark.parametrize(
    ("kind", "start", "payload"),
    [
        (b"SCHM", b"", struct.pack("<I", 100) + BOMB),
        (b"SCHM", b"", struct.pack("<I", 20 * MIB) + BOMB),
        (b"oBJT", b"", struct.pack("<I", 100) + BOMB),
        (b"oBJT", b"", struct.pack("<I", 20 * MIB) + BOMB),
        (b"XDAT", b"\1", b"\1" + struct.pack("<Q", 100) + BOMB),
        (b"XDAT", b"\1", b"\1" + struct.pack("<Q", 1 << 33) + BOMB),
        (b"XDAT", b"\1", b"\1" + struct.pack("<Q", 1 << 31) + BOMB),
        (b"XDAT", b"\0", b"\0\0\0\0" + BOMB),
        (b"XDAT", b"\3", b"\3\0" + BOMB),
    ],
)
def test_what_inflates_without_end(file: bytes, kind: bytes, start: bytes, payload: bytes) -> None:
    def run() -> None:
        with pytest.raises((CorruptError, LimitError)):
            decode(with_payload(file, kind, start, payload))

    assert peak(run) < 8 * MIB


def attachment(size: int, data: bytes, name: bytes = b"a.txt") -> bytes:
    fields = FieldWriter().put("u16", len(name)).raw(name).raw(bytes(32))
    return fields.put("u64", size).raw(data).finish()


@pytest.mark.parametrize("size", [4, 1 << 29, (1 << 30) + 1, (1 << 64) - 1])
def test_an_attachment_that_inflates_without_end(file: bytes, size: int) -> None:
    hostile = with_payload(file, b"aTCH", b"", attachment(size, BOMB))

    def run() -> None:
        with pytest.raises((CorruptError, LimitError)):
            read_attachments(hostile)

    assert peak(run) < 8 * MIB


def test_many_attachments_together(file: bytes) -> None:
    """None is too large alone; the sum is compared before anything is inflated."""
    parts = list(parts_of(file))
    at = next(n for n, p in enumerate(parts) if p.type == b"aTCH")
    each = DEFAULT_LIMITS.attached_bytes // 8
    extra = [Part(b"aTCH", attachment(each, BOMB, b"%d" % n)) for n in range(9)]
    with pytest.raises(LimitError, match="attachments"):
        probe(assemble([*parts[:at], *extra, *parts[at + 1 :]]))


def test_sizes_that_deflate_cannot_reach() -> None:
    assert inflate(zlib.compress(bytes(10 * MIB), 9), 10 * MIB) == bytes(10 * MIB)
    for size in (1 << 31, 1 << 63, (1 << 64) - 1):
        with pytest.raises(CorruptError, match="cannot inflate"):
            inflate(zlib.compress(b"text"), size)
        fields = FieldReader(attachment(size, zlib.compress(b"text")), "aTCH")
        with pytest.raises(CorruptError):
            Attachment.read(fields, 0).data()


HEAD = "ply\nformat binary_little_endian 1.0\nelement a {}\n{}end_header\n"


def test_elements_with_more_lists_than_can_be_read_in_time() -> None:
    most = DEFAULT_LIMITS.list_rows
    text = HEAD.format(most + 1, "property list uchar int x\n")
    with pytest.raises(LimitError, match="rows with lists"):
        elements_from_ply_bytes(text.encode() + bytes(most + 1))
    two = "property list uchar int x\nproperty list uchar int y\n"
    with pytest.raises(LimitError, match="rows with lists"):
        elements_from_ply_bytes(HEAD.format(6, two).encode() + bytes(12), Limits(list_rows=11))
    assert elements_from_ply_bytes(HEAD.format(6, two).encode() + bytes(12), Limits(list_rows=12))


def test_the_encoder_refuses_elements_that_decoders_would(monkeypatch: pytest.MonkeyPatch) -> None:
    from csgs_codec.encoder import prepare

    monkeypatch.setattr(prepare, "DEFAULT_LIMITS", Limits(list_rows=2))
    scene = scenes.inria(3, 0)
    with pytest.raises(UnsupportedError, match="3 rows with lists"):
        encode(Scene(scene.columns, scene.layout, (scenes.other_element(rows=3),)))


def test_a_schema_of_many_small_values() -> None:
    text = b'{"properties":[' + b"[]," * (16 * MIB // 3) + b"[]]}"
    payload = struct.pack("<I", len(text)) + zlib.compress(text, 9)
    parts = [p for p in parts_of(many_from_nothing(1, 0)) if p.type in (b"HEAD", b"LEVS")]
    with pytest.raises(CorruptError):
        decode(assemble([*parts, Part(b"SCHM", payload)]))


def test_more_properties_than_anyone_has() -> None:
    """Looking one up takes no longer the more there are."""
    data = many_from_nothing(1, 0, 30_000)
    begin = time.process_time()
    probe(data)
    assert time.process_time() - begin < SECONDS
    with pytest.raises(LimitError):
        probe(data, Limits(memory=1 << 30))


# --- arrays of others


class Harmful:
    """Would write a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self._target = target

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self._target,)


def rows() -> Scene:
    return Scene({axis: np.arange(ROWS, dtype=np.float32) for axis in "xyz"})


def test_pickles_are_never_run(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    trap = tmp_path / "trap"
    harmful = np.array([Harmful(trap)] * ROWS)
    np.save(tmp_path / "a.npy", harmful, allow_pickle=True)
    np.savez(tmp_path / "a.npz", x=harmful)
    torch.save({"x": Harmful(trap)}, tmp_path / "a.pt")
    torch.save({"x": Harmful(trap)}, tmp_path / "b.pth", _use_new_zipfile_serialization=False)
    for name in ("c.pt", "c.pth", "c.npy", "c.npz"):
        (tmp_path / name).write_bytes(pickle.dumps(Harmful(trap)))
    for path in [p for p in tmp_path.iterdir() if p.suffix != ".safetensors"]:
        with pytest.raises(SidecarError):
            merge_sidecar(rows(), path)
        with pytest.raises(UsageError):
            head_from_bytes(path.name if path.suffix != ".npy" else "a.npz", path.read_bytes())
    assert not trap.exists()


def npy(shape: str, dtype: str = "'<f4'", body: bytes = b"") -> bytes:
    text = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + body


@pytest.mark.parametrize(
    "data",
    [
        npy("(1000000000000,)"),
        npy("(8, 1000000000)", body=bytes(64)),
        npy("(8,)", "'|S1000000000'"),
        npy("(8,)", "('<f4', (1000000000,))"),
        npy("(-1,)"),
        npy("(True,)"),
        npy("(8.0,)"),
        npy("(" * 900),
        npy("(8,)", "'|O'", bytes(64)),
        b"\x93NUMPY\3\0" + struct.pack("<I", 3) + b"{}\n",
        npy("(8, 2000)", body=bytes(64000)),
    ],
)
def test_arrays_that_are_not_what_they_announce(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.npy").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", data)
        archive.writestr("readme.txt", "no array")

    def run() -> None:
        for name in ("a.npy", "a.npz"):
            with pytest.raises(SidecarError):
                merge_sidecar(rows(), tmp_path / name)

    assert peak(run) < 8 * MIB


def test_archive_members_that_inflate_without_end(tmp_path: Path) -> None:
    """Only the member that is asked for is read, and only if it has the scene's rows."""
    width = 20 * MIB // ROWS
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("huge.npy", npy(f"({ROWS}, {width})", "'|u1'", bytes(20 * MIB)))
        archive.writestr("fine.npy", npy(f"({ROWS},)", "'<f4'", bytes(4 * ROWS)))

    def run() -> None:
        assert "fine" in merge_sidecar(rows(), tmp_path / "a.npz", "fine").scene.columns
        with pytest.raises(SidecarError, match="columns"):
            merge_sidecar(rows(), tmp_path / "a.npz", "huge")

    assert peak(run) < 8 * MIB


def test_tensors_without_bytes(tmp_path: Path) -> None:
    """Strides of 0, and records that share or compress their bytes."""
    torch = pytest.importorskip("torch")
    wide = torch.zeros(1).expand(ROWS, 10**9)
    torch.save({"weight": wide}, tmp_path / "a.pt")
    with pytest.raises(SidecarError, match="columns"):
        merge_sidecar(rows(), tmp_path / "a.pt")
    with pytest.raises(LimitError, match="weights"):
        head_from_bytes("a.pt", (tmp_path / "a.pt").read_bytes())
    stream = io.BytesIO()
    torch.save({"x": torch.zeros(MIB)}, stream)
    with (
        zipfile.ZipFile(stream) as source,
        zipfile.ZipFile(tmp_path / "b.pt", "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            target.writestr(name, source.read(name))
    with pytest.raises(SidecarError, match="compressed"):
        merge_sidecar(rows(), tmp_path / "b.pt")


def test_json_that_is_deep(file: bytes) -> None:
    for deep in (b"[" * 100_000, b'{"a":' * 100_000, json.dumps({"objects": "x" * 9}).encode()):
        payload = struct.pack("<I", len(deep)) + zlib.compress(deep)
        for kind in (b"SCHM", b"oBJT"):
            with pytest.raises(CorruptError):
                decode(with_payload(file, kind, b"", payload))
