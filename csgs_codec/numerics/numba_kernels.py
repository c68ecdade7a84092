"""Compiled kernels. Each has a numpy twin beside its caller that gives the same integers."""

from __future__ import annotations

import numpy as np
from numba import njit

LANES = 32
_OPTIONS = {"cache": True, "nogil": True, "boundscheck": False}


@njit(
    "int64(uint8[::1], uint8[::1], int64[::1], uint32[:,::1], uint32[::1], uint16[::1])", **_OPTIONS
)
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
    "int64(uint16[::1], int64, uint32[::1], uint8[::1], uint8[:,::1], uint32[:,::1], uint32[:,::1],"
    " uint8[::1])",
    **_OPTIONS,
)
def rans_decode(words, at, states, tables, symbol_of_group, cdf, start_and_frequency, out):
    """Decode one stage; return the index of the next word. ``words`` ends in a 0 of no stream."""
    last = words.shape[0] - 1
    lane = 0
    for i in range(out.shape[0]):
        state = states[lane]
        table = tables[i]
        slot = state & np.uint32(0x3FFF)
        symbol = np.int64(symbol_of_group[table, slot >> np.uint32(4)])
        while cdf[table, symbol + 1] <= slot:
            symbol += 1
        packed = start_and_frequency[table, symbol]
        state = np.uint32(
            (packed >> np.uint32(16)) * (state >> np.uint32(14))
            + slot
            - (packed & np.uint32(0xFFFF))
        )
        starved = state < np.uint32(65536)
        word = np.uint32(words[min(at, last)])
        states[lane] = (np.uint32(state << np.uint32(16)) | word) if starved else state
        at += np.int64(starved)
        out[i] = symbol
        lane = (lane + 1) & 31
    return at


@njit(
    "int64(uint16[::1], int64, uint32[::1], uint8[::1], uint8[:,::1], uint32[:,::1], uint32[:,::1],"
    " int32[::1], int32, int32[::1])",
    **_OPTIONS,
)
def residuals_decode(
    words,
    at,
    states,
    scale_index,
    symbol_of_group,
    cdf,
    start_and_frequency,
    half_width,
    escape,
    out,
):
    """Like ``rans_decode``, skipping scale index 0, to residuals or ``escape``."""
    last = words.shape[0] - 1
    lane = 0
    for i in range(out.shape[0]):
        table = scale_index[i]
        if table == 0:
            out[i] = 0
            continue
        state = states[lane]
        slot = state & np.uint32(0x3FFF)
        symbol = np.int64(symbol_of_group[table, slot >> np.uint32(4)])
        while cdf[table, symbol + 1] <= slot:
            symbol += 1
        packed = start_and_frequency[table, symbol]
        state = np.uint32(
            (packed >> np.uint32(16)) * (state >> np.uint32(14))
            + slot
            - (packed & np.uint32(0xFFFF))
        )
        starved = state < np.uint32(65536)
        word = np.uint32(words[min(at, last)])
        states[lane] = (np.uint32(state << np.uint32(16)) | word) if starved else state
        at += np.int64(starved)
        residual = np.int32(symbol) - half_width[table]
        out[i] = escape if residual > half_width[table] else residual
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


