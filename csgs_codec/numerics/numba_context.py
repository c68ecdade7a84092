"""Compiled kernels of what a network sees: cells, neighbours, waves and step classes."""

from __future__ import annotations

import numpy as np
from numba import njit

from csgs_codec.numerics.numba_options import OPTIONS

_ROWS = 128


@njit("void(uint64[::1], int64[::1], int32[:,::1])", **OPTIONS)
def morton_decode(keys, axes, out):
    """Cells of keys; ``axes`` is the order in which the axes are halved, the last one first."""
    for i in range(keys.shape[0]):
        rest = keys[i]
        x = y = z = np.uint32(0)
        place_x = place_y = place_z = np.uint32(0)
        for depth in range(axes.shape[0]):
            bit = np.uint32(rest) & np.uint32(1)
            rest >>= np.uint64(1)
            axis = axes[depth]
            if axis == 0:
                x |= bit << place_x
                place_x += np.uint32(1)
            elif axis == 1:
                y |= bit << place_y
                place_y += np.uint32(1)
            else:
                z |= bit << place_z
                place_z += np.uint32(1)
        out[i, 0], out[i, 1], out[i, 2] = x, y, z


@njit("void(int64[:,::1], int64[::1], uint64[::1])", **OPTIONS)
def morton_encode(cells, axes, out):
    """Keys of cells; ``axes`` is the order in which the axes are halved, the last one first."""
    place = np.empty(axes.shape[0], np.uint64)
    used = np.zeros(3, np.uint64)
    for depth in range(axes.shape[0]):
        place[depth] = used[axes[depth]]
        used[axes[depth]] += np.uint64(1)
    for i in range(out.shape[0]):
        key = np.uint64(0)
        for depth in range(axes.shape[0]):
            bit = (np.uint64(cells[i, axes[depth]]) >> place[depth]) & np.uint64(1)
            key |= bit << np.uint64(depth)
        out[i] = key


@njit("void(int32[:,::1], int64[::1], int64, int64, uint8[:,::1])", **OPTIONS)
def positional_columns(cells, offset, unit_shift, octaves, out):
    """Triangle waves of ``clip((cell + offset) << 4 >> unit_shift, 0, 65535)``, by column."""
    position = np.empty((3, _ROWS), np.uint16)
    for begin in range(0, cells.shape[0], _ROWS):
        rows = min(_ROWS, cells.shape[0] - begin)
        for axis in range(3):
            for r in range(rows):
                moved = np.int64(cells[np.uint64(begin + r), axis]) + offset[axis]
                position[axis, r] = min(max((moved << 4) >> unit_shift, 0), 65535)
        for octave in range(octaves):
            for axis in range(3):
                for phase in range(2):
                    column = 6 * octave + 2 * axis + phase
                    for r in range(rows):
                        wave = np.uint16(
                            np.uint16(position[axis, r] << np.uint16(octave))
                            + np.uint16(phase << 14)
                        )
                        sign = np.uint16(np.uint16(0) - np.uint16(wave >> np.uint16(15)))
                        high = np.uint16(wave ^ sign) >> np.uint16(7)
                        out[column, np.uint64(begin + r)] = np.uint8(high)


@njit("void(int32[:,::1], int32[::1], uint8[::1], uint8[:,::1], int64)", **OPTIONS)
def encode_channels(v_q6, centre_q6, shift, out, column):
    """Write ``128 + round_shift(v_q6 - centre, shift)``, clipped to 8 bits, to columns of ``out``.

    ``out`` has the shape (columns, n); the first channel goes to ``column``.
    """
    for begin in range(0, v_q6.shape[0], _ROWS):
        end = min(begin + _ROWS, v_q6.shape[0])
        for j in range(centre_q6.shape[0]):
            amount = np.int64(shift[j])
            centre = np.int64(centre_q6[j]) - ((np.int64(1) << amount) >> 1)
            for place in range(begin, end):
                i = np.uint64(place)
                value = ((np.int64(v_q6[i, j]) - centre) >> amount) + 128
                out[column + j, i] = min(max(value, 0), 255)


@njit(
    "void(int32[:,::1], int32[::1], uint8[::1], int32[:,::1], uint8[:,::1], int64,"
    " uint8[:,::1], int64)",
    **OPTIONS,
)
def gather_neighbours(v_q6, centre_q6, shift, row, distance, used, out, column):
    """Write the channels, to 8 bits, and the distance of each used neighbour; missing ones are 128.

    ``out`` has the shape (columns, n).
    """
    width = centre_q6.shape[0]
    for begin in range(0, row.shape[0], _ROWS):
        end = min(begin + _ROWS, row.shape[0])
        at = column
        for j in range(used):
            for c in range(width):
                amount = np.int64(shift[c])
                centre = np.int64(centre_q6[c]) - ((np.int64(1) << amount) >> 1)
                for place in range(begin, end):
                    i = np.uint64(place)
                    source = row[i, j]
                    value = np.int64(128)
                    if source >= 0:
                        value = ((np.int64(v_q6[np.uint64(source), c]) - centre) >> amount) + 128
                    out[at + c, i] = min(max(value, 0), 255)
            for place in range(begin, end):
                out[at + width, np.uint64(place)] = distance[np.uint64(place), j]
            at += width + 1


