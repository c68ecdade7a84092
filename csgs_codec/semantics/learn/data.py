"""From cameras and label maps to what is learnt from and what is held out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from csgs_codec.errors import UsageError
from csgs_codec.metrics.masks import read_mask
from csgs_codec.render import Camera, RenderGaussians
from csgs_codec.semantics.learn.maps import ViewMap, map_view

HELD_OUT = ("test", "val")
_EVERY = 8


def choose_views(
    cameras: Sequence[Camera], masks: Mapping[str, Path], most: int
) -> tuple[list[Camera], list[Camera]]:
    """Views to learn from, at most so many and evenly chosen, and all that are held out.

    Views of the splits ``test`` and ``val`` are held out; where there are none, every eighth of
    eight views or more. Views without a label map are left out.

    Raises
    ------
    UsageError
        No view is left to learn from.
    """
    known = [camera for camera in cameras if camera.name in masks]
    held = [camera for camera in known if camera.split in HELD_OUT]
    if not held and len(known) >= _EVERY:
        held = known[::_EVERY]
    names = {camera.name for camera in held}
    free = [camera for camera in known if camera.name not in names]
    if not free:
        raise UsageError("every view with a label map is held out")
    count = min(most, len(free))
    return [free[k * len(free) // count] for k in range(count)], held


def map_views(
    gaussians: RenderGaussians,
    cameras: Sequence[Camera],
    masks: Mapping[str, Path],
    resolution: int,
    ignore: int | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> list[ViewMap]:
    """Map views of a scene; see :func:`csgs_codec.semantics.learn.maps.map_view`.

    Parameters
    ----------
    gaussians : RenderGaussians
    cameras : sequence of Camera
    masks : mapping of str to Path
        Label maps by the view's name.
    resolution : int
    ignore : int, optional
    progress : callable, optional
        Called with the share done, 0 to 1.

    Raises
    ------
    CameraError
        A label map cannot be read.
    UnsupportedError
        A label map holds colours.
    """
    made = []
    for number, camera in enumerate(cameras):
        labels = read_mask(masks[camera.name], camera)
        made.append(map_view(gaussians, camera, labels, resolution, ignore))
        progress((number + 1) / len(cameras))
    return made
