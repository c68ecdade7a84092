"""Plain bits, most significant first (spec, numerics section 5)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from csgs_codec.errors import CorruptError
from csgs_codec.numerics.backend import kernels, loaded
from csgs_codec.numerics.fixed_point import ilog2

U8 = NDArray[np.uint8]
U64 = NDArray[np.uint64]

MAX_WIDTH = 56
MAX_EXP_GOLOMB_BITS = 30
_WORTH_COMPILING = 2048


class BitWriter:
    """Appends fields; the last byte is filled with zeros."""

    def __init__(self) -> None:
        self._fields: list[tuple[U64, U8]] = []
        self.size = 0

    def put(self, values: U64, widths: U8) -> None:
        """Append ``values[i]`` in ``widths[i]`` bits (0 to 56); ``size`` counts the bits."""
        if len(values):
            self.size += int(widths.sum(dtype=np.int64))
            self._fields.append((values.astype(np.uint64), widths.astype(np.uint8)))

    def put_exp_golomb(self, values: NDArray[np.int64], orders: U8) -> None:
        """Append non-negative numbers as Exp-Golomb codes of the given orders."""
        shifted = values.astype(np.uint64) + (np.uint64(1) << orders.astype(np.uint64))
        self.put(shifted, 2 * ilog2(shifted) + 1 - orders)

    def finish(self) -> bytes:
        """Return the bytes."""
        if not self._fields:
            return b""
        widths = np.concatenate([w for _, w in self._fields]).astype(np.int64)
        values = np.concatenate([v for v, _ in self._fields])[widths > 0]
        widths = widths[widths > 0]
        ends = np.cumsum(widths)
        word, into = np.divmod(ends - widths, 64)
        aligned = values << (64 - widths).astype(np.uint64)
        words = np.zeros((self.size >> 6) + 1, np.uint64)
        first_of_word = np.flatnonzero(np.diff(word, prepend=-1))
        if len(first_of_word):
            parts = aligned >> into.astype(np.uint64)
            words[word[first_of_word]] = np.bitwise_or.reduceat(parts, first_of_word)
        spilt = np.flatnonzero(into + widths > 64)
        words[word[spilt] + 1] |= aligned[spilt] << (64 - into[spilt]).astype(np.uint64)
        return words.astype(">u8").tobytes()[: -(-self.size // 8)]


class BitReader:
    """Reads what :class:`BitWriter` wrote.

    Attributes
    ----------
    data : ndarray of uint8
        The bytes and 8 more.
    at, end : int
        Bit that is read next, and number of bits.
    """

    def __init__(self, data: bytes | memoryview) -> None:
        self.data = np.concatenate([np.frombuffer(data, np.uint8), np.zeros(8, np.uint8)])
        self.end = 8 * len(data)
        self.at = 0

    def get(self, widths: U8) -> U64:
        """Read one field per width (0 to 56 bits).

        Raises
        ------
        CorruptError
            The bits end early.
        """
        ends = np.cumsum(widths, dtype=np.int64)
        total = int(ends[-1]) if len(ends) else 0
        if self.at + total > self.end:
            raise CorruptError("plain bits end early")
        starts = ends - widths
        fast = kernels() if loaded() or len(widths) > _WORTH_COMPILING else None
        if fast is None:
            out = self._get_numpy(starts, widths)
        else:
            out = np.empty(len(widths), np.uint64)
            fast.bits_read(self.data, self.at, starts, np.ascontiguousarray(widths), out)
        self.at += total
        return out

    def _get_numpy(self, starts: NDArray[np.int64], widths: U8) -> U64:
        begin = self.at + starts
        byte = begin >> 3
        value = np.zeros(len(widths), np.uint64)
        for i in range(8):
            value = (value << np.uint64(8)) | self.data[byte + i].astype(np.uint64)
        value <<= (begin & 7).astype(np.uint64)
        shifted = value >> np.minimum(64 - widths.astype(np.uint64), 63)
        return np.where(widths == 0, np.uint64(0), shifted)

    def get_exp_golomb(self, orders: U8) -> NDArray[np.int64]:
        """Read one Exp-Golomb number per order.

        Raises
        ------
        CorruptError
            The bits end early or a prefix is longer than 30 zeros.
        """
        out = np.zeros(len(orders), np.int64)
        fast = kernels() if loaded() or len(orders) > _WORTH_COMPILING else None
        if fast is None:
            self.at = self._exp_golomb_python(orders, out)
        else:
            self.at = fast.exp_golomb_read(
                self.data, self.at, self.end, np.ascontiguousarray(orders), out
            )
        if self.at < 0:
            raise CorruptError("invalid Exp-Golomb code")
        return out

    def _exp_golomb_python(self, orders: U8, out: NDArray[np.int64]) -> int:
        first = self.at >> 3
        bits = np.unpackbits(self.data[first:])
        at, end = self.at - 8 * first, self.end - 8 * first
        for i, order in enumerate(orders.tolist()):
            zeros = 0
            while at + zeros < end and not bits[at + zeros] and zeros <= MAX_EXP_GOLOMB_BITS:
                zeros += 1
            width = zeros + order
            at += zeros + 1
            if zeros > MAX_EXP_GOLOMB_BITS or at + width > end or width > 40:
                return -1
            tail = int("".join(map(str, bits[at : at + width].tolist())) or "0", 2)
            at += width
            out[i] = (1 << width) + tail - (1 << order)
        return at + 8 * first

    def finish(self) -> None:
        """Check that only zero padding to the byte is left.

        Raises
        ------
        CorruptError
            Bytes are left over, or the padding is not zero.
        """
        rest = self.end - self.at
        last = int(self.data[self.at >> 3]) & ((1 << rest) - 1) if 0 < rest < 8 else 0
        if rest >= 8 or last:
            raise CorruptError("plain bits are left over")
