"""Bounds-checked little-endian fields of a chunk payload (spec section 3.1)."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import DTypeLike, NDArray

from csgs_codec.errors import CorruptError

_FORMATS = {"u8": "<B", "u16": "<H", "u32": "<I", "u64": "<Q", "i8": "<b", "i32": "<i"} | {
    "f32": "<f",
    "f64": "<d",
}


class FieldWriter:
    """Append fields to a payload."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def put(self, kind: str, *values: float) -> FieldWriter:
        """Append scalars of one kind (``u8 u16 u32 u64 i8 i32 f32 f64``)."""
        self._parts.extend(struct.pack(_FORMATS[kind], value) for value in values)
        return self

    def array(self, values: NDArray[np.generic], dtype: DTypeLike) -> FieldWriter:
        """Append an array in C order, little-endian, without its length."""
        little = np.dtype(dtype).newbyteorder("<")
        self._parts.append(np.ascontiguousarray(values, dtype=little).tobytes())
        return self

    def blob(self, data: bytes) -> FieldWriter:
        """Append a u32 byte length and the bytes."""
        self._parts += [struct.pack("<I", len(data)), data]
        return self

    def raw(self, data: bytes) -> FieldWriter:
        """Append bytes as they are."""
        self._parts.append(data)
        return self

    def finish(self) -> bytes:
        """Return the payload."""
        return b"".join(self._parts)


class FieldReader:
    """Read the fields of one payload; every overrun is a :class:`CorruptError`.

    Parameters
    ----------
    payload : bytes-like
        The chunk payload.
    chunk : str
        Chunk type, for error messages.
    offset : int
        Byte offset of the payload in the file, for error messages.
    """

    def __init__(self, payload: bytes | memoryview, chunk: str, offset: int = 0) -> None:
        self._data = memoryview(payload)
        self._at = 0
        self._chunk = chunk
        self._offset = offset

    @property
    def remaining(self) -> int:
        """Bytes not yet read."""
        return len(self._data) - self._at

    @property
    def where(self) -> dict[str, object]:
        """Chunk and offset of the current field, for error messages."""
        return {"chunk": self._chunk, "offset": self._offset + self._at}

    def corrupt(self, message: str) -> CorruptError:
        """Build the error for a violation at the current field."""
        return CorruptError(message, **self.where)

    def require(self, condition: bool, message: str) -> None:
        """Raise :class:`CorruptError` unless ``condition`` holds."""
        if not condition:
            raise self.corrupt(message)

    def raw(self, size: int) -> memoryview:
        """Take ``size`` bytes."""
        self.require(0 <= size <= self.remaining, f"field of {size} bytes exceeds the chunk")
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken

    def _scalar(self, kind: str) -> float:
        code = _FORMATS[kind]
        (value,) = struct.unpack(code, self.raw(struct.calcsize(code)))
        return value

    def integer(self, kind: str, low: int | None = None, high: int | None = None) -> int:
        """Read one integer and check ``low <= value <= high``."""
        value = int(self._scalar(kind))
        if (low is not None and value < low) or (high is not None and value > high):
            raise self.corrupt(f"value {value} outside [{low}, {high}]")
        return value

    def real(self, kind: str) -> float:
        """Read one finite floating-point number."""
        value = float(self._scalar(kind))
        self.require(bool(np.isfinite(value)), "number is not finite")
        return value

    def array(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[np.generic]:
        """Read an array of known shape; the payload bounds its size."""
        little = np.dtype(dtype).newbyteorder("<")
        count = int(np.prod(shape, dtype=object))
        data = self.raw(count * little.itemsize)
        return np.frombuffer(data, dtype=little).reshape(shape).astype(np.dtype(dtype))

    def blob(self) -> memoryview:
        """Read a u32 length and that many bytes."""
        return self.raw(self.integer("u32"))

    def finish(self) -> None:
        """Require that every byte was read."""
        self.require(self.remaining == 0, f"{self.remaining} unread bytes at the end of the chunk")
