"""Decoders: what turns reduced features into the vectors that queries are compared with.

A linear head is one. So is the decoder of an autoencoder, as LangSplat trains it to bring 512
numbers of CLIP down to 3: its ``best_ckpt.pth`` holds ``decoder.0.weight``, ``decoder.0.bias``,
``decoder.2.weight`` and so on, linear layers between which the odd numbers are ReLUs. The encoder
that stands beside them is not needed: Gaussians are decoded, so that comparisons are those of the
full space.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from csgs_codec.errors import UsageError
from csgs_codec.semantics.heads import Arrays, arrays_of, finite, first_of, head_of, read_with

F32 = NDArray[np.float32]
Floats = NDArray[np.floating]

_LAYER = re.compile(r"decoder\.(\d+)\.weight")


class Decoder(Protocol):
    """From features to vectors of another width."""

    @property
    def width(self) -> int:
        """Width of the features."""

    @property
    def dimensions(self) -> int:
        """Width of the vectors."""

    def decode(self, features: Floats) -> Floats:
        """Vectors of any length, shape (n, width) -> (n, dimensions)."""


@dataclass(frozen=True)
class Mlp:
    """Linear layers with ReLU between them.

    Attributes
    ----------
    layers : tuple of pairs of ndarray of float32, shapes (outputs, inputs) and (outputs,)
        Weights and biases; each layer takes what the one before gives.
    """

    layers: tuple[tuple[F32, F32], ...]

    @property
    def width(self) -> int:
        """Width of the features."""
        return self.layers[0][0].shape[1]

    @property
    def dimensions(self) -> int:
        """Width of the vectors."""
        return len(self.layers[-1][0])

    def decode(self, features: Floats) -> F32:
        """Vectors, shape (n, width) -> (n, dimensions)."""
        values = np.asarray(features, np.float32)
        for number, (weight, bias) in enumerate(self.layers):
            if number:
                values = np.maximum(values, np.float32(0))
            values = values @ weight.T + bias
        return values


def read_decoder(path: Path) -> Decoder:
    """Read a decoder from a file.

    Raises
    ------
    UsageError
        The file holds neither a linear head nor layers of a decoder.
    UnsupportedError
        Its container needs a package that is not installed.
    LimitError
        It would inflate to more than attachments may.
    """
    return read_with(decoder_from_bytes, path)


def decoder_from_bytes(name: str, data: bytes) -> Decoder:
    """Read a decoder from the bytes of a file called ``name``; pickled objects are never run."""
    arrays = arrays_of(name, data)
    numbers = sorted(int(found[1]) for key in arrays if (found := _LAYER.fullmatch(key)))
    return Mlp(_layers(arrays, numbers)) if numbers else head_of(arrays)


def _layers(arrays: Arrays, numbers: list[int]) -> tuple[tuple[F32, F32], ...]:
    """Layers of an autoencoder's decoder, by their numbers.

    Raises
    ------
    UsageError
        There is something else between them than ReLUs, or their shapes do not fit.
    """
    if numbers != list(range(0, 2 * len(numbers), 2)) or _others(arrays):
        raise UsageError(f"no decoder of linear layers with ReLU between them: layers {numbers}")
    layers = []
    for number in numbers:
        weight = first_of(arrays, (f"decoder.{number}.weight",))
        bias = first_of(arrays, (f"decoder.{number}.bias",))
        assert weight is not None
        if weight.ndim != 2 or not weight.size or bias is None or bias.shape != weight.shape[:1]:
            said = f"{weight.shape} weights and {None if bias is None else bias.shape} biases"
            raise UsageError(f"no decoder: layer {number} has {said}")
        layers.append((finite(weight).astype(np.float32), finite(bias).astype(np.float32)))
    for (before, _), (after, _) in pairwise(layers):
        if after.shape[1] != len(before):
            raise UsageError(f"no decoder: {len(before)} outputs for {after.shape[1]} inputs")
    return tuple(layers)


def _others(arrays: Mapping[str, object]) -> list[str]:
    """Arrays of a decoder that are neither weights nor biases, such as those of normalisations."""
    ours = [key for key in arrays if key.startswith("decoder.")]
    return [key for key in ours if key.rpartition(".")[2] not in ("weight", "bias")]
