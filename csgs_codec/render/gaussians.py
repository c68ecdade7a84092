"""What a renderer needs: linear scales, opacities, spherical harmonics by coefficient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csgs_codec.errors import UnsupportedError
from csgs_codec.scene import Scene
from csgs_codec.schema import Role, assign_roles

Floats = NDArray[np.float32]
_NEEDED = (
    (Role.POSITION, "positions (x, y, z)"),
    (Role.OPACITY, "opacity"),
    (Role.SCALE, "scales (scale_0 ..)"),
    (Role.ROTATION, "rotations (rot_0 ..)"),
    (Role.DC, "colours (f_dc_0 ..)"),
)
_MOST_COEFFICIENTS = 16


@dataclass(frozen=True)
class RenderGaussians:
    """Gaussians ready to be rendered; every array is contiguous float32.

    Attributes
    ----------
    means : ndarray, shape (n, 3)
    quats : ndarray, shape (n, 4)
        w, x, y, z, of any length.
    scales : ndarray, shape (n, 3)
        Linear.
    opacity : ndarray, shape (n,)
        0 to 1.
    sh : ndarray, shape (n, K, 3)
        Coefficients of degree 0 to 3 (K = 1, 4, 9 or 16).
    """

    means: Floats
    quats: Floats
    scales: Floats
    opacity: Floats
    sh: Floats

    @property
    def count(self) -> int:
        """Number of Gaussians."""
        return len(self.means)

    @classmethod
    def from_scene(cls, scene: Scene) -> RenderGaussians:
        """Activate the columns of a scene.

        Rows with values that are not finite get opacity 0; an opacity logit of +-Inf and a log
        scale of -Inf are meant as they stand.

        Raises
        ------
        UnsupportedError
            The scene lacks what rendering needs, or is of a kind that is not 3DGS.
        """
        columns = {group.role: group.columns for group in reversed(assign_roles(scene))}
        widths = {role: len(names) for role, names in columns.items()}
        if widths.get(Role.SCALE) == 2:
            raise UnsupportedError("2DGS scenes (two scales) cannot be rendered")
        if widths.get(Role.SCALE) == 6:
            raise UnsupportedError("Scaffold-GS anchors (six scales) cannot be rendered")
        for role, what in _NEEDED:
            if role not in columns:
                raise UnsupportedError(f"the scene has no {what} and cannot be rendered")
        if widths[Role.SCALE] != 3:
            raise UnsupportedError(f"{widths[Role.SCALE]} scale(s) per Gaussian, not three")
        rest = columns.get(Role.SH, ())
        count = 1 + len(rest) // 3
        if count > _MOST_COEFFICIENTS:
            raise UnsupportedError("spherical harmonics above degree 3 cannot be rendered")
        sh = np.empty((scene.count, count, 3), np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            for channel, name in enumerate(columns[Role.DC]):
                sh[:, 0, channel] = scene.columns[name]
            for place, name in enumerate(rest):
                channel, k = divmod(place, count - 1)
                sh[:, 1 + k, channel] = scene.columns[name]
            means = _stack(scene, columns[Role.POSITION])
            quats = _stack(scene, columns[Role.ROTATION])
            scales = np.exp(_stack(scene, columns[Role.SCALE]))
            logit = np.asarray(scene.columns[columns[Role.OPACITY][0]], np.float64)
            opacity = (1 / (1 + np.exp(-logit))).astype(np.float32)
        bad = ~np.isfinite(opacity)
        for values in (means, quats, scales, sh.reshape(scene.count, 3 * count)):
            # a sum is finite only if every value is, and sums are cheap
            with np.errstate(over="ignore", invalid="ignore"):
                suspect = ~np.isfinite(values.sum(axis=1))
            bad[suspect] |= ~np.isfinite(values[suspect]).all(axis=1)
        for array in (means, quats, scales, opacity, sh):
            array[bad] = 0
        return cls(means, quats, scales, opacity, sh)

    def select(self, rows: NDArray[np.generic]) -> RenderGaussians:
        """Only some Gaussians, or another order."""
        arrays = (self.means, self.quats, self.scales, self.opacity, self.sh)
        return RenderGaussians(*(np.ascontiguousarray(a[rows]) for a in arrays))


def _stack(scene: Scene, names: tuple[str, ...]) -> Floats:
    out = np.empty((scene.count, len(names)), np.float32)
    for place, name in enumerate(names):
        out[:, place] = scene.columns[name]
    return out
