"""Check the files that shall travel with a scene, and deflate them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from csgs_codec.container.attachments import Attachment, folded, name_fault
from csgs_codec.errors import LimitError, UsageError
from csgs_codec.limits import DEFAULT_LIMITS, MAX_ATTACHMENTS


def read_files(paths: Iterable[Path]) -> dict[str, bytes]:
    """Read files that shall be attached, by their base names.

    Raises
    ------
    UsageError
        Two files have the same name.
    LimitError
        Together they are larger than a decoder agrees to hold.
    """
    files: dict[str, bytes] = {}
    total = 0
    for path in paths:
        if path.name in files:
            raise UsageError(f"two attachments are called {path.name!r}", file=str(path))
        total += path.stat().st_size
        if total > DEFAULT_LIMITS.attached_bytes:
            raise LimitError(f"attachments of {total} bytes are too many", file=str(path))
        files[path.name] = path.read_bytes()
    return files


def pack_attachments(files: Mapping[str, bytes]) -> tuple[Attachment, ...]:
    """Deflate files, in order of their names.

    Raises
    ------
    UsageError
        A name is not a plain base name, or is that of another file where case does not count.
    LimitError
        They are more, or larger, than a decoder agrees to hold.
    """
    seen: dict[str, str] = {}
    for name in files:
        wrong = name_fault(name)
        if wrong is not None:
            raise UsageError(f"cannot attach a file as {name!r}: {wrong}")
        other = seen.setdefault(folded(name), name)
        if other != name:
            raise UsageError(f"attachments {other!r} and {name!r} have the same name")
    total = sum(map(len, files.values()))
    if total > DEFAULT_LIMITS.attached_bytes or len(files) > MAX_ATTACHMENTS:
        raise LimitError(f"{len(files)} attachments of {total} bytes are too many")
    packed = tuple(Attachment.of(name, files[name]) for name in sorted(files))
    for one in packed:
        if len(one.write()) > DEFAULT_LIMITS.chunk_bytes:
            raise LimitError(f"attachment {one.name!r} does not fit into a chunk")
    return packed
