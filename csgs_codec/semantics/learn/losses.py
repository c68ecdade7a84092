"""What rendered features should be: classifiable, or alike within a mask and unlike beyond it."""

from __future__ import annotations

import torch
from torch.nn import functional

from csgs_codec.semantics.learn.maps import Batch

TEMPERATURE = 0.1
LEAST_PIXELS = 4


def cross_entropy(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Weighted mean cross-entropy of the pixels of a batch, in nats.

    Parameters
    ----------
    logits : torch.Tensor, shape (pixels, classes)
    batch : Batch
    """
    each = functional.cross_entropy(logits, batch.labels, reduction="none")
    return (each * batch.weight).sum() / batch.weight.sum()


def contrastive(rendered: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Cross-entropy of each pixel against the prototypes of the masks of its own view, in nats.

    Features get a further coordinate of 1, so that pixels without Gaussians have a direction too.
    A prototype is the mean direction of a mask; likeness is the cosine over a temperature of 0.1.
    Pulls the pixels of a mask together and away from the other masks, and
    needs no ids that views share.

    Parameters
    ----------
    rendered : torch.Tensor, shape (pixels, channels)
    batch : Batch
    """
    unit = _directions(rendered)
    total, weight = rendered.new_zeros(()), rendered.new_zeros(())
    for view in torch.unique(batch.view):
        here = batch.view == view
        prototypes, mask = _prototypes(unit[here], batch.labels[here])
        known = mask >= 0
        if len(prototypes) < 2:
            continue
        logits = unit[here][known] @ prototypes.T / TEMPERATURE
        each = functional.cross_entropy(logits, mask[known], reduction="none")
        heavy = batch.weight[here][known]
        total, weight = total + (each * heavy).sum(), weight + heavy.sum()
    return total / weight.clamp(min=1e-6)


def separation(rendered: torch.Tensor, batch: Batch) -> tuple[int, int]:
    """Pixels nearest to the prototype of their own mask in their view, and pixels in all."""
    unit = _directions(rendered)
    right = total = 0
    for view in torch.unique(batch.view):
        here = batch.view == view
        prototypes, mask = _prototypes(unit[here], batch.labels[here])
        known = mask >= 0
        if len(prototypes):
            nearest = (unit[here][known] @ prototypes.T).argmax(1)
            right += int((nearest == mask[known]).sum())
            total += int(known.sum())
    return right, total


def _directions(rendered: torch.Tensor) -> torch.Tensor:
    return functional.normalize(functional.pad(rendered, (0, 1), value=1.0), dim=1)


def _prototypes(unit: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Prototypes of the masks with enough pixels, and the mask of each pixel (-1 for none)."""
    found, mask, counts = torch.unique(labels, return_inverse=True, return_counts=True)
    sums = unit.new_zeros(len(found), unit.shape[1]).index_add(0, mask, unit)
    large = counts >= LEAST_PIXELS
    place = torch.where(large, large.cumsum(0) - 1, -1)
    return functional.normalize(sums[large], dim=1), place[mask]
