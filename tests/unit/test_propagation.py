"""What errors of a Gaussian do to those that are foretold from it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from csgs_codec import EncodeOptions, Scene, decode, encode
from csgs_codec.encoder import propagation
from csgs_codec.encoder.propagation import PASSED_ON, importances
from csgs_codec.hyperprior.neighbours import MISSING, MISSING_DISTANCE, Neighbours, round_slices
from csgs_codec.metrics.features import compare_features


class Chain:
    """A tile of three Gaussians in one layer of two rounds: 0 and 2 first, then 1."""

    keys = np.zeros(3, np.uint64)

    def rows(self, layer: int) -> slice:
        return slice(0, 3)

    def rounds(self, layer: int) -> list[slice]:
        return round_slices(2)

    def neighbours(self, layer: int) -> Neighbours:
        row, distance = np.full((3, 2), MISSING, np.int32), np.full((3, 2), MISSING_DISTANCE)
        row[1], distance[1] = (0, 2), (4, 8)
        return Neighbours(row, distance.astype(np.uint8))


def test_what_is_foretold_passes_its_weight_on_to_the_nearest() -> None:
    (found,) = importances([Chain()], 1)  # type: ignore[list-item]
    assert np.log(found).mean() == pytest.approx(0)
    relative = found / found[1]
    assert relative[0] == pytest.approx(1 + PASSED_ON * 2 / 3, abs=2e-3)
    assert relative[2] == pytest.approx(1 + PASSED_ON / 3, abs=2e-3), "twice the squared distance"


def test_weights_are_passed_on_and_on() -> None:
    line = SimpleNamespace(
        keys=np.zeros(4, np.uint64),
        rows=lambda layer: slice(layer, layer + 1),
        rounds=lambda layer: [slice(0, None)],
        neighbours=lambda layer: Neighbours(
            np.array([[layer - 1 if layer else MISSING]], np.int32),
            np.array([[0 if layer else MISSING_DISTANCE]], np.uint8),
        ),
    )
    (found,) = importances([line], 4)  # type: ignore[list-item]
    grown = [1.0]
    for _ in range(3):
        grown.append(1 + PASSED_ON * grown[-1])
    np.testing.assert_allclose(found / found[-1], grown[::-1])


def test_features_are_nearer_for_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(8)
    place = random.uniform(0, 1, (4000, 3))
    turned = place @ random.normal(0, 3, (3, 6))
    features = np.cos(turned) + random.normal(0, 0.05, (4000, 6))
    columns = dict(zip("xyz", place.T.astype(np.float32), strict=True))
    names = tuple(f"semantic_{k}" for k in range(6))
    columns |= dict(zip(names, features.T.astype(np.float32), strict=True))
    options = EncodeOptions(look=False, order="keep", semantic_quality=60.0)

    def coded() -> tuple[float, float]:
        made = encode(Scene(columns), options)
        after = decode(made.data).stack(names)
        bits = sum(b for name, b in made.group_bits.items() if name.startswith("semantic"))
        return bits, compare_features(features, after).angle_mean

    bits, angle = coded()
    monkeypatch.setattr(propagation, "PASSED_ON", 0.0)
    bits_alone, angle_alone = coded()
    per_halving = 6 * len(place)  # a bit in each component halves errors
    assert bits + per_halving * np.log2(angle) < bits_alone + per_halving * np.log2(angle_alone)
