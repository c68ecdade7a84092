"""Select Gaussians of a file, decoding no more of it than the selection looks at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csgs_codec.container.kinds import GroupKind
from csgs_codec.decoder import Source, decode_columns, load, locate, parse
from csgs_codec.decoder.features import semantic_groups
from csgs_codec.decoder.parser import Parser
from csgs_codec.errors import CsgsError, UnsupportedError, UsageError
from csgs_codec.levels import coverage
from csgs_codec.limits import DEFAULT_LIMITS, Limits
from csgs_codec.semantics.catalogue import Catalogue
from csgs_codec.semantics.grammar import parse_selection
from csgs_codec.semantics.grow import grow as grow_selection
from csgs_codec.semantics.select import Selection

_GEOMETRY = (
    GroupKind.POSITION,
    GroupKind.OPACITY,
    GroupKind.SCALE,
    GroupKind.ROTATION,
    GroupKind.DC,
)


@dataclass(frozen=True)
class Selected:
    """Rows of a decoded level.

    Attributes
    ----------
    mask : ndarray of bool, shape (n,)
        Over the rows of the decoded scene, in its order.
    notes : tuple of str
        What a user should know.
    """

    mask: NDArray[np.bool_]
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Rows that are chosen."""
        return int(self.mask.sum())


def select(
    source: Source,
    selection: Selection | str,
    level: int | None = None,
    *,
    head: str | None = None,
    group: str | None = None,
    invert: bool = False,
    grow: float | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Selected:
    """Choose Gaussians of a file.

    Parameters
    ----------
    source : path or bytes-like
    selection : Selection or str
        See :func:`csgs_codec.semantics.grammar.parse_selection`.
    level : int, optional
        The highest by default.
    head : str, optional
        Attachment or file that holds the head.
    group : str, optional
        Semantic group to use where several fit.
    invert : bool
        Choose the others.
    grow : float, optional
        Also choose what is at most so far from a chosen Gaussian.
    limits : Limits

    Raises
    ------
    UsageError
        The selection names what the file does not have.
    UnsupportedError
        The level lacks a property that it looks at.
    TruncatedError, CorruptError, LimitError
    """
    chosen = parse_selection(selection) if isinstance(selection, str) else selection
    if grow is not None and not grow > 0:
        raise UsageError(f"a distance of {grow:g} cannot be grown by")
    try:
        parser = parse(source, limits)
        if parser.finished or level is None or level > len(parser.complete):
            parser.require_end(len(load(source)))
        catalogue = catalogue_of(parser, head, group)
        needed = chosen.needs(catalogue)
        if grow is not None:
            needed |= set("xyz")
        scene = decode_columns(parser, needed, level)
        reached = level or len(parser.complete)
        _require(parser, sorted(needed - set(scene.columns)), reached)
        count = parser.levels[reached - 1].gaussians
        notes: list[str] = []
        mask = chosen.mask(scene, count, catalogue, notes)
    except CsgsError as error:
        raise locate(error, source) from None
    if grow is not None:
        mask = grow_selection(scene.stack(("x", "y", "z")), mask, grow)
    return Selected(~mask if invert else mask, tuple(notes))


def _require(parser: Parser, missing: list[str], level: int) -> None:
    """Say which level would hold the first of some properties that this one lacks."""
    for name in missing:
        places = [name in named.columns for named in parser.manifest.groups]
        holding = [
            number
            for number, entry in enumerate(parser.levels, 1)
            if (cover := coverage(parser.header, entry.passes)).exact
            or (True in places and min(cover.groups) > places.index(True))
        ]
        raise UnsupportedError(
            f"level {level} does not hold it; level {holding[0]} does", property=name
        )


class _Attached(Mapping[str, bytes]):
    """Attachments of a file, inflated and checked when one is asked for."""

    def __init__(self, parser: Parser) -> None:
        self._found = {one.name: one for one in parser.attachments}

    def __getitem__(self, name: str) -> bytes:
        return self._found[name].data()

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


def catalogue_of(parser: Parser, head: str | None = None, group: str | None = None) -> Catalogue:
    """What the properties of a file are, for selections; attachments are inflated when used."""
    kinds = list(zip(parser.header.groups, parser.manifest.groups, strict=True))
    geometry = [n for declared, g in kinds if declared.kind in _GEOMETRY for n in g.columns]
    ids = [named.columns[0] for declared, named in kinds if declared.kind is GroupKind.ID]
    table = parser.objects
    return Catalogue(
        properties=tuple(name for name, _ in parser.manifest.properties),
        ids=tuple(ids),
        semantic=semantic_groups(parser),
        geometry=tuple(geometry),
        named_property=table.property if table else None,
        names={one.id: one.name for one in table.objects} if table else {},
        attachments=_Attached(parser),
        head=head,
        group=group,
    )
