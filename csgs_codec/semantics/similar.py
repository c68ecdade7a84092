"""Choose Gaussians whose features are like a vector, another Gaussian's, or a pixel's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csgs_codec.errors import UsageError
from csgs_codec.render.cameras import Camera
from csgs_codec.scene import Column, Scene
from csgs_codec.semantics.catalogue import Catalogue
from csgs_codec.semantics.select import Bools, Floats, column_of, stacked

DEFAULT_THRESHOLD = 0.8
LEAST_ALPHA = 0.05
_ROWS = 8192


@dataclass(frozen=True)
class Similar:
    """Cosine similarity to a vector of at least a threshold.

    A vector of another width than the features is compared with what the head makes of them.
    """

    vector: Floats
    threshold: float = DEFAULT_THRESHOLD

    def _columns(self, catalogue: Catalogue) -> tuple[str, ...]:
        width = len(self.vector)
        if any(len(columns) == width for columns in catalogue.semantic.values()):
            return catalogue.group_of_width(width)
        if catalogue.found_head.classes != width:
            raise UsageError(
                f"the vector has {width} numbers; neither features nor the head's outputs "
                f"({catalogue.found_head.classes}) do"
            )
        return catalogue.group_of_width(catalogue.found_head.width)

    def needs(self, catalogue: Catalogue) -> set[str]:
        """The features."""
        return set(self._columns(catalogue))

    def mask(self, scene: Scene, count: int, catalogue: Catalogue, notes: list[str]) -> Bools:
        """Rows that are similar; never those without features."""
        names = self._columns(catalogue)
        if len(names) == len(self.vector):
            found = cosine([column_of(scene, name) for name in names], self.vector)
        else:
            head, features = catalogue.found_head, stacked(scene, names)
            parts = [
                cosine(list(head.logits(features[at : at + _ROWS]).T), self.vector)
                for at in range(0, count, _ROWS)
            ]
            found = np.concatenate([*parts, np.zeros(0)])
        return _above(found, self.threshold, notes)


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
        columns = [column_of(scene, name) for name in catalogue.group_of_width(None)]
        wanted = np.array([column[self.row] for column in columns], np.float64)
        if not (np.isfinite(wanted).all() and wanted.any()):
            raise UsageError(f"row {self.row} has no features, or some that are not finite")
        return _above(cosine(columns, wanted), self.threshold, notes)


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
        found = cosine([scene.columns[name] for name in names], blended[row, column])
        return _above(found, self.threshold, notes)


def cosine(columns: Sequence[Column], vector: NDArray[np.floating]) -> NDArray[np.float64]:
    """Cosine of each row and a vector; -1 for rows of zeros or with values that are not finite.

    Parameters
    ----------
    columns : sequence of ndarray, shape (n,)
        One for each number of the vector.
    vector : ndarray, shape (width,)

    Returns
    -------
    ndarray of float64, shape (n,)

    Raises
    ------
    UsageError
        The vector is zero or not finite.
    """
    wanted = np.asarray(vector, np.float64)
    length = float(np.linalg.norm(wanted))
    if not np.isfinite(length) or length == 0:
        raise UsageError("the vector is zero or not finite")
    product, squares = np.zeros(len(columns[0])), np.zeros(len(columns[0]))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        for column, number in zip(columns, wanted / length, strict=True):
            values = column.astype(np.float64)
            squares += values * values
            product += np.multiply(values, number, out=values)
        found = product / np.sqrt(squares)
    return np.where(np.isfinite(found), found, -1.0)


def _above(similarity: NDArray[np.float64], threshold: float, notes: list[str]) -> Bools:
    if len(similarity):
        shown = ", ".join(f"{v:.3f}" for v in np.quantile(similarity, [0.05, 0.5, 0.95, 1.0]))
        notes.append(f"cosine at 5, 50, 95 and 100 %: {shown}; threshold {threshold:g}")
    return np.asarray(similarity >= threshold)
