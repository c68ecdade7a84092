"""Linear heads: what turns the semantic features of a Gaussian, or of a pixel, into classes.

Projects ship them in several containers: ``.npz`` with ``weight`` and ``bias``, a PyTorch state
dictionary of a 1x1 convolution (Gaussian Grouping's ``classifier.pth``), safetensors.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from csgs_codec.errors import LimitError, UnsupportedError, UsageError
from csgs_codec.io.arrays import Npz
from csgs_codec.io.checkpoints import load_checkpoint
from csgs_codec.limits import DEFAULT_LIMITS

T = TypeVar("T")
F64 = NDArray[np.float64]
Arrays = Mapping[str, NDArray[np.generic]]

HEAD_SUFFIXES = (".npz", ".safetensors", ".pth", ".pt")
_WEIGHTS = ("weight", "W", "classifier.weight", "w")
_BIASES = ("bias", "b", "classifier.bias")
_NAMES = ("classes", "names")
_ROWS = 65536
MOST_WEIGHTS = 1 << 24


@dataclass(frozen=True)
class Head:
    """``logits = features @ weight.T + bias``; the class is the largest logit.

    Attributes
    ----------
    weight : ndarray of float64, shape (classes, width)
    bias : ndarray of float64, shape (classes,)
    names : tuple of str
        One for each class, or empty.
    """

    weight: F64
    bias: F64
    names: tuple[str, ...] = ()

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.weight)

    @property
    def width(self) -> int:
        """Width of the features."""
        return self.weight.shape[1]

    def logits(self, features: NDArray[np.floating]) -> F64:
        """Logits, shape (n, width) -> (n, classes)."""
        return np.asarray(features, np.float64) @ self.weight.T + self.bias

    @property
    def dimensions(self) -> int:
        """Width of what is decoded: of the logits."""
        return self.classes

    def decode(self, features: NDArray[np.floating]) -> F64:
        """Logits, as vectors: the linear map from reduced features to those of a 2D model."""
        return self.logits(features)

    def labels(self, features: NDArray[np.floating]) -> NDArray[np.int64]:
        """Class of each row, shape (n, width) -> (n,)."""
        parts = [self.logits(features[at : at + _ROWS]) for at in range(0, len(features), _ROWS)]
        return np.concatenate([p.argmax(axis=1) for p in parts] or [np.zeros(0, np.int64)])

    def margins(self, features: NDArray[np.floating]) -> F64:
        """Largest logit minus the second largest, shape (n, width) -> (n,)."""
        if self.classes == 1:
            return np.full(len(features), np.inf)
        ordered = np.partition(self.logits(features), self.classes - 2, axis=1)
        return ordered[:, -1] - ordered[:, -2]


def read_head(path: Path) -> Head:
    """Read a head from a file.

    Raises
    ------
    UsageError
        The file holds no linear head.
    UnsupportedError
        Its container needs a package that is not installed.
    LimitError
        It would inflate to more than attachments may.
    """
    return read_with(head_from_bytes, path)


def read_with(parse: Callable[[str, bytes], T], path: Path) -> T:
    """What ``parse`` makes of a file's name and bytes; its errors name the file."""
    try:
        return parse(path.name, path.read_bytes())
    except (UsageError, UnsupportedError, LimitError) as error:
        raise error.located(file=str(path)) from None


def head_from_bytes(name: str, data: bytes) -> Head:
    """Read a head from the bytes of a file called ``name``; pickled objects are never run."""
    return head_of(arrays_of(name, data))


def head_of(arrays: Arrays) -> Head:
    """The linear head among the arrays of a file.

    Raises
    ------
    UsageError
        There is none.
    """
    weight, bias, names = (first_of(arrays, known) for known in (_WEIGHTS, _BIASES, _NAMES))
    if weight is None:
        raise UsageError(f"no linear head: no array is called {' or '.join(_WEIGHTS)}")
    if weight.ndim < 2 or weight.size != weight.shape[0] * weight.shape[1] or not weight.size:
        raise UsageError(f"no linear head: the weight has shape {weight.shape}")
    matrix = finite(weight).reshape(weight.shape[:2])
    if bias is not None and bias.shape != (len(matrix),):
        raise UsageError(f"no linear head: {matrix.shape} weights and {bias.shape} biases")
    offset = np.zeros(len(matrix)) if bias is None else finite(bias)
    if names is None or names.size != len(matrix):
        return Head(matrix, offset)
    return Head(matrix, offset, tuple(str(n) for n in names.reshape(-1)))


def finite(array: NDArray[np.generic]) -> F64:
    """An array as float64.

    Raises
    ------
    UsageError
        It holds something else than finite numbers.
    LimitError
        It is larger than any head.
    """
    if array.size > MOST_WEIGHTS:
        raise LimitError(f"a head of {array.size} weights exceeds {MOST_WEIGHTS}")
    if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
        raise UsageError(f"no head: {array.dtype} is not a type of finite numbers")
    return array.astype(np.float64)


def first_of(arrays: Arrays, names: tuple[str, ...]) -> NDArray[np.generic] | None:
    """The first array that is there, None if none is.

    Raises
    ------
    UsageError
        It cannot be read: some containers are read array by array.
    """
    try:
        return next((arrays[name] for name in names if name in arrays), None)
    except ValueError as error:
        raise UsageError(f"no readable array: {error}") from None


def _check_size(data: bytes) -> None:
    """Refuse a container that would inflate to more than attachments may."""
    try:
        if not zipfile.is_zipfile(io.BytesIO(data)):
            return
        with zipfile.ZipFile(io.BytesIO(data)) as opened:
            size = sum(entry.file_size for entry in opened.infolist())
    except Exception as error:  # struct, zipfile and the codecs have errors of their own
        raise UsageError(f"no readable container: {error}") from None
    if size > DEFAULT_LIMITS.attached_bytes:
        raise LimitError(f"a head of {size} bytes exceeds {DEFAULT_LIMITS.attached_bytes}")


def arrays_of(name: str, data: bytes) -> Arrays:
    """All arrays in the bytes of a file called ``name``; pickled objects are never run.

    Raises
    ------
    UsageError, UnsupportedError, LimitError
        See :func:`read_head`.
    """
    suffix = Path(name).suffix.lower()
    if suffix not in HEAD_SUFFIXES:
        raise UsageError(f"a head is one of {', '.join(HEAD_SUFFIXES)}, not {suffix or 'this'}")
    _check_size(data)
    try:
        if suffix == ".npz":
            return Npz(io.BytesIO(data))
        if suffix == ".safetensors":
            from safetensors.numpy import load

            return load(data)
        import torch

        loaded = load_checkpoint(io.BytesIO(data))
        return {k: v.numpy() for k, v in loaded.items() if isinstance(v, torch.Tensor)}
    except ModuleNotFoundError as error:
        raise UnsupportedError(f"{suffix} files need {error.name}, which is missing") from error
    except Exception as error:  # each container has errors of its own
        said = str(error).strip().splitlines() or [""]
        raise UsageError(f"no readable {suffix} file: {said[0]}") from error
