"""Signature and chunk framing (spec section 3).

A file is the 8-byte signature and a sequence of chunks::

    type   4 ASCII letters; an upper-case first letter marks a critical chunk
    length u32, bytes of payload
    payload
    crc    u32, CRC-32 of type, length and payload
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from csgs_codec.errors import CorruptError, LimitError, TruncatedError, UnsupportedError
from csgs_codec.limits import Limits

SIGNATURE = b"\x89CSGS\r\n\x1a"
OVERHEAD = 12
_TYPE_BYTES = 4
_FRAME = struct.Struct("<4sI")


@dataclass(frozen=True)
class Chunk:
    """One chunk as it stands in the file."""

    type: str
    offset: int
    payload: memoryview

    @property
    def end(self) -> int:
        """Byte offset just behind the chunk."""
        return self.offset + OVERHEAD + len(self.payload)

    @property
    def critical(self) -> bool:
        """Whether a decoder that does not know the type must refuse the file."""
        return self.type[0].isupper()


def frame(type_: str, payload: bytes) -> bytes:
    """Return the bytes of one chunk."""
    head = _FRAME.pack(type_.encode("ascii"), len(payload))
    return head + payload + struct.pack("<I", zlib.crc32(payload, zlib.crc32(head)))


def check_signature(data: bytes | memoryview) -> None:
    """Check the first bytes of a file.

    Raises
    ------
    TruncatedError
        The file ends inside the signature.
    UnsupportedError
        The file is something else.
    """
    start = bytes(data[: len(SIGNATURE)])
    if start == SIGNATURE:
        return
    if SIGNATURE.startswith(start):
        raise TruncatedError("file ends inside the signature", offset=len(start))
    raise UnsupportedError("not a CSGS file (wrong signature)", offset=0)


def bytes_needed(data: bytes | memoryview, offset: int) -> int:
    """How long the data must be at least for the chunk at ``offset`` to be read."""
    framed = offset + _FRAME.size
    if len(data) < framed:
        return framed
    return offset + OVERHEAD + int(_FRAME.unpack_from(data, offset)[1])


def read_chunk(data: bytes | memoryview, offset: int, limits: Limits) -> Chunk:
    """Read and check the chunk at ``offset``.

    Raises
    ------
    TruncatedError
        The data ends inside the chunk.
    CorruptError
        The type is not four letters or the CRC does not match.
    LimitError
        The chunk is larger than the decoder agrees to hold.
    """
    view = memoryview(data)
    raw_type = bytes(view[offset : offset + _TYPE_BYTES])
    if len(raw_type) == _TYPE_BYTES and not (raw_type.isalpha() and raw_type.isascii()):
        raise CorruptError(f"chunk type {raw_type!r} is not four letters", offset=offset)
    if len(view) - offset < _FRAME.size:
        raise TruncatedError("data ends inside a chunk header", offset=offset)
    raw_type, length = _FRAME.unpack_from(view, offset)
    type_ = raw_type.decode("ascii")
    if length > limits.chunk_bytes:
        raise LimitError(
            f"chunk of {length} bytes exceeds the limit of {limits.chunk_bytes}",
            chunk=type_,
            offset=offset,
        )
    begin, end = offset + _FRAME.size, offset + _FRAME.size + length
    if len(view) < end + 4:
        raise TruncatedError("data ends inside a chunk", chunk=type_, offset=offset)
    (crc,) = struct.unpack_from("<I", view, end)
    if zlib.crc32(view[offset:end]) != crc:
        raise CorruptError("CRC-32 does not match", chunk=type_, offset=offset)
    return Chunk(type_, offset, view[begin:end])
