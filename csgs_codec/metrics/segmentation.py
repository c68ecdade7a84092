"""Segmentation that a scene renders: features to label maps, and label maps against others.

As in Gaussian Grouping (Ye et al., ECCV 2024, ``render.py``): raw features are alpha-blended with
the weights of the colours, neither features nor pixels are normalised, nothing stands for the
background (so that a pixel without Gaussians is the head's bias alone), and the head's largest
logit is the class.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csgs_codec.errors import UsageError
from csgs_codec.metrics.masks import Labels
from csgs_codec.render import Camera, RenderGaussians, render
from csgs_codec.semantics.heads import Head


@dataclass(frozen=True)
class SegmentationScore:
    """Agreement of two sets of label maps.

    Attributes
    ----------
    iou : ndarray of float64, shape (classes,)
        Intersection over union of each class, over the pixels of all views together; NaN for a
        class that neither side shows.
    accuracy : float
        Share of the pixels with the same class.
    pixels : int
        Pixels that counted.
    """

    iou: NDArray[np.float64]
    accuracy: float
    pixels: int

    @property
    def miou(self) -> float:
        """Mean IoU over the classes that one of the sides shows; NaN without pixels."""
        present = self.iou[~np.isnan(self.iou)]
        return float(present.mean()) if len(present) else float("nan")


def confusion_matrix(
    truth: NDArray[np.integer],
    predicted: NDArray[np.integer],
    classes: int,
    ignore: int | None = None,
) -> NDArray[np.int64]:
    """Count pixels by true (row) and predicted (column) class.

    Parameters
    ----------
    truth, predicted : ndarray of integers, the same shape
    classes : int
    ignore : int, optional
        Pixels whose true id is this one do not count.

    Returns
    -------
    ndarray of int64, shape (classes, classes)

    Raises
    ------
    UsageError
        The sizes differ, or an id is not one of the classes.
    """
    if truth.shape != predicted.shape:
        raise UsageError(f"label maps of {truth.shape} and {predicted.shape} pixels")
    wanted, found = truth.reshape(-1).astype(np.int64), predicted.reshape(-1).astype(np.int64)
    if ignore is not None:
        counts = wanted != ignore
        wanted, found = wanted[counts], found[counts]
    for ids in (wanted, found):
        if len(ids) and not (ids.min() >= 0 and ids.max() < classes):
            odd = ids.max() if ids.max() >= classes else ids.min()
            raise UsageError(f"label {odd} is none of {classes} classes; is it to be ignored?")
    counted = np.bincount(wanted * classes + found, minlength=classes * classes)
    return counted.reshape(classes, classes)


def score(confusion: NDArray[np.int64]) -> SegmentationScore:
    """Score a confusion matrix, summed over the views that count together.

    Parameters
    ----------
    confusion : ndarray of int64, shape (classes, classes)
    """
    both = np.diag(confusion)
    either = confusion.sum(axis=0) + confusion.sum(axis=1) - both
    iou = np.where(either > 0, both / np.maximum(either, 1), np.nan)
    pixels = int(confusion.sum())
    return SegmentationScore(iou, float(both.sum()) / max(pixels, 1), pixels)


def compare_maps(
    truth: Iterable[Labels], predicted: Iterable[Labels], classes: int, ignore: int | None = None
) -> SegmentationScore:
    """Score label maps of several views by one confusion matrix of all pixels.

    Parameters
    ----------
    truth, predicted : iterable of ndarray of int64, shape (height, width)
        In the order of the views.
    classes : int
    ignore : int, optional

    Raises
    ------
    UsageError
        See :func:`confusion_matrix`.
    """
    total = np.zeros((classes, classes), np.int64)
    for wanted, found in zip(truth, predicted, strict=True):
        total += confusion_matrix(wanted, found, classes, ignore)
    return score(total)


def label_map(
    gaussians: RenderGaussians, features: NDArray[np.floating], head: Head, camera: Camera
) -> Labels:
    """Render features of one view and classify each pixel.

    Parameters
    ----------
    gaussians : RenderGaussians
    features : ndarray, shape (n, width)
        Blended as float32; values that are not finite count as 0.
    head : Head
    camera : Camera

    Returns
    -------
    ndarray of int64, shape (height, width)

    Raises
    ------
    UsageError
        The head takes features of another width.
    UnsupportedError
        See :func:`csgs_codec.render.render`.
    """
    check_head(head, features.shape[1])
    finite = np.where(np.isfinite(features), features, 0).astype(np.float32)
    _, _, blended = render(gaussians, camera, finite)
    assert blended is not None
    return head.labels(blended.reshape(-1, head.width)).reshape(camera.height, camera.width)


def label_maps(
    gaussians: RenderGaussians,
    features: NDArray[np.floating],
    head: Head,
    cameras: Sequence[Camera],
) -> list[Labels]:
    """Label maps of several views; see :func:`label_map`."""
    return [label_map(gaussians, features, head, camera) for camera in cameras]


def check_head(head: Head, width: int) -> None:
    """Check that a head fits features of some width.

    Raises
    ------
    UsageError
    """
    if head.width != width:
        raise UsageError(f"the head takes {head.width} features, the scene has {width}")
