"""3D-OVS: one class per pixel by its nearest text, against masks of every class.

Layout and rules are those of Liu et al., NeurIPS 2023 (``dataLoader/llff.py`` and ``renderer.py``
of github.com/Kunhao-Liu/3D-OVS)::

    segmentations/classes.txt         a text on each line
    segmentations/<view>/<text>.png   255 where the class is
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from csgs_codec.errors import UnsupportedError, UsageError
from csgs_codec.render import Camera

_FULL = 255


@dataclass(frozen=True)
class AnnotatedView:
    """Masks of one view.

    Attributes
    ----------
    name : str
        Of its folder.
    masks : ndarray of bool, shape (classes, height, width)
    """

    name: str
    masks: NDArray[np.bool_]


@dataclass(frozen=True)
class OvsScore:
    """Scores of a scene.

    Attributes
    ----------
    iou : ndarray of float64, shape (views, classes)
        0 for a class that neither the masks nor the prediction of a view show.
    accuracy : ndarray of float64, shape (views,)
        Share of the pixels whose predicted class is the only one that the masks give them.
    """

    iou: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @property
    def miou(self) -> float:
        """Mean IoU over views and classes."""
        return float(self.iou.mean())


def read_views(folder: Path) -> tuple[tuple[str, ...], list[AnnotatedView]]:
    """Read the classes of a scene, in alphabetical order, and its annotated views.

    Parameters
    ----------
    folder : Path
        ``<scene>/segmentations``.

    Raises
    ------
    UsageError
        Classes or a mask are missing, or cannot be read; names the file.
    UnsupportedError
        Pillow is not installed.
    """
    listed = folder / "classes.txt"
    try:
        lines = listed.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise UsageError(f"classes cannot be read: {error}", file=str(listed)) from error
    classes = tuple(sorted(line.strip() for line in lines if line.strip()))
    views = []
    for inside in sorted(path for path in folder.iterdir() if path.is_dir()):
        masks = [_mask(inside / f"{name}.png") for name in classes]
        if len({mask.shape for mask in masks}) > 1:
            raise UsageError("masks of different sizes", file=str(inside))
        views.append(AnnotatedView(inside.name, np.stack(masks)))
    if not views or not classes:
        raise UsageError("no annotated views or no classes", file=str(folder))
    return classes, views


def _mask(path: Path) -> NDArray[np.bool_]:
    try:
        from PIL import Image
    except ImportError as error:
        raise UnsupportedError("masks need Pillow: install csgs_codec[eval]") from error
    try:
        with Image.open(path) as opened:
            return np.asarray(opened.convert("L")) == _FULL
    except (OSError, SyntaxError, ValueError) as error:
        raise UsageError(f"mask cannot be read: {error}", file=str(path)) from error


def camera_of(view: str, cameras: Sequence[Camera]) -> Camera:
    """Find the camera of an annotated view: that of its name, else of its number by name.

    Raises
    ------
    UsageError
        There is none.
    """
    ordered = sorted(cameras, key=lambda camera: camera.name)
    for camera in ordered:
        if view in (camera.name, Path(camera.name).stem):
            return camera
    if view.isdigit() and int(view) < len(ordered):
        return ordered[int(view)]
    raise UsageError(f"no camera belongs to the annotated view {view!r}")


def score_views(
    views: Sequence[AnnotatedView], predicted: Sequence[NDArray[np.integer]]
) -> OvsScore:
    """Score label maps.

    Parameters
    ----------
    views : sequence of AnnotatedView
    predicted : sequence of ndarray of integers, shape (height, width)
        Number of the class of each pixel.

    Raises
    ------
    UsageError
        A label map has another size than the masks.
    """
    iou, accuracy = [], []
    for view, labels in zip(views, predicted, strict=True):
        if labels.shape != view.masks.shape[1:]:
            raise UsageError(f"label map of {labels.shape} pixels for view {view.name!r}")
        chosen = labels[None] == np.arange(len(view.masks))[:, None, None]
        both = (chosen & view.masks).sum(axis=(1, 2))
        iou.append(both / np.maximum((chosen | view.masks).sum(axis=(1, 2)), 1))
        accuracy.append((chosen == view.masks).all(axis=0).mean())
    return OvsScore(np.array(iou), np.array(accuracy))
