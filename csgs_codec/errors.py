"""Errors of csgs_codec: each says what went wrong and where."""

from __future__ import annotations


class CsgsError(Exception):
    """Base of all errors that csgs_codec raises on purpose.

    Parameters
    ----------
    message : str
        What went wrong.
    **context
        Where: ``file``, ``offset``, ``chunk``, ``level``, ``tile``, ``property``, ``row`` ...
    """

    def __init__(self, message: str, **context: object) -> None:
        super().__init__(message)
        self.message = message
        self.context = context

    def located(self, **context: object) -> CsgsError:
        """Add context that the raising code did not know; what is known already stays."""
        self.context = {**context, **self.context}
        return self

    def __str__(self) -> str:
        file = self.context.get("file")
        details = [f"{key} {value}" for key, value in self.context.items() if key != "file"]
        where = f" ({', '.join(details)})" if details else ""
        return f"{file}: {self.message}{where}" if file is not None else f"{self.message}{where}"


class FormatError(CsgsError):
    """The bytes are not a complete, intact CSGS file."""


class TruncatedError(FormatError):
    """The file ends before what it promises."""


class CorruptError(FormatError):
    """The file contradicts the specification or itself."""


class UnsupportedError(CsgsError):
    """The file, or the request, needs something this version does not have."""


class UsageError(CsgsError):
    """The request contradicts itself, or names what is not there."""


class LimitError(CsgsError):
    """The file asks for more memory than the decoder agrees to spend."""


class PlyError(CsgsError):
    """The PLY is malformed or cannot be encoded as it is."""


class SidecarError(CsgsError):
    """A file beside the PLY cannot be read, or does not belong to its rows."""


class CameraError(CsgsError):
    """The cameras cannot be read or make no sense."""


class OutputExistsError(CsgsError):
    """The output is there already and overwriting was not asked for."""
