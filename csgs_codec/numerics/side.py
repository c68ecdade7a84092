"""Side streams: small integers through constriction's range coder (numerics section 10).

Each integer is coded with the Laplace table of its scale index, its frequencies shifted to the
coder's 24 bits; escapes follow as plain bits. Layout: u32 byte length of the range-coded words,
the words (u32), the bits.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from csgs_codec.errors import CorruptError
from csgs_codec.numerics.bits import BitReader, BitWriter
from csgs_codec.numerics.residuals import escape_orders
from csgs_codec.numerics.tables import PRECISION, half_widths, laplace_tables

I32 = NDArray[np.int32]
U8 = NDArray[np.uint8]

_CODER_BITS = 24
MAX_COUNT = 1 << 20


@cache
def _model(index: int) -> object:
    """The exact table as a constriction model: weights ``w - 1`` make its CDF ``cumsum(w)``."""
    import constriction

    frequencies = np.diff(laplace_tables().cdf[index].astype(np.int64))
    exact = frequencies[: laplace_tables().sizes[index]] << (_CODER_BITS - PRECISION)
    return constriction.stream.model.Categorical(
        (exact - 1).astype(np.float64), perfect=False, lazy=False
    )


def _runs(scale_index: U8) -> list[tuple[int, int, int]]:
    """Split into runs ``(begin, end, index)`` of equal scale index."""
    if not len(scale_index):
        return []
    cuts = np.flatnonzero(np.diff(scale_index)) + 1
    begins, ends = [0, *cuts.tolist()], [*cuts.tolist(), len(scale_index)]
    return [(b, e, int(scale_index[b])) for b, e in zip(begins, ends, strict=True)]


def encode_integers(values: NDArray[np.integer], scale_index: U8) -> bytes:
    """Code integers, shape (n,), each under the live table (1 to 63) of its scale index."""
    import constriction

    h = half_widths()[scale_index]
    values = np.asarray(values, np.int64)
    escaped = np.abs(values) > h
    symbols = np.where(escaped, 2 * h + 1, values + h).astype(np.int32)
    encoder = constriction.stream.queue.RangeEncoder()
    for begin, end, index in _runs(scale_index):
        encoder.encode(symbols[begin:end], _model(index))
    bits = BitWriter()
    beyond = values[escaped]
    bits.put_exp_golomb(np.abs(beyond) - h[escaped] - 1, escape_orders(scale_index[escaped]))
    bits.put((beyond < 0).astype(np.uint64), np.ones(len(beyond), np.uint8))
    words = encoder.get_compressed().astype("<u4").tobytes()
    return np.array(len(words), "<u4").tobytes() + words + bits.finish()


def decode_integers(data: bytes | memoryview, count: int, scale_index: U8) -> I32:
    """Undo :func:`encode_integers`.

    Raises
    ------
    CorruptError
        The stream is malformed, ends early or is not consumed.
    """
    import constriction

    if count > MAX_COUNT or len(data) < 4:
        raise CorruptError("side stream is malformed")
    size = int(np.frombuffer(data, "<u4", 1)[0])
    if size % 4 or size > len(data) - 4:
        raise CorruptError("side stream is malformed")
    words = np.frombuffer(data, "<u4", size // 4, offset=4).astype(np.uint32)
    symbols = np.empty(count, np.int32)
    decoder = constriction.stream.queue.RangeDecoder(words)
    try:
        for begin, end, index in _runs(scale_index):
            symbols[begin:end] = decoder.decode(_model(index), end - begin)
    except AssertionError as error:
        raise CorruptError("side stream does not decode") from error
    if not decoder.maybe_exhausted():
        raise CorruptError("side stream is longer than its content")
    h = half_widths()[scale_index]
    values = (symbols - h).astype(np.int64)
    escaped = np.flatnonzero(symbols == 2 * h + 1)
    bits = BitReader(data[4 + size :])
    magnitude = h[escaped] + 1 + bits.get_exp_golomb(escape_orders(scale_index[escaped]))
    negative = bits.get(np.ones(len(escaped), np.uint8)).astype(bool)
    bits.finish()
    if len(magnitude) and int(magnitude.max()) >= 1 << 31:
        raise CorruptError("side stream holds an integer that is too large")
    values[escaped] = np.where(negative, -magnitude, magnitude)
    return values.astype(np.int32)
