"""Compiled kernels from decoded integers to columns; nothing that is parsed depends on them.

Columns are rows of ``out``, shape (columns, n), and are written from ``begin`` on. All arithmetic
is float64; only the result is rounded to the type of the columns.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from csgs_codec.numerics.numba_options import OPTIONS

_ROWS = 64


@njit("void(int32[:,::1], float64, float64[::1], float32[:,::1], int64)", **OPTIONS)
def values_plain(v_q6, step, centre, out, begin):
    """``centre + step * v_q6``."""
    for first in range(0, v_q6.shape[0], _ROWS):
        rows = min(_ROWS, v_q6.shape[0] - first)
        for c in range(v_q6.shape[1]):
            for r in range(rows):
                value = v_q6[np.uint64(first + r), c] * step + centre[c]
                out[c, np.uint64(begin + first + r)] = value


@njit(
    "void(int32[:,::1], float64, float64[::1], float64[:,::1], float64[::1], float32[:,::1],"
    " int64)",
    **OPTIONS,
)
def values_linear(v_q6, step, centre, basis, mean, out, begin):
    """``mean + (centre + step * v_q6) @ basis``."""
    channels, columns = basis.shape
    value = np.zeros((channels + 3, _ROWS))
    weights = np.zeros((columns, channels + 3))
    for c in range(channels):
        for column in range(columns):
            weights[column, c] = basis[c, column]
    total = np.empty(_ROWS)
    for first in range(0, v_q6.shape[0], _ROWS):
        rows = min(_ROWS, v_q6.shape[0] - first)
        for c in range(channels):
            for r in range(rows):
                value[c, r] = v_q6[np.uint64(first + r), c] * step + centre[c]
        for column in range(columns):
            for r in range(_ROWS):
                total[r] = mean[column]
            for c in range(0, channels, 4):
                a, b = weights[column, c], weights[column, c + 1]
                d, e = weights[column, c + 2], weights[column, c + 3]
                for r in range(_ROWS):
                    total[r] += (
                        value[c, r] * a
                        + value[c + 1, r] * b
                        + value[c + 2, r] * d
                        + value[c + 3, r] * e
                    )
            for r in range(rows):
                out[column, np.uint64(begin + first + r)] = total[r]


@njit("void(int32[:,::1], float64, float64[::1], float32[:,::1], int64)", **OPTIONS)
def values_rotation(v_q6, step, centre, out, begin):
    """Unit quaternions of chart points, as :func:`csgs_codec.attributes.warps.rotation_inverse`."""
    for i in range(v_q6.shape[0]):
        x = v_q6[i, 0] * step + centre[0]
        y = v_q6[i, 1] * step + centre[1]
        z = v_q6[i, 2] * step + centre[2]
        squared = x * x + y * y + z * z
        pull = np.sqrt(min(1.0, 4.0 / max(squared, 4.0)))
        squared = min(squared, 4.0)
        factor = pull * np.sqrt(1.0 - squared / 4.0)
        at = begin + i
        out[0, at] = 1.0 - squared / 2.0
        out[1, at], out[2, at], out[3, at] = x * factor, y * factor, z * factor


@njit(
    "void(int32[:,::1], int32[:,::1], int8[::1], int64[::1], float64, float64[::1],"
    " float32[:,::1], int64)",
    **OPTIONS,
)
def values_position(cells, fine, bits, tile, step, origin, out, begin):
    """Centres of cells of the scene, or of their fine cells; without these all three are 0."""
    for i in range(cells.shape[0]):
        size = 1.0 / np.float64(np.int64(1) << np.int64(bits[i]))
        for axis in range(3):
            cell = np.float64(np.int64(cells[i, axis]) + tile[axis])
            out[axis, begin + i] = (cell + (fine[i, axis] + 0.5) * size) * step + origin[axis]
