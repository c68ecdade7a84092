"""Decide from where an encoder looks at a scene, and look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec

import numpy as np

from csgs_codec.encoder.options import EncodeOptions
from csgs_codec.encoder.sensitivity import Sensitivity
from csgs_codec.encoder.views import View, take_pictures
from csgs_codec.errors import CameraError, UnsupportedError
from csgs_codec.render import render
from csgs_codec.render.cameras import Camera
from csgs_codec.render.gaussians import RenderGaussians
from csgs_codec.scene import Scene

VIEWS, SIDE = 96, 418
SMALL_VIEWS, SMALL_SIDE = 24, 256
_SMALL_SCENE = 20_000
# Looking takes time in proportion to views and Gaussians: large scenes are looked at less often.
_ALL_VIEWS_UP_TO = 150_000
_LEAST_VIEWS = 48
_VIEWS_OF_PLACE = 10
_LEAST_SEEN = 0.02
_FINEST = 0.05
# Fitting colours takes about 50 bytes for each picture and Gaussian that it shows.
_FITTED_GAUSSIANS = 24_000_000
_LEAST_PICTURES = 6


@dataclass(frozen=True)
class Look:
    """What was seen.

    Attributes
    ----------
    views : list of View
        Pictures to fit colours to; empty if none could be taken.
    sensitivity : Sensitivity, optional
    notes : list of str
    """

    views: list[View] = field(default_factory=list)
    sensitivity: Sensitivity | None = None
    notes: list[str] = field(default_factory=list)


def look_at(
    scene: Scene, options: EncodeOptions, tell: Callable[[float], None], shown: Scene | None = None
) -> Look:
    """Take pictures of a scene whose values are finite.

    Parameters
    ----------
    scene : Scene
        What is encoded: its sensitivity is measured.
    options : EncodeOptions
    tell : callable
        Called with the share done.
    shown : Scene, optional
        What pictures should show, and whose views they are; the same scene by default.

    Raises
    ------
    CameraError
        The given cameras see nothing of the scene.
    UnsupportedError
        Cameras are given, and the scene cannot be rendered.
    """
    if not options.look or not scene.count:
        return Look()
    try:
        if find_spec("numba") is None:
            raise UnsupportedError("rendering needs numba")
        gaussians = RenderGaussians.from_scene(scene)
        original = gaussians if shown is None else RenderGaussians.from_scene(shown)
        cameras = choose_cameras(original, options.cameras)
    except (UnsupportedError, CameraError) as error:
        if options.cameras is not None:
            raise
        return Look(notes=[f"steps are estimated without pictures: {error.message}"])
    fitted = max(_LEAST_PICTURES * gaussians.count, _FITTED_GAUSSIANS)
    views, sensitivity, seen = take_pictures(gaussians, cameras, fitted, tell)
    if seen < _LEAST_SEEN:
        if options.cameras is not None:
            raise CameraError(f"the cameras see {100 * seen:.1f} % of the Gaussians")
        return Look(notes=["steps are estimated without pictures: no view shows the scene"])
    if shown is not None:
        views = [View(view.camera, render(original, view.camera)[0]) for view in views]
    return Look(views, sensitivity)


def choose_cameras(gaussians: RenderGaussians, given: Sequence[Camera] | None) -> list[Camera]:
    """The given cameras, or automatic ones, with pictures of a size that is quick to render.

    Raises
    ------
    CameraError
        None are given, or the scene shows nothing.
    UnsupportedError
        Single precision does not tell the Gaussians apart.
    """
    _require_resolution(gaussians)
    small = gaussians.count < _SMALL_SCENE
    views, side = most_views(gaussians.count), SMALL_SIDE if small else SIDE
    if given is not None:
        if not given:
            raise CameraError("no cameras are given")
        chosen = np.unique(np.linspace(0, len(given) - 1, views).astype(int))
        return [shrunk(given[i], side) for i in chosen]
    from csgs_codec.render.auto_cameras import place_cameras

    if small:
        return place_cameras(gaussians, SMALL_VIEWS, side, side)
    return place_cameras(gaussians, views, side, side, views_of_places)


def most_views(gaussians: int) -> int:
    """How many views are looked at."""
    share = (_ALL_VIEWS_UP_TO / max(gaussians, _ALL_VIEWS_UP_TO)) ** 0.5
    return max(min(_LEAST_VIEWS, VIEWS), round(VIEWS * share))


def views_of_places(places: int) -> int:
    """How many views there are of a scene of several places."""
    return max(VIEWS, _VIEWS_OF_PLACE * places)


def _require_resolution(gaussians: RenderGaussians) -> None:
    """Check that single precision tells neighbouring places apart."""
    farthest = np.abs(gaussians.means).max(initial=0)
    if np.spacing(np.float32(farthest)) > _FINEST * np.median(gaussians.scales):
        raise UnsupportedError("coordinates are too large for their Gaussians to be rendered")


def shrunk(camera: Camera, side: int) -> Camera:
    """A camera with at most the pixels of a square picture of this side."""
    factor = side / np.sqrt(camera.width * camera.height)
    if factor >= 1.0:
        return camera
    width = max(1, round(camera.width * factor))
    height = max(1, round(camera.height * factor))
    scale = np.diag([width / camera.width, height / camera.height, 1.0])
    return replace(camera, width=width, height=height, intrinsics=scale @ camera.intrinsics)
