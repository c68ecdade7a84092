"""Mutations of plain bytes, and of what is deflated within them."""

from __future__ import annotations

import json
import struct
import zlib
from random import Random
from typing import Any

ZLIB_STARTS = (b"\x78\xda", b"\x78\x9c", b"\x78\x01")
_EXTREME = (0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 255, 256, 1023, 1024, 4096, 32767,
            65535, 65536, 65537, 1 << 20, (1 << 24) - 1, 1 << 28, (1 << 31) - 1, 1 << 31,
            (1 << 32) - 1, 1 << 32, 1 << 53, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)  # fmt: skip
_FLOATS = (0.0, -0.0, 1e-300, 1e300, -1e300, 5e-324, 1e38, 3.5e38, float("nan"), float("inf"))
_WORDS: tuple[Any, ...] = (
    None, True, False, -1, 0, 255, 1e999, 1.5, 2**53, 2**70, "", "x", "f4", "f8", "u8", "i1", "\n",
    "é", "0g", "00", [], {}, [[]], "vertex", "rot_0", "\0", "\ud800", "a" * 2000, ["x", "f4"],
)  # fmt: skip


def mutate_bytes(random: Random, data: bytes) -> bytes:
    """Change a few bytes or fields, or the length."""
    kind = random.randrange(8)
    if not data or kind == 0:
        at = random.randint(0, len(data))
        return data[:at] + random.randbytes(random.randint(1, 24)) + data[at:]
    if kind == 1:
        return data[: random.randrange(len(data))]
    if kind == 2:
        begin, end = sorted(random.randint(0, len(data)) for _ in range(2))
        return data[:begin] + data[end:] if random.random() < 0.5 else data[:end] + data[begin:]
    out = bytearray(data)
    for _ in range(random.randint(1, 4)):
        if kind in (3, 4):
            out[place(random, len(out))] ^= 1 << random.randrange(8)
        elif kind == 5:
            out[place(random, len(out))] = random.randrange(256)
        else:
            _edit_field(random, out)
    return bytes(out)


def place(random: Random, size: int) -> int:
    """Some byte; often one of the first, where counts and lengths stand."""
    return random.randrange(min(size, 48) if random.random() < 0.4 else size)


def _edit_field(random: Random, out: bytearray) -> None:
    """Put an extreme value where a number may stand, or change what stands there a little."""
    width = random.choice((1, 2, 4, 8))
    at = place(random, len(out))
    if at + width > len(out):
        return
    if random.random() < 0.1 and width >= 4:
        number = random.choice(_FLOATS)
        number = max(min(number, 3e38), -3e38) if width == 4 and abs(number) < 1e301 else number
        struct.pack_into("<f" if width == 4 else "<d", out, at, number)
        return
    old = int.from_bytes(out[at : at + width], "little")
    new = random.choice(_EXTREME) if random.random() < 0.6 else old + random.randint(-3, 3)
    out[at : at + width] = (new % (1 << 8 * width)).to_bytes(width, "little")


def mutate_deflated(random: Random, data: bytes) -> bytes:
    """Change what is deflated in a payload, and the lengths that announce it."""
    starts = [at for mark in ZLIB_STARTS for at in _places(data, mark)]
    random.shuffle(starts)
    for at in starts:
        engine = zlib.decompressobj()
        try:
            inside = engine.decompress(data[at:], 1 << 20)
        except zlib.error:
            continue
        if engine.eof:
            packed = len(data) - at - len(engine.unused_data)
            changed = _mutated_inside(random, inside)
            again = zlib.compress(changed, random.choice((0, 1, 9)))
            head = data[:at]
            if random.random() < 0.9:
                head = _announce(head, packed, len(again))
                head = _announce(head, len(inside), len(changed))
            return head + again + data[at + packed :]
    return mutate_bytes(random, data)


def _places(data: bytes, mark: bytes) -> list[int]:
    found, at = [], data.find(mark)
    while at >= 0 and len(found) < 4:
        found.append(at)
        at = data.find(mark, at + 1)
    return found


def _mutated_inside(random: Random, inside: bytes) -> bytes:
    if inside[:1] == b"{" and random.random() < 0.8:
        try:
            document = json.loads(inside)
        except ValueError:
            return mutate_bytes(random, inside)
        for _ in range(random.randint(1, 2)):
            document = mutate_json(random, document)
        return json.dumps(document).encode("utf-8", "surrogatepass")
    return mutate_bytes(random, inside)


def _announce(head: bytes, old: int, new: int) -> bytes:
    """Correct the length just before a block."""
    for code in ("<Q", "<I"):
        size = struct.calcsize(code)
        if len(head) >= size and head[-size:] == struct.pack(code, old):
            return head[:-size] + struct.pack(code, new)
    return head


def mutate_json(random: Random, value: Any) -> Any:
    """Change one place of a JSON document."""
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(sorted(value))
        if random.random() < 0.15:
            return {k: v for k, v in value.items() if k != key}
        return {**value, key: mutate_json(random, value[key])}
    if isinstance(value, list) and value and random.random() < 0.9:
        at = random.randrange(len(value))
        chance = random.random()
        if chance < 0.15:
            return value[:at] + value[at + 1 :]
        if chance < 0.3:
            return [*value, value[at]]
        if chance < 0.4:
            return random.sample(value, len(value))
        return [*value[:at], mutate_json(random, value[at]), *value[at + 1 :]]
    return random.choice(_WORDS)
