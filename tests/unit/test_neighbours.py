"""Neighbours of a tile layer: window, order of ties, distance codes, both paths."""

from __future__ import annotations

import numpy as np
import pytest

from csgs_codec.hyperprior.neighbours import (
    MISSING,
    MISSING_DISTANCE,
    NEIGHBOURS,
    WINDOW,
    Neighbours,
    Places,
    distance_code,
    find_neighbours,
    layer_neighbours,
    round_slices,
)
from csgs_codec.numerics.morton import encode_keys
from tests.backends import use_backend

BITS = (8, 9, 7)


def make_points(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Keys and cells in Morton order; a coarse grid so that ties and duplicates are common."""
    cells = np.random.default_rng(seed).integers(0, 6, (n, 3)) * 8
    keys = encode_keys(cells, BITS)
    order = np.argsort(keys, kind="stable")
    return keys[order], cells[order].astype(np.int32)


def make_places(n: int, seed: int) -> Places:
    """Return the same with both kinds of keys."""
    return Places.of(*make_points(n, seed), BITS)


def shifted_key(cell: list[int]) -> int:
    """Key of a cell after a shift by a third of the box on each axis, around its end."""
    moved = [(c + 2**b // 3) % 2**b for c, b in zip(cell, BITS, strict=True)]
    return int(encode_keys(np.array([moved]), BITS)[0])


def window(place: int, count: int) -> range:
    """Places around a place."""
    return range(max(0, place - WINDOW), min(count, place + WINDOW))


def reference(
    cells: list[list[int]], keys: list[int], earlier: list[list[int]], earlier_keys: list[int]
) -> tuple[list[list[int]], list[list[int]]]:
    """Rows and squared distances by sorting the windows of each point."""
    order = sorted(range(len(earlier)), key=lambda row: (earlier_keys[row], row))
    shifted = [shifted_key(earlier[row]) for row in order]
    along = sorted(range(len(order)), key=lambda j: (shifted[j], j))
    rows, squares = [], []
    for key, cell in zip(keys, cells, strict=True):
        place = sum(known < key for known in earlier_keys)
        candidates = set(window(place, len(order)))
        own = shifted_key(cell)
        place = sum(known < own for known in shifted)
        candidates |= {along[j] for j in window(place, len(order))}
        found = sorted(
            (sum((a - b) ** 2 for a, b in zip(earlier[order[j]], cell, strict=True)), j)
            for j in candidates
        )[:NEIGHBOURS]
        pad = [MISSING] * (NEIGHBOURS - len(found))
        rows.append([order[j] for _, j in found] + pad)
        squares.append([squared for squared, _ in found] + pad)
    return rows, squares


@pytest.mark.parametrize("rounds", [1, 2, 5])
@pytest.mark.parametrize(("count", "known"), [(1, 1), (5, 2), (40, 3), (100, 60), (300, 1000)])
def test_neighbours_are_the_nearest_of_the_window(
    backend: str, count: int, known: int, rounds: int
) -> None:
    points = [make_points(n, 60 + n) for n in (known // 2, known - known // 2, count)]
    keys, cells = (np.concatenate(part) for part in zip(*points, strict=True))
    found = layer_neighbours(Places.of(keys, cells, BITS), known, rounds)
    decoded = list(range(known))
    for part in round_slices(rounds):
        own = np.arange(known, known + count)[part]
        rows, squares = reference(
            cells[own].tolist(), keys[own].tolist(), cells[decoded].tolist(), keys[decoded].tolist()
        )
        absolute = [[MISSING if r == MISSING else decoded[r] for r in row] for row in rows]
        assert found.row[part].tolist() == absolute
        far = np.array(rows).reshape(-1, NEIGHBOURS) == MISSING
        codes = np.where(far, MISSING_DISTANCE, distance_code(np.array(squares).reshape(far.shape)))
        assert found.distance[part].tolist() == codes.tolist()
        decoded = sorted(decoded + own.tolist())


@pytest.mark.parametrize("count", [0, 1, 2, 15, 16, 17, 100])
@pytest.mark.parametrize("rounds", range(1, 9))
def test_rounds_take_every_place_once(count: int, rounds: int) -> None:
    places = [np.arange(count)[part].tolist() for part in round_slices(rounds)]
    assert len(places) == rounds
    assert sorted(place for round_ in places for place in round_) == list(range(count))
    assert places[0] == list(range(0, count, 2 ** (rounds - 1)))


def test_both_paths_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Neighbours] = []
    for name in ("numba", "numpy"):
        use_backend(monkeypatch, name)
        found.append(find_neighbours(make_places(3000, 63), make_places(2000, 64)))
    assert np.array_equal(found[0].row, found[1].row)
    assert np.array_equal(found[0].distance, found[1].distance)


@pytest.mark.parametrize(("count", "known"), [(0, 0), (0, 5), (5, 0)])
def test_nothing_to_find(backend: str, count: int, known: int) -> None:
    found = find_neighbours(make_places(count, 65), make_places(known, 66))
    assert found.row.shape == found.distance.shape == (count, NEIGHBOURS)
    assert (found.row == MISSING).all()
    assert (found.distance == MISSING_DISTANCE).all()


def test_distance_codes_are_quarter_octaves() -> None:
    squared = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 2**20, 7 * 2**18])
    assert distance_code(squared).tolist() == [0, 1, 5, 7, 9, 10, 11, 12, 13, 81, 84]


def test_distance_codes_never_fall_and_stay_below_missing() -> None:
    squared = np.unique(np.concatenate([np.arange(5000), 2 ** np.arange(63)]))
    codes = distance_code(squared).astype(int)
    assert (np.diff(codes) >= 0).all()
    assert codes.max() < MISSING_DISTANCE
