"""How a level without some Gaussians is compensated: four numbers for a scene, fitted to pictures.

What a level wants grows with what it lacks. Constants of its compensation (spec section 10) are
numbers of the scene times the logarithm of the share that is there, or its square; so the numbers
are fitted on one level and say what to do on all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from csgs_codec.container.header import Compensation
from csgs_codec.decoder.compensate import deepen, enlarge, log_spacing
from csgs_codec.encoder.views import View
from csgs_codec.render import render
from csgs_codec.render.gaussians import RenderGaussians

F64 = NDArray[np.float64]
Rows = NDArray[np.bool_]

_TINY = 1e-30
_SIDE = 128
_EVALUATIONS = 36
_EVEN = 0.2
_UNITS = np.array([0.05, 0.015, 0.1, 0.06])
_FARTHEST = 6.0
# A sequence that fills the square evenly.
_STEPS = (0.7548776662466927, 0.5698402909980532)


@dataclass(frozen=True)
class CompensationLaw:
    """Numbers of a scene; by default those fitted to three scenes at 10 to 60 % of them.

    Attributes
    ----------
    scale_offset, spacing_pull, depth_gain, depth_exponent : float
        Constants of a level that holds the share 1/e.
    """

    scale_offset: float = 0.122
    spacing_pull: float = 0.021
    depth_gain: float = 0.359
    depth_exponent: float = 0.137

    def at(self, share: float) -> Compensation:
        """Compensation of a level that holds this share of the Gaussians."""
        if share >= 1.0:
            return Compensation()
        lacking = -float(np.log(share))
        square = lacking * lacking
        return Compensation(
            float(np.float32(self.scale_offset * lacking)),
            float(np.float32(self.spacing_pull * square)),
            float(np.float32(self.depth_gain * square)),
            float(np.float32(1.0 + self.depth_exponent * square)),
        )


class Compensated:
    """Gaussians as a level shows them.

    Parameters
    ----------
    gaussians : RenderGaussians
        In Morton order.
    """

    def __init__(self, gaussians: RenderGaussians) -> None:
        self._gaussians = gaussians
        self._log_scales = np.log(np.maximum(gaussians.scales.astype(np.float64), _TINY))
        opacity = np.clip(gaussians.opacity.astype(np.float64), _TINY, 1 - 1e-9)
        self._logit = np.log(opacity / (1 - opacity))

    def by(self, made: Compensation, members: Rows, rows: NDArray[np.int64]) -> RenderGaussians:
        """Some Gaussians, enlarged by the spacing of a level's members."""
        base = self._gaussians
        spacing = log_spacing(base.means[members].astype(np.float64))
        before = np.maximum(np.cumsum(members) - 1, 0)[rows]
        scales = np.exp(enlarge(self._log_scales[rows], spacing[before], made))
        opacity = 1 / (1 + np.exp(-deepen(self._logit[rows], made)))
        arrays = (base.means[rows], base.quats[rows], scales, opacity, base.sh[rows])
        return RenderGaussians(*(np.ascontiguousarray(a, np.float32) for a in arrays))


def fit_law(level: RenderGaussians, share: float, views: Sequence[View]) -> CompensationLaw:
    """Fit the law to small parts of views.

    Parameters
    ----------
    level : RenderGaussians
        Gaussians of one level, in Morton order, with the colours that it shows.
    share : float
        Of all Gaussians.
    views : sequence of View
        What the level should look like.
    """
    everyone = np.ones(level.count, np.bool_)
    rows = np.arange(level.count)
    shown = Compensated(level)
    parts = [_part(view, number) for number, view in enumerate(views)]
    usual = CompensationLaw()
    start = np.array(astuple(usual))

    def errors(steps: F64) -> F64:
        law = CompensationLaw(*(start + steps * _UNITS).tolist())
        gaussians = shown.by(law.at(share), everyone, rows)
        pictures = (render(gaussians, part.camera)[0] for part in parts)
        return np.array(
            [np.mean((p - q.picture) ** 2) for p, q in zip(pictures, parts, strict=True)]
        )

    first = errors(np.zeros(4))
    weights = 1 / (first + _EVEN * first.mean() + _TINY)
    found = minimize(
        lambda steps: float(weights @ errors(steps)),
        np.zeros(4),
        method="Nelder-Mead",
        bounds=[(-_FARTHEST, _FARTHEST)] * 4,
        options={
            "maxfev": _EVALUATIONS,
            "initial_simplex": np.concatenate((np.zeros((1, 4)), np.eye(4))),
        },
    )
    return CompensationLaw(*(start + found.x * _UNITS).tolist())


def _part(view: View, number: int) -> View:
    """A small part of a picture, elsewhere in each view."""
    height, width = view.picture.shape[:2]
    rows, columns = min(_SIDE, height), min(_SIDE, width)
    down, right = ((0.5 + number * step) % 1 for step in _STEPS)
    top, left = round(down * (height - rows)), round(right * (width - columns))
    lens = view.camera.intrinsics.copy()
    lens[:2, 2] -= (left, top)
    camera = replace(view.camera, width=columns, height=rows, intrinsics=lens)
    picture = view.picture[top : top + rows, left : left + columns]
    return View(camera, np.ascontiguousarray(picture))
