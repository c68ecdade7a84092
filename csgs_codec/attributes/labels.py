"""Integer labels, lossless (spec section 5.6): ids, and which rows of a group are sentinels.

A label is coded as *the nearest neighbour's*, *the next other label among the neighbours*, or
explicitly. The table is chosen by how many neighbours agree with the nearest.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csgs_codec.container.fields import FieldReader, FieldWriter
from csgs_codec.container.inflate import inflate
from csgs_codec.errors import CorruptError
from csgs_codec.hyperprior.neighbours import Neighbours
from csgs_codec.numerics.bits import BitReader, BitWriter
from csgs_codec.numerics.rans import RansDecoder, RansEncoder
from csgs_codec.numerics.tables import MAX_ALPHABET, FrequencyTables, normalise_frequencies

I32 = NDArray[np.int32]
U8 = NDArray[np.uint8]

SAME, OTHER, EXPLICIT = 0, 1, 2
AGREEMENT_TABLES = 8
_WEIGHT_MAX = 65535


@dataclass(frozen=True)
class LabelCoding:
    """Payload of the GRUP chunk of a label group.

    Attributes
    ----------
    palette : ndarray of int64, shape (p,)
        Distinct values, increasing.
    agreement : ndarray of int64, shape (8, 3)
        Weights of SAME, OTHER, EXPLICIT for 1 to 8 agreeing neighbours.
    explicit : ndarray of int64, shape (p,) or (0,)
        Weights of the palette; empty where the palette is too large for a table.
    """

    palette: NDArray[np.int64]
    agreement: NDArray[np.int64]
    explicit: NDArray[np.int64]

    @property
    def agreement_tables(self) -> FrequencyTables:
        """Tables of the first symbol."""
        return FrequencyTables.from_frequencies(
            [normalise_frequencies(row) for row in self.agreement]
        )

    @property
    def explicit_table(self) -> FrequencyTables:
        """Table of explicit palette indices."""
        return FrequencyTables.from_frequencies([normalise_frequencies(self.explicit)])

    @property
    def explicit_bits(self) -> int:
        """Width of an explicit index that has no table."""
        return max(len(self.palette) - 1, 0).bit_length()

    def write(self) -> bytes:
        """Serialise."""
        palette = np.diff(self.palette, prepend=np.int64(0)).astype("<i8").tobytes()
        fields = FieldWriter().put("u32", len(self.palette)).blob(zlib.compress(palette, 9))
        fields.array(self.agreement, np.uint16).put("u16", len(self.explicit))
        return fields.array(self.explicit, np.uint16).finish()

    @classmethod
    def read(cls, fields: FieldReader, gaussians: int) -> LabelCoding:
        """Parse; a palette never holds more values than the scene has Gaussians."""
        size = fields.integer("u32", 0, max(gaussians, 256))
        deltas = np.frombuffer(inflate(fields.blob(), 8 * size), "<i8")
        palette = np.cumsum(deltas.astype(np.int64))
        fields.require(bool((palette[1:] > palette[:-1]).all()), "palette is not increasing")
        agreement = fields.array((AGREEMENT_TABLES, 3), np.uint16).astype(np.int64)
        listed = fields.integer("u16", 0, MAX_ALPHABET)
        fields.require(listed in (0, size), "explicit table does not fit the palette")
        fields.require(bool(listed) or size > 0 or not gaussians, "palette is empty")
        explicit = fields.array((listed,), np.uint16).astype(np.int64)
        return cls(palette, agreement, explicit)


def _candidates(labels: I32, found: Neighbours) -> tuple[I32, I32, U8]:
    """Nearest label, next other label and number of agreeing neighbours (-1, -1, 0 if none)."""
    near = np.where(found.row >= 0, labels[np.maximum(found.row, 0)], -1)
    first = near[:, 0]
    agree = ((near == first[:, None]) & (near >= 0)).sum(axis=1)
    other = np.full(len(near), -1, np.int32)
    for column in range(near.shape[1] - 1, 0, -1):
        differs = (near[:, column] != first) & (near[:, column] >= 0)
        other = np.where(differs, near[:, column], other)
    alone = (other < 0) & (first >= 0)
    return first, other, np.where(alone, AGREEMENT_TABLES, agree).astype(np.uint8)


def _choices(target: I32, labels: I32, found: Neighbours) -> tuple[U8, U8]:
    first, other, agree = _candidates(labels, found)
    choice = np.where(target == first, SAME, np.where(target == other, OTHER, EXPLICIT))
    return choice.astype(np.uint8), agree


def fit_labels(
    palette: NDArray[np.int64], layers: list[tuple[I32, I32, Neighbours]]
) -> LabelCoding:
    """Fit the tables to ``(target, labels of the tile, neighbours)`` of every tile layer."""
    agreement = np.zeros((AGREEMENT_TABLES, 3), np.int64)
    explicit = np.zeros(len(palette), np.int64)
    for target, labels, found in layers:
        choice, agree = _choices(target, labels, found)
        known = agree > 0
        np.add.at(agreement, (agree[known] - 1, choice[known]), 1)
        np.add.at(explicit, target[(choice == EXPLICIT) | ~known], 1)
    if not 0 < len(palette) <= MAX_ALPHABET:
        explicit = explicit[:0]
    return LabelCoding(palette, _to_u16(agreement), _to_u16(explicit))


def _to_u16(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    largest = int(counts.max(initial=1))
    return counts if largest <= _WEIGHT_MAX else -(-counts * _WEIGHT_MAX // largest)


def encode_labels(
    coding: LabelCoding,
    target: I32,
    labels: I32,
    found: Neighbours,
    rans: RansEncoder,
    bits: BitWriter,
) -> None:
    """Code palette indices of one round; ``labels`` are those of the tile, as far as known."""
    choice, agree = _choices(target, labels, found)
    known = agree > 0
    rans.put(choice[known], agree[known] - np.uint8(1), coding.agreement_tables)
    explicit = target[~known | (choice == EXPLICIT)]
    if len(coding.explicit):
        zeros = np.zeros(len(explicit), np.uint8)
        rans.put(explicit.astype(np.uint8), zeros, coding.explicit_table)
    else:
        widths = np.full(len(explicit), coding.explicit_bits, np.uint8)
        bits.put(explicit.astype(np.uint64), widths)


def decode_labels(
    coding: LabelCoding, labels: I32, found: Neighbours, rans: RansDecoder, bits: BitReader
) -> I32:
    """Return the palette indices of one round, shape (n,); ``labels`` are those of the tile."""
    first, other, agree = _candidates(labels, found)
    choice = np.full(len(agree), EXPLICIT, np.uint8)
    known = agree > 0
    choice[known] = rans.get(agree[known] - np.uint8(1), coding.agreement_tables)
    explicit = choice == EXPLICIT
    count = int(explicit.sum())
    if len(coding.explicit):
        indices = rans.get(np.zeros(count, np.uint8), coding.explicit_table).astype(np.int64)
    else:
        widths = np.full(count, coding.explicit_bits, np.uint8)
        indices = bits.get(widths).astype(np.int64)
    target = np.where(choice == SAME, first, other)
    target[explicit] = indices
    if ((target < 0) | (target >= len(coding.palette))).any():
        raise CorruptError("label outside its palette")
    return target.astype(np.int32)
