"""Pictures of a fixed scene as sparse matrices: rendered features are ``weights @ features``."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from csgs_codec.metrics.masks import Labels
from csgs_codec.render import Camera, RenderGaussians, rasterise
from csgs_codec.render.influence import TILE, BlendingWeights

VIEWS_TOGETHER = 8


@dataclass(frozen=True)
class ViewMap:
    """Some pixels of one view.

    Attributes
    ----------
    weights : scipy csr_matrix of float32, shape (pixels, n)
        With which each Gaussian is blended into each pixel.
    labels : ndarray of int64, shape (pixels,)
        Ids of the pixels; negative where unknown.
    area : float
        Pixels of the picture that one of these stands for.
    """

    weights: csr_matrix
    labels: Labels
    area: float


def map_view(
    gaussians: RenderGaussians,
    camera: Camera,
    labels: Labels,
    resolution: int,
    ignore: int | None = None,
) -> ViewMap:
    """Blending weights of every k-th pixel of every k-th row of a view.

    Pixels are those of the full picture, so that what is learnt does not depend on how much
    smaller pictures blur.

    Parameters
    ----------
    gaussians : RenderGaussians
    camera : Camera
    labels : ndarray of int64, shape (height, width)
    resolution : int
        Largest number of pixels along a side.
    ignore : int, optional
        Pixels with this id are unknown.
    """
    stride = -(-max(camera.width, camera.height) // resolution)
    projection = rasterise.project(gaussians, camera)
    tiles = rasterise.bin_tiles(projection)
    blending, _ = BlendingWeights.of(projection, tiles, stride)
    y, tile = np.divmod(blending.places, blending.tiles_x)
    x = (tile * TILE)[:, None] + np.arange(TILE, dtype=np.int32)
    weights = blending.entries
    kept = (weights > 0) & (x % stride == 0) & (x < camera.width)
    sampled = labels[::stride, ::stride]
    pixel = ((y // stride) * sampled.shape[1])[:, None] + x // stride
    ids = np.broadcast_to(blending.ids[:, None], x.shape)
    entries = (weights[kept], (pixel[kept], ids[kept]))
    known = sampled.reshape(-1).copy()
    if ignore is not None:
        known[known == ignore] = -1
    return ViewMap(
        csr_matrix(entries, shape=(known.size, gaussians.count), dtype=np.float32),
        known,
        float(stride * stride),
    )


class SparseMap:
    """A sparse matrix that tensors are multiplied with, differentiable by the tensor.

    Both the matrix and its transpose are kept, so that neither direction has to reorder anything.

    Parameters
    ----------
    matrix : scipy csr_matrix of float32, shape (rows, columns)
    device : str
        Where the products are taken.
    """

    def __init__(self, matrix: csr_matrix, device: str) -> None:
        self._matrix = _to_torch(matrix, device)
        self._transpose = _to_torch(matrix.T.tocsr(), device)

    def __matmul__(self, features: torch.Tensor) -> torch.Tensor:
        """Product with a tensor of float32, shape (columns, channels)."""
        product: torch.Tensor = _Product.apply(  # type: ignore[no-untyped-call]
            features, self._matrix, self._transpose
        )
        return product


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, features: torch.Tensor, matrix: torch.Tensor, transpose: torch.Tensor
    ) -> torch.Tensor:
        ctx.transpose = transpose
        return matrix @ features

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return ctx.transpose @ gradients[0].contiguous(), None, None


def _to_torch(matrix: csr_matrix, device: str) -> torch.Tensor:
    arrays = (matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32), matrix.data)
    with warnings.catch_warnings():  # compressed rows are a beta feature of torch
        warnings.simplefilter("ignore", UserWarning)
        starts, columns, values = (torch.from_numpy(a) for a in arrays)
        made = torch.sparse_csr_tensor(
            starts, columns, values, size=matrix.shape, check_invariants=False
        )
    return made.to(device)


@dataclass(frozen=True)
class Batch:
    """Pixels of several views that one step of training looks at.

    Attributes
    ----------
    blend : SparseMap
        Pixels x Gaussians.
    labels, view : torch.Tensor of int64, shape (pixels,)
    weight : torch.Tensor of float32, shape (pixels,)
        What each pixel counts.
    """

    blend: SparseMap
    labels: torch.Tensor
    view: torch.Tensor
    weight: torch.Tensor


def make_batches(
    views: Sequence[ViewMap],
    reliability: NDArray[np.float64] | None,
    device: str,
    random: np.random.Generator,
) -> list[Batch]:
    """Deal the labelled pixels of views into batches that hold parts of several views each.

    Parameters
    ----------
    views : sequence of ViewMap
    reliability : ndarray of float64, shape (n,), optional
        Of the Gaussians; a pixel counts as much as what it is blended from is reliable.
    device : str
        Of the tensors.
    random : numpy Generator
    """
    order = random.permutation(len(views))
    batches = []
    for at in range(0, len(order), VIEWS_TOGETHER):
        members = order[at : at + VIEWS_TOGETHER]
        parts = [
            np.array_split(random.permutation(np.flatnonzero(views[v].labels >= 0)), len(members))
            for v in members
        ]
        for turn in range(len(members)):
            rows = [part[turn] for part in parts]
            pairs = list(zip(members, rows, strict=True))
            matrix = vstack([views[v].weights[r] for v, r in pairs], "csr")
            if not matrix.shape[0]:
                continue
            labels = np.concatenate([views[v].labels[r] for v, r in pairs])
            view = np.repeat(np.arange(len(members)), [len(r) for r in rows])
            weight = np.ones(len(labels))
            if reliability is not None:
                whole = np.asarray(matrix.sum(axis=1)).reshape(-1)
                weight = (matrix @ reliability + 1e-3) / (whole + 1e-3)
            arrays = (labels, view, weight.astype(np.float32))
            ids, place, counted = (torch.from_numpy(a).to(device) for a in arrays)
            batches.append(Batch(SparseMap(matrix, device), ids, place, counted))
    return batches