@njit(
    "void(int32[:,::1], int32[:,::1], uint8[:,::1], int64, int64[::1], uint8[::1], int32[:,::1])",
    **OPTIONS,
)
def blend_neighbours(v_q6, row, distance, decay, powers, gain_q8, out):
    """``shr(gain * sum_j weight_j v_j, 16)``: the neighbours' values weighted by distance."""
    channels = gain_q8.shape[0]
    weight = np.zeros(8, np.int64)
    for place in range(row.shape[0]):
        i = np.uint64(place)
        total = np.int64(0)
        count = 0
        while count < 8 and row[i, count] >= 0:
            octaves = (decay * (np.int64(distance[i, count]) - np.int64(distance[i, 0]))) >> 2
            weight[count] = powers[octaves & 15] >> min(octaves >> 4, 63)
            total += weight[count]
            count += 1
        if count == 0:
            for c in range(channels):
                out[i, c] = 0
            continue
        rest = np.int64(256)
        for j in range(count):
            weight[j] = (weight[j] << 8) // total
            rest -= weight[j]
        weight[0] += rest
        for c in range(channels):
            blended = np.int64(0)
            for j in range(count):
                blended += weight[j] * np.int64(v_q6[np.uint64(row[i, j]), c])
            out[i, c] = (np.int64(gain_q8[c]) * blended + 32768) >> 16


@njit(
    "void(uint64[::1], uint64[::1], int32[:,::1], uint64[::1], int32[:,::1], uint64[::1],"
    " int64[::1], int32[:,::1], uint8[:,::1])",
    **OPTIONS,
)
def nearest_neighbours(
    keys, shifted_keys, cells, known_keys, known, known_shifted, on_shifted, row, distance
):
    """Places and distance codes of the 8 nearest of the Gaussians around each place on two curves.

    ``keys``, ``known_keys`` and ``known_shifted`` are sorted; ``on_shifted`` has the place among
    the known of each member of ``known_shifted``. Squared distances stay below ``2**44`` and places
    below ``2**16``, so they can be compared together.
    """
    far = np.int64(1) << 60
    count = known_keys.shape[0]
    best = np.empty(8, np.int64)
    place = 0
    for i in range(keys.shape[0]):
        while place < count and known_keys[place] < keys[i]:
            place += 1
        low, high = 0, count
        while low < high:
            half = (low + high) >> 1
            if known_shifted[half] < shifted_keys[i]:
                low = half + 1
            else:
                high = half
        begin, end = max(0, place - 8), min(count, place + 8)
        x, y, z = np.int64(cells[i, 0]), np.int64(cells[i, 1]), np.int64(cells[i, 2])
        best[:] = far
        for j in range(begin, end):
            u = np.uint64(j)
            dx, dy, dz = known[u, 0] - x, known[u, 1] - y, known[u, 2] - z
            e = ((dx * dx + dy * dy + dz * dz) << 16) | j
            for slot in range(8):
                better = min(best[slot], e)
                e = max(best[slot], e)
                best[slot] = better
        for other in range(max(0, low - 8), min(count, low + 8)):
            j = on_shifted[np.uint64(other)]
            if begin <= j < end:
                continue
            u = np.uint64(j)
            dx, dy, dz = known[u, 0] - x, known[u, 1] - y, known[u, 2] - z
            e = ((dx * dx + dy * dy + dz * dz) << 16) | j
            if e >= best[7]:
                continue
            for slot in range(8):
                better = min(best[slot], e)
                e = max(best[slot], e)
                best[slot] = better
        for slot in range(8):
            if best[slot] == far:
                row[i, slot], distance[i, slot] = -1, 255
                continue
            row[i, slot] = best[slot] & 65535
            squared = best[slot] >> 16
            log = np.int64(0)
            rest = squared
            for step in (32, 16, 8, 4, 2, 1):
                if rest >> step:
                    rest >>= step
                    log += step
            mantissa = ((squared << 2) >> log) & 3
            code = min(4 * log + mantissa + 1, 254)
            distance[i, slot] = code if squared > 0 else 0


@njit("void(int64[:,::1], int64[::1], int64, int64, int64, int64, int8[::1])", **OPTIONS)
def step_classes(features, coefficients, bias, shift, low, high, out):
    """``clip(round_shift(bias + features . coefficients, shift), low, high)``."""
    half = (np.int64(1) << shift) >> 1
    for i in range(features.shape[0]):
        linear = bias + half
        for j in range(features.shape[1]):
            linear += features[i, j] * coefficients[j]
        out[i] = min(max(linear >> shift, low), high)
