"""The range decoder of numerics 10.2, by the letter: tells why a side stream is corrupt."""

from __future__ import annotations

import numpy as np

from csgs_codec.numerics.tables import laplace_tables

_MASK = (1 << 64) - 1


def verdict(words: list[int], index: list[int]) -> str:
    """Say what happens to the words of a side stream under scale indices.

    Returns
    -------
    {"fine", "symbol", "unread", "end"}
        Fine, or which check fails: ``q >= 2^24``, words left unread, the final interval.
    """
    queue = list(words)

    def word() -> int:
        return queue.pop(0) if queue else 0

    low, width = 0, _MASK
    point = (word() << 32) | word()
    for t in index:
        frequencies = np.diff(laplace_tables().cdf[t].astype(np.int64))
        cumulative = [0, *(np.cumsum(frequencies[: laplace_tables().sizes[t]]) << 10).tolist()]
        scale = width >> 24
        q = ((point - low) & _MASK) // scale
        if q >= 1 << 24:
            return "symbol"
        s = next(i for i in range(len(cumulative) - 1) if cumulative[i] <= q < cumulative[i + 1])
        low = (low + scale * cumulative[s]) & _MASK
        width = scale * (cumulative[s + 1] - cumulative[s])
        if width < 1 << 32:
            low, width = (low << 32) & _MASK, width << 32
            point = ((point << 32) | word()) & _MASK
    if queue:
        return "unread"
    return "fine" if not index or (point - low) & _MASK < (1 << 33) - 1 else "end"
