"""Arrays of foreign ``.npy`` and ``.npz`` files, for which no more is allocated than they hold.

``numpy.load`` allocates what a header announces before it looks for the bytes, and raises whatever
its parser of headers runs into.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]

_SUFFIX = ".npy"
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@dataclass(frozen=True)
class Announced:
    """What the header of an array says."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[np.generic]

    @property
    def bytes(self) -> int:
        """Bytes of the values."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(stream: IO[bytes]) -> Announced:
    """Read what stands before the values.

    Raises
    ------
    ValueError
        It is no array, or one of Python objects.
    """
    try:
        version = np.lib.format.read_magic(stream)
        read = _HEADERS.get(version)
        if read is None:
            raise ValueError(f"version {version} is not known")
        shape, fortran, dtype = read(stream)
    except Exception as error:  # numpy's parser of headers has errors of all kinds
        raise ValueError(f"not an array: {error}") from None
    if dtype.hasobject:
        raise ValueError("an array of Python objects, which are pickled, is refused")
    if not dtype.itemsize or any(type(n) is not int or n < 0 for n in shape):
        raise ValueError(f"not an array: shape {shape}, type {dtype}")
    return Announced(shape, fortran, dtype)


def read_npy(stream: IO[bytes], size: int) -> Array:
    """Read an array from a stream of at most ``size`` bytes.

    Raises
    ------
    ValueError
        It is no array, one of Python objects, or ends early.
    """
    header = read_header(stream)
    if header.bytes > size:
        raise ValueError(f"the array ends early: {header.bytes} bytes are announced")
    data = stream.read(header.bytes)
    if len(data) < header.bytes:
        raise ValueError(f"the array ends after {len(data)} of {header.bytes} bytes")
    flat = np.frombuffer(bytearray(data), header.dtype)
    if header.fortran:
        return flat.reshape(header.shape[::-1]).T
    return flat.reshape(header.shape)


class Npz(Mapping[str, Array]):
    """Arrays of a zip archive, each read when it is asked for.

    Parameters
    ----------
    stream : binary file

    Raises
    ------
    ValueError
        It is no archive; on access, what :func:`read_npy` raises.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        try:
            self._archive = zipfile.ZipFile(stream)
        except Exception as error:  # struct, zipfile and the codecs have errors of their own
            raise ValueError(f"not an archive: {error}") from None
        self._members = {
            entry.filename.removesuffix(_SUFFIX): entry
            for entry in self._archive.infolist()
            if entry.filename.endswith(_SUFFIX)
        }

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def header(self, name: str) -> Announced:
        """What an array is, without its values."""
        try:
            with self._archive.open(self._members[name]) as stream:
                return read_header(stream)
        except Exception as error:
            raise ValueError(f"array {name!r}: {error}") from None

    def __getitem__(self, name: str) -> Array:
        entry = self._members[name]
        try:
            with self._archive.open(entry) as stream:
                return read_npy(stream, entry.file_size)
        except Exception as error:
            raise ValueError(f"array {name!r}: {error}") from None
