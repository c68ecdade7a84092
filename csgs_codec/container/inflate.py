"""Inflate a block whose exact size is known beforehand."""

from __future__ import annotations

import zlib

from csgs_codec.errors import CorruptError

_MOST_PER_BYTE = 1032


def inflate(data: bytes | memoryview, size: int) -> bytes:
    """Return the ``size`` bytes of a zlib stream without ever producing more.

    Raises
    ------
    CorruptError
        The stream is damaged, longer or shorter than ``size``, or followed by other bytes.
    """
    if size > _MOST_PER_BYTE * len(data):
        raise CorruptError(f"{len(data)} bytes cannot inflate to {size}")
    engine = zlib.decompressobj()
    try:
        result = engine.decompress(data, size + 1)
    except zlib.error as error:
        raise CorruptError(f"deflated block is damaged: {error}") from error
    if len(result) != size or not engine.eof or engine.unused_data:
        raise CorruptError(f"deflated block does not hold {size} bytes")
    return result
