"""The blend of neighbours: its definition, both paths, its fit."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from csgs_codec.container.fields import FieldReader, FieldWriter
from csgs_codec.hyperprior.blend import POWERS, NeighbourBlend
from csgs_codec.hyperprior.neighbours import MISSING, MISSING_DISTANCE, NEIGHBOURS, Neighbours
from tests.backends import use_backend


def found(count: int, known: int, seed: int = 5) -> Neighbours:
    """Random neighbours, sorted by distance; some rows have few or none."""
    rng = np.random.default_rng(seed)
    row = rng.integers(0, known, (count, NEIGHBOURS)).astype(np.int32)
    distance = np.sort(rng.integers(0, 255, (count, NEIGHBOURS)), axis=1).astype(np.uint8)
    for i in range(0, count, 3):
        held = int(rng.integers(0, NEIGHBOURS))
        row[i, held:], distance[i, held:] = MISSING, MISSING_DISTANCE
    return Neighbours(row, distance)


def test_powers_are_sixteenths_of_an_octave() -> None:
    assert POWERS.tolist() == [round(2.0 ** (15 - i / 16)) for i in range(16)]


@pytest.mark.parametrize("decay", [0, 1, 16, 255])
def test_blend_follows_the_text(backend: str, decay: int) -> None:
    values = np.random.default_rng(6).integers(-(2**30) + 1, 2**30, (50, 2)).astype(np.int32)
    gain = np.array([255, 19], np.uint8)
    near = found(60, 50)
    blended = NeighbourBlend(decay, gain).predict(values, near)
    for i in range(60):
        held = [int(r) for r in near.row[i] if r != MISSING]
        if not held:
            assert blended[i].tolist() == [0, 0]
            continue
        steps = [int(d) - int(near.distance[i, 0]) for d in near.distance[i, : len(held)]]
        octaves = [decay * step // 4 for step in steps]
        raw = [int(POWERS[o % 16]) // 2 ** (o // 16) for o in octaves]
        weight = [256 * w // sum(raw) for w in raw]
        weight[0] += 256 - sum(weight)
        for c in range(2):
            total = sum(w * int(values[r, c]) for w, r in zip(weight, held, strict=True))
            exact = Fraction(int(gain[c]) * total, 65536) + Fraction(1, 2)
            assert blended[i, c] == exact.numerator // exact.denominator


def test_both_paths_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(7).integers(-(2**30) + 1, 2**30, (900, 5)).astype(np.int32)
    made = []
    for name in ("numba", "numpy"):
        use_backend(monkeypatch, name)
        blend = NeighbourBlend(11, np.arange(0, 250, 50).astype(np.uint8))
        made.append(blend.predict(values, found(1000, 900)))
    assert np.array_equal(made[0], made[1])


def test_parameters_survive_writing() -> None:
    blend = NeighbourBlend(7, np.array([0, 255, 3], np.uint8))
    fields = FieldWriter()
    blend.write(fields)
    reread = NeighbourBlend.read(FieldReader(fields.finish(), "NETW"), 3)
    assert reread.decay == 7
    assert reread.gain_q8.tolist() == [0, 255, 3]
