"""How well learnt features segment views."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from csgs_codec.metrics.segmentation import SegmentationScore, compare_maps
from csgs_codec.semantics.heads import Head
from csgs_codec.semantics.learn.losses import separation
from csgs_codec.semantics.learn.maps import ViewMap, make_batches


def segmentation_score(
    views: Sequence[ViewMap], features: NDArray[np.float32], head: Head
) -> SegmentationScore:
    """Blend features, classify pixels by the head, and compare with the label maps.

    Parameters
    ----------
    views : sequence of ViewMap
    features : ndarray of float32, shape (n, width)
    head : Head
        Of the same width; ids beyond its classes count as missed.
    """
    classes = max(head.classes, 1 + max(int(view.labels.max(initial=-1)) for view in views))
    truth = [view.labels for view in views]
    found = (head.labels(view.weights @ features) for view in views)
    return compare_maps(truth, found, classes, ignore=-1)


def separation_score(views: Sequence[ViewMap], features: NDArray[np.float32]) -> float:
    """Share of pixels whose blended feature is nearest to the mean of their own mask."""
    right = total = 0
    for view in views:
        for batch in make_batches([view], None, "cpu", np.random.default_rng(0)):
            hits, pixels = separation(batch.blend @ torch.from_numpy(features), batch)
            right, total = right + hits, total + pixels
    return right / max(total, 1)
