"""Damaged files: one of four errors, never anything else."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest

from csgs_codec import (
    CorruptError,
    CsgsError,
    LimitError,
    TruncatedError,
    UnsupportedError,
    decode,
    encode,
    probe,
    truncate,
)
from csgs_codec.container.chunks import SIGNATURE, frame
from csgs_codec.container.fields import FieldReader
from csgs_codec.container.header import VERSION, Header, read_levels, write_levels
from csgs_codec.decoder import parse
from csgs_codec.limits import DEFAULT_LIMITS
from tests import scenes
from tests.conftest import Encoded

MUTATIONS = 300


def check(data: bytes) -> None:
    """Parse a whole file, which checks every CRC, and its end."""
    parser = parse(data)
    parser.require_end(len(data))


@pytest.fixture(scope="module")
def tiny() -> bytes:
    return encode(scenes.with_labels(scenes.inria(12, 0, normals=False))).data


def test_every_bit_flip_is_detected(tiny: bytes) -> None:
    check(tiny)
    for bit in range(8 * len(tiny)):
        damaged = bytearray(tiny)
        damaged[bit >> 3] ^= 1 << (bit & 7)
        with pytest.raises(CsgsError):
            check(bytes(damaged))


def test_every_cut_is_a_level_or_truncated(tiny: bytes) -> None:
    ends = [level.end for level in probe(tiny).levels]
    for size in range(len(tiny)):
        if size not in ends:
            with pytest.raises(TruncatedError):
                check(tiny[:size])
    for number, end in enumerate(ends, 1):
        assert decode(tiny[:end]).count == probe(tiny).levels[number - 1].gaussians
        if end < len(tiny):
            with pytest.raises(TruncatedError):
                decode(tiny[: end + 1])
            assert decode(tiny[: end + 1], allow_truncated=True).count
        with pytest.raises(TruncatedError):
            decode(tiny[: end - 1], level=number)


def test_bytes_behind_the_end(small: Encoded) -> None:
    with pytest.raises(CorruptError, match="behind the last level"):
        decode(small.data + b"x")


def chunks_of(data: bytes) -> list[tuple[str, bytes]]:
    return [(t, data[at + 8 : at + size - 4]) for t, at, size in probe(data).chunks]


def rebuild(chunks: list[tuple[str, bytes]]) -> bytes:
    return SIGNATURE + b"".join(frame(t, payload) for t, payload in chunks)


def test_rebuilding_is_faithful(small: Encoded) -> None:
    assert rebuild(chunks_of(small.data)) == small.data


def test_contents_that_are_damaged_under_a_right_crc(small: Encoded) -> None:
    random = np.random.default_rng(0)
    chunks = chunks_of(small.data)
    outcomes = {"error": 0, "decoded": 0}
    for _ in range(MUTATIONS):
        number = int(random.integers(len(chunks)))
        type_, payload = chunks[number]
        damaged = bytearray(payload)
        for _ in range(int(random.integers(1, 4))):
            damaged[int(random.integers(len(damaged)))] = int(random.integers(256))
        mutated = [*chunks[:number], (type_, bytes(damaged)), *chunks[number + 1 :]]
        try:
            decode(rebuild(mutated))
            outcomes["decoded"] += 1
        except CsgsError:
            outcomes["error"] += 1
    assert outcomes["error"] > MUTATIONS / 2


def test_contents_that_are_cut_under_a_right_crc(small: Encoded) -> None:
    chunks = chunks_of(small.data)
    for number, (type_, payload) in enumerate(chunks):
        shorter = [*chunks[:number], (type_, payload[:-1]), *chunks[number + 1 :]]
        with pytest.raises(CsgsError):
            decode(rebuild(shorter))


def test_claim_of_a_billion_gaussians() -> None:
    head = struct.pack("<HHQBI", *VERSION, 10**9, 4, 20_000)
    with pytest.raises(LimitError):
        decode(SIGNATURE + frame("HEAD", head))


def test_chunk_that_claims_to_be_huge() -> None:
    with pytest.raises(LimitError):
        decode(SIGNATURE + b"HEAD" + struct.pack("<I", 2**32 - 1))


def insert(data: bytes, type_: str) -> bytes:
    """Put a chunk behind the level table and move the level ends."""
    chunks = chunks_of(data)
    new = (type_, b"something new")
    moved = len(frame(*new))
    header = Header.read(FieldReader(chunks[0][1], "HEAD"), DEFAULT_LIMITS)
    levels = read_levels(FieldReader(chunks[1][1], "LEVS"), header)
    table = write_levels([replace(level, end=level.end + moved) for level in levels])
    return rebuild([chunks[0], ("LEVS", table), new, *chunks[2:]])


def test_unknown_chunks(small: Encoded) -> None:
    with pytest.raises(UnsupportedError):
        decode(insert(small.data, "NEWS"))
    extended = insert(small.data, "news")
    assert decode(extended).count == small.scene.count
    assert b"something new" in bytes(truncate(extended, level=1))


def test_other_versions_and_other_files(small: Encoded) -> None:
    chunks = chunks_of(small.data)
    later = (chunks[0][0], struct.pack("<H", 9) + chunks[0][1][2:])
    with pytest.raises(UnsupportedError, match=rf"9\.{VERSION[1]}"):
        decode(rebuild([later, *chunks[1:]]))
    minor = (chunks[0][0], struct.pack("<HH", VERSION[0], 7) + chunks[0][1][4:])
    assert probe(rebuild([minor, *chunks[1:]])).version == f"{VERSION[0]}.7"
    with pytest.raises(UnsupportedError, match="signature"):
        decode(b"ply\nformat ascii 1.0\n")


def test_schema_that_inflates_without_end(small: Encoded) -> None:
    chunks = chunks_of(small.data)
    bomb = struct.pack("<I", 100) + zlib.compress(bytes(10**7))
    with pytest.raises(CorruptError):
        decode(rebuild([*chunks[:2], ("SCHM", bomb), *chunks[3:]]))
