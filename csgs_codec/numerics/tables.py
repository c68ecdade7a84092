"""Frequency tables of the entropy coder (spec, numerics section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from csgs_codec.errors import CorruptError
from csgs_codec.numerics.laplace_constants import LAPLACE_CONSTANTS

PRECISION = 14
TOTAL = 1 << PRECISION
SLOTS_PER_GROUP = 16
MAX_ALPHABET = 256
MAX_HALF_WIDTH = 126
_TAIL_Q28 = 1 << 18


class FrequencyTables:
    """Tables of frequencies >= 1 that sum to ``2**14``, each with its own alphabet.

    Attributes
    ----------
    cdf : ndarray of uint32, shape (tables, widest alphabet + 1)
        Cumulative frequencies; entries past a table's alphabet equal ``2**14``.
    sizes : ndarray of int64, shape (tables,)
        Alphabet sizes.
    """

    def __init__(self, frequencies: Sequence[NDArray[np.integer]]) -> None:
        self.sizes = np.array([len(f) for f in frequencies], np.int64)
        self.cdf = np.full((len(frequencies), int(self.sizes.max()) + 1), TOTAL, np.uint32)
        self.cdf[:, 0] = 0
        for row, table in zip(self.cdf, frequencies, strict=True):
            row[1 : len(table) + 1] = np.cumsum(table)

    @classmethod
    def from_frequencies(cls, frequencies: Sequence[NDArray[np.integer]]) -> FrequencyTables:
        """Check and build.

        Raises
        ------
        CorruptError
            A table is empty or too large, holds a zero, or does not sum to ``2**14``.
        """
        for table in frequencies:
            if not 1 <= len(table) <= MAX_ALPHABET:
                raise CorruptError(f"frequency table of {len(table)} symbols")
            if int(np.min(table)) < 1 or int(np.sum(table)) != TOTAL:
                raise CorruptError("frequencies must be positive and sum to 2**14")
        return cls(frequencies)

    @cached_property
    def symbol_of_slot(self) -> NDArray[np.uint8]:
        """Symbol of each of the ``2**14`` slots, shape (tables, 2**14)."""
        cdf = self.cdf.astype(np.int64)
        widths = cdf[:, 1:] - cdf[:, :-1]
        symbols = np.arange(widths.shape[1], dtype=np.uint8)
        return np.stack([np.repeat(symbols, row) for row in widths])

    @cached_property
    def symbol_of_group(self) -> NDArray[np.uint8]:
        """Symbol of the first of every 16 slots, shape (tables, 2**10): it stays in the cache."""
        first_slots = np.arange(0, TOTAL, SLOTS_PER_GROUP)
        found = [np.searchsorted(row, first_slots, side="right") - 1 for row in self.cdf]
        return np.array(found, np.uint8)

    @cached_property
    def start_and_frequency(self) -> NDArray[np.uint32]:
        """``start | frequency << 16`` of each symbol, shape (tables, widest alphabet)."""
        return self.cdf[:, :-1] | (np.diff(self.cdf, axis=1) << np.uint32(16))

    def information(self, symbols: NDArray[np.uint8], table_index: NDArray[np.uint8]) -> float:
        """Bits that an ideal coder spends on symbols; for statistics only."""
        frequencies = np.diff(self.cdf.astype(np.float64), axis=1)
        bits = PRECISION - np.log2(np.maximum(frequencies, 1.0))
        return float(bits[table_index, symbols].sum())


def normalise_frequencies(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Turn counts into frequencies: all >= 1, sum ``2**14``, by integers only.

    Each symbol gets ``1 + floor(count * (2**14 - symbols) / total)``; what is left over goes to the
    first symbol of largest count. Counts below zero are not allowed; all-zero counts give an even
    table.
    """
    counts = np.asarray(counts, np.int64)
    if not counts.any():
        counts = np.ones_like(counts)
    frequencies = 1 + counts * (TOTAL - len(counts)) // int(counts.sum())
    frequencies[int(np.argmax(counts))] += TOTAL - int(frequencies.sum())
    return frequencies


def laplace_frequencies(start_q28: int, ratio_q24: int) -> NDArray[np.int64]:
    """Frequencies of the residuals ``-h .. h`` and the escape, from one scale's two integers."""
    tail_q28 = [start_q28]
    while len(tail_q28) <= MAX_HALF_WIDTH and (tail_q28[-1] >= _TAIL_Q28 or len(tail_q28) < 2):
        tail_q28.append((tail_q28[-1] * ratio_q24) >> 24)
    half_width = len(tail_q28) - 1
    spare = TOTAL - (2 * half_width + 2)
    side = [1 + ((tail_q28[k - 1] - tail_q28[k]) * spare >> 29) for k in range(1, half_width + 1)]
    escape = 1 + (tail_q28[-1] * spare >> 28)
    middle = TOTAL - 2 * sum(side) - escape
    return np.array([*side[::-1], middle, *side, escape], np.int64)


@cache
def laplace_tables() -> FrequencyTables:
    """Return the 64 residual tables; table 0 (one symbol) marks channels that are not coded."""
    live = [laplace_frequencies(*pair) for pair in LAPLACE_CONSTANTS]
    return FrequencyTables.from_frequencies([np.array([TOTAL]), *live])


@cache
def half_widths() -> NDArray[np.int32]:
    """Return ``h`` of each Laplace table, 0 for table 0."""
    return ((laplace_tables().sizes - 2) // 2).clip(0).astype(np.int32)
