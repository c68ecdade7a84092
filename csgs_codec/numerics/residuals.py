"""Residuals under the Laplace tables, with escapes in the plain bits (numerics section 6)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from csgs_codec.errors import CorruptError
from csgs_codec.numerics.bits import BitReader, BitWriter
from csgs_codec.numerics.rans import ESCAPE, RansDecoder, RansEncoder
from csgs_codec.numerics.tables import half_widths, laplace_tables

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]

LARGEST_RESIDUAL = 1 << 24


def escape_orders(scale_index: U8) -> U8:
    """Exp-Golomb order of an escape: ``max(0, scale_index - 21) // 6``, about log2(spread)."""
    return (np.maximum(scale_index, 21) - 21) // 6


def encode_residuals(k: I32, scale_index: U8, rans: RansEncoder, bits: BitWriter) -> None:
    """Code residuals in C order; where ``scale_index`` is 0 nothing is coded and ``k`` must be 0.

    ``|k| > h`` is coded as the escape symbol, then ``|k| - h - 1`` (Exp-Golomb) and the sign
    (1 for negative) of each escape, magnitudes before signs.

    Raises
    ------
    ValueError
        ``k`` is not 0 where nothing is coded.
    """
    flat, index = k.reshape(-1), scale_index.reshape(-1)
    if flat[index == 0].any():
        raise ValueError("residual without a scale")
    live = np.flatnonzero(index)
    flat, index = flat[live], index[live]
    h = half_widths()[index]
    escaped = np.abs(flat) > h
    symbol = np.where(escaped, 2 * h + 1, flat + h).astype(np.uint8)
    rans.put(symbol, index, laplace_tables())
    beyond = flat[escaped]
    excess = np.abs(beyond).astype(np.int64) - h[escaped] - 1
    bits.put_exp_golomb(excess, escape_orders(index[escaped]))
    bits.put((beyond < 0).astype(np.uint64), np.ones(len(beyond), np.uint8))


def decode_residuals(scale_index: U8, rans: RansDecoder, bits: BitReader) -> I32:
    """Undo :func:`encode_residuals`; the result has the shape of ``scale_index``.

    Raises
    ------
    CorruptError
        An escape is invalid or ``|k|`` reaches ``2**24``.
    """
    index = scale_index.reshape(-1)
    k = rans.get_residuals(index)
    escaped = np.flatnonzero(k == ESCAPE)
    k[escaped] = decode_escapes(index[escaped], bits)
    return k.reshape(scale_index.shape)


def decode_escapes(scale_index: U8, bits: BitReader) -> I32:
    """Read the residuals that a stage escaped, in order, from the plain bits.

    Raises
    ------
    CorruptError
        An escape is invalid or ``|k|`` reaches ``2**24``.
    """
    if not len(scale_index):
        return np.zeros(0, np.int32)
    magnitude = half_widths()[scale_index] + 1 + bits.get_exp_golomb(escape_orders(scale_index))
    if int(magnitude.max()) >= LARGEST_RESIDUAL:
        raise CorruptError("escaped residual is too large")
    negative = bits.get(np.ones(len(magnitude), np.uint8)).astype(bool)
    return np.where(negative, -magnitude, magnitude).astype(np.int32)
