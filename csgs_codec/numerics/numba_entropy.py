"""Compiled kernels of the entropy coder: rANS, plain bits and cell counts."""

from __future__ import annotations

import numpy as np
from numba import njit

from csgs_codec.numerics.numba_options import OPTIONS


@njit(**OPTIONS)
def decode_symbol(words, at, last, states, lane, table, symbol_of_group, cdf, start_and_frequency):
    """Decode one symbol in a lane; return it and the index of the next word."""
    state = states[lane]
    slot = state & np.uint32(0x3FFF)
    symbol = np.uint64(symbol_of_group[table, slot >> np.uint32(4)])
    while cdf[table, symbol + np.uint64(1)] <= slot:
        symbol += np.uint64(1)
    packed = start_and_frequency[table, symbol]
    state = np.uint32(
        (packed >> np.uint32(16)) * (state >> np.uint32(14)) + slot - (packed & np.uint32(0xFFFF))
    )
    starved = state < np.uint32(65536)
    word = np.uint32(words[np.uint64(min(at, last))])
    states[lane] = (np.uint32(state << np.uint32(16)) | word) if starved else state
    return np.int64(symbol), at + np.int64(starved)


@njit(
    "int64(uint16[::1], int64, uint32[::1], uint8[::1], uint8[:,::1], uint32[:,::1], uint32[:,::1],"
    " uint8[::1])",
    **OPTIONS,
)
def rans_decode(words, at, states, tables, symbol_of_group, cdf, start_and_frequency, out):
    """Decode one stage; return the index of the next word. ``words`` ends in a 0 of no stream."""
    last = words.shape[0] - 1
    lane = 0
    for i in range(out.shape[0]):
        symbol, at = decode_symbol(
            words, at, last, states, lane, tables[i], symbol_of_group, cdf, start_and_frequency
        )
        out[i] = symbol
        lane = (lane + 1) & 31
    return at


@njit(**OPTIONS)
def _field(data, at, width):
    """One field of at most 56 bits."""
    value = np.uint64(0)
    byte = at >> 3
    taken = -(at & 7)
    while taken < width:
        value = (value << np.uint64(8)) | np.uint64(data[byte])
        byte += 1
        taken += 8
    value >>= np.uint64(taken - width)
    return value & ((np.uint64(1) << np.uint64(width)) - np.uint64(1))


@njit("void(uint8[::1], int64, int64[::1], uint8[::1], uint64[::1])", **OPTIONS)
def bits_read(data, at, starts, widths, out):
    """Read MSB-first fields of at most 56 bits; ``starts`` are offsets from bit ``at``."""
    for i in range(out.shape[0]):
        out[i] = _field(data, at + starts[i], np.int64(widths[i]))


@njit("int64(uint8[::1], int64, int64, uint8[::1], int64[::1])", **OPTIONS)
def exp_golomb_read(data, at, end, orders, out):
    """Read Exp-Golomb numbers; return the next bit, or -1 when the data is not valid."""
    for i in range(out.shape[0]):
        zeros = 0
        while True:
            if at >= end or zeros > 30:
                return -1
            bit = (data[at >> 3] >> (7 - (at & 7))) & 1
            at += 1
            if bit:
                break
            zeros += 1
        width = zeros + np.int64(orders[i])
        if at + width > end or width > 40:
            return -1
        value = np.int64(1)
        for _ in range(width):
            value = (value << 1) | ((data[at >> 3] >> (7 - (at & 7))) & 1)
            at += 1
        out[i] = value - (np.int64(1) << np.int64(orders[i]))
    return at


@njit(
    "void(int64, int64, uint64[::1], uint16[::1], uint32[::1], uint8[:,::1], uint32[:,::1],"
    " uint32[:,::1], uint8[::1], int64, uint64[::1], int64[::1])",
    **OPTIONS,
)
def cells_decode(
    count,
    depth,
    earlier,
    words,
    states,
    symbol_of_group,
    cdf,
    start_and_frequency,
    data,
    bits_end,
    keys,
    counts,
):
    """The whole walk over the cells of one tile layer; ``keys`` are not sorted yet.

    ``counts`` holds the index of the next word and the next bit, and receives them and what is
    wrong: 1, the bits end early; 2, a lower half holds more than its cell.
    """
    prefix, prefix2 = np.empty(count, np.uint64), np.empty(count, np.uint64)
    number, number2 = np.empty(count, np.int32), np.empty(count, np.int32)
    first, first2 = np.empty(count, np.int32), np.empty(count, np.int32)
    behind, behind2 = np.empty(count, np.int32), np.empty(count, np.int32)
    alone = np.empty(count, np.uint64)
    alone_bits = np.empty(count, np.uint8)
    prefix[0], number[0], first[0], behind[0] = 0, count, 0, earlier.shape[0]
    cells, singles = 1, 0
    at, bit = counts[0], counts[1]
    last = words.shape[0] - 1
    for level in range(depth):
        if cells == 0:
            break
        remaining = depth - level
        lane, held = 0, 0
        for i in range(cells):
            n, begin, end = np.int64(number[i]), np.int64(first[i]), np.int64(behind[i])
            if n == 1 and begin == end:
                alone[singles] = prefix[i]
                alone_bits[singles] = remaining
                singles += 1
                continue
            below = prefix[i] << np.uint64(1)
            split = (below | np.uint64(1)) << np.uint64(remaining - 1)
            low, high = begin, end
            while low < high:
                half = (low + high) >> 1
                if earlier[half] < split:
                    low = half + 1
                else:
                    high = half
            known = end - begin
            share_class = np.int64(0)
            if known > 0:
                share_class = min(1 + 7 * (2 * (low - begin) + 1) // (2 * (known + 1)), 7)
            log = 0
            if n <= 8:
                count_class = n - 1
            else:
                log = 3
                while log < 7 and (n >> (log + 1)) > 0:
                    log += 1
                count_class = 5 + log
            lower, at = decode_symbol(
                words, at, last, states, lane, count_class * 8 + share_class, symbol_of_group, cdf,
                start_and_frequency,
            )  # fmt: skip
            lane = (lane + 1) & 31
            if n > 8:
                bin_begin = (lower * (n + 1) + 15) >> 4
                spare = (((lower + 1) * (n + 1) + 15) >> 4) - bin_begin - 1
                width = 0
                while spare > 0:
                    width += 1
                    spare >>= 1
                if bit + width > bits_end:
                    counts[2] = 1
                    return
                lower = bin_begin + np.int64(_field(data, bit, width))
                bit += width
            if lower > n:
                counts[2] = 2
                return
            if lower > 0:
                prefix2[held], number2[held] = below, lower
                first2[held], behind2[held] = begin, low
                held += 1
            if lower < n:
                prefix2[held], number2[held] = below | np.uint64(1), n - lower
                first2[held], behind2[held] = low, end
                held += 1
        prefix, prefix2 = prefix2, prefix
        number, number2 = number2, number
        first, first2 = first2, first
        behind, behind2 = behind2, behind
        cells = held
    for part in range(2):
        for i in range(singles):
            low_bits = min(np.int64(alone_bits[i]), 32)
            width = low_bits if part == 1 else alone_bits[i] - low_bits
            if bit + width > bits_end:
                counts[2] = 1
                return
            alone[i] = (alone[i] << np.uint64(width)) | _field(data, bit, width)
            bit += width
    for i in range(singles):
        keys[i] = alone[i]
    for i in range(cells):
        for _ in range(number[i]):
            keys[singles] = prefix[i]
            singles += 1
    counts[0], counts[1], counts[2] = at, bit, 0
