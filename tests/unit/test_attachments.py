"""Files that travel with a scene: names, hashes, bounds, and where their chunks stand."""

from __future__ import annotations

import hashlib
import struct
import tracemalloc
import zlib

import pytest

from csgs_codec import (
    CorruptError,
    EncodeOptions,
    LimitError,
    Limits,
    UsageError,
    decode,
    encode,
    probe,
    read_attachments,
    truncate,
)
from csgs_codec import open as open_stream
from csgs_codec.container.attachments import Attachment, name_fault
from csgs_codec.container.chunks import frame
from csgs_codec.encoder.attach import read_files
from tests.scenes import inria
from tests.unit.test_mutations import chunks_of, moved_ends, rebuild

FILES = {"head.safetensors": bytes(range(256)) * 20, "Codebook 1.npy": b"\x93NUMPY", "empty": b""}
GOOD_NAMES = ["head.npz", ".hidden", "Größe.pth", "a b.c", "x" * 255, "common.txt", "nul_.txt"]
BAD_NAMES = [
    "",
    ".",
    "..",
    "...",
    "a/b",
    "a\\b",
    "/etc/passwd",
    "../x",
    "C:x",
    "a:b",
    "a\0b",
    "a\nb",
    "a\x7fb",
    "a\u202eb",
    "a\u2028b",
    "con",
    "NUL.txt",
    "Com1",
    "lpt9.npz",
    "end.",
    "end ",
    " begin",
    "what?",
    "a*b",
    'a"b',
    "<a>",
    "x" * 256,
    "ä" * 128,
]


@pytest.fixture(scope="module")
def data() -> bytes:
    """A few Gaussians with semantics, and three files."""
    from tests.conftest import semantic_scene

    return encode(semantic_scene(30), EncodeOptions(attachments=FILES, look=False)).data


def with_payload(data: bytes, payload: bytes) -> bytes:
    """The file with another attachment chunk behind its attachments."""
    chunks, levels = chunks_of(data), probe(data).levels
    place = max(n for n, (t, _) in enumerate(chunks) if t == "aTCH") + 1
    at, moved = probe(data).chunks[place][1], len(frame("aTCH", payload))
    ends = [level.end + (moved if level.end > at else 0) for level in levels]
    chunks[1] = ("LEVS", moved_ends(chunks[1][1], ends))
    chunks.insert(place, ("aTCH", payload))
    return rebuild(chunks)


def payload(name: bytes, content: bytes, **changes: object) -> bytes:
    """An attachment's payload with some fields other than they should be."""
    digest = changes.get("digest", hashlib.sha256(content).digest())
    size = changes.get("size", len(content))
    deflated = changes.get("deflated", zlib.compress(content))
    return struct.pack("<H", len(name)) + name + digest + struct.pack("<Q", size) + deflated


def test_files_come_back(data: bytes) -> None:
    found = read_attachments(data)
    assert found == FILES and list(found) == sorted(FILES)
    listed = {one.name: (one.bytes, one.sha256) for one in probe(data).attachments}
    assert listed == {n: (len(d), hashlib.sha256(d).hexdigest()) for n, d in FILES.items()}
    stream = open_stream()
    for begin in range(0, len(data), 500):
        stream.feed(data[begin : begin + 500])
    assert stream.attachments == FILES


def test_only_levels_with_semantics_pay(data: bytes) -> None:
    info = probe(data)
    held = next(level for level in info.levels if "obj_dc" in level.groups)
    for level in info.levels:
        kept = read_attachments(truncate(data, level=level.level))
        assert kept == (FILES if level.level >= held.level else {})
    kinds = [kind for kind, _, _ in info.chunks]
    last = max(n for n, kind in enumerate(kinds) if kind == "aTCH")
    assert kinds[last + 1] == "DATA"


def test_without_semantics_the_first_level_holds_them() -> None:
    data = encode(inria(30, 0), EncodeOptions(attachments=FILES, look=False)).data
    assert read_attachments(truncate(data, level=1)) == FILES
    empty = encode(inria(30, 0).select(slice(0)), EncodeOptions(attachments=FILES, look=False)).data
    assert read_attachments(empty) == FILES and decode(empty).count == 0


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_are_refused(data: bytes, name: str) -> None:
    assert name_fault(name) is not None
    with pytest.raises(UsageError, match="cannot attach"):
        encode(inria(30, 0), EncodeOptions(attachments={name: b"x"}))
    with pytest.raises(CorruptError, match="attachment") as caught:
        probe(with_payload(data, payload(name.encode(), b"x")))
    assert caught.value.context["chunk"] == "aTCH" and "offset" in caught.value.context


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_names_that_are_fine(data: bytes, name: str) -> None:
    assert name_fault(name) is None
    assert read_attachments(with_payload(data, payload(name.encode(), b"x")))[name] == b"x"


def test_no_name_stands_twice(data: bytes) -> None:
    for name in ("empty", "EMPTY"):
        with pytest.raises(CorruptError, match="twice"):
            probe(with_payload(data, payload(name.encode(), b"")))
    with pytest.raises(UsageError, match="same name"):
        encode(inria(30, 0), EncodeOptions(attachments={"a.npy": b"", "A.npy": b""}))


def test_contents_that_are_wrong(data: bytes) -> None:
    content = b"some content"
    for wrong in (
        payload(b"x", content, digest=bytes(32)),
        payload(b"x", content, size=len(content) - 1),
        payload(b"x", content, size=len(content) + 1),
        payload(b"x", content, deflated=zlib.compress(content)[:-1]),
        payload(b"x", content, deflated=zlib.compress(content) + b"\0"),
        payload(b"x", content, deflated=b""),
    ):
        file = with_payload(data, wrong)
        assert decode(file).count == 30
        with pytest.raises(CorruptError) as caught:
            read_attachments(file)
        assert caught.value.context["attachment"] == "x"
    for cut in (b"", b"\x05", payload(b"x", b"")[:20], b"\x01\0\xff" + bytes(60)):
        with pytest.raises(CorruptError):
            probe(with_payload(data, cut))


def test_a_bomb_is_refused_before_it_is_inflated(data: bytes) -> None:
    bomb = zlib.compress(bytes(1 << 24), 9)
    large = with_payload(data, payload(b"x", b"", size=1 << 40, deflated=bomb))
    with pytest.raises(LimitError, match="attachments"):
        probe(large)
    lying = with_payload(data, payload(b"x", b"", size=10, deflated=bomb))
    tracemalloc.start()
    with pytest.raises(CorruptError):
        read_attachments(lying)
    assert tracemalloc.get_traced_memory()[1] < 1 << 22
    tracemalloc.stop()
    together = sum(map(len, FILES.values()))
    assert read_attachments(data, Limits(attached_bytes=together)) == FILES
    with pytest.raises(LimitError):
        read_attachments(data, Limits(attached_bytes=together - 1))


def test_written_and_read_payloads_agree() -> None:
    from csgs_codec.container.fields import FieldReader

    made = Attachment.of("ä.bin", b"abc" * 100)
    read = Attachment.read(FieldReader(made.write(), "aTCH"), 7)
    assert (read.name, read.sha256, read.size, read.offset) == ("ä.bin", made.sha256, 300, 7)
    assert read.data() == b"abc" * 100


def test_files_of_the_same_name_are_not_attached(tmp_path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "head.npz").write_bytes(folder.encode())
    one = tmp_path / "a/head.npz"
    assert read_files([one]) == {"head.npz": b"a"}
    with pytest.raises(UsageError, match=r"head\.npz"):
        read_files([one, tmp_path / "b/head.npz"])
