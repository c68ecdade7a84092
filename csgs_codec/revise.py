"""Write a changed scene as a file again, with all that travelled with the one it came from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from csgs_codec.container.kinds import GroupKind
from csgs_codec.container.objects import ObjectTable
from csgs_codec.decoder import Source, decode_parsed, load, locate, parse
from csgs_codec.decoder.parser import Parser
from csgs_codec.errors import CsgsError
from csgs_codec.extract import catalogue_of
from csgs_codec.limits import DEFAULT_LIMITS, Limits
from csgs_codec.scene import Scene
from csgs_codec.semantics.edit import Edit

if TYPE_CHECKING:
    from csgs_codec.encoder import EncodeOptions


def edit(
    source: Source,
    edits: Sequence[Edit],
    head: str | None = None,
    group: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[Scene, list[int], list[str]]:
    """Decode a file and change it.

    Parameters
    ----------
    source : path or bytes-like
    edits : sequence of Edit
        Each works on what the one before left.
    head, group : str, optional
        See :func:`csgs_codec.extract.select`.
    limits : Limits

    Returns
    -------
    scene : Scene
    chosen : list of int
        Rows that each edit chose.
    notes : list of str

    Raises
    ------
    UsageError, UnsupportedError
        A selection names what is not there.
    TruncatedError, CorruptError, LimitError
    """
    try:
        parser = parse(source, limits)
        parser.require_end(len(load(source)))
        catalogue = catalogue_of(parser, head, group)
        for one in edits:
            one.selection.needs(catalogue)
        scene = decode_parsed(parser)
        chosen: list[int] = []
        notes: list[str] = []
        for one in edits:
            scene, count = one.apply(scene, catalogue, notes)
            chosen.append(count)
    except CsgsError as error:
        raise locate(error, source) from None
    return scene, chosen, notes


def options_like(source: Source, scene: Scene, options: EncodeOptions) -> EncodeOptions:
    """Complete options so that a scene keeps the groups, attachments and names of a file.

    So it does with priority, and with the order of rows where the file has it.

    Objects of which nothing is left lose their entry; counts and boxes are those of ``scene``.

    Parameters
    ----------
    source : path or bytes-like
        File that the scene was decoded from.
    scene : Scene
    options : EncodeOptions

    Raises
    ------
    CsgsError
        The file cannot be read.
    """
    try:
        parser = parse(source)
        attachments = parser.read_attachments()
    except CsgsError as error:
        raise locate(error, source) from None
    return replace(
        options,
        semantic=_patterns(parser, GroupKind.SEMANTIC),
        ids=_patterns(parser, GroupKind.ID),
        nan="keep",
        order="keep" if parser.manifest.original_order else "any",
        priority=_priority(parser),
        attachments=attachments,
        objects=_left(parser, scene),
        object_table=parser.objects is not None,
    )


def _priority(parser: Parser) -> Literal["rgb", "semantic"]:
    """What the file has first, colours of higher degree or semantics."""
    kinds = [declared.kind for declared in parser.header.groups]
    if GroupKind.SH in kinds and GroupKind.SEMANTIC in kinds:
        return "rgb" if kinds.index(GroupKind.SH) < kinds.index(GroupKind.SEMANTIC) else "semantic"
    return "rgb"


def _patterns(parser: Parser, kind: GroupKind) -> tuple[str, ...]:
    """A regular expression for each group of a kind."""
    pairs = zip(parser.header.groups, parser.manifest.groups, strict=True)
    columns = [named.columns for declared, named in pairs if declared.kind is kind]
    return tuple("|".join(map(re.escape, names)) for names in columns)


def _left(parser: Parser, scene: Scene) -> ObjectTable | None:
    """The object table without the objects that are gone."""
    table = parser.objects
    if table is None or table.property not in scene.columns:
        return None
    present = set(np.unique(scene.columns[table.property]).tolist())
    return replace(table, objects=tuple(one for one in table.objects if one.id in present))
