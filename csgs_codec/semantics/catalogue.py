"""What a file offers to selections: its properties by role, names of objects, heads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from csgs_codec.errors import UsageError
from csgs_codec.semantics.decoders import Decoder, decoder_from_bytes, read_decoder
from csgs_codec.semantics.heads import HEAD_SUFFIXES, Head, head_from_bytes, read_head

Fitted = TypeVar("Fitted", bound=Decoder)


@dataclass(frozen=True)
class Catalogue:
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
        Attachment or file to take as head or decoder; without it, the only one that fits among the
        attachments.
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
        """The head to classify with.

        Raises
        ------
        UsageError
            None is named and not exactly one is attached, or the named one is no head.
        """
        if self.head is None:
            return self._attached(head_from_bytes, lambda head: True)
        return self._named(self.head, head_from_bytes, read_head)

    def decoder(self, dimensions: int) -> Decoder:
        """What turns features into vectors of a width.

        Raises
        ------
        UsageError
            None is named and not exactly one is attached that does, or the named one does not.
        """
        if self.head is None:
            return self._attached(decoder_from_bytes, lambda one: one.dimensions == dimensions)
        found = self._named(self.head, decoder_from_bytes, read_decoder)
        if found.dimensions != dimensions:
            raise UsageError(
                f"the vector has {dimensions} numbers; neither features nor what {self.head} makes "
                f"of them ({found.dimensions}) do"
            )
        return found

    def _named(
        self, name: str, of_bytes: Callable[[str, bytes], Fitted], of_file: Callable[[Path], Fitted]
    ) -> Fitted:
        if name in self.attachments:
            return of_bytes(name, self.attachments[name])
        if not Path(name).is_file():
            raise UsageError(f"there is neither an attachment nor a file {name!r}")
        return of_file(Path(name))

    def _attached(
        self, of_bytes: Callable[[str, bytes], Fitted], fits: Callable[[Fitted], bool]
    ) -> Fitted:
        """The only attachment that can be read, takes features of a group, and fits."""
        found: dict[str, Fitted] = {}
        widths = {len(columns) for columns in self.semantic.values()}
        for name in self.attachments:
            if Path(name).suffix.lower() in HEAD_SUFFIXES:
                try:
                    one = of_bytes(name, self.attachments[name])
                except UsageError:
                    continue
                if one.width in widths and fits(one):
                    found[name] = one
        if len(found) != 1:
            said = f"several heads are attached ({', '.join(found)})" if found else "no head fits"
            raise UsageError(f"{said}: give one with --head")
        return next(iter(found.values()))
