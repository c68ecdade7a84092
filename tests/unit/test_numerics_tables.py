"""Laplace tables are the specification's, to the bit."""

from __future__ import annotations

import hashlib
import runpy
from pathlib import Path

import numpy as np
import pytest

from csgs_codec.numerics.laplace_constants import LAPLACE_CONSTANTS
from csgs_codec.numerics.tables import (
    MAX_HALF_WIDTH,
    TOTAL,
    half_widths,
    laplace_frequencies,
    laplace_tables,
)

ROOT = Path(__file__).resolve().parents[2]
CDFS_SHA256 = "6eb4c945e49a246026e0387cb66cc940ff31979a6a1f4cd503754a5d509d0449"


def test_constants_regenerate() -> None:
    script = runpy.run_path(str(ROOT / "spec" / "tables" / "make_laplace_constants.py"))
    assert tuple(script["constants"]()) == LAPLACE_CONSTANTS


def test_all_cdfs_are_pinned() -> None:
    tables = laplace_tables()
    digest = hashlib.sha256()
    for row, size in zip(tables.cdf, tables.sizes.tolist(), strict=True):
        digest.update(row[: size + 1].astype("<u4").tobytes())
    assert digest.hexdigest() == CDFS_SHA256


def test_table_zero_has_one_symbol() -> None:
    assert laplace_tables().sizes[0] == 1
    assert half_widths()[0] == 0
    assert set(laplace_tables().cdf[0][1:].tolist()) == {TOTAL}


@pytest.mark.parametrize("index", [1, 5, 20, 40, 63])
def test_shape_of_a_table(index: int) -> None:
    table = laplace_frequencies(*LAPLACE_CONSTANTS[index - 1])
    h = int(half_widths()[index])
    assert len(table) == 2 * h + 2 <= 2 * MAX_HALF_WIDTH + 2
    assert table.sum() == TOTAL
    assert table.min() >= 1
    assert np.array_equal(table[:h], table[h + 1 : 2 * h + 1][::-1])
    assert (np.diff(table[: h + 1]) >= 0).all()


@pytest.mark.parametrize("index", [1, 7, 13, 25, 37, 46])
def test_tables_follow_the_laplace_distribution(index: int) -> None:
    """Probability of ``k`` is the density's integral over ``k - 1/2 .. k + 1/2``.

    From scale 47 on the table is cut at 126 and the escape takes a visible share.
    """
    table = laplace_frequencies(*LAPLACE_CONSTANTS[index - 1])
    h = int(half_widths()[index])
    b = 0.1 * 2 ** ((index - 1) / 6) / np.sqrt(2)
    edges = np.arange(h + 1) + 0.5
    tail = np.exp(-edges / b) / 2
    wanted = np.concatenate([[1 - 2 * tail[0]], tail[:-1] - tail[1:]])
    found = table[h : 2 * h + 1] / TOTAL
    # every symbol has at least one of the 2**14 slots, taken from the others in proportion
    assert np.abs(found - wanted).max() < 0.02
    assert np.abs(found - wanted).sum() < 0.03
    assert np.argmax(found) == 0


def test_spreads_grow() -> None:
    assert (np.diff(half_widths()[1:]) >= 0).all()
    assert half_widths()[1] >= 1
    assert half_widths()[63] == MAX_HALF_WIDTH


def test_slots_are_consistent_with_the_cdf() -> None:
    tables = laplace_tables()
    slots = np.arange(TOTAL)
    for index in range(64):
        cdf = tables.cdf[index][: tables.sizes[index] + 1]
        wanted = np.searchsorted(cdf, slots, side="right") - 1
        assert np.array_equal(tables.symbol_of_slot[index], wanted)
        assert np.array_equal(tables.symbol_of_group[index], wanted[::16])
        packed = tables.start_and_frequency[index][: tables.sizes[index]]
        assert np.array_equal(packed & 0xFFFF, cdf[:-1])
        assert np.array_equal(packed >> 16, np.diff(cdf))
