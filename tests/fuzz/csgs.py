"""Mutations that know chunks: most of what they give passes framing and the first checks."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from random import Random

from csgs_codec.container.chunks import SIGNATURE
from csgs_codec.decoder import parse
from csgs_codec.levels import coverage
from tests.fuzz.mutate import mutate_bytes, mutate_deflated

LEVEL_ENTRY = 66
DIGEST_AT = 34


@dataclass(frozen=True)
class Part:
    """A chunk, and the level (from 0) that ends behind it."""

    type: bytes
    payload: bytes
    closes: int | None = None
    crc: int | None = None

    def framed(self, repair: bool) -> bytes:
        """Bytes of the chunk; unrepaired it keeps the CRC of what it was made from."""
        head = self.type + struct.pack("<I", len(self.payload) % (1 << 32))
        crc = self.crc
        if repair or crc is None:
            crc = zlib.crc32(self.payload, zlib.crc32(head))
        return head + self.payload + struct.pack("<I", crc)


@lru_cache(maxsize=64)
def parts_of(data: bytes) -> tuple[Part, ...]:
    """Take an intact file apart."""
    parser = parse(data)
    ends = {level.end: number for number, level in enumerate(parser.levels)}
    return tuple(
        Part(
            type_.encode(),
            data[at + 8 : at + size - 4],
            ends.get(at + size),
            *struct.unpack_from("<I", data, at + size - 4),
        )
        for type_, at, size in parser.chunks
    )


def assemble(parts: list[Part], repair: bool = True, move_ends: bool = True) -> bytes:
    """Frame the chunks again; level ends follow where they belong."""
    if move_ends:
        at, ends = len(SIGNATURE), {}
        for part in parts:
            at += len(part.payload) + 12
            if part.closes is not None:
                ends[part.closes] = at
        parts = [_with_ends(p, ends) if p.type == b"LEVS" else p for p in parts]
    return SIGNATURE + b"".join(part.framed(repair) for part in parts)


def _with_ends(part: Part, ends: dict[int, int]) -> Part:
    out = bytearray(part.payload)
    for level, end in ends.items():
        at = 1 + level * LEVEL_ENTRY
        if at + 8 <= len(out):
            struct.pack_into("<Q", out, at, end)
    return replace(part, payload=bytes(out))


def with_digests(data: bytes, digests: list[bytes]) -> bytes:
    """Write other digests into the level table of a file."""
    head = len(SIGNATURE) + 12 + struct.unpack_from("<I", data, len(SIGNATURE) + 4)[0]
    size = struct.unpack_from("<I", data, head + 4)[0]
    payload = bytearray(data[head + 8 : head + 8 + size])
    for level, digest in enumerate(digests):
        at = 1 + level * LEVEL_ENTRY + DIGEST_AT
        payload[at : at + len(digest)] = digest
    return data[:head] + Part(b"LEVS", bytes(payload)).framed(True) + data[head + 12 + size :]


def mutate_file(random: Random, files: list[bytes]) -> bytes:
    """One hostile file out of a corpus."""
    source = random.choice(files)
    if random.random() < 0.04:
        return mutate_bytes(random, source)
    parts = list(parts_of(source))
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 5))):
        if not parts:
            break
        parts = random.choices(_OPERATIONS, _WEIGHTS)[0](random, parts, files, source)
    data = assemble(parts, random.random() < 0.9, random.random() < 0.93)
    if random.random() < 0.05:
        data = data[: random.randint(0, len(data))]
    return data


Operation = Callable[[Random, list[Part], list[bytes], bytes], list[Part]]


def _payload(random: Random, parts: list[Part], files: list[bytes], source: bytes) -> list[Part]:
    at = _some(random, parts)
    return _changed(parts, at, mutate_bytes(random, parts[at].payload))


def _deflated(random: Random, parts: list[Part], files: list[bytes], source: bytes) -> list[Part]:
    kinds = [n for n, p in enumerate(parts) if p.type in (b"SCHM", b"XDAT", b"aTCH", b"oBJT")]
    at = random.choice(kinds) if kinds and random.random() < 0.8 else _some(random, parts)
    return _changed(parts, at, mutate_deflated(random, parts[at].payload))


def _drop(random: Random, parts: list[Part], files: list[bytes], source: bytes) -> list[Part]:
    at = random.randrange(len(parts))
    closes = parts[at].closes
    rest = parts[:at] + parts[at + 1 :]
    if at and closes is not None:
        rest[at - 1] = replace(rest[at - 1], closes=closes)
    return rest


def _double(random: Random, parts: list[Part], files: list[bytes], source: bytes) -> list[Part]:
    at, to = random.randrange(len(parts)), random.randint(0, len(parts))
    return [*parts[:to], replace(parts[at], closes=None), *parts[to:]]


def _swap(random: Random, parts: list[Part], files: list[bytes], source: bytes) -> list[Part]:
    a, b = (random.randrange(len(parts)) for _ in range(2))
    out = list(parts)
    out[a], out[b] = (
        replace(parts[b], closes=parts[a].closes),
        replace(parts[a], closes=parts[b].closes),
    )
    return out


def _splice(random: Random, parts: list[Part], files: list[bytes], source: bytes) -> list[Part]:
    """Put in the payload of a chunk, mostly of the same type, of some file."""
    at = _some(random, parts)
    others = [p for p in parts_of(random.choice(files)) if p.type == parts[at].type]
    others = others or list(parts_of(source))
    return _changed(parts, at, random.choice(others).payload)


def _insert(random: Random, parts: list[Part], files: list[bytes], source: bytes) -> list[Part]:
    to = random.randint(0, len(parts))
    type_ = random.choice((b"news", b"NEWS", b"aTCH", b"oBJT", b"DATA", b"XDAT", b"ab1d"))
    return [*parts[:to], Part(type_, random.randbytes(random.randint(0, 40))), *parts[to:]]


def _recount(random: Random, parts: list[Part], files: list[bytes], source: bytes) -> list[Part]:
    """Another number of Gaussians in a tile layer, told everywhere: streams are too short or long.

    Tables in which it cannot be told any more are left as they are.
    """
    parser = parse(source)
    header = parser.header
    if not header.tiles:
        return parts
    tile, layer = random.randrange(header.tiles), random.randrange(header.layers)
    most = 40 if random.random() < 0.97 else 66_000
    change = max(random.randint(-12, most), -int(parser.tiles.counts[tile, layer]))
    out = []
    for part in parts:
        payload = bytearray(part.payload)
        if part.type == b"HEAD" and len(payload) >= 12:
            _add(payload, 4, "<Q", change)
        elif part.type == b"LEVS":
            for number, level in enumerate(parser.levels):
                if coverage(header, level.passes).layers > layer:
                    _add(payload, 1 + number * LEVEL_ENTRY + 8, "<Q", change)
        elif part.type == b"TILE":
            _add(payload, 15 * header.tiles + 4 * (tile * header.layers + layer), "<I", change)
        out.append(replace(part, payload=bytes(payload)))
    return out


def _add(payload: bytearray, at: int, code: str, change: int) -> None:
    size = struct.calcsize(code)
    if at + size <= len(payload):
        value = struct.unpack_from(code, payload, at)[0] + change
        struct.pack_into(code, payload, at, value % (1 << 8 * size))


def _some(random: Random, parts: list[Part]) -> int:
    """A chunk: first a type, then one of its chunks."""
    kinds = sorted({part.type for part in parts})
    kind = random.choice(kinds)
    return random.choice([n for n, part in enumerate(parts) if part.type == kind])


def _changed(parts: list[Part], at: int, payload: bytes) -> list[Part]:
    return [*parts[:at], replace(parts[at], payload=payload), *parts[at + 1 :]]


_OPERATIONS: tuple[Operation, ...] = (
    _payload, _deflated, _drop, _double, _swap, _splice, _insert, _recount
)  # fmt: skip
_WEIGHTS = (55, 14, 3, 3, 4, 9, 4, 8)
