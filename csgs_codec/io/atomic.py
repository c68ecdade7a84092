"""Outputs that are there completely or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from csgs_codec.errors import OutputExistsError

_SHOWN = 40


def check_target(path: str | os.PathLike[str], force: bool) -> None:
    """Refuse a target that exists, unless ``force``; to be called before any work.

    Raises
    ------
    OutputExistsError
    """
    if not force and Path(path).exists():
        raise OutputExistsError("output exists already (use --force to replace it)", file=str(path))


@contextmanager
def atomic_write(path: str | os.PathLike[str], force: bool = False) -> Iterator[BinaryIO]:
    """Open a temporary file beside ``path`` that takes its place when the block succeeds.

    Raises
    ------
    OutputExistsError
        The target exists and ``force`` is false.
    """
    check_target(path, force)
    target = Path(path)
    shown = target.name[:_SHOWN]  # the whole name may be as long as names can be
    handle, name = tempfile.mkstemp(prefix=f".{shown}.", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
        os.chmod(name, mode)
        check_target(path, force)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