@njit("void(float32[:,::1], float32[::1], float32, float32)", **_OPTIONS)
def activate(x, bias, scale, top):
    """In place: ``clip(floor((x + bias) * scale), 0, top)``; a negative ``top`` does not clip."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            value = np.floor((x[i, j] + bias[j]) * scale)
            if top >= np.float32(0.0):
                value = min(max(value, np.float32(0.0)), top)
            x[i, j] = value


@njit("void(int32[:,::1], int8[::1], int64, int32[:,::1], uint8[:,::1])", **_OPTIONS)
def split_outputs(outputs, classes, per_class, mu_q6, scale_index):
    """Separate means from scale indices, round these from Q6 and shift them by the class."""
    channels = mu_q6.shape[1]
    for i in range(outputs.shape[0]):
        offset = per_class * classes[i]
        for j in range(channels):
            mu_q6[i, j] = outputs[i, j]
            index = ((outputs[i, channels + j] + 32) >> 6) - offset
            scale_index[i, j] = min(max(index, 0), 63)


@njit("int64(int32[:,::1], int32[:,::1], int8[::1], int32[::1], int64, int32[:,::1])", **_OPTIONS)
def reconstruct(mu_q6, k, classes, step_q6, zero_class, v_q6):
    """``v_q6 = mu_q6 + k * step_q6[class]``; returns the largest magnitude."""
    largest = np.int64(0)
    for i in range(k.shape[0]):
        step = np.int64(step_q6[classes[i] + zero_class])
        for j in range(k.shape[1]):
            value = mu_q6[i, j] + k[i, j] * step
            largest = max(largest, abs(value))
            v_q6[i, j] = value
    return largest


@njit("void(int32[:,::1], int32[::1], uint8[::1], uint8[:,::1], int64)", **_OPTIONS)
def encode_channels(v_q6, centre_q6, shift, out, column):
    """Write ``128 + round_shift(v_q6 - centre, shift)``, clipped to 8 bits, from ``column`` on."""
    for j in range(centre_q6.shape[0]):
        amount = np.int64(shift[j])
        half = (np.int64(1) << amount) >> 1
        for i in range(v_q6.shape[0]):
            value = ((np.int64(v_q6[i, j]) - centre_q6[j] + half) >> amount) + 128
            out[i, column + j] = min(max(value, 0), 255)


@njit("void(uint8[:,::1], int32[:,::1], uint8[:,::1], int64, uint8[:,::1], int64)", **_OPTIONS)
def gather_neighbours(known, row, distance, used, out, column):
    """Write the channels and the distance of each used neighbour; missing ones are 128."""
    width = known.shape[1]
    for i in range(row.shape[0]):
        at = column
        for j in range(used):
            source = row[i, j]
            for c in range(width):
                out[i, at + c] = known[source, c] if source >= 0 else 128
            out[i, at + width] = distance[i, j]
            at += width + 1


@njit(
    "void(uint64[::1], int64[::1], int64[::1], int64[::1], uint64[::1], int64, uint64[::1],"
    " int64[::1], uint8[::1])",
    **_OPTIONS,
)
def cell_contexts(prefix, count, begin, end, earlier, remaining, splits, middle, tables):
    """Split key, earlier Gaussians in the lower half and table of each cell."""
    for i in range(prefix.shape[0]):
        split = ((prefix[i] << np.uint64(1)) | np.uint64(1)) << np.uint64(remaining - 1)
        low, high = begin[i], end[i]
        while low < high:
            half = (low + high) >> 1
            if earlier[half] < split:
                low = half + 1
            else:
                high = half
        splits[i] = split
        middle[i] = low
        n = count[i]
        if n <= 8:
            count_class = n - 1
        else:
            log = 3
            while log < 7 and (n >> (log + 1)) > 0:
                log += 1
            count_class = 5 + log
        known = end[i] - begin[i]
        share_class = np.int64(0)
        if known > 0:
            share_class = min(1 + 7 * (2 * (low - begin[i]) + 1) // (2 * (known + 1)), 7)
        tables[i] = count_class * 8 + share_class


@njit(
    "int64(uint64[::1], int64[::1], int64[::1], int64[::1], int64[::1], int64[::1], uint64[::1],"
    " int64[::1], int64[::1], int64[::1])",
    **_OPTIONS,
)
def cell_children(prefix, count, begin, end, lower, middle, prefix2, count2, begin2, end2):
    """Write the non-empty halves, lower before upper; return how many there are."""
    at = 0
    for i in range(prefix.shape[0]):
        if lower[i] > 0:
            prefix2[at] = prefix[i] << np.uint64(1)
            count2[at] = lower[i]
            begin2[at] = begin[i]
            end2[at] = middle[i]
            at += 1
        if lower[i] < count[i]:
            prefix2[at] = (prefix[i] << np.uint64(1)) | np.uint64(1)
            count2[at] = count[i] - lower[i]
            begin2[at] = middle[i]
            end2[at] = end[i]
            at += 1
    return at
