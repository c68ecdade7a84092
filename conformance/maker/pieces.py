"""Chunks of a file in order, and the file that they make: level ends and CRCs come last."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from conformance.maker.plan import INACTIVE

SIGNATURE = b"\x89CSGS\r\n\x1a"


@dataclass
class Piece:
    """One chunk.

    Attributes
    ----------
    type : bytes
    payload : bytes
        That of LEVS is made when the file is.
    level : int
        The level in which it stands, from 1.
    group : int, optional
        Which GRUP or NETW it is.
    place : tuple of (pass, tile), optional
        Which DATA it is.
    crc : int
        Added to the right CRC, modulo 2**32.
    length : int, optional
        Stands in the file instead of the length.
    """

    type: bytes
    payload: bytes
    level: int = 1
    group: int | None = None
    place: tuple[int, int] | None = None
    crc: int = 0
    length: int | None = None

    def frame(self) -> bytes:
        """Return the chunk's bytes."""
        length = len(self.payload) if self.length is None else self.length
        framed = self.type + struct.pack("<I", length) + self.payload
        return framed + struct.pack("<I", (zlib.crc32(framed) + self.crc) & 0xFFFFFFFF)


@dataclass
class LevelFields:
    """One entry of the level table; ``end`` is computed where it is None."""

    passes: int
    gaussians: int
    digest: bytes
    compensation: tuple[float, ...] = INACTIVE
    end: int | None = None

    def write(self, end: int) -> bytes:
        """Return the entry."""
        fixed = struct.pack(
            "<QQH", end if self.end is None else self.end, self.gaussians, self.passes
        )
        return fixed + struct.pack("<4f", *self.compensation) + self.digest


@dataclass
class FilePieces:
    """A file in pieces.

    Attributes
    ----------
    pieces : list of Piece
    levels : list of LevelFields
    signature, behind : bytes
        What stands before and behind the chunks.
    table : bytes, optional
        Is the payload of LEVS instead of ``levels``.
    """

    pieces: list[Piece]
    levels: list[LevelFields]
    signature: bytes = SIGNATURE
    behind: bytes = b""
    table: bytes | None = None

    def ends(self) -> list[int]:
        """Offset behind each level."""
        sizes = [self._size(piece) for piece in self.pieces]
        begin = len(self.signature)
        return [
            begin + sum(s for s, p in zip(sizes, self.pieces, strict=True) if p.level <= number + 1)
            for number in range(len(self.levels))
        ]

    def _size(self, piece: Piece) -> int:
        if piece.type == b"LEVS":
            return 12 + len(self._table([0] * len(self.levels)))
        return 12 + len(piece.payload)

    def _table(self, ends: list[int]) -> bytes:
        if self.table is not None:
            return self.table
        entries = [level.write(end) for level, end in zip(self.levels, ends, strict=True)]
        return bytes([len(entries) & 255]) + b"".join(entries)

    def data(self) -> bytes:
        """Return the file."""
        for piece in self.pieces:
            if piece.type == b"LEVS":
                piece.payload = self._table(self.ends())
        return self.signature + b"".join(piece.frame() for piece in self.pieces) + self.behind

    def find(
        self, type_: str, group: int | None = None, place: tuple[int, int] | None = None
    ) -> Piece:
        """Return the first chunk of a type, or that of a group or of a pass and tile."""
        return next(
            p
            for p in self.pieces
            if p.type == type_.encode()
            and (group is None or p.group == group)
            and (place is None or p.place == place)
        )

    def every(self, type_: str) -> list[Piece]:
        """Return all chunks of a type."""
        return [piece for piece in self.pieces if piece.type == type_.encode()]

    def put_before(self, mark: Piece, *new: Piece) -> None:
        """Insert chunks; they belong to the level of the mark."""
        self._put(mark, 0, new)

    def put_behind(self, mark: Piece, *new: Piece) -> None:
        """Insert chunks; they belong to the level of the mark."""
        self._put(mark, 1, new)

    def _put(self, mark: Piece, further: int, new: tuple[Piece, ...]) -> None:
        at = self.index(mark) + further
        for piece in new:
            piece.level = mark.level
        self.pieces[at:at] = new

    def index(self, piece: Piece) -> int:
        """Return the place of a chunk."""
        return next(i for i, other in enumerate(self.pieces) if other is piece)

    def remove(self, piece: Piece) -> Piece:
        """Take a chunk out."""
        return self.pieces.pop(self.index(piece))


def patched(payload: bytes, offset: int, code: str, *values: float) -> bytes:
    """Return a payload with some fields replaced (``code`` as for struct, little-endian)."""
    new = struct.pack("<" + code, *values)
    if offset < 0:
        offset += len(payload)
    return payload[:offset] + new + payload[offset + len(new) :]
