"""Choose Gaussians by ids, names, classes, boxes and values; by similarity in :mod:`.similar`.

A :class:`Selection` is a conjunction of terms. Each term says which properties it looks at, so that
a decoder can decode those alone, and then which rows it chooses.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from csgs_codec.errors import UnsupportedError, UsageError
from csgs_codec.scene import Column, Scene
from csgs_codec.semantics.catalogue import Catalogue
from csgs_codec.semantics.heads import Head

Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]

_SHOWN = 10
OPERATORS: Mapping[str, Callable[[Column, float], Bools]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


class Term(Protocol):
    """One condition."""

    def needs(self, catalogue: Catalogue) -> set[str]:
        """Properties that it looks at."""

    def mask(self, scene: Scene, count: int, catalogue: Catalogue, notes: list[str]) -> Bools:
        """Rows that it chooses, of ``count``; ``notes`` get what a user should know."""


@dataclass(frozen=True)
class All:
    """Every Gaussian."""

    def needs(self, catalogue: Catalogue) -> set[str]:
        """Nothing."""
        return set()

    def mask(self, scene: Scene, count: int, catalogue: Catalogue, notes: list[str]) -> Bools:
        """Every row."""
        return np.ones(count, bool)


@dataclass(frozen=True)
class Not:
    """What a term does not choose."""

    term: Term

    def needs(self, catalogue: Catalogue) -> set[str]:
        """What the term needs."""
        return self.term.needs(catalogue)

    def mask(self, scene: Scene, count: int, catalogue: Catalogue, notes: list[str]) -> Bools:
        """The other rows."""
        return ~self.term.mask(scene, count, catalogue, notes)


@dataclass(frozen=True)
class Ids:
    """One of some ids, in a property."""

    ids: tuple[int, ...]
    property: str | None = None

    def _property(self, catalogue: Catalogue) -> str:
        return catalogue.id_property if self.property is None else catalogue.require(self.property)

    def needs(self, catalogue: Catalogue) -> set[str]:
        """The property."""
        return {self._property(catalogue)}

    def mask(self, scene: Scene, count: int, catalogue: Catalogue, notes: list[str]) -> Bools:
        """Rows with one of the ids."""
        column = column_of(scene, self._property(catalogue))
        chosen = np.zeros(count, bool)
        for wanted in self.ids:
            rows = column == wanted
            if not rows.any():
                notes.append(f"no Gaussian has {self._property(catalogue)} {wanted}")
            chosen |= rows
        return chosen


@dataclass(frozen=True)
class Named:
    """The objects of a name in the object table; case only counts where it must."""

    name: str

    def _ids(self, catalogue: Catalogue) -> Ids:
        exact = [i for i, name in catalogue.names.items() if name == self.name]
        wanted = self.name.casefold()
        found = exact or [i for i, name in catalogue.names.items() if name.casefold() == wanted]
        if not found or not self.name:
            known = sorted({name for name in catalogue.names.values() if name})
            listed = ", ".join(known[:_SHOWN]) + (", ..." if len(known) > _SHOWN else "")
            raise UsageError(f"no object is called {self.name!r} (names: {listed or 'none'})")
        return Ids(tuple(found), catalogue.named_property)

    def needs(self, catalogue: Catalogue) -> set[str]:
        """The property of the object table."""
        return self._ids(catalogue).needs(catalogue)

    def mask(self, scene: Scene, count: int, catalogue: Catalogue, notes: list[str]) -> Bools:
        """Rows of the objects."""
        return self._ids(catalogue).mask(scene, count, catalogue, notes)


@dataclass(frozen=True)
class OfClass:
    """A class by the head: its number, or its name where the head knows names."""

    label: str

    def needs(self, catalogue: Catalogue) -> set[str]:
        """The features that the head takes."""
        return set(catalogue.group_of_width(catalogue.found_head.width))

    def _number(self, head: Head) -> int:
        if self.label in head.names:
            return head.names.index(self.label)
        number = int(self.label) if self.label.isdecimal() else -1
        if not 0 <= number < head.classes:
            names = f" ({', '.join(head.names[:_SHOWN])})" if head.names else ""
            raise UsageError(f"the head has no class {self.label!r} of {head.classes}{names}")
        return number

    def mask(self, scene: Scene, count: int, catalogue: Catalogue, notes: list[str]) -> Bools:
        """Rows whose largest logit is that of the class."""
        head = catalogue.found_head
        features = stacked(scene, catalogue.group_of_width(head.width))
        return head.labels(features) == self._number(head)


@dataclass(frozen=True)
class Within:
    """Centres in a box, borders included."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    def needs(self, catalogue: Catalogue) -> set[str]:
        """Positions."""
        return {catalogue.require(axis) for axis in "xyz"}

    def mask(self, scene: Scene, count: int, catalogue: Catalogue, notes: list[str]) -> Bools:
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

    def needs(self, catalogue: Catalogue) -> set[str]:
        """The property."""
        return {catalogue.require(self.property)}

    def mask(self, scene: Scene, count: int, catalogue: Catalogue, notes: list[str]) -> Bools:
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

    def needs(self, catalogue: Catalogue) -> set[str]:
        """Properties that the terms look at.

        Raises
        ------
        UsageError
            A term names what is not there.
        """
        return set().union(*(term.needs(catalogue) for term in self.terms))

    def mask(self, scene: Scene, count: int, catalogue: Catalogue, notes: list[str]) -> Bools:
        """Choose rows.

        Parameters
        ----------
        scene : Scene
            With at least the properties of :meth:`needs` that the level holds.
        count : int
            Rows of the scene.
        catalogue : Catalogue
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
            chosen &= term.mask(scene, count, catalogue, notes)
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
