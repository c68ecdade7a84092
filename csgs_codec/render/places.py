"""Where a scene has something to look at, and into how many places it falls.

Training puts many small, opaque Gaussians where the photographs looked, so these count most. A
scene whose Gaussians are far below a pixel in views of the whole is several places: what a person
would look at one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csgs_codec.render.cameras import Camera
from csgs_codec.render.gaussians import RenderGaussians

Vector = NDArray[np.float64]
_DRAWN, _MEASURED = 10_000, 5_000
_COUNTS, _ATTEMPTS = (2, 3, 4, 6, 8, 9, 12, 16), 3
_MOSTLY = 0.8


@dataclass(frozen=True)
class Solid:
    """The Gaussians that one sees, and how much each counts.

    Attributes
    ----------
    rows : ndarray of int64, shape (n,)
        Of the scene.
    points : ndarray of float64, shape (n, 3)
    sizes : ndarray of float64, shape (n,)
        Side of a square as large as the largest cross section.
    weights : ndarray of float64, shape (n,)
    """

    rows: NDArray[np.int64]
    points: Vector
    sizes: Vector
    weights: Vector

    @classmethod
    def of(cls, gaussians: RenderGaussians) -> Solid:
        """Those of a scene; there may be none."""
        ordered = np.sort(gaussians.scales, axis=1).astype(np.float64)
        sizes = np.sqrt(ordered[:, 1] * ordered[:, 2])
        rows = np.flatnonzero((gaussians.opacity > 0.1) & (sizes > 0))
        opacity, sizes = gaussians.opacity[rows].astype(np.float64), sizes[rows]
        weights = opacity
        if len(rows):
            low, high = weighted_quantiles(sizes, opacity, [0.05, 0.95])
            weights = opacity / np.clip(sizes, low, high)
        return cls(rows, gaussians.means[rows].astype(np.float64), sizes, weights)

    @property
    def typical_size(self) -> float:
        """Median size."""
        return float(weighted_quantiles(self.sizes, self.weights, [0.5])[0])

    def pixels(self, cameras: Sequence[Camera]) -> float:
        """Size of a typical Gaussian in the view that shows it largest."""
        some = slice(None, None, len(self.rows) // _MEASURED + 1)
        points, sizes = self.points[some], self.sizes[some]
        largest = np.zeros(len(sizes))
        for camera in cameras:
            turned = points @ camera.world_to_camera[:3, :3].T + camera.world_to_camera[:3, 3]
            depth = turned[:, 2]
            with np.errstate(divide="ignore", invalid="ignore"):
                places = turned @ camera.intrinsics.T / depth[:, None]
                size = sizes * camera.intrinsics[0, 0] / depth
            inside = (places[:, :2] >= 0) & (places[:, :2] < (camera.width, camera.height))
            shown = inside.all(axis=1) & (depth > 0)
            largest[shown] = np.maximum(largest[shown], size[shown])
        return float(weighted_quantiles(largest, self.weights[some], [0.5])[0])

    def places(self, wanted: float) -> list[NDArray[np.int64]]:
        """Rows by place (k-means): as few places as are ``wanted`` wide, or the most."""
        from scipy.cluster.vq import vq  # type: ignore[import-untyped]

        random = np.random.default_rng(0)
        share = self.weights / self.weights.sum()
        drawn = self.points[random.choice(len(share), _DRAWN, p=share)]
        distinct, centres = len(np.unique(drawn, axis=0)), drawn[:1]
        for count in (count for count in _COUNTS if count <= distinct):
            centres = _centres(drawn, count, random)
            if 2.0 * float(np.quantile(vq(drawn, centres)[1], _MOSTLY)) <= wanted:
                break
        nearest = vq(self.points, centres)[0]
        return [self.rows[nearest == place] for place in np.unique(nearest)]


def _centres(points: Vector, count: int, random: np.random.Generator) -> Vector:
    """The best of several attempts at as many clusters."""
    from scipy.cluster.vq import kmeans2, vq

    attempts = [kmeans2(points, count, minit="++", seed=random)[0] for _ in range(_ATTEMPTS)]
    return min(attempts, key=lambda centres: float((vq(points, centres)[1] ** 2).sum()))


def weighted_quantiles(values: Vector, weights: Vector, wanted: list[float]) -> Vector:
    """Values below which these shares of the weight lie."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return np.interp(np.array(wanted) * total[-1], total, values[order])
