"""Files that are wrong inside, under right CRCs: an error of the codec, or a decoded scene, soon.

Besides random bytes the mutations set fields to extreme values, lengthen and shorten payloads, swap
and repeat chunks, and change what is deflated, so that they reach behind the first checks.
"""

from __future__ import annotations

import json
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable

import numpy as np
import pytest

from csgs_codec import (
    CorruptError,
    CsgsError,
    EncodeOptions,
    LimitError,
    Scene,
    TruncatedError,
    UnsupportedError,
    decode,
    encode,
    probe,
    read_attachments,
    truncate,
)
from csgs_codec import open as open_stream
from csgs_codec.container.chunks import SIGNATURE, frame
from csgs_codec.scene import PlyLayout
from tests import scenes
from tests.conftest import Encoded, semantic_scene

SECONDS = 2.0
MEGABYTES = 64
Chunks = list[tuple[str, bytes]]
Mutation = Callable[[np.random.Generator, bytes], bytes]


@pytest.fixture(scope="module")
def file() -> bytes:
    """Every kind of chunk and of exact data, within a few kilobytes."""
    source = semantic_scene(24)
    layout = PlyLayout(comments=("a comment",), vertex_index=1)
    elements = (scenes.other_element("frame", 2), scenes.other_element("camera", 3))
    options = EncodeOptions(order="keep", attachments={"head.bin": bytes(range(200))})
    return encode(Scene(source.columns, layout, elements), options).data


def chunks_of(data: bytes) -> Chunks:
    return [(t, data[at + 8 : at + size - 4]) for t, at, size in probe(data).chunks]


def rebuild(chunks: Chunks) -> bytes:
    """Frame chunks anew."""
    framed = [frame(t, payload) for t, payload in chunks]
    return SIGNATURE + b"".join(framed)


def moved_ends(payload: bytes, ends: list[int]) -> bytes:
    """Level table with other ends: entries of 66 bytes behind a count, each beginning with one."""
    size = (len(payload) - 1) // payload[0]
    out = bytearray(payload)
    for number, end in enumerate(ends):
        struct.pack_into("<Q", out, 1 + number * size, end)
    return bytes(out)


def replace_chunk(data: bytes, number: int, payload: bytes) -> bytes:
    """Give a chunk another payload and shift the level ends behind it."""
    chunks = chunks_of(data)
    type_, old = chunks[number]
    at = probe(data).chunks[number][1]
    grown = len(payload) - len(old)
    chunks[number] = (type_, payload)
    if type_ not in ("HEAD", "LEVS"):
        ends = [lv.end + (grown if lv.end > at else 0) for lv in probe(data).levels]
        table = next(n for n, (t, _) in enumerate(chunks) if t == "LEVS")
        chunks[table] = ("LEVS", moved_ends(chunks[table][1], ends))
    return rebuild(chunks)


def outcome(data: bytes) -> str:
    """Decode; anything but a scene or one of the codec's errors fails the test that calls."""
    begin = time.perf_counter()
    try:
        scene = decode(data, allow_truncated=True)
        read_attachments(data)
        assert all(len(column) == scene.count for column in scene.columns.values())
        found = "decoded"
    except CsgsError as error:
        assert str(error)
        found = type(error).__name__
    assert time.perf_counter() - begin < SECONDS
    return found


def random_bytes(random: np.random.Generator, payload: bytes) -> bytes:
    damaged = bytearray(payload)
    for _ in range(int(random.integers(1, 5))):
        damaged[int(random.integers(len(damaged)))] = int(random.integers(256))
    return bytes(damaged)


def early_bytes(random: np.random.Generator, payload: bytes) -> bytes:
    """Where counts and lengths stand."""
    damaged = bytearray(payload)
    damaged[int(random.integers(min(40, len(damaged))))] ^= 1 << int(random.integers(8))
    return bytes(damaged)


