"""Cut a file behind a level: a byte copy, never a re-encode."""

from __future__ import annotations

from csgs_codec.decoder import Source, load, locate, parse
from csgs_codec.errors import CsgsError, TruncatedError, UnsupportedError
from csgs_codec.limits import DEFAULT_LIMITS, Limits


def truncate(
    source: Source,
    *,
    level: int | None = None,
    size: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> memoryview:
    """Return the bytes of a file cut behind a level.

    Parameters
    ----------
    source : path or bytes-like
    level : int, optional
        Level to keep, counted from 1.
    size : int, optional
        Keep the highest level whose file has at most this many bytes.
    limits : Limits

    Raises
    ------
    UnsupportedError
        There is no such level, or not even the first level fits.
    TruncatedError
        The file itself ends before that level.
    """
    if (level is None) == (size is None):
        raise UnsupportedError("give either a level or a size")
    try:
        parser = parse(source, limits)
        if not parser.prelude_done:
            raise TruncatedError("file ends before its header is complete", offset=parser.offset)
        ends = [entry.end for entry in parser.levels]
        if size is not None:
            level = sum(end <= size for end in ends[: len(parser.complete)])
            if level == 0:
                raise UnsupportedError(f"the first level takes {ends[0]} bytes, more than {size}")
        assert level is not None
        if not 1 <= level <= len(ends):
            raise UnsupportedError(f"there is no level {level}; the file has {len(ends)}")
        if level > len(parser.complete):
            raise TruncatedError("file ends before the level is complete", level=level)
    except CsgsError as error:
        raise locate(error, source) from None
    return load(source)[: ends[level - 1]]
