"""Integer positional encoding: triangle waves (spec, numerics section 7)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


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
