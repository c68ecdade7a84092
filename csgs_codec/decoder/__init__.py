"""Decoding. Never imports torch, scipy or the encoder."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable

from csgs_codec.container.kinds import GroupKind
from csgs_codec.decoder.parser import Parser
from csgs_codec.decoder.partial import part_for
from csgs_codec.decoder.reconstruct import reconstruct
from csgs_codec.decoder.scene_decoder import SceneDecoder
from csgs_codec.errors import CsgsError, TruncatedError, UnsupportedError
from csgs_codec.limits import DEFAULT_LIMITS, Limits
from csgs_codec.scene import Scene

Source = bytes | bytearray | memoryview | str | os.PathLike[str]


def load(source: Source) -> memoryview:
    """Return the bytes of a file (memory-mapped) or of a buffer."""
    if isinstance(source, bytes | bytearray | memoryview):
        return memoryview(source)
    with open(source, "rb") as stream:
        if os.fstat(stream.fileno()).st_size == 0:
            return memoryview(b"")
        return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))


def decode(
    source: Source,
    level: int | None = None,
    *,
    allow_truncated: bool = False,
    verify: bool = False,
    compensate: bool = True,
    limits: Limits = DEFAULT_LIMITS,
) -> Scene:
    """Decode a file.

    Parameters
    ----------
    source : path or bytes-like
    level : int, optional
        Level to decode, counted from 1; all that the file holds by default.
    allow_truncated : bool
        Decode the levels that are complete although the file ends inside a level.
    verify : bool
        Check the SHA-256 of the decoded integers of every level.
    compensate : bool
        Enlarge the Gaussians of a level that lacks some, so that it renders without holes.
    limits : Limits

    Returns
    -------
    Scene

    Raises
    ------
    TruncatedError
        The file ends inside a level (unless allowed) or before the first one.
    CorruptError, UnsupportedError, LimitError
        The file is damaged, needs another version, or is too big.
    """
    try:
        parser = parse(source, limits)
        beyond = level is None or level > len(parser.complete)
        if parser.finished or (beyond and not allow_truncated):
            parser.require_end(len(load(source)))
        return decode_parsed(parser, level, verify, compensate)
    except CsgsError as error:
        raise locate(error, source) from None


def parse(source: Source, limits: Limits = DEFAULT_LIMITS) -> Parser:
    """Parse a file as far as it goes; nothing is entropy-decoded."""
    parser = Parser(limits)
    parser.advance(load(source))
    return parser


def read_attachments(source: Source, limits: Limits = DEFAULT_LIMITS) -> dict[str, bytes]:
    """Return the attached files that are there, by name, in the order of the file.

    Raises
    ------
    CorruptError
        An attachment is not what its SHA-256 says, or the file is damaged before it.
    TruncatedError
        The file ends before its header is complete.
    UnsupportedError, LimitError
    """
    try:
        parser = parse(source, limits)
        if not parser.prelude_done:
            raise TruncatedError("file ends before its header is complete", offset=parser.offset)
        return parser.read_attachments()
    except CsgsError as error:
        raise locate(error, source) from None


def decode_parsed(
    parser: Parser, level: int | None = None, verify: bool = False, compensate: bool = True
) -> Scene:
    """Decode what a parser holds, up to ``level``.

    Raises
    ------
    TruncatedError
        Not even the first level is complete, or ``level`` is not.
    UnsupportedError
        The file has no such level.
    """
    reached = _reached(parser, level)
    decoder = SceneDecoder(parser)
    decoder.decode_to(reached, verify)
    return reconstruct(parser, decoder, compensate, release=True)


def decode_columns(
    parser: Parser, columns: Iterable[str], level: int | None = None, compensate: bool = True
) -> Scene:
    """Decode some properties, and of the file only what they need.

    CRCs are checked as always; digests of levels are not.

    Parameters
    ----------
    parser : Parser
    columns : iterable of str
        What the level does not hold is left out, as :func:`decode_parsed` does.
    level : int, optional
    compensate : bool

    Returns
    -------
    Scene
        The same rows, in the same order, as :func:`decode_parsed` gives; no other elements. With
        the scales come the positions, which their compensation needs.

    Raises
    ------
    UsageError
        The file has no such property.
    TruncatedError, CorruptError, UnsupportedError
    """
    reached = _reached(parser, level)
    wanted = set(columns)
    named = {
        declared.kind: group.columns
        for declared, group in zip(parser.header.groups, parser.manifest.groups, strict=True)
    }
    if compensate and not wanted.isdisjoint(named.get(GroupKind.SCALE, ())):
        wanted |= set(named[GroupKind.POSITION])
    part = part_for(parser, wanted)
    decoder = SceneDecoder(parser, part)
    decoder.decode_to(reached)
    return reconstruct(parser, decoder, compensate, release=True)


def locate(error: CsgsError, source: Source) -> CsgsError:
    """Add the name of the file, if ``source`` is one."""
    if isinstance(source, bytes | bytearray | memoryview):
        return error
    return error.located(file=os.fspath(source))


def _reached(parser: Parser, level: int | None) -> int:
    """The level to decode to."""
    complete = len(parser.complete)
    if level is not None and parser.prelude_done and not 1 <= level <= len(parser.levels):
        raise UnsupportedError(f"there is no level {level}; the file has {len(parser.levels)}")
    if complete < (level or 1):
        raise TruncatedError("file ends before the level is complete", level=level or 1)
    return complete if level is None else level
