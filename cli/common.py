"""What the commands share: exit codes, error reporting, sizes."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from enum import IntEnum
from functools import wraps
from typing import Any, NoReturn, TypeVar

import click

from csgs_codec.errors import (
    CameraError,
    CorruptError,
    CsgsError,
    LimitError,
    OutputExistsError,
    PlyError,
    SidecarError,
    TruncatedError,
    UnsupportedError,
    UsageError,
)

Command = TypeVar("Command", bound=Callable[..., Any])


class ExitCode(IntEnum):
    """Exit codes of every command."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    TRUNCATED = 3
    CORRUPT = 4
    UNSUPPORTED = 5
    LIMIT = 6
    PLY = 7
    BAD_CAMERAS = 8
    SIDECAR = 9


_CODES: tuple[tuple[type[CsgsError], ExitCode], ...] = (
    (TruncatedError, ExitCode.TRUNCATED),
    (CorruptError, ExitCode.CORRUPT),
    (UnsupportedError, ExitCode.UNSUPPORTED),
    (LimitError, ExitCode.LIMIT),
    (PlyError, ExitCode.PLY),
    (CameraError, ExitCode.BAD_CAMERAS),
    (SidecarError, ExitCode.SIDECAR),
    (OutputExistsError, ExitCode.USAGE),
    (UsageError, ExitCode.USAGE),
)


def say(message: str) -> None:
    """Print a line for people, on stderr."""
    click.echo(message, err=True)


def fail(error: CsgsError) -> NoReturn:
    """Print one line and leave with the error's exit code."""
    code = next((c for kind, c in _CODES if isinstance(error, kind)), ExitCode.UNEXPECTED)
    kind = "output" if isinstance(error, OutputExistsError) else code.name.lower()
    say(f"error: {kind}: {error}")
    sys.exit(code)


def reports_errors(command: Command) -> Command:
    """Turn the codec's errors into one line and an exit code."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except CsgsError as error:
            fail(error)
        except (MemoryError, OSError) as error:
            say(f"error: {type(error).__name__}: {error}")
            sys.exit(ExitCode.UNEXPECTED)

    return wrapped  # type: ignore[return-value]


class ByteSize(click.ParamType):
    """``1500000``, ``900kB``, ``1MB``, ``1.5MiB``."""

    name = "size"
    _units = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Parse one value."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"([0-9]*\.?[0-9]+)\s*([kmg]i?)?b?", str(value).strip().lower())
        if not match:
            self.fail(f"{value!r} is not a size such as 900kB or 1.5MiB", param, ctx)
        return int(float(match[1]) * self._units[match[2] or ""])