def extreme_fields(random: np.random.Generator, payload: bytes) -> bytes:
    damaged = bytearray(payload)
    width = int(random.choice([1, 2, 4, 8]))
    at = int(random.integers(max(len(damaged) - width, 0) + 1))
    patterns = (
        b"\0" * 8,
        b"\xff" * 8,
        b"\xff" * (width - 1) + b"\x7f",
        b"\0" * (width - 1) + b"\x80",
    )
    damaged[at : at + width] = patterns[int(random.integers(4))][:width]
    return bytes(damaged)


def other_lengths(random: np.random.Generator, payload: bytes) -> bytes:
    cut = int(random.integers(len(payload) + 1))
    added = random.integers(0, 256, int(random.integers(0, 20)), np.uint8).tobytes()
    return (payload[:cut], payload[:cut] + added + payload[cut:], payload + added)[
        int(random.integers(3))
    ]


MUTATIONS: dict[str, Mutation] = {
    f.__name__: f for f in (random_bytes, early_bytes, extreme_fields, other_lengths)
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_payloads_that_are_wrong(file: bytes, name: str) -> None:
    random = np.random.default_rng(list(name.encode()))
    chunks = chunks_of(file)
    found: dict[str, int] = {}
    for turn in range(160):
        number = turn % len(chunks)
        changed = MUTATIONS[name](random, chunks[number][1])
        result = outcome(replace_chunk(file, number, changed))
        found[result] = found.get(result, 0) + 1
    assert found.get("CorruptError", 0) > 40, found


def test_payloads_of_trained_networks_that_are_wrong(trained: Encoded) -> None:
    """Large networks and real neighbours, in the first level."""
    data = bytes(truncate(trained.data, level=1))
    random = np.random.default_rng(1)
    chunks = chunks_of(data)
    numbers = [n for n, (t, _) in enumerate(chunks) if t in ("NETW", "GRUP", "DATA", "KDTB")]
    for turn in range(80):
        number = numbers[turn % len(numbers)]
        mutate = (random_bytes, early_bytes, extreme_fields)[turn % 3]
        outcome(replace_chunk(data, number, mutate(random, chunks[number][1])))


def test_chunks_that_are_lost_doubled_or_swapped(file: bytes) -> None:
    """Nothing that a decoder needs can be missing without notice."""
    chunks = chunks_of(file)
    for number in range(len(chunks)):
        lost = chunks[:number] + chunks[number + 1 :]
        doubled = [*chunks[: number + 1], *chunks[number:]]
        for wrong in (lost, doubled):
            with pytest.raises(CsgsError):
                decode(rebuild(wrong), verify=True)
    kinds = [t for t, _ in chunks]
    for number in range(len(chunks) - 1):
        # descriptions within one pass may stand in any order, ancillary chunks in many places
        pair = {kinds[number], kinds[number + 1]}
        if not pair <= {"GRUP", "NETW"} and all(kind[0].isupper() for kind in pair):
            swapped = list(chunks)
            swapped[number : number + 2] = swapped[number + 1], swapped[number]
            with pytest.raises(CsgsError):
                decode(rebuild(swapped), verify=True)


def mutated_json(random: np.random.Generator, value: object) -> object:
    """Change one place of a JSON document."""
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = sorted(value)[int(random.integers(len(value)))]
        if random.random() < 0.15:
            return {k: v for k, v in value.items() if k != key}
        return {**value, key: mutated_json(random, value[key])}
    if isinstance(value, list) and value and random.random() < 0.9:
        place = int(random.integers(len(value)))
        if random.random() < 0.2:
            return value[:place] + value[place + 1 :]
        if random.random() < 0.2:
            return [*value, value[place]]
        return [*value[:place], mutated_json(random, value[place]), *value[place + 1 :]]
    others: list[object] = [None, True, -1, 1e999, 2**70, "", "x", "f4", "u8", "\n", "é", "0g", [],
                            {}, [[]], "vertex", "rot_0", "\0"]  # fmt: skip
    return others[int(random.integers(len(others)))]


def test_schemas_that_are_wrong(file: bytes) -> None:
    random = np.random.default_rng(2)
    number, payload = next((n, p) for n, (t, p) in enumerate(chunks_of(file)) if t == "SCHM")
    document = json.loads(zlib.decompress(payload[4:]))
    refused = 0
    for _ in range(160):
        text = json.dumps(mutated_json(random, document)).encode()
        changed = struct.pack("<I", len(text)) + zlib.compress(text)
        refused += outcome(replace_chunk(file, number, changed)) == "CorruptError"
    assert refused > 80
    deep = b"[" * 100_000
    changed = struct.pack("<I", len(deep)) + zlib.compress(deep)
    assert outcome(replace_chunk(file, number, changed)) == "CorruptError"


DEFLATED_AT = {0: 4, 1: 9, 2: 5, 3: 2}


def test_exact_data_that_is_wrong_under_its_deflation(file: bytes) -> None:
    random = np.random.default_rng(3)
    places = [n for n, (t, _) in enumerate(chunks_of(file)) if t == "XDAT"]
    kinds = set()
    for turn in range(160):
        number = places[turn % len(places)]
        payload = chunks_of(file)[number][1]
        kinds.add(payload[0])
        start = DEFLATED_AT[payload[0]]
        if payload[0] == 3 and payload[1] == 1:
            changed = payload[:2] + random_bytes(random, payload[2:])
        elif payload[0] == 0 and payload[3] == 1:
            changed = payload[:4] + random_bytes(random, payload[4:])
        else:
            inside = random_bytes(random, zlib.decompress(payload[start:]))
            changed = payload[:start] + zlib.compress(inside)
        outcome(replace_chunk(file, number, changed))
    assert kinds == {0, 1, 2, 3}


def test_other_elements_of_any_content(file: bytes) -> None:
    number = next(
        n for n, (t, p) in enumerate(chunks_of(file)) if t == "XDAT" and p[0] == 1
    )  # fmt: skip
    head = b"ply\nformat binary_little_endian 1.0\n"
    for ply in (
        b"",
        b"ply",
        head,
        head + b"end_header\n",
        head + b"element a 1000000000\nproperty float x\nend_header\n",
        head + b"element a 99999999999999999999\nproperty float x\nend_header\n",
        head + b"element a -1\nproperty float x\nend_header\n",
        head + b"element a 1\nproperty list uint float x\nend_header\n\xff\xff\xff\xff",
        head + b"element a 1\nproperty wrong x\nend_header\n\0\0\0\0",
        head + b"element vertex 1\nproperty float x\nend_header\n\0\0\0\0",
        head + b"element a 1000000000\nend_header\n",
        head + b"".join(b"element a%d 60000\n" % n for n in range(2000)) + b"end_header\n",
        b"ply\nformat ascii 1.0\nelement a 1\nproperty float x\nend_header\nword\n",
        b"ply\nformat \xff 1.0\nend_header\n",
    ):
        payload = b"\x01" + struct.pack("<Q", len(ply)) + zlib.compress(ply)
        assert outcome(replace_chunk(file, number, payload)) in ("CorruptError", "decoded"), ply
    huge = b"\x01" + struct.pack("<Q", 1 << 40) + zlib.compress(b"")
    assert outcome(replace_chunk(file, number, huge)) == "LimitError"


def test_promises_allocate_nothing(file: bytes) -> None:
    """Counts within the limits, but without the bytes for them."""
    chunks = chunks_of(file)
    head = bytearray(chunks[0][1])
    tracemalloc.start()
    for gaussians in (10**6, 10**8, 1 << 28, (1 << 28) + 1, 10**9, 1 << 63, (1 << 64) - 1):
        struct.pack_into("<Q", head, 4, gaussians)
        for tiles in (1, 10**6, (1 << 32) - 1):
            struct.pack_into("<I", head, 13, tiles)
            data = rebuild([("HEAD", bytes(head)), *chunks[1:]])
            assert outcome(data) in ("CorruptError", "LimitError")
            if gaussians > 1 << 28:
                with pytest.raises(LimitError):
                    decode(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MEGABYTES << 20


def test_truncation(file: bytes) -> None:
    """Plain decoding, streaming, describing and cutting agree about where a file may end."""
    ends = [level.end for level in probe(file).levels]
    whole = {end: decode(file, level=n) for n, end in enumerate(ends, 1)}
    near = {end + step for end in ends for step in (-1, 0, 1)}
    for size in sorted((near | set(range(0, len(file), 9))) - {len(file) + 1}):
        cut = file[:size]
        complete = [end for end in ends if end <= size]
        if size not in ends:
            with pytest.raises(TruncatedError):
                decode(cut)
        if not complete:
            with pytest.raises(TruncatedError):
                decode(cut, allow_truncated=True)
        elif size in near:
            found = decode(cut, allow_truncated=True)
            for name, column in whole[complete[-1]].columns.items():
                assert found.columns[name].tobytes() == column.tobytes()
            assert sum(level.complete for level in probe(cut).levels) == len(complete)
            assert bytes(truncate(cut, size=size)) == file[: complete[-1]]


@pytest.mark.parametrize("extra", [1, 12, 5000])
def test_bytes_behind_the_end_of_a_stream(file: bytes, extra: int) -> None:
    stream = open_stream()
    stream.feed(file + bytes(extra))
    with pytest.raises(CorruptError, match=f"{extra} bytes behind the last level"):
        stream.close()


def test_a_stream_that_comes_in_small_pieces(file: bytes) -> None:
    """A chunk is not looked at again with each of its bytes; what comes too late is no crash."""
    stream = open_stream()
    data = file + b"more"
    scenes_ = [scene for at in range(len(data)) for scene in stream.feed(data[at : at + 1])]
    assert len(scenes_) == len(probe(file).levels) and stream.done
    with pytest.raises(CorruptError, match="4 bytes behind the last level"):
        stream.close()


def test_a_large_chunk_in_a_stream_takes_time_that_grows_with_it() -> None:
    stream = open_stream()
    stream.feed(SIGNATURE + b"HEAD" + struct.pack("<I", 1 << 28))
    begin = time.perf_counter()
    for _ in range(4000):
        stream.feed(bytes(1 << 10))
    assert time.perf_counter() - begin < SECONDS


def inserted(data: bytes, number: int, type_: str) -> bytes:
    """Put a chunk before another one; the levels that it falls into end later."""
    chunks, places = chunks_of(data), probe(data).chunks
    at = places[number][1]
    moved = len(frame(type_, b"something"))
    ends = [lv.end + (moved if lv.end > at else 0) for lv in probe(data).levels]
    chunks[1] = ("LEVS", moved_ends(chunks[1][1], ends))
    chunks.insert(number, (type_, b"something"))
    return rebuild(chunks)


def test_unknown_chunks_anywhere(file: bytes) -> None:
    expected = decode(file, verify=True)
    for number in range(2, len(chunks_of(file))):
        with pytest.raises(UnsupportedError):
            decode(inserted(file, number, "NEWS"))
        extended = inserted(file, number, "news")
        found = decode(extended, verify=True)
        assert all(
            found.columns[name].tobytes() == column.tobytes()
            for name, column in expected.columns.items()
        )
        last = len(probe(extended).levels)
        assert bytes(truncate(extended, level=last)) == extended
    with pytest.raises(CorruptError):
        decode(rebuild([chunks_of(file)[0], ("news", b""), *chunks_of(file)[1:]]))


@pytest.mark.parametrize("version", [(0, 0), (0, 3), (2, 0), (65535, 65535)])
def test_other_versions(file: bytes, version: tuple[int, int]) -> None:
    chunks = chunks_of(file)
    head = struct.pack("<HH", *version) + chunks[0][1][4:]
    with pytest.raises(UnsupportedError, match=rf"{version[0]}\.{version[1]}"):
        decode(rebuild([("HEAD", head), *chunks[1:]]))
