"""Errors: their family, and what they say about where."""

from __future__ import annotations

import pytest

from csgs_codec import errors
from csgs_codec.errors import CorruptError, CsgsError, FormatError, PlyError, TruncatedError


def test_without_context() -> None:
    assert str(CorruptError("bad table")) == "bad table"
    assert CorruptError("bad table").context == {}


def test_context_is_rendered_and_file_comes_first() -> None:
    error = CorruptError("bad table", chunk="TILE", offset=12, file="a.csgs", tile=0)
    assert str(error) == "a.csgs: bad table (chunk TILE, offset 12, tile 0)"
    assert str(PlyError("no header", file="a.ply")) == "a.ply: no header"


def test_located_keeps_what_is_known() -> None:
    error = CorruptError("bad table", chunk="TILE")
    assert error.located(chunk="HEAD", level=2) is error
    assert error.context == {"chunk": "TILE", "level": 2}


@pytest.mark.parametrize("kind", [TruncatedError, CorruptError])
def test_format_errors(kind: type[CsgsError]) -> None:
    assert issubclass(kind, FormatError)


@pytest.mark.parametrize(
    "name", ["UnsupportedError", "LimitError", "PlyError", "OutputExistsError"]
)
def test_other_errors_are_not_format_errors(name: str) -> None:
    kind = getattr(errors, name)
    assert issubclass(kind, CsgsError)
    assert not issubclass(kind, FormatError)
