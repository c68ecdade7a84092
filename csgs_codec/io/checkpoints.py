"""PyTorch checkpoints of which only tensors are read, and no more than the file holds."""

from __future__ import annotations

import os
import zipfile
from typing import IO, Any


def load_checkpoint(stream: IO[bytes]) -> Any:
    """Read what ``torch.save`` wrote; nothing that is pickled is run.

    Raises
    ------
    ValueError
        It holds other objects than tensors, is damaged, or is compressed, as ``torch.save`` never
        does it.
    ModuleNotFoundError
        There is no torch.
    """
    import torch

    try:
        _check_members(stream)
        stream.seek(0)
        return torch.load(stream, map_location="cpu", weights_only=True)
    except Exception as error:  # torch, pickle and zipfile each have errors of their own
        raise ValueError((str(error).strip().splitlines() or [type(error).__name__])[0]) from None


def _check_members(stream: IO[bytes]) -> None:
    """Refuse an archive that gives more bytes than it has."""
    if not zipfile.is_zipfile(stream):
        return
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    with zipfile.ZipFile(stream) as archive:
        members = archive.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in members):
        raise ValueError("its members are compressed")
    if sum(entry.file_size for entry in members) > size:
        raise ValueError("its members share their bytes")
