"""Linear transform over the columns of a group, fitted to the scene and sent in the file (5.3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from csgs_codec.container.fields import FieldReader, FieldWriter
from csgs_codec.limits import MAX_CHANNELS
from csgs_codec.numerics.side import decode_integers, encode_integers

F64 = NDArray[np.float64]
Blocks = Sequence[F64]

MAX_BASIS_BITS = 14
_SCALE_INDEX_MAX = 63


@dataclass(frozen=True)
class LinearTransform:
    """``columns = mean + components @ (basis_q / 2**bits)``.

    Attributes
    ----------
    mean : ndarray of float32, shape (columns,)
    basis_q : ndarray of int32, shape (components, columns)
        Rows in order of decreasing energy, with ``bits`` fractional bits.
    bits : int
    metric : ndarray of float64, shape (columns, columns), optional
        What the forward direction holds squared errors of columns to be; not in the file.
    spread : ndarray of float64, shape (components,), optional
        Weighted root mean square of each component of what was fitted; not in the file.
    """

    mean: NDArray[np.float32]
    basis_q: NDArray[np.int32]
    bits: int
    metric: F64 | None = None
    spread: F64 | None = None

    @property
    def components(self) -> int:
        """Number of components."""
        return self.basis_q.shape[0]

    @property
    def basis(self) -> F64:
        """The basis without its binary point, shape (components, columns)."""
        return self.basis_q / float(1 << self.bits)

    @cached_property
    def _projector(self) -> tuple[F64, F64]:
        """Weighed basis, shape (components, columns), and inverse of its Gram matrix."""
        basis = self.basis
        weighed = basis if self.metric is None else basis @ self.metric
        return weighed, np.asarray(np.linalg.pinv(basis @ weighed.T), np.float64)

    def forward(self, columns: F64) -> F64:
        """Components of least squared error under the quantised basis, shape (n, components)."""
        weighed, inverse = self._projector
        return (columns - self.mean) @ weighed.T @ inverse

    def inverse(self, components: F64) -> F64:
        """Columns from components, shape (n, columns)."""
        return components @ self.basis + self.mean

    @classmethod
    def fit(
        cls, blocks: Blocks, weights: F64, components: int, bits: int, metric: F64 | None = None
    ) -> LinearTransform:
        """Fit a weighted Karhunen-Loeve basis, orthonormal under ``metric``.

        Parameters
        ----------
        blocks : sequence of ndarray of float64, shape (rows, d)
            Columns of n >= 1 rows, block after block.
        weights : ndarray of float64, shape (n,), positive
        components : int
            Rows of the basis to keep, at most ``d``.
        bits : int
            Fractional bits of the basis.
        metric : ndarray of float64, shape (d, d), optional
            Positive definite; the squared error of columns to be made uniform.
        """
        total = weights.sum()
        mean = (_weighted_sum(blocks, weights) / total).astype(np.float32)
        covariance = _scatter(blocks, weights, mean) / total
        if metric is None:
            vectors = np.linalg.eigh(covariance)[1][:, ::-1].T[:components]
        else:
            root = np.linalg.cholesky(metric)
            inner = np.linalg.eigh(root.T @ covariance @ root)[1][:, ::-1].T[:components]
            vectors = inner @ np.linalg.inv(root)
        signs = np.sign(vectors[np.arange(len(vectors)), np.abs(vectors).argmax(axis=1)])
        scaled = np.rint(vectors * signs[:, None] * (1 << bits))
        basis_q = np.ascontiguousarray(scaled, np.int32)
        fitted = cls(mean, basis_q, bits, metric)
        weighed, inverse = fitted._projector
        forward = weighed.T @ inverse
        squared = ((covariance @ forward) * forward).sum(axis=0)
        return replace(fitted, spread=np.sqrt(np.maximum(squared, 0.0)))

    def first(self, components: int) -> LinearTransform:
        """The transform with the first of its components only."""
        spread = None if self.spread is None else self.spread[:components]
        return replace(self, basis_q=self.basis_q[:components], spread=spread)

    def rotated(self, axes: F64) -> LinearTransform:
        """The transform to other axes of the same space, those of the largest spread first.

        Parameters
        ----------
        axes : ndarray of float64, shape (components, components)
            Orthogonal; an axis a row, in the components of this transform, which must come from
            :meth:`fit`.
        """
        assert self.spread is not None
        spread = np.sqrt((axes * self.spread) ** 2 @ np.ones(self.components))
        order = np.argsort(-spread, kind="stable")
        basis_q = np.rint(axes[order] @ self.basis_q).astype(np.int32)
        return replace(self, basis_q=np.ascontiguousarray(basis_q), spread=spread[order])

    def write(self, fields: FieldWriter) -> None:
        """Append the transform to a payload."""
        rows, columns = self.basis_q.shape
        spread = max(1.0, float(np.abs(self.basis_q).mean()) * np.sqrt(2.0))
        scale_index = int(np.clip(np.rint(1 + 6 * np.log2(spread / 0.1)), 1, _SCALE_INDEX_MAX))
        fields.put("u16", rows, columns).put("u8", self.bits, scale_index)
        fields.array(self.mean, np.float32)
        flat = self.basis_q.reshape(-1)
        fields.blob(encode_integers(flat, np.full(flat.shape, scale_index, np.uint8)))

    @classmethod
    def read(cls, fields: FieldReader, components: int, width: int) -> LinearTransform:
        """Read a transform from ``width`` columns to ``components`` components."""
        rows = fields.integer("u16", components, components)
        columns = fields.integer("u16", width, min(width, MAX_CHANNELS))
        bits = fields.integer("u8", 0, MAX_BASIS_BITS)
        scale_index = fields.integer("u8", 1, _SCALE_INDEX_MAX)
        mean = fields.array((columns,), np.float32).astype(np.float32)
        fields.require(bool(np.isfinite(mean).all()), "transform mean is not finite")
        count = rows * columns
        flat = decode_integers(fields.blob(), count, np.full(count, scale_index, np.uint8))
        return cls(mean, flat.reshape(rows, columns).astype(np.int32), bits)


def _weighted_sum(blocks: Iterable[F64], weights: F64) -> F64:
    """Sum of rows times their weights, shape (n,): shape (d,) from blocks of shape (rows, d)."""
    total: F64 = np.zeros(())
    begin = 0
    for block in blocks:
        total = total + weights[begin : begin + len(block)] @ block
        begin += len(block)
    return total


def _scatter(blocks: Iterable[F64], weights: F64, mean: NDArray[np.float32]) -> F64:
    """Weighted sum of the outer products of what is left of rows without the mean, shape (d, d)."""
    total: F64 = np.zeros(())
    begin = 0
    for block in blocks:
        centred = block - mean
        weight = weights[begin : begin + len(block), None]
        total = total + (centred * weight).T @ centred
        begin += len(block)
    return total
