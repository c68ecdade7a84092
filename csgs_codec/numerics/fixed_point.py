"""Fixed-point helpers (spec, numerics section 1)."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Integer = TypeVar("Integer", bound=np.signedinteger)


def shift_round(
    value: NDArray[Integer], shift: int | NDArray[np.unsignedinteger]
) -> NDArray[Integer]:
    """Return ``floor((value + 2**(shift-1)) / 2**shift)``; a shift of 0 changes nothing."""
    amount = np.asarray(shift, dtype=value.dtype)
    half = np.where(amount > 0, np.left_shift(1, np.maximum(amount - 1, 0)), 0)
    return np.right_shift(value + half.astype(value.dtype), amount)


def ilog2(value: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Return ``floor(log2(value))`` exactly, for ``value >= 1``."""
    rest = value.copy()
    result = np.zeros(value.shape, np.uint8)
    for step in (32, 16, 8, 4, 2, 1):
        large = rest >= np.uint64(1 << step)
        rest = np.where(large, rest >> np.uint64(step), rest)
        result += np.where(large, np.uint8(step), np.uint8(0))
    return result
