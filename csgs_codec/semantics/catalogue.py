"""What a file offers to selections: its properties by role, names of objects, heads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from csgs_codec.errors import UsageError
from csgs_codec.semantics.heads import HEAD_SUFFIXES, Head, head_from_bytes, read_head


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
