"""Fit how neighbours are blended: the decay of their weights, and a gain for each channel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from csgs_codec.hyperprior.blend import NeighbourBlend
from csgs_codec.hyperprior.neighbours import NEIGHBOURS, Neighbours
from csgs_codec.hyperprior.tile import Tile

if TYPE_CHECKING:
    from csgs_codec.encoder.code import CodedScene

F64 = NDArray[np.float64]

DECAYS = (4, 8, 12, 16, 22, 32)
_SAMPLE = 12_000
_ITERATIONS = 5
_LEAST_GAIN = 8


def fit_blend(scene: CodedScene, group: int) -> NeighbourBlend | None:
    """Choose the blend that leaves the smallest absolute residuals, None if none helps.

    Parameters
    ----------
    scene : CodedScene
        The group's values stand for what will be decoded.
    group : int
    """
    samples = [sample for sample in _samples(scene, group) if len(sample[0])]
    if not samples:
        return None
    wanted = np.concatenate([values[rows] for rows, values, _ in samples]).astype(np.float64)
    unit = np.full(wanted.shape[1], 255, np.uint8)
    best: tuple[float, NeighbourBlend] | None = None
    for decay in DECAYS:
        whole = NeighbourBlend(decay, unit)
        near = np.concatenate([whole.predict(values, found) for _, values, found in samples])
        gain = np.array([_gain(near[:, c], wanted[:, c]) for c in range(wanted.shape[1])])
        left = np.abs(wanted - near * gain).mean(axis=0)
        cost = float(np.log2(left + 1.0).sum())
        if best is None or cost < best[0]:
            best = cost, NeighbourBlend(decay, np.rint(255.0 * gain).astype(np.uint8))
    assert best is not None
    return best[1] if best[1].gain_q8.max() >= _LEAST_GAIN else None


def _samples(
    scene: CodedScene, group: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.int32], Neighbours]]:
    """Rows of each tile layer that have all neighbours, thinned out; values and neighbours."""
    places = list(scene.places())
    total = sum(_size(tile, layer) for tile, layer in places)
    stride = max(1, total // _SAMPLE)
    for tile, layer in places:
        found = tile.neighbours(layer).part(slice(stride // 2, None, stride))
        complete = np.flatnonzero(found.row[:, NEIGHBOURS - 1] >= 0)
        rows = tile.rows(layer).start + stride // 2 + stride * complete
        chosen = Neighbours(found.row[complete], found.distance[complete])
        yield rows, tile.values(group), chosen


def _size(tile: Tile, layer: int) -> int:
    rows = tile.rows(layer)
    return rows.stop - rows.start


def _gain(near: NDArray[np.int32], wanted: F64) -> float:
    """Slope through the origin of least absolute error, within 0 and 1, by reweighting."""
    x, weight, gain = near.astype(np.float64), np.ones(len(near)), 0.0
    for _ in range(_ITERATIONS):
        power = float((weight * x * x).sum())
        gain = float((weight * x * wanted).sum()) / power if power > 0 else 0.0
        weight = 1.0 / np.maximum(np.abs(wanted - gain * x), 32.0)
    return float(np.clip(gain, 0.0, 1.0))
