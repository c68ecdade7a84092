"""Pseudo-random integers that are the same on every machine: SplitMix64."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_MASK = (1 << 64) - 1


class Seeded:
    """A sequence of integers that a seed determines.

    Parameters
    ----------
    seed : int
    """

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def word(self) -> int:
        """Return 64 bits."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31)

    def below(self, n: int) -> int:
        """Return an integer in ``[0, n)``."""
        return (self.word() * n) >> 64

    def between(self, low: int, high: int) -> int:
        """Return an integer in ``[low, high]``."""
        return low + self.below(high - low + 1)

    def chance(self, one_in: int) -> bool:
        """Return True once in so many times."""
        return self.below(one_in) == 0

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of some things."""
        return choices[self.below(len(choices))]

    def shuffled(self, things: Sequence[T]) -> list[T]:
        """Return the things in another order."""
        left = list(things)
        return [left.pop(self.below(len(left))) for _ in range(len(left))]

    def data(self, size: int) -> bytes:
        """Return so many bytes."""
        return bytes(self.below(256) for _ in range(size))
