"""Fit colours anew once geometry is quantised, to pictures of the original scene.

For fixed geometry a picture is linear in the spherical harmonics, so conjugate gradients on the
normal equations find the colours under which the quantised scene looks most like the original.
Only pictures of the PLY itself are used. Few iterations and a pull towards the original colours
keep views that were not looked at from getting worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csgs_codec.encoder.views import ROW_STRIDE, View
from csgs_codec.render import influence_kernels, rasterise
from csgs_codec.render.gaussians import RenderGaussians
from csgs_codec.render.influence import BlendingWeights
from csgs_codec.render.rasterise import ROWS, in_pieces, lens_of

F32 = NDArray[np.float32]
_TINY = 1e-12


@dataclass
class _Look:
    """One view of the quantised geometry, and what is seen of it."""

    blending: BlendingWeights
    rows: NDArray[np.int64]
    eye: F32
    clamped: NDArray[np.bool_]
    missing: F32  # in every ROW_STRIDE-th row, 0 elsewhere


class ColourFit:
    """The linear problem of the colours of a scene with quantised geometry.

    Parameters
    ----------
    gaussians : RenderGaussians
        Quantised geometry, original colours.
    views : sequence of View
    """

    def __init__(self, gaussians: RenderGaussians, views: Sequence[View]) -> None:
        self._count, self._width = gaussians.sh.shape[:2]
        self._means = gaussians.means
        self._squared = np.zeros((self._count, self._width), np.float32)
        self._looks = [self._look(gaussians, view) for view in views]
        self._moved = np.zeros_like(gaussians.sh)
        self._variance = gaussians.sh.var(axis=0, dtype=np.float64).mean(axis=1)

    def _look(self, gaussians: RenderGaussians, view: View) -> _Look:
        projection = rasterise.project(gaussians, view.camera)
        tiles = rasterise.bin_tiles(projection)
        everything, shown = BlendingWeights.of(projection, tiles, ROW_STRIDE)
        blending, rows = everything.compact(self._count)
        wanted = np.zeros_like(view.picture)
        wanted[::ROW_STRIDE] = view.picture[::ROW_STRIDE]
        missing = blending.planes(wanted) - shown
        eye, squared = lens_of(view.camera)[2], blending.squared(len(rows))
        in_pieces(
            lambda begin, end: influence_kernels.square_basis_rows(
                begin, end, rows, self._means, eye, squared, self._squared
            ),
            len(rows),
            4,
            ROWS,
        )
        return _Look(blending, rows, eye, projection.clamped[rows], missing)

    def solve(
        self,
        iterations: int,
        directions: F32,
        freedom: float,
        free: NDArray[np.bool_] | None = None,
    ) -> F32:
        """Change of the colours after some steps of conjugate gradients.

        Parameters
        ----------
        iterations : int
        directions : ndarray of float32, shape (v, K, 3)
            What of the coefficients each variable changes.
        freedom : float
            Variance that distances from the original colours are expected to have, relative to
            that of the coefficients.
        free : ndarray of bool, shape (n, v), optional
            Which variables of each Gaussian may change; all by default.

        Returns
        -------
        ndarray of float32, shape (n, K, 3)
            Change of the coefficients; it is not absorbed yet.
        """
        along = directions.reshape(len(directions), -1)
        error = ROW_STRIDE * float(np.mean([np.mean(look.missing**2) for look in self._looks]))
        pull = np.repeat(error / (freedom * self._variance + _TINY), 3)
        back = (self._moved.reshape(self._count, -1) * pull).astype(np.float32)
        pull = (along**2 @ pull).astype(np.float32)
        scale = np.repeat(self._squared, 3, axis=1) @ (along**2).T + pull
        scale = np.divide(1, scale, where=scale > 0, out=np.zeros_like(scale))
        if free is not None:
            scale *= free
        change = np.zeros_like(scale)
        residual = (self._gradient().reshape(self._count, -1) - back) @ along.T
        step = scale * residual
        energy = float((residual * step).sum(dtype=np.float64))
        for _ in range(iterations):
            if energy <= 0:
                break
            coefficients = (step @ along).reshape(self._count, -1, 3)
            curved = self._normal(coefficients).reshape(self._count, -1) @ along.T + pull * step
            length = energy / float((step * curved).sum(dtype=np.float64))
            change += length * step
            residual -= length * curved
            scaled = scale * residual
            before, energy = energy, float((residual * scaled).sum(dtype=np.float64))
            step = scaled + (energy / before) * step
        return (change @ along).reshape(self._count, -1, 3)

    def absorb(self, change: F32) -> None:
        """Take a change of the coefficients, shape (n, K, 3), as given."""
        self._moved += change
        for look in self._looks:
            look.missing -= look.blending.forward(self._shade(look, change))

    def _gradient(self) -> F32:
        total = np.zeros((self._count, self._width, 3), np.float32)
        for look in self._looks:
            self._unshade(look, look.missing, total)
        return total

    def _normal(self, change: F32) -> F32:
        total = np.zeros_like(change)
        for look in self._looks:
            self._unshade(look, look.blending.forward(self._shade(look, change)), total)
        return total

    def _shade(self, look: _Look, change: F32) -> F32:
        out = np.empty((len(look.rows), 3), np.float32)
        in_pieces(
            lambda begin, end: influence_kernels.shade_rows(
                begin, end, look.rows, self._means, look.eye, change, look.clamped, out
            ),
            len(look.rows),
            4,
            ROWS,
        )
        return out

    def _unshade(self, look: _Look, planes: F32, total: F32) -> None:
        values = look.blending.backward(planes, len(look.rows))
        in_pieces(
            lambda begin, end: influence_kernels.unshade_rows(
                begin, end, look.rows, self._means, look.eye, values, look.clamped, total
            ),
            len(look.rows),
            4,
            ROWS,
        )
