"""Integer positional encoding: triangle waves (spec, numerics section 7)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from csgs_codec.numerics.backend import kernels

_UNIT_BITS = 4
_UNIT_MAX = (1 << 16) - 1


def encode_positions(position: NDArray[np.uint16], octaves: int) -> NDArray[np.uint8]:
    """Encode 16-bit positions, shape (n, 3) -> (n, 6 * octaves).

    For octave ``l``, axis and phase ``p`` in {0, 1}, in that nesting: ``u = (x << l) + p * 2**14``
    modulo ``2**16``, complemented if its top bit is set, shifted right by 7.
    """
    encoded = np.empty((octaves, 3, 2, len(position)), np.uint8)
    for octave in range(octaves):
        for phase in (0, 1):
            wave = (position.T << np.uint16(octave)) + np.uint16(phase << 14)
            sign = np.uint16(0) - (wave >> np.uint16(15))
            encoded[octave, :, phase] = (wave ^ sign) >> np.uint16(7)
    return np.ascontiguousarray(encoded.reshape(6 * octaves, len(position)).T)


def encode_cells(
    cells: NDArray[np.int32], offset: NDArray[np.int64], unit_shift: int, octaves: int
) -> NDArray[np.uint8]:
    """Encode the positions ``clip((cell + offset) << 4 >> unit_shift, 0, 65535)`` (spec 7.3).

    The result has the shape (n, 6 * octaves), and its columns lie together in memory.
    """
    fast = kernels()
    if fast is not None:
        columns = np.empty((6 * octaves, len(cells)), np.uint8)
        fast.positional_columns(cells, offset, unit_shift, octaves, columns)
        return columns.T
    scaled = ((cells + offset) << _UNIT_BITS) >> unit_shift
    return encode_positions(np.clip(scaled, 0, _UNIT_MAX).astype(np.uint16), octaves)
