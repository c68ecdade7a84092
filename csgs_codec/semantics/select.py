"""Choose Gaussians by what they mean: ids, names, classes, similarity, boxes, values.

A :class:`Selection` is a conjunction of terms. Each term says which properties it looks at, so that
a decoder can decode those alone, and then which rows it chooses.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from csgs_codec.errors import UnsupportedError, UsageError
from csgs_codec.render.cameras import Camera
from csgs_codec.scene import Column, Scene
from csgs_codec.semantics.heads import HEAD_SUFFIXES, Head, head_from_bytes, read_head

Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]

DEFAULT_THRESHOLD = 0.8
LEAST_ALPHA = 0.05
_ROWS = 8192
_SHOWN = 10
OPERATORS: Mapping[str, Callable[[Column, float], Bools]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


@dataclass(frozen=True)
class Meaning:
    """What the properties of a scene are, and what came with them.

    Attributes
    ----------
    properties : tuple of str
    ids : tuple of str
        Properties that hold ids.
    semantic : mapping of str to tuple of str
        Columns of each semantic group.
    geometry : tuple of str
        What rendering needs, without colours of higher degree.
    named_property : str, optional
        Property that ``names`` is about.
    names : mapping of int to str
    attachments : mapping of str to bytes
    head : str, optional
        Attachment or file to take as head; without it, the only head among the attachments.
    group : str, optional
        Semantic group to use where several fit.
    """

    properties: tuple[str, ...]
    ids: tuple[str, ...] = ()
    semantic: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    geometry: tuple[str, ...] = ()
    named_property: str | None = None
    names: Mapping[int, str] = field(default_factory=dict)
    attachments: Mapping[str, bytes] = field(default_factory=dict)
    head: str | None = None
    group: str | None = None

    def require(self, name: str) -> str:
        """Return the name of a property if it is there.

        Raises
        ------
        UsageError
        """
        if name not in self.properties:
            raise UsageError(f"there is no property {name!r}")
        return name

    @property
    def id_property(self) -> str:
        """The property that ids are about unless said otherwise.

        Raises
        ------
        UsageError
            There is none, or there are several.
        """
        if self.named_property is not None:
            return self.named_property
        if len(self.ids) == 1 or "label" in self.ids:
            return "label" if "label" in self.ids else self.ids[0]
        if not self.ids:
            raise UsageError("the scene has no id property")
        raise UsageError(f"several id properties; choose one of {', '.join(self.ids)}")

    def group_of_width(self, width: int | None) -> tuple[str, ...]:
        """Columns of the semantic group, of a certain width if that is known.

        Raises
        ------
        UsageError
            There is none, or there are several.
        """
        if self.group is not None:
            if self.group not in self.semantic:
                raise UsageError(f"there is no semantic group {self.group!r}")
            columns = self.semantic[self.group]
            if width not in (None, len(columns)):
                raise UsageError(f"group {self.group!r} has {len(columns)} features, not {width}")
            return columns
        fitting = {n: c for n, c in self.semantic.items() if width in (None, len(c))}
        if len(fitting) == 1:
            return next(iter(fitting.values()))
        said = "several semantic groups fit" if fitting else "no semantic group fits"
        wanted = "" if width is None else f" {width} features"
        listed = ", ".join(f"{name} ({len(c)})" for name, c in self.semantic.items())
        raise UsageError(f"{said}{wanted}: {listed or 'there is none'}")

    @cached_property
    def found_head(self) -> Head:
        """The head to use.

        Raises
        ------
        UsageError
            None is named and not exactly one is attached, or the named one is no head.
        """
        if self.head is not None:
            if self.head in self.attachments:
                return head_from_bytes(self.head, self.attachments[self.head])
            if not Path(self.head).is_file():
                raise UsageError(f"there is neither an attachment nor a file {self.head!r}")
            return read_head(Path(self.head))
        heads: dict[str, Head] = {}
        widths = {len(columns) for columns in self.semantic.values()}
        for name in self.attachments:
            if Path(name).suffix.lower() in HEAD_SUFFIXES:
                try:
                    head = head_from_bytes(name, self.attachments[name])
                except UsageError:
                    continue
                if head.width in widths:
                    heads[name] = head
        if len(heads) != 1:
            said = f"several heads are attached ({', '.join(heads)})" if heads else "no head fits"
            raise UsageError(f"{said}: give one with --head")
        return next(iter(heads.values()))


class Term(Protocol):
    """One condition."""

    def needs(self, meaning: Meaning) -> set[str]:
        """Properties that it looks at."""

    def mask(self, scene: Scene, count: int, meaning: Meaning, notes: list[str]) -> Bools:
        """Rows that it chooses, of ``count``; ``notes`` get what a user should know."""


@dataclass(frozen=True)
class All:
    """Every Gaussian."""

    def needs(self, meaning: Meaning) -> set[str]:
        """Nothing."""
        return set()

    def mask(self, scene: Scene, count: int, meaning: Meaning, notes: list[str]) -> Bools:
        """Every row."""
        return np.ones(count, bool)


@dataclass(frozen=True)
class Not:
    """What a term does not choose."""

    term: Term

    def needs(self, meaning: Meaning) -> set[str]:
        """What the term needs."""
        return self.term.needs(meaning)

    def mask(self, scene: Scene, count: int, meaning: Meaning, notes: list[str]) -> Bools:
        """The other rows."""
        return ~self.term.mask(scene, count, meaning, notes)


@dataclass(frozen=True)
class Ids:
    """One of some ids, in a property."""

    ids: tuple[int, ...]
    property: str | None = None

    def _property(self, meaning: Meaning) -> str:
        return meaning.id_property if self.property is None else meaning.require(self.property)

    def needs(self, meaning: Meaning) -> set[str]:
        """The property."""
        return {self._property(meaning)}

    def mask(self, scene: Scene, count: int, meaning: Meaning, notes: list[str]) -> Bools:
        """Rows with one of the ids."""
        column = column_of(scene, self._property(meaning))
        chosen = np.zeros(count, bool)
        for wanted in self.ids:
            rows = column == wanted
            if not rows.any():
                notes.append(f"no Gaussian has {self._property(meaning)} {wanted}")
            chosen |= rows
        return chosen


@dataclass(frozen=True)
class Named:
    """The objects of a name in the object table; case only counts where it must."""

    name: str

    def _ids(self, meaning: Meaning) -> Ids:
        exact = [i for i, name in meaning.names.items() if name == self.name]
        wanted = self.name.casefold()
        found = exact or [i for i, name in meaning.names.items() if name.casefold() == wanted]
        if not found or not self.name:
            known = sorted({name for name in meaning.names.values() if name})
            listed = ", ".join(known[:_SHOWN]) + (", ..." if len(known) > _SHOWN else "")
            raise UsageError(f"no object is called {self.name!r} (names: {listed or 'none'})")
        return Ids(tuple(found), meaning.named_property)

    def needs(self, meaning: Meaning) -> set[str]:
        """The property of the object table."""
        return self._ids(meaning).needs(meaning)

    def mask(self, scene: Scene, count: int, meaning: Meaning, notes: list[str]) -> Bools:
        """Rows of the objects."""
        return self._ids(meaning).mask(scene, count, meaning, notes)


@dataclass(frozen=True)
class OfClass:
    """A class by the head: its number, or its name where the head knows names."""

    label: str

    def needs(self, meaning: Meaning) -> set[str]:
        """The features that the head takes."""
        return set(meaning.group_of_width(meaning.found_head.width))

    def _number(self, head: Head) -> int:
        if self.label in head.names:
            return head.names.index(self.label)
        number = int(self.label) if self.label.isdecimal() else -1
        if not 0 <= number < head.classes:
            names = f" ({', '.join(head.names[:_SHOWN])})" if head.names else ""
            raise UsageError(f"the head has no class {self.label!r} of {head.classes}{names}")
        return number

    def mask(self, scene: Scene, count: int, meaning: Meaning, notes: list[str]) -> Bools:
        """Rows whose largest logit is that of the class."""
        head = meaning.found_head
        features = stacked(scene, meaning.group_of_width(head.width))
        return head.labels(features) == self._number(head)


@dataclass(frozen=True)
class Similar:
    """Cosine similarity to a vector of at least a threshold.

    A vector of another width than the features is compared with what the head makes of them.
    """

    vector: Floats
    threshold: float = DEFAULT_THRESHOLD

    def _columns(self, meaning: Meaning) -> tuple[str, ...]:
        width = len(self.vector)
        if any(len(columns) == width for columns in meaning.semantic.values()):
            return meaning.group_of_width(width)
        if meaning.found_head.classes != width:
            raise UsageError(
                f"the vector has {width} numbers; neither features nor the head's outputs "
                f"({meaning.found_head.classes}) do"
            )
        return meaning.group_of_width(meaning.found_head.width)

    def needs(self, meaning: Meaning) -> set[str]:
        """The features."""
        return set(self._columns(meaning))

    def mask(self, scene: Scene, count: int, meaning: Meaning, notes: list[str]) -> Bools:
        """Rows that are similar; never those without features."""
        names = self._columns(meaning)
        if len(names) == len(self.vector):
            found = cosine([column_of(scene, name) for name in names], self.vector)
        else:
            head, features = meaning.found_head, stacked(scene, names)
            parts = [
                cosine(list(head.logits(features[at : at + _ROWS]).T), self.vector)
                for at in range(0, count, _ROWS)
            ]
            found = np.concatenate([*parts, np.zeros(0)])
        return _above(found, self.threshold, notes)


@dataclass(frozen=True)
class Clicked:
    """Similarity to the blended features at a pixel of a view."""

    camera: Camera
    x: float
    y: float
    threshold: float = DEFAULT_THRESHOLD

    def needs(self, meaning: Meaning) -> set[str]:
        """Features, and what rendering needs."""
        return {*meaning.group_of_width(None), *meaning.geometry}

    def mask(self, scene: Scene, count: int, meaning: Meaning, notes: list[str]) -> Bools:
        """Rows that are similar to what is seen at the pixel."""
        from csgs_codec.render import RenderGaussians, render

        camera, column, row = self.camera, int(np.floor(self.x)), int(np.floor(self.y))
        if not (0 <= column < camera.width and 0 <= row < camera.height):
            size = f"{camera.width} x {camera.height}"
            raise UsageError(f"pixel {self.x:g}, {self.y:g} is outside the {size} of {camera.name}")
        names = meaning.group_of_width(None)
        features = stacked(scene, names)
        gaussians = RenderGaussians.from_scene(scene)
        seen = np.where(np.isfinite(features), features, np.float32(0))
        _, alpha, blended = render(gaussians, camera, seen)
        assert blended is not None
        if alpha[row, column] < LEAST_ALPHA:
            raise UsageError(f"nothing is seen at pixel {column}, {row} of {camera.name}")
        found = cosine([scene.columns[name] for name in names], blended[row, column])
        return _above(found, self.threshold, notes)


@dataclass(frozen=True)
class Within:
    """Centres in a box, borders included."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    def needs(self, meaning: Meaning) -> set[str]:
        """Positions."""
        return {meaning.require(axis) for axis in "xyz"}

    def mask(self, scene: Scene, count: int, meaning: Meaning, notes: list[str]) -> Bools:
        """Rows in the box."""
        chosen = np.ones(count, bool)
        for axis, low, high in zip("xyz", self.low, self.high, strict=True):
            column = column_of(scene, axis).astype(np.float64)
            chosen &= (column >= low) & (column <= high)
        return chosen


