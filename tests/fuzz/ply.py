"""Mutations that know the header of a PLY."""

from __future__ import annotations

from random import Random

from tests.fuzz.mutate import mutate_bytes

_COUNTS = (b"0", b"1", b"-1", b"2", b"1000", b"65537", b"1000000000", b"4294967296", b"1.5", b"",
           b"99999999999999999999", b"1_0", b"0x10", b"+3", b"\xd9\xa3", b"nan")  # fmt: skip
_TYPES = (b"char", b"uchar", b"short", b"ushort", b"int", b"uint", b"float", b"double", b"int8",
          b"float64", b"float16", b"list", b"object", b"u1", b"O", b"")  # fmt: skip
_NAMES = (b"x", b"y", b"vertex", b"camera", b"label", b"a:b", b"__class__", b"\xff", b"x x", b"",
          b"f_dc_0", b"n" * 300)  # fmt: skip
_LINES = (b"property list uchar int more", b"property list double float odd", b"obj_info \xff\xfe",
          b"property list char int back", b"property float x", b"property double new", b"comment",
          b"element vertex 3", b"element face 1000000", b"element empty 5", b"element", b"format",
          b"format ascii 1.0", b"format binary_big_endian 1.0", b"end_header", b"ply",
          b"format binary_little_endian 2.0", b"property", b"", b"\0")  # fmt: skip
_TOKENS = (b"nan", b"inf", b"-inf", b"1e999", b"-1", b"256", b"1e40", b"abc", b"0x1p3", b"", b"1_0",
           b"99999999999999999999", b"1.5", b"\xff", b"3 1 2", b"-2 1", b"\n")  # fmt: skip


def mutate_ply(random: Random, files: list[bytes]) -> bytes:
    """One hostile PLY out of a corpus."""
    source = random.choice(files)
    chance = random.random()
    if chance < 0.2:
        return mutate_bytes(random, source)
    end = source.index(b"end_header\n") + 11
    head, body = source[:end], source[end:]
    if chance < 0.8:
        lines = head.split(b"\n")[:-1]
        for _ in range(random.randint(1, 3)):
            lines = _mutate_lines(random, lines, random.choice(files))
        ending = b"\n" if random.random() < 0.9 else random.choice((b"\r\n", b"\r", b"\n\n"))
        head = ending.join(lines) + ending
        if random.random() < 0.1:
            head = _other_ends(random, head)
    if chance > 0.65:
        text = b"format ascii" in head
        body = _mutate_text(random, body) if text else mutate_bytes(random, body)
    return head + body


def _other_ends(random: Random, head: bytes) -> bytes:
    """End one line as no other, perhaps before a word that matters."""
    at = random.choice([n for n, byte in enumerate(head) if byte in b"\r\n"])
    ending = random.choice((b"\n", b"\r", b"\r\n", b"\n\r", b"\x0b", b"\x1c", b"\x85"))
    word = random.choice((b"", b"", b"end_header", b"end_header\n", b" end_header"))
    return head[:at] + ending + word + head[at + random.randrange(2) :]


def _mutate_lines(random: Random, lines: list[bytes], other: bytes) -> list[bytes]:
    if not lines:
        return [b"ply"]
    at = random.randrange(len(lines))
    kind = random.randrange(8)
    if kind == 0:
        return lines[:at] + lines[at + 1 :]
    if kind == 1:
        return [*lines[:at], lines[at], *lines[at:]]
    if kind == 2:
        to = random.randrange(len(lines))
        out = list(lines)
        out[at], out[to] = out[to], out[at]
        return out
    if kind == 3:
        theirs = other[: other.index(b"end_header\n")].split(b"\n")
        return [*lines[:at], random.choice((*theirs, *_LINES)), *lines[at:]]
    words = lines[at].split(b" ")
    place = random.randrange(len(words))
    if words[0] == b"element" and random.random() < 0.7:
        place, pool = len(words) - 1, _COUNTS
        old = words[-1]
        if old.isdigit() and random.random() < 0.5:
            pool = (b"%d" % (int(old) + random.randint(-2, 2)),)
    elif words[0] == b"property" and random.random() < 0.7:
        pool = _TYPES if place < len(words) - 1 else _NAMES
    else:
        pool = (*_COUNTS, *_TYPES, *_NAMES)
    words[place] = random.choice(pool)
    return [*lines[:at], b" ".join(words), *lines[at + 1 :]]


def _mutate_text(random: Random, body: bytes) -> bytes:
    words = body.split(b" ")
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(words))
        if random.random() < 0.3:
            del words[at]
        else:
            words[at] = random.choice(_TOKENS)
        if not words:
            break
    return b" ".join(words)
