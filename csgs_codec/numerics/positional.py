"""Integer positional encoding: triangle waves (spec, numerics section 7)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def encode_positions(position: NDArray[np.uint16], octaves: int) -> NDArray[np.uint8]:
    """Encode 16-bit positions, shape (n, 3) -> (n, 6 * octaves).

    For axis, octave ``l`` and phase ``p`` in {0, 1}, in that nesting: ``u = (x << l) + p * 2**14``
    modulo ``2**16``, complemented if its top bit is set, shifted right by 7.
    """
    octave = np.arange(octaves, dtype=np.uint16)
    phase = np.array([0, 1 << 14], np.uint16)
    wave = (position[:, :, None] << octave)[..., None] + phase
    folded = np.where(wave & np.uint16(0x8000), ~wave, wave)
    return (folded >> np.uint16(7)).astype(np.uint8).reshape(len(position), -1)
