"""Print the two integers per scale from which every decoder builds the Laplace tables.

Scale ``t`` (1 to 63) has a standard deviation of ``0.1 * 2**((t - 1) / 6)`` quantiser steps. With
``b = sigma / sqrt(2)``: ``START_Q28 = round(2**28 exp(-1 / (2 b)))`` and
``RATIO_Q24 = round(2**24 exp(-1 / b))``. Run ``python make_laplace_constants.py > constants``.
"""

from decimal import Decimal, getcontext


def constants() -> list[tuple[int, int]]:
    """Return (START_Q28, RATIO_Q24) for the scales 1 to 63."""
    getcontext().prec = 50
    two = Decimal(2)
    pairs = []
    for t in range(1, 64):
        sigma = Decimal("0.1") * two ** (Decimal(t - 1) / 6)
        b = sigma / two.sqrt()
        start = (two**28 * (-1 / (2 * b)).exp()).to_integral_value()
        ratio = (two**24 * (-1 / b).exp()).to_integral_value()
        pairs.append((int(start), int(ratio)))
    return pairs


if __name__ == "__main__":
    for pair in constants():
        print(f"    {pair},")
