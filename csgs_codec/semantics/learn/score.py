"""How well learnt features segment views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from csgs_codec.semantics.heads import Head
from csgs_codec.semantics.learn.losses import separation
from csgs_codec.semantics.learn.maps import ViewMap, make_batches


@dataclass(frozen=True)
class Score:
    """Agreement of classified pixels with label maps.

    Attributes
    ----------
    miou : float
        Mean IoU over the classes that either side shows, over all pixels of all views together.
    accuracy : float
        Share of pixels with the right class.
    """

    miou: float
    accuracy: float


def segmentation_score(
    views: Sequence[ViewMap], features: NDArray[np.float32], head: Head
) -> Score:
    """Blend features, classify pixels by the head, and compare with the label maps.

    Parameters
    ----------
    views : sequence of ViewMap
    features : ndarray of float32, shape (n, width)
    head : Head
        Of the same width; ids beyond its classes count as missed.
    """
    classes = max(head.classes, 1 + max(int(view.labels.max(initial=-1)) for view in views))
    counted = np.zeros((classes, classes), np.int64)
    for view in views:
        known = view.labels >= 0
        found = head.labels(view.weights @ features)[known]
        pairs = view.labels[known] * classes + found
        counted += np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
    both = np.diag(counted)
    either = counted.sum(axis=0) + counted.sum(axis=1) - both
    shown = either > 0
    accuracy = float(both.sum() / max(int(counted.sum()), 1))
    return Score(float((both[shown] / either[shown]).mean()) if shown.any() else 0.0, accuracy)


def separation_score(views: Sequence[ViewMap], features: NDArray[np.float32]) -> float:
    """Share of pixels whose blended feature is nearest to the mean of their own mask."""
    right = total = 0
    for view in views:
        for batch in make_batches([view], None, "cpu", np.random.default_rng(0)):
            hits, pixels = separation(batch.blend @ torch.from_numpy(features), batch)
            right, total = right + hits, total + pixels
    return right / max(total, 1)
