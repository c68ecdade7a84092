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


@njit("void(uint8[:,::1], int32[:,::1], uint8[:,::1], int64, uint8[:,::1], int64)", **OPTIONS)
def gather_neighbours(known, row, distance, used, out, column):
    """Write the channels and the distance of each used neighbour; missing ones are 128.

    ``known`` has the shape (channels, m), ``out`` (columns, n).
    """
    width = known.shape[0]
    for j in range(used):
        for c in range(width):
            for i in range(row.shape[0]):
                source = row[i, j]
                out[column + c, i] = known[c, np.uint64(source)] if source >= 0 else 128
        for i in range(row.shape[0]):
            out[column + width, i] = distance[i, j]
        column += width + 1


@njit(
    "void(uint64[::1], int32[:,::1], uint64[::1], int64[::1], int32[:,::1], int32[:,::1],"
    " uint8[:,::1])",
    **OPTIONS,
)
def nearest_neighbours(keys, cells, earlier, order, earlier_cells, row, distance):
    """Rows and distance codes of the 4 nearest of 16 Gaussians around each key.

    ``keys`` and ``earlier`` are sorted, and ``order`` says which row each earlier key is. Squared
    distances stay below ``2**44``, so they can be compared together with their place.
    """
    far = np.int64(1) << 60
    count = earlier.shape[0]
    known = np.empty((count, 3), np.int32)
    for j in range(count):
        for axis in range(3):
            known[j, axis] = earlier_cells[order[j], axis]
    place = 0
    for i in range(keys.shape[0]):
        while place < count and earlier[place] < keys[i]:
            place += 1
        begin, end = max(0, place - 8), min(count, place + 8)
        x, y, z = np.int64(cells[i, 0]), np.int64(cells[i, 1]), np.int64(cells[i, 2])
        a = b = c = d = far
        for j in range(begin, end):
            dx, dy, dz = known[j, 0] - x, known[j, 1] - y, known[j, 2] - z
            e = ((dx * dx + dy * dy + dz * dz) << 4) | (j - begin)
            a, e = min(a, e), max(a, e)
            b, e = min(b, e), max(b, e)
            c, e = min(c, e), max(c, e)
            d = min(d, e)
        for slot in range(4):
            best = a if slot == 0 else (b if slot == 1 else (c if slot == 2 else d))
            if best == far:
                row[i, slot], distance[i, slot] = -1, 255
                continue
            row[i, slot] = order[begin + (best & 15)]
            squared = best >> 4
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
