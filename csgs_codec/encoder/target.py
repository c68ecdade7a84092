"""Find the quality that meets a wanted size or picture quality."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

from csgs_codec.encoder.options import EncodeOptions
from csgs_codec.encoder.views import View
from csgs_codec.errors import UnsupportedError
from csgs_codec.render import render
from csgs_codec.render.gaussians import RenderGaussians
from csgs_codec.scene import Scene

SIZE_TOLERANCE = 0.02
PSNR_TOLERANCE = 0.3
MOST_ATTEMPTS = 12
_LEAST, _MOST = 1.0, 100.0
_QUALITY_PER_DB = 12.5 / 6.02
_QUALITY_PER_OCTAVE = 28.0
_LARGEST_LEAP = 30.0
Result = TypeVar("Result")


@dataclass(frozen=True)
class Attempt(Generic[Result]):
    """An encoding and by how much it misses the target, in the units of the target."""

    quality: float
    miss: float
    result: Result


def search(
    encode: Callable[[float], Result],
    miss: Callable[[Result], float],
    slope: float,
    accepted: Callable[[float], bool],
    start: float,
) -> Attempt[Result]:
    """Encode again and again until the target is met; returns the nearest attempt.

    Parameters
    ----------
    encode : callable
        From quality to result.
    miss : callable
        Signed distance to the target, growing with quality.
    slope : float
        Quality per unit of miss to begin with; later the last two attempts tell.
    accepted : callable
        Whether a miss is good enough.
    start : float
    """
    attempts: list[Attempt[Result]] = []
    quality = start
    for _ in range(MOST_ATTEMPTS):
        result = encode(quality)
        attempts.append(Attempt(quality, miss(result), result))
        if accepted(attempts[-1].miss):
            break
        quality = _next(attempts, slope)
        if any(abs(quality - a.quality) < 1e-3 for a in attempts):
            break
    good = [a for a in attempts if accepted(a.miss)]
    return good[0] if good else min(attempts, key=lambda a: abs(a.miss))


def _next(attempts: Sequence[Attempt[Result]], slope: float) -> float:
    """Secant through the two nearest (and latest) attempts, kept between those on either side."""
    nearest = sorted(reversed(attempts), key=lambda a: abs(a.miss))
    best = nearest[0]
    if len(nearest) > 1 and nearest[1].miss != best.miss:
        measured = (nearest[1].quality - best.quality) / (nearest[1].miss - best.miss)
        slope = measured if measured > 0 else slope
    leap = float(np.clip(-best.miss * slope, -_LARGEST_LEAP, _LARGEST_LEAP))
    low = max([a.quality for a in attempts if a.miss < 0], default=_LEAST)
    high = min([a.quality for a in attempts if a.miss > 0], default=_MOST)
    wanted = best.quality + leap
    if low < high and not low < wanted < high:
        inside = low > _LEAST and high < _MOST
        wanted = 0.5 * (low + high) if inside else wanted
    return float(np.clip(wanted, _LEAST, _MOST))


def search_size(
    encode: Callable[[float], Result],
    size_of: Callable[[Result], int],
    target: int,
    start: float,
) -> Result:
    """Encode to at most ``target`` bytes: within 2 % of them where some quality comes that near.

    Parameters
    ----------
    encode : callable
        From quality to result.
    size_of : callable
    target : int
    start : float
        First quality to try.

    Raises
    ------
    UnsupportedError
        Every attempt is larger.
    """
    made: list[Result] = []

    def attempt(quality: float) -> Result:
        made.append(encode(quality))
        return made[-1]

    search(
        attempt,
        lambda result: float(np.log2(size_of(result) / (target * (1 - SIZE_TOLERANCE / 2)))),
        _QUALITY_PER_OCTAVE,
        lambda miss: abs(miss) <= float(np.log2(1 + SIZE_TOLERANCE / 2)),
        start,
    )
    fitting = [result for result in made if size_of(result) <= target]
    if not fitting:
        nearest = min(size_of(result) for result in made)
        raise UnsupportedError(f"cannot reach {target} bytes; the nearest is {nearest}")
    return max(fitting, key=size_of)


def search_psnr(
    encode: Callable[[float], Result],
    decode: Callable[[Result], Scene],
    views: Sequence[View],
    options: EncodeOptions,
) -> Result:
    """Encode so that pictures of the decoded scene have ``options.psnr`` against the original's.

    Raises
    ------
    UnsupportedError
        No quality comes near.
    """
    assert options.psnr is not None
    target = options.psnr
    found = search(
        encode,
        lambda result: psnr_of(decode(result), views) - target,
        _QUALITY_PER_DB,
        lambda miss: abs(miss) <= PSNR_TOLERANCE / 2,
        float(np.clip(options.quality, _LEAST, _MOST)),
    )
    if abs(found.miss) > PSNR_TOLERANCE:
        raise UnsupportedError(
            f"cannot reach {target:.2f} dB; the nearest is {target + found.miss:.2f} dB"
        )
    return found.result


def psnr_of(scene: Scene, views: Sequence[View]) -> float:
    """Mean PSNR over views of a decoded scene against the original's pictures."""
    gaussians = RenderGaussians.from_scene(scene)
    found = []
    for view in views:
        picture = render(gaussians, view.camera)[0]
        error = np.clip(picture, 0, 1) - np.clip(view.picture, 0, 1)
        found.append(-10.0 * np.log10(max(float(np.mean(error.astype(np.float64) ** 2)), 1e-12)))
    return float(np.mean(found))


def at_quality(options: EncodeOptions, quality: float) -> EncodeOptions:
    """The same options at another quality, without a target."""
    return replace(options, quality=quality, size=None, psnr=None)
