"""Compiled kernels that decoding a scene does not need: it does not wait for them."""

from __future__ import annotations

import numpy as np
from numba import njit

from csgs_codec.numerics.numba_entropy import decode_symbol
from csgs_codec.numerics.numba_network import buffers, forward, load
from csgs_codec.numerics.numba_options import OPTIONS


@njit(
    "int64(uint8[::1], uint8[::1], int64[::1], uint32[:,::1], uint32[::1], uint16[::1])", **OPTIONS
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


@njit("void(int32[:,::1], int8[::1], int64, int32[:,::1], uint8[:,::1])", **OPTIONS)
def split_outputs(outputs, classes, per_class, mu_q6, scale_index):
    """Separate means from scale indices, round these from Q6 and shift them by the class."""
    channels = mu_q6.shape[1]
    for i in range(outputs.shape[0]):
        offset = per_class * classes[i]
        for j in range(channels):
            mu_q6[i, j] = outputs[i, j]
            index = ((outputs[i, channels + j] + 32) >> 6) - offset
            scale_index[i, j] = min(max(index, 0), 63)


@njit("int64(int32[:,::1], int32[:,::1], int8[::1], int32[::1], int64, int32[:,::1])", **OPTIONS)
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


@njit(
    "void(uint8[:,::1], int64[::1], float32[::1], float32[::1], float32[::1], int32[:,::1])",
    **OPTIONS,
)
def network_forward(columns, widths, weights, bias, scale, out):
    """Outputs, shape (n, outputs), for inputs given column by column, shape (inputs, n)."""
    x, y = buffers(widths)
    for begin in range(0, out.shape[0], 64):
        rows = min(64, out.shape[0] - begin)
        load(columns, begin, rows, x)
        found = forward(widths, weights, bias, scale, x, y)
        for j in range(out.shape[1]):
            for r in range(rows):
                out[begin + r, j] = np.int32(found[j, r])


@njit(
    "int64(uint16[::1], int64, uint32[::1], uint8[::1], uint8[:,::1], uint32[:,::1], uint32[:,::1],"
    " int32[::1], int32, int32[::1])",
    **OPTIONS,
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
        symbol, at = decode_symbol(
            words, at, last, states, lane, table, symbol_of_group, cdf, start_and_frequency
        )
        residual = np.int32(symbol) - half_width[table]
        out[i] = escape if residual > half_width[table] else residual
        lane = (lane + 1) & 31
    return at
