#!/usr/bin/env python3
# ruff: noqa: B023, B905, D101, D102, D103, D209, D400, D403, E741, RUF005
# ruff: noqa: SIM102, SIM108, SIM300, SIM905
"""Educational decoder for CSGS 1.0: the specification as a program.

It decodes every conforming file and makes every check that the specification demands, in plain
Python with nothing but the standard library. It was written from csgs-bitstream.md ("bitstream" or
no prefix below), numerics.md ("numerics") and registry.md alone, stands in their order and uses
their names. It is meant to be read and to be compared with, not to be fast.

    python csgs_decode.py IN.csgs [OUT.ply] [--level L] [--no-compensation] [--allow-truncated]
                          [--integers OUT.json]

Exit codes (registry, outcomes): 0 decoded, 2 usage, 3 truncated, 4 corrupt, 5 unsupported, 6 limit.
"""

import argparse
import hashlib
import json
import math
import os
import re
import struct
import sys
import unicodedata
import zlib
from array import array
from bisect import bisect_left, bisect_right
from itertools import accumulate
from operator import mul

# ------------------------------------------------------------------------------------------------
# 1 Conventions; numerics 1, fixed point. Python's //, % and >> round toward minus infinity, and its
# integers have no width: they are the operators of numerics 1 as they stand.
# ------------------------------------------------------------------------------------------------


def shr(a, n):
    """Rounding shift: (a + (2^n >> 1)) >> n."""
    return (a + ((1 << n) >> 1)) >> n


def clip(a, lo, hi):
    return min(max(a, lo), hi)


def ilog2(a):
    return a.bit_length() - 1


def bitlen(a):
    return a.bit_length()


