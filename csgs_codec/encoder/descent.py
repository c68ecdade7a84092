"""Adam on everything that pictures show of Gaussians, towards pictures of the original scene."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from csgs_codec.encoder.views import View
from csgs_codec.render import rasterise
from csgs_codec.render.gaussians import RenderGaussians
from csgs_codec.render.influence import removal

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

BATCH = 4
# Rates are right for pictures with this error; smaller errors want smaller steps.
_ERROR = 4e-5
_MOST_RATE = 4.0
# Of the median scale; log scale; unit quaternion; logit; coefficients of colour.
_RATES = {"means": 0.01, "scales": 0.0025, "quats": 0.001, "opacity": 0.0125, "dc": 0.00125}
_RATE_BEYOND_DC = 0.3
_BETAS = (0.9, 0.99)
_SCORED_ROWS = 4
_SMALL_PICTURE = 300
_OPAQUE = 1e-6
_TINY = 1e-12


@dataclass(frozen=True)
class Pass:
    """What one pass over all views found.

    Attributes
    ----------
    removal : ndarray of float64, shape (n,)
        Mean squared error of a picture if this Gaussian alone were left out.
    error : float
        Mean squared error of pictures.
    """

    removal: F64
    error: float


class Descent:
    """Positions, extents, opacities and colours that descend to the pictures of views.

    Parameters
    ----------
    gaussians : RenderGaussians
    views : sequence of View
    weights : ndarray of float64
        What the squared error of each view counts; sums to 1.
    seed : int
        Of the order of views.
    """

    def __init__(
        self, gaussians: RenderGaussians, views: Sequence[View], weights: F64, seed: int
    ) -> None:
        self._views, self._weights = views, weights
        self._random = np.random.default_rng(seed)
        opacity = np.clip(gaussians.opacity.astype(np.float64), _OPAQUE, 1 - _OPAQUE)
        lengths = np.linalg.norm(gaussians.quats, axis=1, keepdims=True)
        arrays = {
            "means": gaussians.means,
            "scales": np.log(np.maximum(gaussians.scales, _TINY)),
            "quats": gaussians.quats / np.maximum(lengths, _TINY),
            "opacity": np.log(opacity / (1 - opacity)),
            "dc": gaussians.sh[:, :1],
            "sh": gaussians.sh[:, 1:],
        }
        rates = {**_RATES, "sh": _RATE_BEYOND_DC * _RATES["dc"]}
        rates["means"] *= float(np.median(gaussians.scales))
        self._adam = torch.optim.Adam(
            [
                {"params": [_tensor(array)], "rate": rates[name], "name": name}
                for name, array in arrays.items()
            ],
            betas=_BETAS,
            eps=1e-15,
        )

    @property
    def values(self) -> dict[str, F32]:
        """Means, log scales, quaternions, opacity logits, DC and the other coefficients."""
        return {g["name"]: g["params"][0].numpy() for g in self._adam.param_groups}

    @property
    def gaussians(self) -> RenderGaussians:
        """What is rendered."""
        now = self.values
        return RenderGaussians(
            now["means"],
            now["quats"],
            np.exp(now["scales"]),
            (1 / (1 + np.exp(-now["opacity"]))).astype(np.float32),
            np.concatenate((now["dc"], now["sh"]), axis=1),
        )

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Go on with some of the Gaussians."""
        chosen = torch.from_numpy(rows)
        for group in self._adam.param_groups:
            before = group["params"][0]
            group["params"] = [after] = [before[chosen].clone()]
            state = self._adam.state.pop(before, None)
            if state:
                kept = {k: state[k][chosen].clone() for k in ("exp_avg", "exp_avg_sq")}
                self._adam.state[after] = {"step": state["step"], **kept}

    def run(self, rate: float) -> Pass:
        """Take every view once, a few for each step.

        Parameters
        ----------
        rate : float
            Factor on the learning rates.
        """
        change, errors = np.zeros(len(self.values["opacity"])), np.zeros(len(self._views))
        order = self._random.permutation(len(self._views))
        for begin in range(0, len(order), BATCH):
            gaussians = self.gaussians
            for group in self._adam.param_groups:
                group["params"][0].grad = torch.zeros_like(group["params"][0])
            batch = order[begin : begin + BATCH]
            for number in batch:
                weight = float(self._weights[number])
                errors[number] = self._look(gaussians, self._views[number], weight, change)
            due = min(math.sqrt(errors[batch].mean() / _ERROR), _MOST_RATE)
            for group in self._adam.param_groups:
                group["lr"] = rate * due * group["rate"]
            self._adam.step()
        return Pass(change, float(self._weights @ errors))

    def _look(self, gaussians: RenderGaussians, view: View, weight: float, change: F64) -> float:
        """Add the gradients of one view and what removals would do; return its error."""
        projection = rasterise.project(gaussians, view.camera)
        tiles = rasterise.bin_tiles(projection)
        raster = rasterise.forward(projection, tiles, projection.rgb)
        rows = _SCORED_ROWS if view.camera.height > _SMALL_PICTURE else 1
        found = removal(projection, tiles, raster, rows)
        change += found.change * (weight / raster.image.size)
        missing = raster.image - view.picture
        slope = missing * np.float32(2 * weight / missing.size)
        by_raster = rasterise.backward(projection, tiles, projection.rgb, raster, slope)
        by_view = rasterise.project_backward(gaussians, view.camera, projection, by_raster)
        slopes = {
            "means": by_view.means,
            "scales": by_view.scales * gaussians.scales,
            "quats": by_view.quats,
            "opacity": by_raster.opacity * gaussians.opacity * (1 - gaussians.opacity),
            "dc": by_view.sh[:, :1],
            "sh": by_view.sh[:, 1:],
        }
        for group in self._adam.param_groups:
            group["params"][0].grad += torch.from_numpy(slopes[group["name"]])
        return float(np.mean(missing.astype(np.float64) ** 2))


def _tensor(array: NDArray[np.floating]) -> torch.Tensor:
    return torch.from_numpy(np.array(array, np.float32))
