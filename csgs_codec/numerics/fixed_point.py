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
    half = np.left_shift(np.ones_like(amount), amount) >> 1
    return np.right_shift(value + half, amount)


def ilog2(value: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Return ``floor(log2(value))`` exactly, for ``value >= 1``.

    32-bit halves are exact in float64, whose exponent is the answer.
    """
    high = (value >> np.uint64(32)).astype(np.float64)
    low = (value & np.uint64(0xFFFFFFFF)).astype(np.float64)
    exponent = np.where(high > 0, np.frexp(high)[1] + 32, np.frexp(low)[1])
    return (exponent - 1).astype(np.uint8)