def ceil_div(a, b):
    return -((-a) // b)


def as_i64(a):
    """Modulo 2^64, read as i64."""
    return ((a + (1 << 63)) & ((1 << 64) - 1)) - (1 << 63)


# ------------------------------------------------------------------------------------------------
# 3.4 Outcomes
# ------------------------------------------------------------------------------------------------


class Outcome(Exception):
    """Why a file was not decoded."""

    name, exit_code = "", 1


class Truncated(Outcome):
    name, exit_code = "truncated", 3


class Corrupt(Outcome):
    name, exit_code = "corrupt", 4


class Unsupported(Outcome):
    name, exit_code = "unsupported", 5


class Limit(Outcome):
    name, exit_code = "limit", 6


class Place:
    """What is being read, for messages."""

    section, offset = "signature", 0


def corrupt_if(condition, why):
    """The file is corrupt if ..."""
    if condition:
        raise Corrupt(why)


# ------------------------------------------------------------------------------------------------
# 11 Limits
# ------------------------------------------------------------------------------------------------

LIMIT_GAUSSIANS = 1 << 28
LIMIT_VALUES = 1 << 31
LIMIT_DUE_LIST = 1 << 22
LIMIT_PAYLOAD = 1 << 30
LIMIT_ELEMENTS = 1 << 32
LIMIT_LIST_ROWS = 1 << 20
LIMIT_MODELS = 1 << 24
LIMIT_ATTACHMENTS = 1024
LIMIT_ATTACHED_BYTES = 1 << 30
MAX_SCHEMA_TEXT = 1 << 24
MAX_LEVS_END = 1 << 16
MAX_TILE_GAUSSIANS = 1 << 16
MAX_SIDE_STREAM = 1 << 20
MAX_INPUTS = 4096
MAX_OBJECTS = 1 << 16
MAX_OBJECT_TEXT = 1 << 24


def limit_if(condition, what):
    if condition:
        raise Limit("more than this decoder agrees to hold: " + what)


# ------------------------------------------------------------------------------------------------
# 3.1 Fields
# ------------------------------------------------------------------------------------------------


class Fields:
    """The fields of a payload, one after the other. All numbers are little-endian."""

    def __init__(self, data, offset=0):
        self.data, self.at, self.offset = data, 0, offset

    def raw(self, n):
        Place.offset = self.offset + self.at
        # corrupt if a field or blob reaches beyond the payload of its chunk
        corrupt_if(n > len(self.data) - self.at, "a field reaches beyond its payload")
        self.at += n
        return self.data[self.at - n : self.at]

    def values(self, form, n):
        """form[n]; corrupt if an f32 or f64 field is not finite."""
        size = struct.calcsize("<" + form)
        found = struct.unpack(f"<{n}{form}", self.raw(n * size))
        if form in "fd":
            corrupt_if(not all(map(math.isfinite, found)), "a float field is not finite")
        return found

    def value(self, form, lo=None, hi=None):
        """One field; corrupt if it is outside the range that its table gives."""
        v = self.values(form, 1)[0]
        corrupt_if(lo is not None and v < lo, "a field is below its range")
        corrupt_if(hi is not None and v > hi, "a field is above its range")
        return v

    def blob(self):
        """A u32 byte length and that many bytes."""
        return self.raw(self.value("I"))

    def rest(self):
        return self.raw(len(self.data) - self.at)

    def end(self):
        Place.offset = self.offset + self.at
        # corrupt if bytes of a payload remain after its last field
        corrupt_if(self.at != len(self.data), "bytes remain behind the last field")


def inflate(block, size):
    """A zlib block: one complete RFC 1950 stream without preset dictionary."""
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(block, size + 1)
    except zlib.error as error:
        raise Corrupt(f"a zlib block is damaged: {error}") from None
    corrupt_if(len(data) != size, f"a zlib block does not inflate to {size} bytes")
    corrupt_if(not inflater.eof, "a zlib block is incomplete or inflates to too many bytes")
    corrupt_if(inflater.unused_data, "a zlib block is followed by other bytes")
    return data


def byte_planes(data, n, size):
    """Undoes byte planes: all first bytes of the values, then all second bytes, and so on."""
    out = bytearray(n * size)
    for b in range(size):
        out[b::size] = data[b * n : (b + 1) * n]
    return bytes(out)


def parse_json(data, finite):
    """UTF-8 JSON, one object. The last of members with the same name counts (†)."""

    def number(text):
        v = float(text)
        corrupt_if(finite and not math.isfinite(v), "a number of the JSON text is not finite")
        return v

    def integer(text):
        return int(text) if len(text) < 400 else number(text)

    def constant(text):
        raise Corrupt(f"{text} is not JSON")

    try:
        value = json.loads(
            str(data, "utf-8"), parse_float=number, parse_int=integer, parse_constant=constant
        )
    except (ValueError, RecursionError) as error:
        raise Corrupt(f"not UTF-8 JSON: {str(error)[:80]}") from None
    corrupt_if(not isinstance(value, dict), "the JSON text is not an object")
    return value


def is_int(v):
    return isinstance(v, int) and not isinstance(v, bool)


def is_strings(v):
    return isinstance(v, list) and all(isinstance(s, str) for s in v)


# ------------------------------------------------------------------------------------------------
# numerics 3 Frequency tables
# ------------------------------------------------------------------------------------------------


class Table:
    """numerics 3.1: frequencies f[s] >= 1 of sum 2^14, cumulative frequencies F."""

    def __init__(self, f):
        assert min(f) >= 1 and sum(f) == 1 << 14
        self.f, self.F = list(f), [0, *accumulate(f)]


def normalise(c):
    """numerics 3.2 Normalisation of weights."""
    A = len(c)
    # 1. If all weights are 0, replace each by 1.
    if not any(c):
        c = [1] * A
    # 2. f[s] = 1 + (c[s] * (2^14 - A)) // (c[0] + ... + c[A-1]).
    total = sum(c)
    f = [1 + (w * ((1 << 14) - A)) // total for w in c]
    # 3. Add 2^14 - sum f to f[m], m the first symbol with the largest weight.
    f[c.index(max(c))] += (1 << 14) - sum(f)
    return Table(f)


# numerics 3.3 Laplace tables: index 0 is not coded.
START_Q28 = [
    0,
    *map(
        int,
        """
    227989 493124 980493 1808704 3120886 5073890 7823066 11505301 16223412 22034524 28944022
    36905448 45825630 55573651 65991961 76908046 88145345 99532561 110910883 122139012 133096139
    143683146 153822417 163456626 172546844 181070267 189017784 196391575 203202831 209469697
    215215452 220466958 225253358 229605013 233552659 237126746 240356939 243271758 245898328
    248262213 250387329 252295910 254008513 255544058 256919890 258151855 259254386 260240596
    261122368 261910453 262614561 263243444 263804984 264306267 264753663 265152884 265509057
    265826774 266110148 266362860 266588203 266789122 266968247""".split(),
    ),
]
RATIO_Q24 = [
    0,
    *map(
        int,
        """
    12 57 224 762 2268 5994 14249 30820 61281 113044 195055 317118 488942 719081 1013963 1377158
    1809001 2306591 2864102 3473353 4124498 4806753 5509084 6220785 6931930 7633688 8318509 8980197
    9613901 10216039 10784178 11316892 11813612 12274473 12700177 13091856 13450966 13779185
    14078335 14350313 14597041 14820422 15022309 15204485 15368646 15516388 15649208 15768494
    15875532 15971504 16057493 16134491 16203399 16265037 16320148 16369403 16413410 16452715
    16487811 16519142 16547104 16572055 16594316""".split(),
    ),
]


def laplace_table(t):
    """Symbol s in 0 .. 2h is the residual s - h; symbol 2h + 1 is the escape."""
    T = [START_Q28[t]]
    while len(T) <= 126 and (T[-1] >= 1 << 18 or len(T) < 2):
        T.append((T[-1] * RATIO_Q24[t]) >> 24)
    h = len(T) - 1
    spare = (1 << 14) - (2 * h + 2)
    side = [0] + [1 + (((T[j - 1] - T[j]) * spare) >> 29) for j in range(1, h + 1)]
    escape = 1 + ((T[h] * spare) >> 28)
    middle = (1 << 14) - 2 * sum(side) - escape
    table = Table([side[abs(s - h)] if s != h else middle for s in range(2 * h + 1)] + [escape])
    table.h = h
    return table


LAPLACE = [None] + [laplace_table(t) for t in range(1, 64)]


def position_tables(payload):
    """numerics 3.4: 104 tables, numbered 8 * count_class + share_class; 4.8 KDTB."""
    bits = Bits(payload)
    tables = []
    for number in range(104):
        count_class = number // 8
        A = count_class + 2 if count_class < 8 else 16
        if bits.field(1):
            # A weights follow, each an Exp-Golomb code of order 4.
            weights = [bits.exp_golomb(4) for _ in range(A)]
        else:
            weights = [math.comb(A - 1, s) for s in range(A)]
        tables.append(normalise(weights))
    bits.end()
    return tables


# ------------------------------------------------------------------------------------------------
# numerics 4 rANS
# ------------------------------------------------------------------------------------------------


class Rans:
    """32 interleaved states, then words, in the order in which the decoder reads them."""

    def __init__(self, stream):
        n = len(stream)
        # 4.1: n = 0 stands for 32 states of 2^16 and no words.
        self.states, self.words = [1 << 16] * 32, ()
        if n > 0:
            corrupt_if(n < 128 or n % 2, "the length of a rANS stream is odd or below 128")
            self.states = list(struct.unpack("<32I", stream[:128]))
            self.words = struct.unpack(f"<{(n - 128) // 2}H", stream[128:])
            corrupt_if(min(self.states) < 1 << 16, "a rANS state is below 2^16")
        self.asked = 0

    def stage(self, tables):
        """4.2, 4.3: one symbol for each table; symbol i is decoded by lane i mod 32."""
        states, words = self.states, self.words
        symbols = []
        for i, table in enumerate(tables):
            x = states[i % 32]
            q = x & 0x3FFF
            s = bisect_right(table.F, q) - 1
            x = table.f[s] * (x >> 14) + q - table.F[s]
            if x < 1 << 16:
                # a missing word reads as 0
                x = (x << 16) | (words[self.asked] if self.asked < len(words) else 0)
                self.asked += 1
            states[i % 32] = x
            symbols.append(s)
        return symbols

    def end(self):
        # 4.4: corrupt unless every state equals 2^16 and as many words as there are were asked for.
        corrupt_if(any(x != 1 << 16 for x in self.states), "rANS: a final state is not 2^16")
        corrupt_if(self.asked != len(self.words), "rANS: words are left or missing")


# ------------------------------------------------------------------------------------------------
# numerics 5 Plain bits
# ------------------------------------------------------------------------------------------------


class Bits:
    """A bit string fills bytes from the most significant bit on."""

    def __init__(self, data):
        self.data, self.at, self.size = data, 0, 8 * len(data)

    def field(self, width):
        """5.1: corrupt if a field reaches beyond the last byte."""
        end = self.at + width
        corrupt_if(end > self.size, "plain bits end early")
        last = (end + 7) >> 3
        v = int.from_bytes(self.data[self.at >> 3 : last], "big") >> (8 * last - end)
        self.at = end
        return v & ((1 << width) - 1)

    def exp_golomb(self, o):
        """5.2: count zeros up to the first one bit, z; read a field r of z + o bits."""
        z = 0
        while self.field(1) == 0:
            z += 1
            corrupt_if(z > 30, "an Exp-Golomb code has more than 30 zeros")
        corrupt_if(z + o > 40, "an Exp-Golomb code is too long")
        return (1 << (z + o)) + self.field(z + o) - (1 << o)

    def end(self):
        # 5.3: the rest must be fewer than 8 bits and all zero.
        rest = self.size - self.at
        corrupt_if(rest >= 8, "plain bits are left over")
        corrupt_if(self.field(rest) != 0, "the last plain bits are not zero")


# ------------------------------------------------------------------------------------------------
# numerics 6 Residuals
# ------------------------------------------------------------------------------------------------


def escape_order(t):
    return (max(t, 21) - 21) // 6


def with_escapes(symbols, indices, bits, bound):
    """Symbols of Laplace tables to integers, with their escapes from plain bits."""
    values = [s - LAPLACE[t].h for s, t in zip(symbols, indices)]
    escapes = [i for i, t in enumerate(indices) if symbols[i] == 2 * LAPLACE[t].h + 1]
    # first, for each escape, an Exp-Golomb number e of order o(t), |k| = h + 1 + e;
    for i in escapes:
        t = indices[i]
        values[i] = LAPLACE[t].h + 1 + bits.exp_golomb(escape_order(t))
    # then, for each escape, one bit: 1 for a negative k.
    for i in escapes:
        if bits.field(1):
            values[i] = -values[i]
        corrupt_if(abs(values[i]) >= bound, "an escaped integer is too large")
    return values


def residuals(indices, rans, bits):
    """Integers k with the scale indices t, in C order. Where t = 0, k = 0 and nothing is read."""
    coded = [t for t in indices if t]
    symbols = rans.stage([LAPLACE[t] for t in coded])  # one stage
    values = iter(with_escapes(symbols, coded, bits, 1 << 24))
    return [next(values) if t else 0 for t in indices]


# ------------------------------------------------------------------------------------------------
# numerics 7 Positional encoding, 8 Morton keys
# ------------------------------------------------------------------------------------------------


def positional_encoding(p, L):
    out = []
    for octave in range(L):
        for axis in range(3):
            for phase in range(2):
                w = ((p[axis] << octave) + (phase << 14)) % (1 << 16)
                if w >= 1 << 15:
                    w = (1 << 16) - 1 - w
                out.append(w >> 7)
    return out


def split_sequence(b):
    """Which axis each depth halves: the one with the most bits left, ties to the lowest."""
    left, sequence = list(b), []
    while any(left):
        axis = left.index(max(left))
        left[axis] -= 1
        sequence.append(axis)
    return sequence


def key_to_cell(key, sequence):
    cell = [0, 0, 0]
    D = len(sequence)
    for i, axis in enumerate(sequence):
        cell[axis] = (cell[axis] << 1) | ((key >> (D - 1 - i)) & 1)
    return cell


def cell_to_key(cell, b, sequence):
    key, left = 0, list(b)
    for axis in sequence:
        left[axis] -= 1
        key = (key << 1) | ((cell[axis] >> left[axis]) & 1)
    return key


# ------------------------------------------------------------------------------------------------
# numerics 9 Integer network
# ------------------------------------------------------------------------------------------------


class NetworkLayer:
    """numerics 9.1. One Python integer holds a row of weights, 32 bits for each column: the sums of
    all columns are then one sum of products. By 9.2 no column's sum leaves its 32 bits."""

    ZERO = 1 << 24  # added to every column, so that none is negative

    def __init__(self, weights, bias, shift):
        self.columns, self.shift = len(bias), shift
        # 9.2: S[j] = 255 * (|W[0][j]| + ...) + |b[j]| + 2^(s-1); corrupt if any S[j] >= 2^24.
        for j, b in enumerate(bias):
            S = 255 * sum(abs(row[j]) for row in weights) + abs(b) + (1 << (shift - 1))
            corrupt_if(S >= 1 << 24, "a network layer exceeds the bound of numerics 9.2")
        ones = self.pack([1] * self.columns)
        self.rows = [self.pack([w + self.ZERO for w in row]) - ones * self.ZERO for row in weights]
        self.bias = self.pack([b + (1 << (shift - 1)) + self.ZERO for b in bias])

    def pack(self, values):
        return int.from_bytes(struct.pack(f"<{len(values)}I", *values), "little")

    def outputs(self, x):
        # acc[j] = x[0] * W[0][j] + ... + b[j];  y[j] = shr(acc[j], s)
        acc = sum(map(mul, x, self.rows), self.bias)
        lanes = struct.unpack(f"<{self.columns}I", acc.to_bytes(4 * self.columns, "little"))
        return [(a - self.ZERO) >> self.shift for a in lanes]


def run_network(layers, x):
    for layer in layers[:-1]:
        # Every layer but the last replaces y[j] by clip(y[j], 0, 255).
        x = [clip(y, 0, 255) for y in layer.outputs(x)]
    return layers[-1].outputs(x)


# ------------------------------------------------------------------------------------------------
# numerics 10 Side streams
# ------------------------------------------------------------------------------------------------


def side_stream(blob, indices):
    """Integers v[i] with the scale indices t[i] in 1 .. 63."""
    n = len(indices)
    corrupt_if(n > MAX_SIDE_STREAM, "a side stream has more than 2^20 integers")
    # 10.1: corrupt if there are fewer than 4 bytes, if size is not a multiple of 4, or if it
    # exceeds what is left.
    corrupt_if(len(blob) < 4, "a side stream has fewer than 4 bytes")
    size = int.from_bytes(blob[:4], "little")
    corrupt_if(size % 4 or size > len(blob) - 4, "the word size of a side stream is wrong")
    words = struct.unpack(f"<{size // 4}I", blob[4 : 4 + size])
    bits = Bits(blob[4 + size :])
    # 10.2 The range decoder. G[s] = F[s] * 2^10, so G[s] <= q < G[s+1] is F[s] <= q >> 10 < F[s+1].
    M64 = (1 << 64) - 1
    at = 0

    def word():
        nonlocal at
        at += 1
        return words[at - 1] if at <= len(words) else 0

    low, span = 0, M64
    point = (word() << 32) | word()
    symbols = []
    for t in indices:
        table = LAPLACE[t]
        scale = span >> 24
        q = ((point - low) & M64) // scale
        corrupt_if(q >= 1 << 24, "a side stream leaves its range")
        s = bisect_right(table.F, q >> 10) - 1
        low = (low + scale * (table.F[s] << 10)) & M64
        span = scale * (table.f[s] << 10)
        if span < 1 << 32:
            low = (low << 32) & M64
            span <<= 32
            point = ((point << 32) & M64) | word()
        symbols.append(s)
    corrupt_if(at < len(words), "a side stream has words left")
    corrupt_if(n and ((point - low) & M64) >= (1 << 33) - 1, "a side stream ends wrongly")
    values = with_escapes(symbols, indices, bits, 1 << 31)
    bits.end()
    return values


# ------------------------------------------------------------------------------------------------
# 3.3 Chunks
# ------------------------------------------------------------------------------------------------

SIGNATURE = bytes.fromhex("89435347530D0A1A")
CRITICAL = (b"HEAD", b"LEVS", b"SCHM", b"TILE", b"KDTB", b"GRUP", b"NETW", b"DATA", b"XDAT")


def is_ancillary(kind):
    """A lower-case first letter makes a chunk ancillary."""
    return kind[:1].islower()


class Chunks:
    """Behind the signature stand chunks without gaps."""

    def __init__(self, data):
        # 3.2: shorter but agreeing is truncated, differing is not a CSGS file.
        if data[:8] != SIGNATURE[: len(data)]:
            raise Unsupported("not a CSGS file")
        if len(data) < 8:
            raise Truncated("the file ends within the signature")
        self.data, self.at = data, 8

    def next(self):
        """The next chunk: type, payload, offset of the payload. Puts self.at behind its CRC."""
        data, at = self.data, self.at
        Place.section, Place.offset = "chunk", at
        kind = data[at : at + 4]
        # A type with a byte that is not an ASCII letter is corrupt, once its 4 bytes are there.
        corrupt_if(
            len(kind) == 4 and not (kind.isascii() and kind.isalpha()),
            "a chunk type is not letters",
        )
        if len(data) - at < 8:
            raise Truncated("the file ends within the header of a chunk")
        Place.section = kind.decode()
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        # A payload above the limit has the outcome limit, whether or not the file holds it.
        limit_if(length > LIMIT_PAYLOAD, "the payload of a chunk")
        end = at + 8 + length + 4
        if end > len(data):
            raise Truncated("the file ends within a chunk")
        corrupt_if(
            zlib.crc32(data[at : end - 4]) != int.from_bytes(data[end - 4 : end], "little"),
            "wrong CRC",
        )
        # A critical chunk of a type that is not in the registry is unsupported.
        if not is_ancillary(kind) and kind not in CRITICAL:
            raise Unsupported("unknown critical chunk")
        self.at = end
        return kind, data[at + 8 : end - 4], at + 8


# ------------------------------------------------------------------------------------------------
# 4 Prelude and grammar
# ------------------------------------------------------------------------------------------------

(
    POSITION,
    OPACITY,
    SCALE,
    POSITION_FINE,
    ROTATION,
    DC,
    SH,
    FEATURE,
    SEMANTIC,
    ID,
    SENTINEL,
    SENSITIVITY,
) = range(12)
RESIDUAL_KINDS = (OPACITY, SCALE, ROTATION, DC, SH, FEATURE, SEMANTIC, SENSITIVITY)
LABEL_KINDS = (ID, SENTINEL)
TRANSFORMED_KINDS = (DC, SH, FEATURE, SEMANTIC)
# 4.2: channels and columns of the kinds where they are fixed; None: any
SHAPE = {
    POSITION: (3, 3), OPACITY: (1, 1), POSITION_FINE: (3, 0), ROTATION: (3, 4), ID: (1, 1),
    SENTINEL: (1, 0), SENSITIVITY: (2, 0),
}  # fmt: skip
EXACT_PASS = 255
# 4.4: PLY types: name in the schema -> name in the PLY, code of struct and array
TYPES = {
    "i1": ("char", "b"), "u1": ("uchar", "B"), "i2": ("short", "h"), "u2": ("ushort", "H"),
    "i4": ("int", "i"), "u4": ("uint", "I"), "f4": ("float", "f"), "f8": ("double", "d"),
}  # fmt: skip


class Group:
    def __init__(self, number, kind, C, M):
        self.number, self.kind, self.C, self.M = number, kind, C, M
        self.names = []  # columns, from SCHM
        self.described = False  # GRUP was read
        self.network = None  # NETW
        self.sentinel = None
        self.integers = 0  # of its transform and its network


def read_HEAD(f):
    """4.5 HEAD."""
    head = argparse.Namespace()
    major, _minor = f.values("H", 2)
    # Another major version is unsupported; the minor version changes nothing that a decoder does.
    if major != 1:
        raise Unsupported(f"bitstream version {major}.{_minor}")
    head.N = N = f.value("Q")
    limit_if(N > LIMIT_GAUSSIANS, "Gaussians")
    head.layers = f.value("B", 1, 16)
    head.tiles = f.value("I", 0, N)
    head.origin = f.values("d", 3)
    head.grid_step = f.value("d")
    corrupt_if(head.grid_step <= 0, "grid_step is not above 0")
    head.unit_offset = f.values("I", 3)
    head.unit_shift = f.value("B", 0, 40)
    head.rounds = [f.value("B", 1, 8) for _ in range(head.layers)]
    groups = f.value("B")
    head.groups = []
    for g in range(groups):
        kind = f.value("B")
        if kind > SENSITIVITY:
            raise Unsupported(f"unknown group kind {kind}")
        C = f.value("H", 1, 1024)
        M = f.value("H", 0, 1024)
        # 4.2: corrupt if HEAD departs from the table of kinds.
        corrupt_if((C, M) != SHAPE.get(kind, (C, M)), "channels or columns do not suit the kind")
        corrupt_if(kind == SCALE and C != M, "SCALE has as many channels as columns")
        corrupt_if((kind == POSITION) != (g == 0), "POSITION is group 0, and no other is")
        corrupt_if(
            kind in (OPACITY, SCALE, POSITION_FINE, ROTATION)
            and any(other.kind == kind for other in head.groups),
            "a kind stands twice of which there is at most one group",
        )
        head.groups.append(Group(g, kind, C, M))
    # 4.2: corrupt if N > 0 and there are no groups, or if N = 0 and there are.
    corrupt_if((N > 0) != (groups > 0), "groups without Gaussians, or Gaussians without groups")
    # Behind the groups, N times the sum of all channels is compared with the limit.
    limit_if(N * sum(group.C for group in head.groups) > LIMIT_VALUES, "values")
    head.script = []
    for _ in range(f.value("H", 0, 1024)):
        layer = f.value("B")
        corrupt_if(layer >= head.layers and layer != EXACT_PASS, "a pass names no layer")
        listed = f.values("B", f.value("B"))
        corrupt_if(any(g >= groups for g in listed), "a pass names no group")
        head.script.append((layer, listed))
    check_script(head)
    f.end()
    return head


def check_script(head):
    """4.3 Script. head.done[p] are the counts done[l] after the first p passes."""
    done = [0] * head.layers
    head.done = [list(done)]
    for p, (layer, listed) in enumerate(head.script):
        if layer == EXACT_PASS:
            # an exact pass is the last pass and lists no group
            corrupt_if(p != len(head.script) - 1 or listed, "the exact pass is not as it should be")
        else:
            corrupt_if(not listed, "a pass lists no group")
            for g in listed:
                # within a layer, over all passes in order, the groups are listed as 0, 1, 2, ...
                corrupt_if(g != done[layer], "groups of a layer are not listed in order")
                # group g of layer l - 1 was listed by an earlier pass
                corrupt_if(
                    layer > 0 and head.done[p][layer - 1] <= g,
                    "a group is listed before that of the layer before",
                )
                done[layer] += 1
        head.done.append(list(done))
    # if there are groups, every group of every layer is listed
    corrupt_if(any(d != len(head.groups) for d in done), "the script does not list every group")
    head.exact = bool(head.script) and head.script[-1][0] == EXACT_PASS


def read_LEVS(f, head):
    """4.6 LEVS: level table."""
    levels = []
    for i in range(f.value("B", 1, 255)):
        level = argparse.Namespace()
        level.end = f.value("Q", levels[-1].end + 1 if i else 1)
        level.gaussians = f.value("Q", 0, head.N)
        level.passes = f.value("H", 0, len(head.script))
        # > passes of the level before (first: >= 1); all 0 if the script is empty
        corrupt_if(
            bool(head.script) and level.passes <= (levels[-1].passes if i else 0),
            "the passes of a level do not increase",
        )
        level.compensation = f.values("f", 4)
        level.digest = f.raw(32)
        # 10: corrupt if compensation is active for a level that holds all Gaussians.
        level.active = level.compensation != (0, 0, 0, 1)
        corrupt_if(level.active and level.gaussians == head.N, "a complete level has compensation")
        levels.append(level)
    # corrupt unless the last level has all passes of the script
    corrupt_if(levels[-1].passes != len(head.script), "the last level lacks passes")
    f.end()
    return levels


def read_SCHM(f, head):
    """4.4 SCHM: schema."""
    size = f.value("I", 0, MAX_SCHEMA_TEXT)
    text = parse_json(inflate(f.rest(), size), finite=False)
    schema = argparse.Namespace()

    properties = text.get("properties")
    corrupt_if(
        not isinstance(properties, list)
        or not all(is_strings(p) and len(p) == 2 and p[1] in TYPES for p in properties),
        "schema: properties",
    )
    corrupt_if(len(properties) > 65536, "schema: more than 65536 properties")
    schema.properties = [tuple(p) for p in properties]
    schema.types = types = dict(schema.properties)
    corrupt_if(len(types) != len(properties), "schema: a property is listed twice")
    # property names are non-empty printable ASCII without spaces
    corrupt_if(
        not all(name and all("!" <= ch <= "~" for ch in name) for name in types),
        "schema: the name of a property",
    )
    limit_if(head.N * len(types) > LIMIT_VALUES, "values")

    groups = text.get("groups")
    corrupt_if(not isinstance(groups, list) or len(groups) != len(head.groups), "schema: groups")
    for entry, group in zip(groups, head.groups):
        corrupt_if(
            not isinstance(entry, dict)
            or not isinstance(entry.get("name"), str)
            or not is_strings(entry.get("columns"))
            or len(entry["columns"]) != group.M,
            "schema: a group does not match HEAD",
        )
        group.names = entry["columns"]
        # columns of POSITION and residual groups are of type f4 or f8
        corrupt_if(
            group.kind not in LABEL_KINDS
            and any(types.get(name, "f4") not in ("f4", "f8") for name in group.names),
            "schema: a column of a float group is not of a float type",
        )

    constants = text.get("constants")
    corrupt_if(not isinstance(constants, dict), "schema: constants")
    schema.constants = {}
    for name, value in constants.items():
        # a constant's bytes are as many as its type has
        corrupt_if(name not in types or not isinstance(value, str), "schema: a constant")
        size = struct.calcsize("<" + TYPES[types[name]][1])
        corrupt_if(
            not re.fullmatch(f"[0-9A-Fa-f]{{{2 * size}}}", value), "schema: bytes of a constant"
        )
        schema.constants[name] = bytes.fromhex(value)

    schema.extras = text.get("extras")
    corrupt_if(not is_strings(schema.extras), "schema: extras")
    # every property stands exactly once in the union of all group columns, constants and extras
    columns = [name for group in head.groups for name in group.names]
    union = columns + list(constants) + schema.extras
    corrupt_if(sorted(union) != sorted(types), "schema: the properties are not each in one place")
    # optional; corrupt if it names a property twice, or one that is not a column of a group
    schema.exact = text.get("exact", [])
    corrupt_if(
        not is_strings(schema.exact)
        or len(set(schema.exact)) != len(schema.exact)
        or not set(schema.exact) <= set(columns),
        "schema: exact",
    )
    # They must be there, as all members but `exact`; anything but true counts as false.
    corrupt_if(not {"elements", "original_order"} <= text.keys(), "schema: a member is missing")
    schema.elements = text.get("elements") is True
    schema.original_order = text.get("original_order") is True
    corrupt_if(not isinstance(text.get("encoder"), str), "schema: encoder")

    schema.layout = layout = text.get("layout")
    corrupt_if(
        not isinstance(layout, dict)
        or not isinstance(layout.get("text"), bool)
        or layout.get("byte_order") not in ("<", ">")
        or not is_int(layout.get("vertex_index"))
        or not 0 <= layout["vertex_index"] <= 255,
        "schema: layout",
    )
    for member in ("comments", "obj_info", "vertex_comments"):
        corrupt_if(
            not is_strings(layout.get(member))
            or not all(s.isascii() and not set(s) & {"\r", "\n"} for s in layout[member]),
            "schema: header lines of the layout",
        )
    return schema


class Tile:
    """A tile, and 7.1 tile state: of every row its key and, for each group, decoded integers."""

    def __init__(self, number, origin, bits, counts, groups):
        self.number, self.origin, self.bits, self.counts = number, origin, bits, counts
        self.sequence = split_sequence(bits)
        self.first = [0, *accumulate(counts)]  # first row of each layer
        self.groups = groups
        self.clear()

    def clear(self):
        self.keys, self.cells, self.shifted = [], [], []
        self.ints = {}  # group -> a tuple of C integers for each row of the layers decoded
        self.widths = []  # fine bits `b` of each row
        self.neighbours = {}  # (layer, round) -> row -> (rows, distance codes)


def read_TILE(f, head, levels):
    """4.7 TILE: tile table."""
    n = head.tiles
    # sizes are compared with the payload before anything is allocated
    corrupt_if(n * (15 + 4 * head.layers) != len(f.data), "TILE has the wrong size")
    origins = f.values("I", 3 * n)
    bits = f.values("B", 3 * n)
    corrupt_if(any(b > 21 for b in bits), "a tile has more than 21 bits on an axis")
    counts = f.values("I", n * head.layers)
    f.end()
    # corrupt if a tile's counts add up to more than 65536, or all counts do not add up to N
    corrupt_if(sum(counts) != head.N, "the counts do not add up to N")
    L = head.layers
    tiles = [
        Tile(i, origins[3 * i : 3 * i + 3], bits[3 * i : 3 * i + 3], counts[L * i : L * i + L],
             len(head.groups))
        for i in range(n)
    ]  # fmt: skip
    corrupt_if(any(t.first[-1] > MAX_TILE_GAUSSIANS for t in tiles), "a tile is too full")
    # 4.6: gaussians of a level equals the sum of the counts of the layers with done[l] > 0
    per_layer = [sum(t.counts[l] for t in tiles) for l in range(L)]
    for level in levels:
        done = head.done[level.passes]
        held = sum(per_layer[l] for l in range(L) if done[l] > 0)
        corrupt_if(level.gaussians != held, "the Gaussians of a level do not agree with the counts")
    # 4.1, 1: the due list; its length is a limit
    per_pass = [sum(1 for t in tiles if t.counts[l]) for l in range(L)]
    passes = [(p, layer) for p, (layer, _) in enumerate(head.script) if layer != EXACT_PASS]
    limit_if(sum(per_pass[layer] for _, layer in passes) > LIMIT_DUE_LIST, "data chunks")
    due = [(p, t.number) for p, layer in passes for t in tiles if t.counts[layer]]
    return tiles, due


# ------------------------------------------------------------------------------------------------
# 5 Quantisers
# ------------------------------------------------------------------------------------------------


def read_GRUP(f, head, schema):
    """5.1 GRUP."""
    number = f.value("B", 0, len(head.groups) - 1)
    group = head.groups[number]
    corrupt_if(group.described, "a second GRUP chunk of a group")
    corrupt_if(group.kind == POSITION, "a GRUP chunk of POSITION")
    if group.kind == POSITION_FINE:
        group.rule = read_step_rule(f, 0, 8)
    elif group.kind in LABEL_KINDS:
        read_label_coding(f, group, head.N, schema)
    else:
        sentinel = f.value("B")
        if sentinel != 255:
            # 6.4: a label group, below the group's own number, whose GRUP chunk has been read
            corrupt_if(
                sentinel >= number
                or head.groups[sentinel].kind not in LABEL_KINDS
                or not head.groups[sentinel].described,
                "the sentinel group is none that may be named",
            )
            group.sentinel = head.groups[sentinel]
        group.step = f.value("d")
        corrupt_if(group.step <= 0, "a base step is not above 0")
        group.centre = f.values("f", group.C)
        group.rule = read_step_rule(f, -8, 8)
        if group.kind in TRANSFORMED_KINDS:
            read_transform(f, group)
    f.end()
    limit_models(head.groups)
    group.described = True


def limit_models(groups):
    """11: weights of all networks and entries of all transforms together."""
    limit_if(sum(group.integers for group in groups) > LIMIT_MODELS, "weights of models")


def read_transform(f, group):
    """5.3 Transform."""
    C, M = group.C, group.M
    f.value("H", C, C)
    f.value("H", M, M)
    bits = f.value("B", 0, 14)
    scale_index = f.value("B", 1, 63)
    group.mean = f.values("f", M)
    basis = side_stream(f.blob(), [scale_index] * (C * M))
    group.integers += C * M
    # of each column m: basis[c][m] / 2^bits for all c
    group.basis = [[basis[c * M + m] / (1 << bits) for c in range(C)] for m in range(M)]


STEP_Q6 = (4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512, 724, 1024)


def read_step_rule(f, lowest, highest):
    """5.4 Step rules and step classes."""
    rule = argparse.Namespace()
    rule.bias = f.value("i", -(1 << 30), 1 << 30)
    rule.coefficients = [f.value("i", -(1 << 30), 1 << 30) for _ in range(6)]
    rule.shift = f.value("B", 0, 40)
    rule.low = f.value("b", lowest, highest)
    rule.high = f.value("b", rule.low, highest)
    return rule


def step_class(group, groups, tile, row):
    rule = group.rule
    if any(rule.coefficients):
        features = step_features(group, groups, tile, row)
    else:
        features = ()  # all products are 0
    linear = rule.bias + sum(map(mul, rule.coefficients, features))
    return clip(shr(linear, rule.shift), rule.low, rule.high)


def step_features(group, groups, tile, row):
    """Features of a Gaussian for a rule of group g: from groups numbered below g."""
    features = [0] * 6
    for below in groups[: group.number]:
        if below.kind == SCALE:
            e = sorted(tile.ints[below.number][row])
            features[0:3] = e[0], e[below.C // 2], e[below.C - 1]
        elif below.kind == OPACITY:
            features[3] = tile.ints[below.number][row][0]
        elif below.kind == SENSITIVITY:  # the last such group counts
            features[4:6] = tile.ints[below.number][row]
    return features


def read_label_coding(f, group, N, schema):
    """5.6 Labels: palette and tables."""
    P = f.value("I", 0, max(N, 256))
    # the first value, then differences of successive values, modulo 2^64
    differences = struct.unpack(f"<{P}q", inflate(f.blob(), 8 * P))
    group.palette = list(map(as_i64, accumulate(differences)))
    corrupt_if(
        any(a >= b for a, b in zip(group.palette, group.palette[1:])),
        "the values of a palette do not increase",
    )
    corrupt_if(P == 0 and N > 0, "a palette is empty")
    if group.kind == ID:
        # corrupt if a value of an ID group does not fit into the type of its column exactly
        code = TYPES[schema.types[group.names[0]]][1]
        corrupt_if(
            not all(fits(v, code) for v in group.palette), "a label does not fit into its column"
        )
    group.agreement = [normalise(list(f.values("H", 3))) for _ in range(8)]
    listed = f.value("H")
    corrupt_if(listed > 256 or listed not in (0, P), "listed is neither 0 nor P")
    group.explicit = normalise(list(f.values("H", listed))) if listed else None


def fits(v, code):
    if code in "fd":
        return int(array(code, [v])[0]) == v
    try:
        struct.pack("<" + code, v)
    except struct.error:
        return False
    return True


# ------------------------------------------------------------------------------------------------
# 6 Data chunks; 2 rounds
# ------------------------------------------------------------------------------------------------


def round_places(n, R, j):
    """Places i in the tile layer of round j of R, in order."""
    if j == 0:
        return range(0, n, 1 << (R - 1))  # multiples of 2^(R-1)
    return range(1 << (R - 1 - j), n, 1 << (R - j))  # i mod 2^(R-j) = 2^(R-1-j)


class DataDecoder:
    """6.1 DATA: one pass in one tile."""

    def __init__(self, head, tables, tile, layer, symbols, bits):
        self.head, self.tables, self.tile, self.layer = head, tables, tile, layer
        # One rANS stream and one bit string serve all groups.
        self.rans, self.bits = Rans(symbols), Bits(bits)
        self.first, self.n = tile.first[layer], tile.counts[layer]

    def decode(self, listed):
        """Decodes the groups and returns the digest of the chunk (8.3)."""
        H = hashlib.sha256()
        rows = range(self.first, self.first + self.n)
        for g in listed:
            group = self.head.groups[g]
            if group.kind == POSITION:
                self.positions()
                H.update(struct.pack(f"<{self.n}Q", *(self.tile.keys[r] for r in rows)))
                continue
            ints = self.tile.ints.setdefault(g, [])
            ints.extend([None] * self.n)
            if group.kind == POSITION_FINE:
                self.fine_positions(group, ints)
            elif group.kind in LABEL_KINDS:
                self.labels(group, ints)
            else:
                self.residual_group(group, ints)
            H.update(struct.pack(f"<{self.n * group.C}i", *(v for r in rows for v in ints[r])))
        self.rans.end()
        self.bits.end()
        return H.digest()

    def rounds(self):
        """For each round its rows of the tile, in order, and their neighbours."""
        for j in range(self.head.rounds[self.layer]):
            places = round_places(self.n, self.head.rounds[self.layer], j)
            rows = [self.first + i for i in places]
            yield rows, find_neighbours(self.tile, self.layer, self.head.rounds, j, rows)

    # 6.2 Position keys

    def positions(self):
        tile = self.tile
        keys = position_keys(self.n, len(tile.sequence), sorted(tile.keys), self.tables,
                             self.rans, self.bits)  # fmt: skip
        for key in keys:
            cell = key_to_cell(key, tile.sequence)
            tile.keys.append(key)
            tile.cells.append(cell)
            tile.shifted.append(shifted_key(cell, tile))

    # 6.3 Fine positions

    def fine_positions(self, group, ints):
        self.tile.widths.extend([0] * self.n)
        for row in range(self.first, self.first + self.n):
            # b = its class under the group's rule: three fields of b bits, for x, y, z
            b = step_class(group, self.head.groups, self.tile, row)
            self.tile.widths[row] = b
            ints[row] = tuple(self.bits.field(b) for _ in range(3))

    # 5.6 Decoding a tile layer of labels, round after round

    def labels(self, group, ints):
        P = len(group.palette)
        for rows, neighbours in self.rounds():
            known = []  # of each Gaussian with neighbours: row, first, other, agree
            for row in rows:
                near = [ints[r][0] for r in neighbours[row][0]]
                if near:
                    other = next((v for v in near if v != near[0]), None)
                    # If no member differs from first (even if there are fewer than 8), agree is 8.
                    agree = 8 if other is None else near.count(near[0])
                    known.append((row, near[0], other, agree))
            # 1. One rANS stage: for each Gaussian with neighbours SAME, OTHER or EXPLICIT.
            choices = self.rans.stage([group.agreement[agree - 1] for *_, agree in known])
            for choice, (row, first, other, _) in zip(choices, known):
                corrupt_if(choice == 1 and other is None, "OTHER is chosen where there is none")
                if choice < 2:
                    ints[row] = ((first, other)[choice],)
            # 2. For each EXPLICIT Gaussian, in row order, its palette index.
            explicit = [row for row in rows if ints[row] is None]
            if group.explicit:
                indices = self.rans.stage([group.explicit] * len(explicit))
            else:
                indices = [self.bits.field(bitlen(P - 1)) for _ in explicit]
            for row, index in zip(explicit, indices):
                corrupt_if(index >= P, "a label is not in the palette")
                ints[row] = (index,)

    # 6.4 Residual groups and sentinels

    def residual_group(self, group, ints):
        C = group.C
        contexts = Contexts(self.head, group, self.tile, self.layer, ints)
        for rows, neighbours in self.rounds():
            classes, mu, t = [], [], []
            for row in rows:
                g = step_class(group, self.head.groups, self.tile, row)
                classes.append(g)
                if is_marked(group, self.tile, row):
                    # rows that the sentinel group marks: mu_q6 = 0 and scale index 0
                    mu.append([0] * C)
                    t.extend([0] * C)
                    continue
                # numerics 9.4 From outputs to predictions
                out = run_network(group.network.layers, contexts.inputs(row, neighbours[row], g))
                t.extend(clip(shr(out[C + c], 6) - 3 * g, 0, 63) for c in range(C))
                if group.network.blended:
                    mu.append(list(map(sum, zip(out[:C], contexts.blend(neighbours[row])))))
                else:
                    mu.append(out[:C])
            # Each round has its own stage of residuals.
            k = residuals(t, self.rans, self.bits)
            # 5.5: v_q6 = mu_q6 + k * STEP_Q6[g + 8]; corrupt if some |v_q6| >= 2^30
            for i, row in enumerate(rows):
                step = STEP_Q6[classes[i] + 8]
                v = tuple(m + e * step for m, e in zip(mu[i], k[i * C : i * C + C]))
                corrupt_if(any(abs(x) >= 1 << 30 for x in v), "a decoded integer reaches 2^30")
                ints[row] = v


def is_marked(group, tile, row):
    """A row is marked if its label, the palette index, is above 0."""
    return group.sentinel is not None and tile.ints[group.sentinel.number][row][0] > 0


def position_keys(n, D, known_keys, tables, rans, bits):
    """6.2: the keys of a tile layer of n Gaussians, sorted upward.

    A cell is (prefix, count, lo, hi): its known Gaussians are known_keys[lo:hi].
    """
    cells = [(0, n, 0, len(known_keys))] if n else []
    tail_list, keys = [], []
    for d in range(D):
        # 1. Lone cells leave the list.
        tail_list += [(prefix, D - d) for prefix, count, lo, hi in cells if count == 1 and lo == hi]
        cells = [cell for cell in cells if not (cell[1] == 1 and cell[2] == cell[3])]
        # 2. If no cell is left, stop.
        if not cells:
            break
        # 3. Each other cell contributes one symbol to one rANS stage for the depth.
        middles = [
            bisect_left(known_keys, (2 * prefix + 1) << (D - d - 1), lo, hi)
            for prefix, _, lo, hi in cells
        ]
        symbols = rans.stage(
            [
                tables[position_table(count, hi - lo, middle - lo)]
                for (_, count, lo, hi), middle in zip(cells, middles)
            ]
        )
        # 4., 5. Each cell becomes its lower half and its upper half; empty ones are dropped.
        halves = []
        for (prefix, count, lo, hi), middle, symbol in zip(cells, middles, symbols):
            lower = symbol
            if count > 8:
                first = ceil_div(symbol * (count + 1), 16)
                following = ceil_div((symbol + 1) * (count + 1), 16)
                lower = first + bits.field(bitlen(max(following - first - 1, 0)))
            corrupt_if(lower > count, "more Gaussians in the lower half of a cell than in the cell")
            if lower:
                halves.append((2 * prefix, lower, lo, middle))
            if count - lower:
                halves.append((2 * prefix + 1, count - lower, middle, hi))
        cells = halves
    # Each remaining cell (of depth D) gives its prefix as key, count times.
    for prefix, count, _, _ in cells:
        keys += [prefix] * count
    # Tails: the upper r - min(r, 32) bits of all, then the lower min(r, 32) bits of all.
    upper = [bits.field(r - min(r, 32)) for _, r in tail_list]
    for (prefix, r), high in zip(tail_list, upper):
        low_bits = min(r, 32)
        keys.append((prefix << r) | (high << low_bits) | bits.field(low_bits))
    return sorted(keys)


def position_table(n, E, e):
    """8 * count_class + share_class."""
    count_class = n - 1 if n <= 8 else 5 + min(ilog2(n), 7)
    share_class = 0 if E == 0 else min(1 + (7 * (2 * e + 1)) // (2 * (E + 1)), 7)
    return 8 * count_class + share_class


# ------------------------------------------------------------------------------------------------
# 6.5 Exact data: XDAT
# ------------------------------------------------------------------------------------------------

NO_SOURCE, PREVIOUS_ROW = 255, 254


class ExactData:
    def __init__(self, head, schema, tiles):
        self.head, self.schema, self.tiles = head, schema, tiles
        self.columns = {}  # property -> bytes of its N values
        self.elements = self.exceptions = self.order = None
        # 6.5.1, state: the level of each row, and the buckets of the columns still known
        self.level, self.known = [0] * (head.N if head.exact else 0), []

    def read(self, f):
        kind = f.value("B", 0, 3)
        (self.read_COLUMN, self.read_ELEMENTS, self.read_EXCEPTIONS, self.read_ROW_ORDER)[kind](f)
        f.end()

    def check_complete(self):
        """Behind the last level everything announced by the schema is there."""
        missing = set(self.schema.extras + self.schema.exact) - set(self.columns)
        corrupt_if(missing, "exact columns are missing")
        corrupt_if(self.schema.elements and self.elements is None, "ELEMENTS is missing")
        corrupt_if(self.schema.original_order and self.order is None, "ROW_ORDER is missing")

    def read_COLUMN(self, f):
        number = f.value("H", 0, len(self.schema.properties) - 1)
        name, kind = self.schema.properties[number]
        corrupt_if(
            name not in self.schema.extras and name not in self.schema.exact,
            "a COLUMN of a property that is neither in extras nor in exact",
        )
        corrupt_if(name in self.columns, "a COLUMN stands twice")
        code = f.value("B", 0, 1)
        if code == 0:
            size = struct.calcsize("<" + TYPES[kind][1])
            self.columns[name] = byte_planes(inflate(f.rest(), size * self.head.N), self.head.N,
                                             size)  # fmt: skip
        else:
            self.columns[name] = self.modelled(f, kind)

    def read_ELEMENTS(self, f):
        corrupt_if(not self.schema.elements, "ELEMENTS stands unannounced")
        corrupt_if(self.elements is not None, "ELEMENTS stands twice")
        size = f.value("Q")
        limit_if(size > LIMIT_ELEMENTS, "elements")
        self.elements = parse_elements(inflate(f.rest(), size))

    def read_EXCEPTIONS(self, f):
        corrupt_if(self.exceptions is not None, "EXCEPTIONS stands twice")
        properties = len(self.schema.properties)
        n = f.value("I", 0, self.head.N * properties)
        data = inflate(f.rest(), 14 * n)
        # u32 rows as differences (first: from 0), u16 properties, u64 values
        rows = list(accumulate(struct.unpack(f"<{n}I", data[: 4 * n])))
        numbers = struct.unpack(f"<{n}H", data[4 * n : 6 * n])
        corrupt_if(n and rows[-1] >= self.head.N, "an exception names a row that does not exist")
        corrupt_if(n and max(numbers) >= properties, "an exception names no property")
        values = [data[6 * n + 8 * i : 6 * n + 8 * i + 8] for i in range(n)]
        self.exceptions = list(zip(rows, numbers, values))

    def read_ROW_ORDER(self, f):
        corrupt_if(not self.schema.original_order, "ROW_ORDER stands unannounced")
        corrupt_if(self.order is not None, "ROW_ORDER stands twice")
        N = self.head.N
        if f.value("B", 0, 1) == 0:
            planes = byte_planes(inflate(f.rest(), 8 * N), N, 8)
            order = list(accumulate(struct.unpack(f"<{N}q", planes)))
        else:
            # the rank of o[i] among the rows not yet named
            bits, unnamed, order = Bits(f.rest()), list(range(N)), []
            for i in range(N):
                rank = bits.field(bitlen(N - i - 1))
                corrupt_if(rank >= N - i, "a rank of the row order is too large")
                order.append(unnamed.pop(rank))
            bits.end()
        corrupt_if(sorted(order) != list(range(N)), "the row order is not a permutation")
        self.order = order

    # 6.5.1 Modelled columns

    def modelled(self, f, kind):
        N = self.head.N
        S = struct.calcsize("<" + TYPES[kind][1])
        is_float = kind in ("f4", "f8")
        M, X, B = {"f4": (23, 8, 127), "f8": (52, 11, 1023)}.get(kind, (0, 0, 0))
        e = f.value("i", *((1 - B, B - 1) if is_float else (1 - 8 * S, 0)))
        z = f.value("B", 0, M)
        contexts = f.value("B")
        corrupt_if(contexts not in (1, 16), "a modelled column has neither 1 nor 16 contexts")
        source = f.value("B")
        group_integers = self.source_integers(source)
        H = len(self.known)
        earlier = f.value("B", 0, 0 if source == PREVIOUS_ROW else min(64, H))
        if earlier:
            # makes all but the last `earlier` of the columns before it unknown for good
            self.known = self.known[H - earlier :]
        buckets_before = self.known if earlier else []
        # W is the number of the group's integers plus earlier
        W = (self.head.groups[source].C if group_integers else 0) + earlier
        if W:
            bias, shift = f.value("q"), f.value("B", 0, 62)
            coefficients = f.values("i", W)
        w = inflate(f.blob(), 256 * (contexts + 1))
        tables = [normalise([v * v for v in w[256 * t : 256 * t + 256]])
                  for t in range(contexts + 1)]  # fmt: skip
        rans, bits = Rans(f.blob()), Bits(f.rest())

        # Differences. One rANS stage of N symbols.
        level = self.level
        symbols = rans.stage([tables[0 if contexts == 1 else min(A >> 3, 15)] for A in level])
        k = [0 if s == 255 else s - 126 for s in symbols]
        raw = [s == 255 for s in symbols]
        for i, s in enumerate(symbols):
            if s in (253, 254):
                x = bits.exp_golomb(8)
                corrupt_if(x > 1 << 29, "a difference is too large")
                k[i] = 127 + x if s == 253 else -127 - x

        # Buckets. All sums are modulo 2^64, read as i64.
        if source == PREVIOUS_ROW:
            q = list(map(as_i64, accumulate(k)))
        elif W:
            q = []
            for i in range(N):
                v = [*(group_integers[i] if group_integers else ())]
                v += [b[i] for b in buckets_before]
                q.append(as_i64(k[i] + (as_i64(bias + sum(map(mul, coefficients, v))) >> shift)))
        else:
            q = k
        q = [0 if is_raw else v for v, is_raw in zip(q, raw)]

        # State update.
        self.level = [(A + 16 * bitlen(min(abs(d), 255))) >> 1 for A, d in zip(level, k)]
        self.known = self.known + [array("i", (clip(v, -(1 << 31), (1 << 31) - 1) for v in q))]

        if is_float:
            values = self.float_values(q, raw, tables[-1], rans, bits, S, M, X, B, e, z)
        else:
            values = self.integer_values(q, raw, rans, bits, S, e, kind)
        bits.end()
        return b"".join(v.to_bytes(S, "little") for v in values)

    def source_integers(self, source):
        """The integers v of each canonical row that come from the source group, or None."""
        if source in (NO_SOURCE, PREVIOUS_ROW):
            return None
        # corrupt if the source does not exist, or is of kind POSITION_FINE or a label kind
        corrupt_if(
            source >= len(self.head.groups)
            or self.head.groups[source].kind in (POSITION_FINE, *LABEL_KINDS),
            "the source of a modelled column is none that may be named",
        )
        rows = canonical_rows(self.tiles, range(self.head.layers))
        if source > 0:
            return [tile.ints[source][row] for tile, row in rows]
        # POSITION: for each axis (cell << 9) + 256, or with fine bits
        fine = next((g.number for g in self.head.groups if g.kind == POSITION_FINE), None)
        out = []
        for tile, row in rows:
            cell = [o + c for o, c in zip(tile.origin, tile.cells[row])]
            if fine is None:
                out.append([(c << 9) + 256 for c in cell])
            else:
                b = tile.widths[row]
                bits = tile.ints[fine][row]
                out.append([(c << 9) + ((2 * v + 1) << (8 - b)) for c, v in zip(cell, bits)])
        return out

    def float_values(self, q, raw, gaps, rans, bits, S, M, X, B, e, z):
        N = len(q)
        sign = [int(v < 0) for v in q]
        m = [v if v >= 0 else -1 - v for v in q]
        corrupt_if(any(v >= 1 << (M + 1) for v in m), "a bucket is too large for its type")
        # Rows that are not RAW and have m = 0 are near zero.
        near_zero = [i for i in range(N) if not raw[i] and m[i] == 0]
        # 1. One rANS stage: for each row near zero a gap g. Now the stream must end.
        gap = dict(zip(near_zero, rans.stage([gaps] * len(near_zero))))
        rans.end()
        # 2. For each RAW row its value.
        values = raw_values(raw, bits, S)
        # 3. Exponents of rows near zero
        E = [0] * N
        for i, g in gap.items():
            if g == 254:
                E[i] = bits.field(X)
            elif g < 254:
                E[i] = B - e - 1 - g
            corrupt_if(not 0 <= E[i] <= B - e - 1, "an exponent near zero is out of range")
        for i in range(N):
            if raw[i]:
                continue
            mantissa = 0
            if m[i] > 0:
                # 4. j = ilog2(m): E = j - e + B; corrupt if some E >= 2^X - 1
                j = ilog2(m[i])
                E[i] = j - e + B
                corrupt_if(E[i] >= (1 << X) - 1, "an exponent is too large")
                # 5. a tail r of max(M - z - j, 0) bits
                width = max(M - z - j, 0)
                mantissa = (m[i] - (1 << j)) << (M - j)
            else:
                # of M - z bits if g < 255; of no bits if g = 255
                width = M - z if gap[i] < 255 else 0
            # 6. the sign, then E, then the mantissa
            mantissa += bits.field(width) << z
            values[i] = (sign[i] << (M + X)) | (E[i] << M) | mantissa
        return values

    def integer_values(self, q, raw, rans, bits, S, e, kind):
        rans.end()  # There are no gaps.
        values = raw_values(raw, bits, S)
        lo, hi = integer_range(kind)
        for i, v in enumerate(q):
            if not raw[i]:
                # a tail r of -e bits; the value is (q << -e) + r
                value = (v << -e) + bits.field(-e)
                corrupt_if(not lo <= value <= hi, "a value is not one of the type")
                values[i] = value % (1 << (8 * S))
        return values


def integer_range(kind):
    bits = 8 * int(kind[1])
    lowest = 0 if kind[0] == "u" else -(1 << (bits - 1))
    return lowest, lowest + (1 << bits) - 1


def raw_values(raw, bits, S):
    """8 S bits, as one field, for S = 8 as two fields of 32 bits, the upper one first."""
    if S == 8:
        return [(bits.field(32) << 32) | bits.field(32) if is_raw else 0 for is_raw in raw]
    return [bits.field(8 * S) if is_raw else 0 for is_raw in raw]


def canonical_rows(tiles, layers):
    """2: layer after layer, within a layer tile after tile, within a tile layer by key."""
    return [
        (tile, row)
        for layer in layers
        for tile in tiles
        for row in range(tile.first[layer], tile.first[layer + 1])
    ]


PLY_TYPES = {ply: code for ply, code in TYPES.values()} | {
    "int8": "b", "uint8": "B", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I",
    "float32": "f", "float64": "d",
}  # fmt: skip
PLY_NAMES = {code: ply for ply, code in TYPES.values()}


class Element:
    """An element of a PLY: header lines, and of each row a list of (code, values) with the count's
    code before a list."""

    def __init__(self, name, count):
        self.name, self.count = name, count
        self.properties, self.comments, self.rows = [], [], []


def parse_elements(data):
    """ELEMENTS: a binary little-endian PLY, none of whose elements is named vertex."""
    header, mark, body = data.partition(b"end_header\n")
    corrupt_if(not mark or not header.isascii(), "ELEMENTS: no PLY header")
    lines = header.decode().split("\n")
    corrupt_if(
        lines[:2] != ["ply", "format binary_little_endian 1.0"] or lines.pop() != "",
        "ELEMENTS: not a binary little-endian PLY",
    )
    elements = []
    for line in lines[2:]:
        words = line.split()
        if words[:1] in (["comment"], ["obj_info"]):
            if elements and words[0] == "comment":
                elements[-1].comments.append(line)
        elif len(words) == 3 and words[0] == "element":
            corrupt_if(not re.fullmatch("[0-9]{1,18}", words[2]), "ELEMENTS: a count")
            corrupt_if(words[1] == "vertex", "ELEMENTS holds an element named vertex")
            limit_if(int(words[2]) > LIMIT_GAUSSIANS, "rows of an element")
            elements.append(Element(words[1], int(words[2])))
        elif words[:1] == ["property"] and len(words) in (3, 5) and elements:
            types = words[1:-1]
            if len(types) == 3:
                corrupt_if(types.pop(0) != "list", "ELEMENTS: a property")
                corrupt_if(PLY_TYPES.get(types[0], "f") in "fd", "ELEMENTS: the type of a count")
            corrupt_if(not all(t in PLY_TYPES for t in types), "ELEMENTS: the type of a property")
            elements[-1].properties.append((words[-1], [PLY_TYPES[t] for t in types]))
        else:
            raise Corrupt("ELEMENTS: a header line")
    # 11: rows of ELEMENTS that hold lists, each counted once for each of its lists
    list_rows = sum(e.count * sum(len(codes) == 2 for _, codes in e.properties) for e in elements)
    limit_if(list_rows > LIMIT_LIST_ROWS, "rows of elements with lists")
    f = Fields(body, Place.offset)
    for element in elements:
        if not element.properties:
            continue  # its rows have no bytes
        corrupt_if(element.count > len(body), "ELEMENTS ends early")  # a row has a byte at least
        for _ in range(element.count):
            row = []
            for _name, codes in element.properties:
                n = 1
                if len(codes) == 2:
                    n = f.value(codes[0], 0)
                    row.append((codes[0], (n,)))
                size = n * struct.calcsize("<" + codes[-1])
                row.append((codes[-1], struct.unpack(f"<{n}{codes[-1]}", f.raw(size))))
            element.rows.append(row)
    f.end()
    return elements


# ------------------------------------------------------------------------------------------------
# 7 Hyperprior
# ------------------------------------------------------------------------------------------------

# 7.2 Neighbours


def shifted_key(cell, tile):
    """The Morton key of the cell (c[axis] + 2^bits[axis] // 3) mod 2^bits[axis]."""
    moved = [(c + (1 << b) // 3) % (1 << b) for c, b in zip(cell, tile.bits)]
    return cell_to_key(moved, tile.bits, tile.sequence)


def distance_code(d):
    if d == 0:
        return 0
    e = ilog2(d)
    f = (d >> (e - 2)) & 3 if e >= 2 else (d << (2 - e)) & 3
    return min(4 * e + f + 1, 254)


def find_neighbours(tile, layer, rounds, j, rows):
    """7.2: of each of the rows (those of round j of the layer) its neighbours, nearest first, as
    rows of the tile, and their distance codes."""
    found = tile.neighbours.get((layer, j))
    if found is not None:
        return found
    keys, cells, shifted = tile.keys, tile.cells, tile.shifted
    # Gaussians of layers 0 .. l-1, and those of rounds 0 .. j-1 of layer l
    first, n, R = tile.first[layer], tile.counts[layer], rounds[layer]
    K = list(range(first))
    for earlier in range(j):
        K += [first + i for i in round_places(n, R, earlier)]
    # 1. Sort their rows by key; equal keys stay in row order.
    K.sort(key=lambda row: (keys[row], row))
    K_keys = [keys[row] for row in K]
    # 3. K' are the members of K sorted by shifted key; here as places in K.
    K2 = sorted(range(len(K)), key=lambda place: shifted[K[place]])
    K2_keys = [shifted[K[place]] for place in K2]
    m = len(K)
    found = {}
    for row in rows:
        # 2. p = number of members of K with a key below q
        p = bisect_left(K_keys, keys[row])
        candidates = set(range(max(0, p - 8), min(m, p + 8)))
        # 4. the same along K'; what is a candidate already counts once
        p = bisect_left(K2_keys, shifted[row])
        candidates.update(K2[max(0, p - 8) : min(m, p + 8)])
        # 5. Order by squared distance between grid cells; ties keep their order in K.
        x, y, z = cells[row]
        ordered = []
        for place in candidates:
            a, b, c = cells[K[place]]
            ordered.append(((a - x) * (a - x) + (b - y) * (b - y) + (c - z) * (c - z), place))
        ordered.sort()
        found[row] = (
            [K[place] for _, place in ordered[:8]],
            [distance_code(d) for d, _ in ordered[:8]],
        )
    tile.neighbours[layer, j] = found
    return found


POWERS = (
    32768, 31379, 30048, 28774, 27554, 26386, 25268, 24196, 23170, 22188, 21247, 20347, 19484,
    18658, 17867, 17109,
)  # fmt: skip


class Contexts:
    """7.3 Context inputs and the blend of 7.4, of a group in a tile layer."""

    def __init__(self, head, group, tile, layer, ints):
        self.head, self.group, self.tile, self.layer, self.ints = head, group, tile, layer, ints
        self.network = group.network
        self.nearby = {}  # row -> its channels to 8 bits, as the nearby list says

    def inputs(self, row, neighbours, g):
        net, tile, head = self.network, self.tile, self.head
        # position
        p = [
            clip(((o + c - u) << 4) >> head.unit_shift, 0, 65535)
            for o, c, u in zip(tile.origin, tile.cells[row], head.unit_offset)
        ]
        x = positional_encoding(p, net.octaves)
        # layer: all 0 but number min(layer, layer_inputs - 1), which is 255
        if net.layer_inputs:
            one_hot = [0] * net.layer_inputs
            one_hot[min(self.layer, net.layer_inputs - 1)] = 255
            x += one_hot
        # neighbours: the first `width` channels of this group, then the distance code
        if net.neighbours:
            for near, code in list(zip(*neighbours))[: net.neighbours]:
                if near not in self.nearby:
                    self.nearby[near] = self.to_8_bits(self.ints[near], net.nearby)
                x += self.nearby[near]
                x.append(code)
            missing = net.neighbours - len(neighbours[0])
            x += ([128] * net.nearby.width + [255]) * missing
        # own: for each entry, the first `width` channels of that group of the same Gaussian
        for entry in net.own:
            x += self.to_8_bits(tile.ints[entry.group][row], entry)
        # step class
        if net.step_class:
            x.append(128 + 8 * g)
        return x

    def to_8_bits(self, ints, entry):
        return [
            clip(shr(v - centre, shift) + 128, 0, 255)
            for v, centre, shift in zip(ints, entry.centre_q6, entry.shift)
        ]

    def blend(self, neighbours):
        """The blend of the group's decoded integers over the Gaussian's neighbours."""
        near, d = neighbours
        C = self.group.C
        # 1. Without neighbours the blend is 0.
        if not near:
            return [0] * C
        # 2. o = (decay * (d[j] - d[0])) >> 2; raw weight r[j] = POWERS[o & 15] >> (o >> 4)
        o = [(self.network.decay * (code - d[0])) >> 2 for code in d]
        r = [POWERS[v & 15] >> (v >> 4) for v in o]
        # 3. w[j] = floor(256 * r[j] / sum of r); w[0] is raised by what the w lack to 256.
        w = [256 * v // sum(r) for v in r]
        w[0] += 256 - sum(w)
        # 4. blend[c] = shr(gain_q8[c] * sum over j of w[j] * v_q6[neighbour j][c], 16)
        integers = [self.ints[row] for row in near]
        return [
            shr(gain * sum(map(mul, w, channel)), 16)
            for gain, channel in zip(self.network.gain_q8, zip(*integers))
        ]


# 7.4 NETW: network


def read_channel_list(f, groups, allowed):
    entry = argparse.Namespace()
    entry.group = f.value("B", 0, len(groups) - 1)
    corrupt_if(not allowed(entry.group), "a channel list names a group that it may not name")
    entry.width = f.value("H", 0, groups[entry.group].C)
    entry.centre_q6 = f.values("i", entry.width)
    entry.shift = f.values("B", entry.width)
    corrupt_if(any(shift > 30 for shift in entry.shift), "the shift of a channel is above 30")
    return entry


def read_NETW(f, groups):
    # a residual group with a GRUP chunk, without a network
    g = f.value("B", 0, len(groups) - 1)
    group = groups[g]
    corrupt_if(group.kind not in RESIDUAL_KINDS, "a network of a group that is not residual")
    corrupt_if(not group.described, "a network before the GRUP chunk of its group")
    corrupt_if(group.network is not None, "a second network of a group")
    net = argparse.Namespace()
    net.octaves = f.value("B", 0, 12)
    net.layer_inputs = f.value("B", 0, 16)
    net.neighbours = f.value("B", 0, 8)
    net.step_class = f.value("B", 0, 1)
    inputs = 6 * net.octaves + net.layer_inputs + net.step_class
    if net.neighbours:
        net.nearby = read_channel_list(f, groups, lambda number: number == g)
        inputs += net.neighbours * (net.nearby.width + 1)
    # each of a group below this one, not POSITION, groups strictly increasing
    net.own, before = [], 0
    for _ in range(f.value("B")):
        entry = read_channel_list(f, groups, lambda number: before < number < g)
        net.own.append(entry)
        before = entry.group
        inputs += entry.width
    corrupt_if(inputs > MAX_INPUTS, "a network has more than 4096 inputs")
    net.blended = f.value("B", 0, 1)
    if net.blended:
        net.decay = f.value("B")
        net.gain_q8 = f.values("B", group.C)
    widths = [f.value("H", 1, 256) for _ in range(f.value("B", 0, 4))]
    # The first layer has as many rows as there are inputs; the last has 2 C columns.
    net.layers = []
    rows = inputs
    for columns in [*widths, 2 * group.C]:
        net.layers.append(read_network_layer(f, rows, columns))
        group.integers += rows * columns
        rows = columns
    f.end()
    limit_models(groups)
    group.network = net


def read_network_layer(f, R, Q):
    shift = f.value("B", 1, 16)
    bias_index = f.value("B", 1, 63)
    # row i has index 30 + steps[0] + ... + steps[i]
    steps = side_stream(f.blob(), [30] * R)
    indices = [30 + s for s in accumulate(steps)]
    corrupt_if(any(not 1 <= t <= 63 for t in indices), "the index of a row is not in 1 to 63")
    corrupt_if(R * Q > MAX_SIDE_STREAM, "a network layer has more than 2^20 weights")
    weights = side_stream(f.blob(), [t for t in indices for _ in range(Q)])
    corrupt_if(any(abs(w) >= 1 << 15 for w in weights), "a weight reaches 2^15")
    bias = side_stream(f.blob(), [bias_index] * Q)
    corrupt_if(any(abs(b) >= 1 << 16 for b in bias), "a bias reaches 2^16")
    # A bias enters numerics 9 as its integer times 256.
    return NetworkLayer(
        [weights[i * Q : i * Q + Q] for i in range(R)], [256 * b for b in bias], shift
    )


# ------------------------------------------------------------------------------------------------
# 4.1 Grammar, 8 Levels, truncation, digests
# ------------------------------------------------------------------------------------------------


class Decoder:
    """Reads a file up to the level wanted (1-based; None: all), decoding each complete level."""

    def __init__(self, data):
        self.data = data
        self.levels = []
        self.complete = 0  # levels that are complete
        self.digests = []  # as computed
        self.attachments, self.objects = Attachments(), None

    def decode(self, wanted=None):
        self.chunks = Chunks(self.data)
        self.prelude(wanted)
        last = wanted or len(self.levels)
        while self.complete < last:
            # 8.2: A decoder that reaches the end of a level reports no error.
            at_level_end = self.complete and self.chunks.at == self.levels[self.complete - 1].end
            if at_level_end and self.chunks.at == len(self.data):
                if wanted:
                    raise Truncated(f"the file is cut behind level {self.complete}")
                return
            self.body_chunk(*self.chunks.next())
            self.level_end()
        # Bytes behind the last level's end make the file corrupt. A decoder that was asked for one
        # level need not look behind it.
        Place.section, Place.offset = "end of file", self.chunks.at
        corrupt_if(
            not wanted and self.chunks.at != len(self.data), "bytes stand behind the last level"
        )

    def expect(self, *kinds, ancillary=True):
        """The next chunk of the prelude. Known critical chunks out of place are corrupt."""
        while True:
            kind, payload, offset = self.chunks.next()
            if kind in kinds:
                return Fields(payload, offset)
            corrupt_if(not (ancillary and is_ancillary(kind)), "a chunk is out of place")
            self.ancillary(kind, payload, offset)

    def prelude(self, wanted):
        # file = signature HEAD LEVS {anc} SCHM {anc} TILE {anc} KDTB ...
        self.schema = self.tables = None
        self.head = read_HEAD(self.expect(b"HEAD", ancillary=False))
        f = self.expect(b"LEVS", ancillary=False)
        corrupt_if(self.chunks.at > MAX_LEVS_END, "LEVS ends behind byte 65536")
        self.levels = read_LEVS(f, self.head)
        if wanted and wanted > len(self.levels):
            raise Unsupported(f"no level {wanted}: the file has {len(self.levels)}")
        self.schema = read_SCHM(self.expect(b"SCHM"), self.head)
        self.tiles, self.due = read_TILE(self.expect(b"TILE"), self.head, self.levels)
        f = self.expect(b"KDTB")
        self.tables = position_tables(f.rest())
        self.exact = ExactData(self.head, self.schema, self.tiles)
        self.read_data = 0  # DATA chunks read
        self.pending = []  # DATA and XDAT chunks of the level being read
        self.level_end()

    def body_chunk(self, kind, payload, offset):
        head = self.head
        f = Fields(payload, offset)
        if is_ancillary(kind):
            self.ancillary(kind, payload, offset)
        elif kind == b"GRUP":
            corrupt_if(not head.groups, "a GRUP chunk where there are no groups")
            read_GRUP(f, head, self.schema)
        elif kind == b"NETW":
            corrupt_if(not head.groups, "a NETW chunk where there are no groups")
            read_NETW(f, head.groups)
        elif kind == b"DATA":
            pair = (f.value("H"), f.value("I"))
            # 4.1, 1: exactly the pairs of the due list, in that order
            corrupt_if(
                self.read_data >= len(self.due) or pair != self.due[self.read_data],
                "a DATA chunk that is not due",
            )
            for g in head.script[pair[0]][1]:
                group = head.groups[g]
                # 4.1, 2 and 3: GRUP and NETW stand before the first DATA of their group
                corrupt_if(group.kind != POSITION and not group.described, "DATA before GRUP")
                corrupt_if(group.kind in RESIDUAL_KINDS and not group.network, "DATA before NETW")
            f.blob()
            self.read_data += 1
            self.pending.append((kind, payload, offset))
        elif kind == b"XDAT":
            # 4.1, 4: only if the last pass is exact, behind all DATA, in the level that holds it
            corrupt_if(not head.exact, "XDAT without an exact pass")
            corrupt_if(self.read_data != len(self.due), "XDAT before the last DATA")
            corrupt_if(
                self.levels[self.complete].passes != len(head.script),
                "XDAT in a level without the exact pass",
            )
            self.pending.append((kind, payload, offset))
        else:
            raise Corrupt("a chunk is out of place")

    def level_end(self):
        """8.1 Where levels end."""
        if self.chunks.at < self.levels[self.complete].end:
            return
        level = self.levels[self.complete]
        # corrupt unless it equals end and the DATA chunks read so far are exactly those of the due
        # list whose pass is below the level's passes
        corrupt_if(self.chunks.at != level.end, "a level does not end where a chunk ends")
        expected = bisect_left(self.due, (level.passes, 0))
        corrupt_if(self.read_data != expected, "a level does not hold the data of its passes")
        data_digests, exact_digests = [], []
        for kind, payload, offset in self.pending:
            Place.section = kind.decode()
            f = Fields(payload, offset)
            if kind == b"DATA":
                data_digests.append(self.decode_data(f))
            else:
                self.exact.read(f)
                exact_digests.append(hashlib.sha256(payload).digest())
        self.pending = []
        if self.complete == len(self.levels) - 1:
            self.exact.check_complete()
        # 8.3: H(digest of the level before | digests of its DATA chunks | of its XDAT chunks)
        before = self.digests[-1] if self.digests else b""
        digest = hashlib.sha256(before + b"".join(data_digests + exact_digests)).digest()
        Place.section, Place.offset = f"level {self.complete + 1}", level.end
        corrupt_if(digest != level.digest, "the digest of a level differs")
        self.digests.append(digest)
        self.complete += 1

    def decode_data(self, f):
        p, t = f.value("H"), f.value("I")
        layer, listed = self.head.script[p]
        symbols, bits = f.blob(), f.rest()
        return DataDecoder(
            self.head, self.tables, self.tiles[t], layer, symbols, bits
        ).decode(listed)  # fmt: skip

    def ancillary(self, kind, payload, offset):
        f = Fields(payload, offset)
        if kind == b"aTCH":
            self.attachments.read(f)
        elif kind == b"oBJT":
            # 13.2: at most once, behind SCHM and before KDTB
            corrupt_if(self.schema is None or self.tables is not None, "oBJT is out of place")
            corrupt_if(self.objects is not None, "oBJT stands twice")
            self.objects = read_objects(f, self.head, self.schema)
        # Ancillary chunks of unknown type are skipped.


# ------------------------------------------------------------------------------------------------
# 9 Reconstruction of columns
# ------------------------------------------------------------------------------------------------


def to_bytes(kind, values):
    """Values rounded to a type, ties to even, as little-endian bytes."""
    out = array(TYPES[kind][1], values)
    if sys.byteorder == "big":
        out.byteswap()
    return out.tobytes()


def from_bytes(kind, data):
    code = TYPES[kind][1]
    return struct.unpack(f"<{len(data) // struct.calcsize('<' + code)}{code}", data)


class Scene:
    """The decoded scene at a level: self.columns maps a property to its bytes."""

    def __init__(self, decoder, number, compensate):
        head, schema = decoder.head, decoder.schema
        self.head, self.schema, self.exact = head, schema, decoder.exact
        self.level = decoder.levels[number - 1]
        self.done = head.done[self.level.passes]
        # 8.2: a level holds the Gaussians of the layers with done[l] > 0
        self.layers = [l for l in range(head.layers) if self.done[l] > 0]
        self.tiles = decoder.tiles
        self.rows = canonical_rows(self.tiles, self.layers)
        self.layer_of = [l for l in self.layers for t in self.tiles for _ in range(t.counts[l])]
        self.n = len(self.rows)
        self.holds_exact = head.exact and self.level.passes == len(head.script)
        self.columns = {}
        # Order of the steps: groups and constants; level compensation; extras and exact columns;
        # exceptions; row order.
        for group in head.groups:
            self.reconstruct(group)
        for name, value in schema.constants.items():
            self.columns[name] = value * self.n
        if compensate and self.level.active:
            self.compensate()
        self.elements = []
        if self.holds_exact:
            self.apply_exact()

    def holds(self, group, layer):
        """8.2: for these layers group g if done[l] > g."""
        return self.done[layer] > group.number

    def put(self, name, values):
        self.columns[name] = to_bytes(self.schema.types[name], values)

    def reconstruct(self, group):
        if group.kind == POSITION:
            if self.layers:
                for axis, name in enumerate(group.names):
                    self.put(name, self.positions(axis))
        elif group.kind == ID:
            # if the level holds it for every one of its layers
            if self.layers and all(self.holds(group, l) for l in self.layers):
                name = group.names[0]
                labels = [group.palette[t.ints[group.number][row][0]] for t, row in self.rows]
                if self.schema.types[name] in ("f4", "f8"):
                    labels = list(map(float, labels))
                self.put(name, labels)
        elif group.kind in RESIDUAL_KINDS and group.names:
            # if the level holds it for at least one of its layers
            if any(self.holds(group, l) for l in self.layers):
                rows = self.residual_rows(group)
                for name, values in zip(group.names, zip(*rows) if rows else [()] * group.M):
                    self.put(name, values)

    def positions(self, axis):
        """position = origin + (cell + (f + 0.5) / 2^b) * grid_step"""
        origin, grid_step = self.head.origin[axis], self.head.grid_step
        fine = next((g for g in self.head.groups if g.kind == POSITION_FINE), None)
        for (tile, row), layer in zip(self.rows, self.layer_of):
            cell = tile.origin[axis] + tile.cells[row][axis]
            f, b = 0, 0
            if fine and self.holds(fine, layer):
                f, b = tile.ints[fine.number][row][axis], tile.widths[row]
            yield origin + (cell + (f + 0.5) / (1 << b)) * grid_step

    def residual_rows(self, group):
        """Of each row the columns of a residual group, in binary64."""
        M, step = group.M, group.step / 64
        rows = []
        for (tile, row), layer in zip(self.rows, self.layer_of):
            # Then, if the group names a sentinel group, rows marked by it take the palette value
            # of their label in every column.
            sentinel = group.sentinel
            if sentinel and self.holds(sentinel, layer) and is_marked(group, tile, row):
                rows.append([float(sentinel.palette[tile.ints[sentinel.number][row][0]])] * M)
                continue
            # Rows of layers that lack it are computed from v_q6 = 0.
            v = tile.ints[group.number][row] if self.holds(group, layer) else (0,) * group.C
            y = [a * step + centre for a, centre in zip(v, group.centre)]
            if group.kind in TRANSFORMED_KINDS:
                # mean[m] + sum over c of y[c] * basis[c][m] / 2^bits
                rows.append([
                    mean + sum(map(mul, y, column))
                    for mean, column in zip(group.mean, group.basis)
                ])  # fmt: skip
            else:
                rows.append(WARPS[group.kind](y))
        return rows

    # 10 Level compensation

    def compensate(self):
        scale_offset, spacing_pull, depth_gain, depth_exponent = self.level.compensation
        for group in self.head.groups:
            # A group that the level does not hold is left alone.
            if not group.names or group.names[0] not in self.columns:
                continue
            columns = [from_bytes(self.schema.types[name], self.columns[name])
                       for name in group.names]  # fmt: skip
            if group.kind == SCALE:
                grown = []
                for spacing, scales in zip(self.spacings(), zip(*columns)):
                    # size = mean of the two largest of the row's log scales
                    largest = sorted(scales)[-2:]
                    size = sum(largest) / len(largest)
                    growth = scale_offset + spacing_pull * clip(spacing - size, -2, 3)
                    grown.append([s + growth for s in scales])
                for name, values in zip(group.names, zip(*grown)):
                    self.put(name, values)
            elif group.kind == OPACITY:
                self.put(group.names[0],
                         [compensated_opacity(a, depth_gain, depth_exponent)
                          for a in columns[0]])  # fmt: skip

    def spacings(self):
        """1. Spacing of each canonical row of the level."""
        position = self.head.groups[0]
        axes = [from_bytes(self.schema.types[name], self.columns[name]) for name in position.names]
        points = list(zip(*axes))
        spacings = [0.0] * self.n
        members = {}  # of each tile its canonical rows in row order of the tile
        for i, (tile, _row) in enumerate(self.rows):
            members.setdefault(tile.number, []).append(i)
        for rows in members.values():
            # sorted by key, equal keys in row order of the tile
            rows.sort(key=lambda i: (self.rows[i][0].keys[self.rows[i][1]], self.rows[i][1]))
            n = len(rows)
            u = min(4, n - 1)
            for place, i in enumerate(rows):
                if u == 0:
                    spacings[i] = 0.5 * math.log(1e-20)
                    continue
                # the up to 8 rows before and up to 8 rows behind it in this order
                near = rows[max(0, place - 8) : place] + rows[place + 1 : place + 9]
                S = sorted(
                    sum((a - b) * (a - b) for a, b in zip(points[i], points[k])) for k in near
                )
                # 0.5 * log(mean of the u smallest of S + 1e-20)
                spacings[i] = 0.5 * math.log(sum(S[:u]) / u + 1e-20)
        return spacings

    # extras and exact columns, exceptions, row order

    def apply_exact(self):
        exact = self.exact
        self.columns.update(exact.columns)
        if exact.exceptions:
            changed = {}
            for row, number, value in exact.exceptions:
                name, kind = self.schema.properties[number]
                # Exceptions for a property that the scene does not hold are ignored.
                if name in self.columns:
                    size = struct.calcsize("<" + TYPES[kind][1])
                    column = changed.setdefault(name, bytearray(self.columns[name]))
                    column[row * size : row * size + size] = value[:size]
            self.columns.update({name: bytes(column) for name, column in changed.items()})
        if exact.order is not None:
            # canonical row i becomes row o[i] of the scene
            for name, column in self.columns.items():
                size = struct.calcsize("<" + TYPES[self.schema.types[name]][1])
                moved = bytearray(len(column))
                for i, o in enumerate(exact.order):
                    moved[o * size : o * size + size] = column[i * size : i * size + size]
                self.columns[name] = bytes(moved)
        self.elements = exact.elements or []

    # the PLY

    def held(self):
        """Columns stand in the order of properties; those the level does not hold are left out."""
        return [(name, kind) for name, kind in self.schema.properties if name in self.columns]

    def ply(self):
        layout = self.schema.layout
        order = layout["byte_order"]
        text = layout["text"]
        form = "ascii" if text else f"binary_{'little' if order == '<' else 'big'}_endian"
        lines = ["ply", f"format {form} 1.0"]
        lines += [f"comment {s}" for s in layout["comments"]]
        lines += [f"obj_info {s}" for s in layout["obj_info"]]
        # the vertex element at place min(vertex_index, number of other elements)
        place = min(layout["vertex_index"], len(self.elements))
        bodies = []
        for element in [*self.elements[:place], None, *self.elements[place:]]:
            if element is None:
                lines.append(f"element vertex {self.n}")
                lines += [f"comment {s}" for s in layout["vertex_comments"]]
                lines += [f"property {TYPES[kind][0]} {name}" for name, kind in self.held()]
                bodies.append(self.vertex_text() if text else self.vertex_binary(order))
            else:
                lines.append(f"element {element.name} {element.count}")
                lines += element.comments
                for name, codes in element.properties:
                    form = ["list"] * (len(codes) - 1) + [PLY_NAMES[code] for code in codes]
                    lines.append(f"property {' '.join(form)} {name}")
                for row in element.rows:
                    if text:
                        words = [number_text(v, code) for code, vs in row for v in vs]
                        bodies.append((" ".join(words) + "\n").encode())
                    else:
                        bodies += [struct.pack(f"{order}{len(vs)}{code}", *vs) for code, vs in row]
        lines.append("end_header\n")
        return "\n".join(lines).encode("ascii") + b"".join(bodies)

    def vertex_binary(self, order):
        held = self.held()
        sizes = [struct.calcsize("<" + TYPES[kind][1]) for _, kind in held]
        width = sum(sizes)
        out = bytearray(width * self.n)
        start = 0
        for (name, _), size in zip(held, sizes):
            for b in range(size):
                place = b if order == "<" else size - 1 - b
                out[start + place :: width] = self.columns[name][b::size]
            start += size
        return bytes(out)

    def vertex_text(self):
        columns = []
        for name, kind in self.held():
            code = TYPES[kind][1]
            columns.append([number_text(v, code) for v in from_bytes(kind, self.columns[name])])
        rows = zip(*columns) if columns else [()] * self.n
        return "".join(" ".join(row) + "\n" for row in rows).encode()


def number_text(v, code):
    """A number of an ASCII PLY: the shortest decimal that reads back as the same value."""
    if code not in "fd":
        return str(v)
    if code == "d" or not math.isfinite(v):
        return repr(v)
    digits = (f"{v:.{n}g}" for n in range(1, 9))
    return next((s for s in digits if array("f", [float(s)])[0] == v), f"{v:.9g}")


# 5.2 Warps; overflow gives infinity, as in binary64 arithmetic


def unwarp_opacity(y):
    try:
        return [3 * math.sinh(y[0] / 3)]
    except OverflowError:
        return [math.copysign(math.inf, y[0])]


def unwarp_scale(y):
    return y


def unwarp_rotation(y):
    n = y[0] * y[0] + y[1] * y[1] + y[2] * y[2]
    m = min(n, 4)
    r = math.sqrt(min(1, 4 / max(n, 4)))  # pulls back to the antipode
    return [1 - m / 2] + [a * r * math.sqrt(1 - m / 4) for a in y]


WARPS = {OPACITY: unwarp_opacity, SCALE: unwarp_scale, ROTATION: unwarp_rotation}


def compensated_opacity(a, depth_gain, depth_exponent):
    """10, Opacity. o = min(1 / (1 + exp(-clip(a, -60, 60))), 0.999) and so on."""
    o = min(1 / (1 + math.exp(-clip(a, -60, 60))), 0.999)
    t = -math.log1p(-o)
    try:
        depth = math.exp(depth_gain) * t**depth_exponent
    except OverflowError:
        depth = math.inf
    return math.log(math.expm1(min(depth, 60)) + 1e-30)


# ------------------------------------------------------------------------------------------------
# 13 Ancillary chunks
# ------------------------------------------------------------------------------------------------

DEVICES = {"con", "prn", "aux", "nul", "conin$", "conout$", "clock$"} | {
    port + digit for port in ("com", "lpt") for digit in "0123456789¹²³"
}


class Attachments:
    """13.1 aTCH: attachment."""

    def __init__(self):
        self.files, self.total = {}, 0

    def read(self, f):
        limit_if(len(self.files) >= LIMIT_ATTACHMENTS, "attachments")
        name = f.raw(f.value("H", 1, 255))
        try:
            name = name.decode("utf-8")
        except UnicodeDecodeError:
            raise Corrupt("the name of an attachment is not UTF-8") from None
        self.check_name(name)
        # equals that of an earlier one after NFC, full case folding and NFC
        nfc = unicodedata.normalize("NFC", name)
        folded = unicodedata.normalize("NFC", nfc.casefold())
        corrupt_if(folded in self.files, "two attachments have the same name")
        sha256 = f.raw(32)
        size = f.value("Q")
        # the sum of all size fields is compared with the limit before anything is inflated
        self.total += size
        limit_if(self.total > LIMIT_ATTACHED_BYTES, "bytes of attachments")
        data = inflate(f.rest(), size)
        corrupt_if(hashlib.sha256(data).digest() != sha256, "an attachment's SHA-256 differs")
        self.files[folded] = (name, data)

    def check_name(self, name):
        corrupt_if(
            any(unicodedata.category(ch) in ("Cc", "Cf", "Cs", "Zl", "Zp") for ch in name)
            or set(name) & set('<>:"/\\|?*'),
            "a character in the name of an attachment",
        )
        # consists of dots and spaces only, begins with a space, or ends with a dot or a space
        corrupt_if(
            not name.strip(". ") or name[0] == " " or name[-1] in ". ",
            "dots or spaces in the name of an attachment",
        )
        # its part before the first dot, without trailing spaces and whatever the case
        stem = name.split(".")[0].rstrip(" ").lower()
        corrupt_if(stem in DEVICES, "the name of an attachment is that of a device")


def read_objects(f, head, schema):
    """13.2 oBJT: object table."""
    size = f.value("I", 0, MAX_OBJECT_TEXT)
    text = parse_json(inflate(f.rest(), size), finite=True)
    name = text.get("property")
    corrupt_if(not isinstance(name, str) or name not in schema.types, "oBJT: property")
    kind = schema.types[name]
    if kind in ("f4", "f8"):
        lo, hi = -(1 << 53), 1 << 53
    else:
        lo, hi = integer_range(kind)
    objects = text.get("objects")
    corrupt_if(not isinstance(objects, list) or len(objects) > MAX_OBJECTS, "oBJT: objects")
    for entry in objects:
        corrupt_if(not isinstance(entry, dict), "oBJT: an object")
        corrupt_if(not is_int(entry.get("id")) or not lo <= entry["id"] <= hi, "oBJT: an id")
        corrupt_if(
            not isinstance(entry.get("name"), str)
            or len(entry["name"]) > 1024
            or any(unicodedata.category(ch) in ("Cc", "Cs") for ch in entry["name"]),
            "oBJT: a name",
        )
        colour = entry.get("colour", False)
        corrupt_if(
            colour is not None
            and not (isinstance(colour, str) and re.fullmatch("#[0-9a-f]{6}", colour)),
            "oBJT: a colour",
        )
        corrupt_if(not is_int(entry.get("count")) or entry["count"] < 0, "oBJT: a count")
        corrupt_if(not is_box(entry.get("box", False)), "oBJT: a box")
    corrupt_if(len({entry["id"] for entry in objects}) != len(objects), "oBJT: an id stands twice")
    corrupt_if(sum(entry["count"] for entry in objects) > head.N, "oBJT: the counts exceed N")
    return objects


def is_box(box):
    """null, or [[x, y, z], [x, y, z]], no low coordinate above the high one."""
    if box is None:
        return True
    return (
        isinstance(box, list)
        and len(box) == 2
        and all(isinstance(corner, list) and len(corner) == 3 for corner in box)
        and all(is_int(v) or isinstance(v, float) for corner in box for v in corner)
        and all(low <= high for low, high in zip(*box))
    )


# ------------------------------------------------------------------------------------------------
# The command
# ------------------------------------------------------------------------------------------------


def write_whole(path, data):
    """Writes a file whole or not at all."""
    part = f"{path}.{os.getpid()}.part"
    try:
        with open(part, "xb") as out:
            out.write(data)
        os.replace(part, path)
    except BaseException:
        if os.path.exists(part):
            os.unlink(part)
        raise


def positive(text):
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def integers_report(decoder, outcome, level):
    """What conformance compares: digests, and columns with compensation left out."""
    report = {"outcome": outcome, "level": level, "levels": len(decoder.levels),
              "gaussians": 0, "digests": []}  # fmt: skip
    if level:
        scene = Scene(decoder, level, compensate=False)
        report["gaussians"] = scene.n
        report["digests"] = [digest.hex() for digest in decoder.digests[:level]]
        report["columns"] = {
            name: {"type": kind, "sha256": hashlib.sha256(scene.columns[name]).hexdigest()}
            for name, kind in scene.held()
        }
    return json.dumps(report, indent=1).encode()


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Decodes a CSGS file to a PLY file.")
    parser.add_argument("input")
    parser.add_argument("output", nargs="?")
    parser.add_argument("--level", type=positive, help="decode this level (1 is the coarsest)")
    parser.add_argument("--no-compensation", action="store_true")
    parser.add_argument("--allow-truncated", action="store_true")
    parser.add_argument("--integers", metavar="OUT.json")
    options = parser.parse_args(arguments)
    try:
        with open(options.input, "rb") as file:
            decoder = Decoder(file.read())
    except OSError as error:
        print(f"usage: {error}", file=sys.stderr)
        return 2

    outcome, exit_code, level = "ok", 0, 0
    ply = None
    try:
        try:
            decoder.decode(options.level)
            level = decoder.complete
            line = f"ok: level {level} of {len(decoder.levels)}"
        except Truncated as error:
            # 8.2: a decoder may, when told to, decode the levels that are complete.
            line = failure(error)
            level = decoder.complete
            if not (level and options.allow_truncated):
                outcome, exit_code = error.name, error.exit_code
        if level and options.output:
            ply = Scene(decoder, level, not options.no_compensation).ply()
        report = integers_report(decoder, outcome, level) if options.integers else None
    except (Outcome, MemoryError) as error:
        if isinstance(error, MemoryError):
            error = Limit("out of memory")
        line = failure(error)
        outcome, exit_code, ply = error.name, error.exit_code, None
        report = integers_report(decoder, outcome, 0)
    try:
        if ply is not None:
            write_whole(options.output, ply)
        if options.integers:
            write_whole(options.integers, report)
    except OSError as error:
        print(f"usage: {error}", file=sys.stderr)
        return 2
    print(line, file=sys.stderr)
    return exit_code


def failure(error):
    """One line that names the outcome, the chunk or section, and the byte offset."""
    return f"{error.name}: {Place.section} at byte {Place.offset}: {error}"


if __name__ == "__main__":
    sys.exit(main())