@dataclass(frozen=True)
class Compared:
    """A property compared with a number."""

    property: str
    operator: str
    number: float

    def needs(self, meaning: Meaning) -> set[str]:
        """The property."""
        return {meaning.require(self.property)}

    def mask(self, scene: Scene, count: int, meaning: Meaning, notes: list[str]) -> Bools:
        """Rows for which the comparison holds."""
        return OPERATORS[self.operator](column_of(scene, self.property), self.number)


@dataclass(frozen=True)
class Selection:
    """What all of some terms choose.

    Attributes
    ----------
    terms : tuple of Term
    """

    terms: tuple[Term, ...]

    def needs(self, meaning: Meaning) -> set[str]:
        """Properties that the terms look at.

        Raises
        ------
        UsageError
            A term names what is not there.
        """
        return set().union(*(term.needs(meaning) for term in self.terms))

    def mask(self, scene: Scene, count: int, meaning: Meaning, notes: list[str]) -> Bools:
        """Choose rows.

        Parameters
        ----------
        scene : Scene
            With at least the properties of :meth:`needs` that the level holds.
        count : int
            Rows of the scene.
        meaning : Meaning
        notes : list of str
            Gets what a user should know.

        Returns
        -------
        ndarray of bool, shape (count,)

        Raises
        ------
        UsageError
            A term names what is not there.
        UnsupportedError
            The level lacks a property.
        """
        chosen = np.ones(count, bool)
        for term in self.terms:
            chosen &= term.mask(scene, count, meaning, notes)
        return chosen


def column_of(scene: Scene, name: str) -> Column:
    """Return a column.

    Raises
    ------
    UnsupportedError
        The level that was decoded lacks it.
    """
    if name not in scene.columns:
        raise UnsupportedError("this level does not hold the property", property=name)
    return scene.columns[name]


def stacked(scene: Scene, names: tuple[str, ...]) -> Floats:
    """Columns side by side, shape (n, len(names))."""
    return np.stack([column_of(scene, name) for name in names], axis=1).astype(np.float32)


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
