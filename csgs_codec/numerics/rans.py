"""Interleaved rANS: 32 lanes of 32-bit state, 16-bit words (spec, numerics section 4).

A *stage* is one call of ``put`` or ``get``. Symbol ``i`` of a stage uses lane ``i mod 32``; the
lane states carry over from stage to stage. A stream is the 32 states (u32) that the decoder starts
from and the words (u16) in the order in which it reads them. A stream without symbols is empty.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from csgs_codec.errors import CorruptError
from csgs_codec.numerics.backend import kernels
from csgs_codec.numerics.tables import (
    PRECISION,
    TOTAL,
    FrequencyTables,
    half_widths,
    laplace_tables,
)

U8 = NDArray[np.uint8]

LANES = 32
LOWER_BOUND = 1 << 16
ESCAPE = np.int32(1 << 30)
_STATE_BYTES = 4 * LANES
_PRECISION = np.uint32(PRECISION)
_SLOT_MASK = np.uint32(TOTAL - 1)


class RansEncoder:
    """Collects stages; rANS runs backwards, so nothing is written before :meth:`finish`."""

    def __init__(self) -> None:
        self._stages: list[tuple[U8, U8, FrequencyTables]] = []
        self.cost = 0.0

    def put(self, symbols: U8, table_index: U8, tables: FrequencyTables) -> None:
        """Append a stage of symbols, each with the index of its table.

        ``cost`` sums the information of all symbols, in bits.
        """
        if len(symbols):
            self.cost += tables.information(symbols, table_index)
            self._stages.append((symbols, table_index, tables))

    def finish(self) -> bytes:
        """Return the stream."""
        if not self._stages:
            return b""
        states = np.full(LANES, LOWER_BOUND, np.uint32)
        pieces = [_encode_stage(*stage, states) for stage in reversed(self._stages)]
        words = np.concatenate(pieces[::-1])
        return states.astype("<u4").tobytes() + words.astype("<u2").tobytes()


class RansDecoder:
    """Reads a stream stage by stage.

    Attributes
    ----------
    words : ndarray of uint16
        The words, and a 0 that stands for all that are missing.
    at : int
        Words asked for.
    states : ndarray of uint32, shape (LANES,)

    Raises
    ------
    CorruptError
        The stream is too short for its states, or of odd length.
    """

    def __init__(self, data: bytes | memoryview) -> None:
        if data and (len(data) < _STATE_BYTES or len(data) % 2):
            raise CorruptError(f"rANS stream of {len(data)} bytes")
        self.states = np.full(LANES, LOWER_BOUND, np.uint32)
        if data:
            self.states = np.frombuffer(data, "<u4", LANES).astype(np.uint32)
            if (self.states < LOWER_BOUND).any():
                raise CorruptError("rANS state below its lower bound")
        words = np.frombuffer(data, "<u2", offset=min(len(data), _STATE_BYTES))
        self.words = np.append(words.astype(np.uint16), np.uint16(0))
        self.last = len(words)
        self.at = 0

    def get(self, table_index: U8, tables: FrequencyTables) -> U8:
        """Decode one stage; words past the end read as 0 and make :meth:`finish` fail."""
        out = np.empty(len(table_index), np.uint8)
        fast = kernels()
        if fast is None:
            self._get_numpy(table_index, tables, out)
        else:
            self.at = fast.rans_decode(
                self.words,
                self.at,
                self.states,
                np.ascontiguousarray(table_index),
                tables.symbol_of_group,
                tables.cdf,
                tables.start_and_frequency,
                out,
            )
        return out

    def _get_numpy(self, table_index: U8, tables: FrequencyTables, out: U8) -> None:
        symbol_of_slot = tables.symbol_of_slot.ravel()
        start_and_frequency = tables.start_and_frequency.ravel()
        first_slot = table_index.astype(np.int64) * TOTAL
        first_symbol = table_index.astype(np.int64) * tables.start_and_frequency.shape[1]
        for begin in range(0, len(out), LANES):
            states = self.states[: len(out) - begin]
            slot = states & _SLOT_MASK
            symbol = symbol_of_slot.take(first_slot[begin : begin + LANES] + slot)
            packed = start_and_frequency.take(first_symbol[begin : begin + LANES] + symbol)
            states = (
                (packed >> np.uint32(16)) * (states >> _PRECISION)
                + slot
                - (packed & np.uint32(0xFFFF))
            )
            starved = np.flatnonzero(states < LOWER_BOUND)
            reading = np.minimum(np.arange(self.at, self.at + len(starved)), self.last)
            states[starved] = (states[starved] << np.uint32(16)) | self.words.take(reading)
            self.at += len(starved)
            self.states[: len(states)] = states
            out[begin : begin + LANES] = symbol

    def get_residuals(self, scale_index: U8) -> NDArray[np.int32]:
        """Decode a stage of Laplace residuals, flat; escapes come back as :data:`ESCAPE`."""
        out = np.empty(len(scale_index), np.int32)
        fast = kernels()
        tables = laplace_tables()
        if fast is None:
            live = np.flatnonzero(scale_index)
            out[:] = 0
            table = scale_index[live]
            half_width = half_widths()[table]
            residual = self.get(table, tables).astype(np.int32) - half_width
            out[live] = np.where(residual > half_width, ESCAPE, residual)
        else:
            self.at = fast.residuals_decode(
                self.words,
                self.at,
                self.states,
                np.ascontiguousarray(scale_index),
                tables.symbol_of_group,
                tables.cdf,
                tables.start_and_frequency,
                half_widths(),
                ESCAPE,
                out,
            )
        return out

    def finish(self) -> None:
        """Check that the stream was consumed exactly.

        Raises
        ------
        CorruptError
            A lane is not at its lower bound, or words are missing or left over.
        """
        if self.at != self.last or (self.states != LOWER_BOUND).any():
            raise CorruptError("rANS stream does not end in its initial state")


def _encode_stage(
    symbols: U8, table_index: U8, tables: FrequencyTables, states: NDArray[np.uint32]
) -> NDArray[np.uint16]:
    fast = kernels()
    if fast is None:
        return _encode_numpy(symbols, table_index, tables, states)
    words = np.empty(len(symbols), np.uint16)
    lanes = np.arange(len(symbols), dtype=np.int64) % LANES
    first = fast.rans_encode(
        np.ascontiguousarray(symbols),
        np.ascontiguousarray(table_index),
        lanes,
        tables.cdf,
        states,
        words,
    )
    return words[first:]


def _encode_numpy(
    symbols: U8, table_index: U8, tables: FrequencyTables, states: NDArray[np.uint32]
) -> NDArray[np.uint16]:
    start = tables.cdf[table_index, symbols].astype(np.uint64)
    frequency = tables.cdf[table_index, symbols.astype(np.intp) + 1].astype(np.uint64) - start
    pieces: list[NDArray[np.uint16]] = []
    for begin in range((len(symbols) - 1) // LANES * LANES, -1, -LANES):
        f, c = frequency[begin : begin + LANES], start[begin : begin + LANES]
        state = states[: len(f)].astype(np.uint64)
        full = state >= f << np.uint64(32 - PRECISION)
        pieces.append((state[full] & np.uint64(0xFFFF)).astype(np.uint16))
        state[full] >>= np.uint64(16)
        states[: len(f)] = ((state // f) << np.uint64(PRECISION)) + state % f + c
    return np.concatenate(pieces[::-1])
