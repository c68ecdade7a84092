"""Choose Gaussians whose features are like a vector, another Gaussian's, or a pixel's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csgs_codec.errors import UsageError
from csgs_codec.metrics.lerf import relevancy
from csgs_codec.render.cameras import Camera
from csgs_codec.scene import Scene
from csgs_codec.semantics.catalogue import Catalogue
from csgs_codec.semantics.decoders import Decoder
from csgs_codec.semantics.select import Bools, Floats, column_of, stacked

F64 = NDArray[np.float64]

DEFAULT_THRESHOLD = 0.8
DEFAULT_RELEVANCY = 0.5
LEAST_ALPHA = 0.05
_BLOCK_VALUES = 1 << 20


@dataclass(frozen=True)
class Similar:
    """Similarity to a vector of at least a threshold.

    A vector of another width than the features is compared with what a decoder makes of them.

    Attributes
    ----------
    vector : ndarray of float32, shape (dimensions,)
    threshold : float
    negatives : ndarray of float32, shape (any, dimensions), optional
        Vectors of what means nothing in particular. With them the measure is not the cosine but
        :func:`csgs_codec.metrics.lerf.relevancy`: above 0.5 the vector is nearer than all of them.
    """

    vector: Floats
    threshold: float = DEFAULT_THRESHOLD
    negatives: Floats | None = None

    def _source(self, catalogue: Catalogue) -> tuple[tuple[str, ...], Decoder | None]:
        """Columns, and what decodes them."""
        width = len(self.vector)
        if any(len(columns) == width for columns in catalogue.semantic.values()):
            return catalogue.group_of_width(width), None
        decoder = catalogue.decoder(width)
        return catalogue.group_of_width(decoder.width), decoder

    def needs(self, catalogue: Catalogue) -> set[str]:
        """The features."""
        return set(self._source(catalogue)[0])

    def mask(self, scene: Scene, count: int, catalogue: Catalogue, notes: list[str]) -> Bools:
        """Rows that are similar; never those without features."""
        names, decoder = self._source(catalogue)
        if self.negatives is None:
            found = cosines(scene, names, self.vector[None], decoder)
            return _above("cosine", found[:, 0], self.threshold, notes)
        phrases = np.concatenate([self.vector[None], self.negatives])
        found = cosines(scene, names, phrases, decoder)
        relevant = relevancy(found[:, 0], found[:, 1:])
        return _above("relevancy", relevant, self.threshold, notes)


@dataclass(frozen=True)
class Like:
    """Similarity to the features of a Gaussian, given by its row in the decoded scene, from 0."""

    row: int
    threshold: float = DEFAULT_THRESHOLD

    def needs(self, catalogue: Catalogue) -> set[str]:
        """The features."""
        return set(catalogue.group_of_width(None))

    def mask(self, scene: Scene, count: int, catalogue: Catalogue, notes: list[str]) -> Bools:
        """Rows that are similar to the given one."""
        if not 0 <= self.row < count:
            raise UsageError(f"there is no row {self.row} among {count}")
        names = catalogue.group_of_width(None)
        wanted = np.array([[column_of(scene, name)[self.row] for name in names]], np.float64)
        if not (np.isfinite(wanted).all() and wanted.any()):
            raise UsageError(f"row {self.row} has no features, or some that are not finite")
        return _above("cosine", cosines(scene, names, wanted)[:, 0], self.threshold, notes)


@dataclass(frozen=True)
class Clicked:
    """Similarity to the blended features at a pixel of a view."""

    camera: Camera
    x: float
    y: float
    threshold: float = DEFAULT_THRESHOLD

    def needs(self, catalogue: Catalogue) -> set[str]:
        """Features, and what rendering needs."""
        return {*catalogue.group_of_width(None), *catalogue.geometry}

    def mask(self, scene: Scene, count: int, catalogue: Catalogue, notes: list[str]) -> Bools:
        """Rows that are similar to what is seen at the pixel."""
        from csgs_codec.render import RenderGaussians, render

        camera, column, row = self.camera, int(np.floor(self.x)), int(np.floor(self.y))
        if not (0 <= column < camera.width and 0 <= row < camera.height):
            size = f"{camera.width} x {camera.height}"
            raise UsageError(f"pixel {self.x:g}, {self.y:g} is outside the {size} of {camera.name}")
        names = catalogue.group_of_width(None)
        features = stacked(scene, names)
        gaussians = RenderGaussians.from_scene(scene)
        seen = np.where(np.isfinite(features), features, np.float32(0))
        _, alpha, blended = render(gaussians, camera, seen)
        assert blended is not None
        if alpha[row, column] < LEAST_ALPHA:
            raise UsageError(f"nothing is seen at pixel {column}, {row} of {camera.name}")
        found = cosines(scene, names, blended[row, column][None])
        return _above("cosine", found[:, 0], self.threshold, notes)


def cosines(
    scene: Scene,
    names: tuple[str, ...],
    vectors: NDArray[np.floating],
    decoder: Decoder | None = None,
) -> F64:
    """Cosine of the features of each row, decoded if there is a decoder, and some vectors.

    Parameters
    ----------
    scene : Scene
    names : tuple of str
        Columns of the features.
    vectors : ndarray, shape (any, dimensions)
    decoder : Decoder, optional
        Is given some thousand rows at a time.

    Returns
    -------
    ndarray of float64, shape (n, any)
        NaN for rows of zeros, and for those with values that are not finite.

    Raises
    ------
    UsageError
        A vector is zero or not finite.
    UnsupportedError
        The level that was decoded lacks a column.
    """
    wanted = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(wanted, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or (lengths == 0).any():
        raise UsageError("the vector is zero or not finite")
    wanted = wanted / lengths
    count = min(len(column_of(scene, name)) for name in names)
    height = max(1, _BLOCK_VALUES // max(len(names), wanted.shape[1]))
    out = np.empty((count, len(wanted)))
    for begin in range(0, count, height):
        part = slice(begin, min(begin + height, count))
        features = scene.part(part, names)
        present = np.isfinite(features).all(axis=1) & (features != 0).any(axis=1)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            decoded = features if decoder is None else decoder.decode(features)
            found = decoded @ wanted.T / np.linalg.norm(decoded, axis=1, keepdims=True)
        out[part] = np.where(present[:, None] & np.isfinite(found), found, np.nan)
    return out


def _above(what: str, similarity: F64, threshold: float, notes: list[str]) -> Bools:
    """Rows that reach a threshold; NaN counts as -1."""
    known = np.where(np.isnan(similarity), -1.0, similarity)
    if len(known):
        shown = ", ".join(f"{v:.3f}" for v in np.quantile(known, [0.05, 0.5, 0.95, 1.0]))
        notes.append(f"{what} at 5, 50, 95 and 100 %: {shown}; threshold {threshold:g}")
    return np.asarray(known >= threshold)
