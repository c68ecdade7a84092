"""Compiled kernels. Each has a numpy twin beside its caller that gives the same integers."""

from __future__ import annotations

import numpy as np
from numba import njit

LANES = 32
_OPTIONS = {"cache": True, "nogil": True, "boundscheck": False}


@njit("int64(uint8[::1], uint8[::1], int64[::1], uint32[:,::1], uint32[::1], uint16[::1])", **_OPTIONS)
def rans_encode(symbols, tables, lanes, cdf, states, out):
    """Encode backwards into the end of ``out``; return the index of the first word."""
    at = out.shape[0]
    for i in range(symbols.shape[0] - 1, -1, -1):
        lane = lanes[i]
        start = cdf[tables[i], symbols[i]]
        frequency = np.uint64(cdf[tables[i], symbols[i] + 1] - start)
        state = np.uint64(states[lane])
        if state >= frequency << np.uint64(18):
            at -= 1
            out[at] = np.uint16(state & np.uint64(0xFFFF))
            state >>= np.uint64(16)
        states[lane] = np.uint32(
            ((state // frequency) << np.uint64(14)) + state % frequency + np.uint64(start)
        )
    return at


@njit(
    "int64(uint16[::1], int64, uint32[::1], uint8[::1], uint8[:,::1], uint32[:,::1], uint8[::1])",
    **_OPTIONS,
)
def rans_decode(words, at, states, tables, symbol_of_slot, start_and_frequency, out):
    """Decode one stage; return the index of the next word."""
    available = words.shape[0]
    lane = 0
    for i in range(out.shape[0]):
        state = states[lane]
        table = tables[i]
        slot = state & np.uint32(0x3FFF)
        symbol = symbol_of_slot[table, slot]
        packed = start_and_frequency[table, symbol]
        state = np.uint32(
            (packed >> np.uint32(16)) * (state >> np.uint32(14))
            + slot
            - (packed & np.uint32(0xFFFF))
        )
        if state < np.uint32(65536):
            word = np.uint32(0)
            if at < available:
                word = np.uint32(words[at])
            state = np.uint32(state << np.uint32(16)) | word
            at += 1
        states[lane] = state
        out[i] = symbol
        lane = (lane + 1) & 31
    return at


@njit(
    "int64(uint16[::1], int64, uint32[::1], uint8[::1], uint8[:,::1], uint32[:,::1], int32[::1],"
    " int32[::1])",
    **_OPTIONS,
)
def residuals_decode(
    words, at, states, scale_index, symbol_of_slot, start_and_frequency, half_width, out
):
    """Decode one residual stage, skipping scale index 0; escapes give ``h + 1``."""
    available = words.shape[0]
    lane = 0
    for i in range(out.shape[0]):
        table = scale_index[i]
        if table == 0:
            out[i] = 0
            continue
        state = states[lane]
        slot = state & np.uint32(0x3FFF)
        symbol = symbol_of_slot[table, slot]
        packed = start_and_frequency[table, symbol]
        state = np.uint32(
            (packed >> np.uint32(16)) * (state >> np.uint32(14))
            + slot
            - (packed & np.uint32(0xFFFF))
        )
        if state < np.uint32(65536):
            word = np.uint32(0)
            if at < available:
                word = np.uint32(words[at])
            state = np.uint32(state << np.uint32(16)) | word
            at += 1
        states[lane] = state
        out[i] = np.int32(symbol) - half_width[table]
        lane = (lane + 1) & 31
    return at


@njit("void(uint8[::1], int64, int64[::1], uint8[::1], uint64[::1])", **_OPTIONS)
def bits_read(data, at, starts, widths, out):
    """Read MSB-first fields of at most 56 bits; ``starts`` are offsets from bit ``at``."""
    for i in range(out.shape[0]):
        width = np.int64(widths[i])
        begin = at + starts[i]
        value = np.uint64(0)
        byte = begin >> 3
        taken = -(begin & 7)
        while taken < width:
            value = (value << np.uint64(8)) | np.uint64(data[byte])
            byte += 1
            taken += 8
        value >>= np.uint64(taken - width)
        out[i] = value & ((np.uint64(1) << np.uint64(width)) - np.uint64(1))


@njit("int64(uint8[::1], int64, int64, uint8[::1], int64[::1])", **_OPTIONS)
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
    "void(int64[::1], int64[:,::1], int64[:,::1], int64[:,::1], int64[:,::1])",
    **_OPTIONS,
)
def window_nearest(place, coordinates, known, best_place, best_squared):
    """Keep the nearest of up to 16 window members of each Gaussian; ties to the earlier place.

    ``best_place`` must be filled with -1 and ``best_squared`` with the largest int64.
    """
    keep = best_place.shape[1]
    for i in range(place.shape[0]):
        for j in range(max(0, place[i] - 8), min(known.shape[0], place[i] + 8)):
            squared = np.int64(0)
            for axis in range(3):
                difference = known[j, axis] - coordinates[i, axis]
                squared += difference * difference
            slot = keep
            while slot > 0 and squared < best_squared[i, slot - 1]:
                slot -= 1
            if slot < keep:
                for later in range(keep - 1, slot, -1):
                    best_squared[i, later] = best_squared[i, later - 1]
                    best_place[i, later] = best_place[i, later - 1]
                best_squared[i, slot] = squared
                best_place[i, slot] = j
