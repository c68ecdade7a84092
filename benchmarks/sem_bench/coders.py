"""Plain coders of features that our own is compared with: transform, quantise, general compressor.

Every coder takes features in Morton order, shape (n, width), and returns the bytes that it would
write, side information included, and what a decoder would have. zstandard runs at level 19 over
channel after channel (and byte plane after byte plane), which suits it best.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import zstandard
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2, vq

F64 = NDArray[np.float64]
Code = Callable[[F64], tuple[float, F64]]

STEPS = (2.0, 1.0, 0.5, 0.25, 0.18, 0.125, 0.0625)
CODEBOOKS = (64, 256)
_SEED = 0
_SAMPLE = 20_000
_ROUNDS = 20
_LEVEL = 19


@dataclass(frozen=True)
class Coder:
    """A coder at one setting."""

    name: str
    setting: str
    code: Code


def baselines() -> Iterator[Coder]:
    """All of them, in the order of the table."""
    yield Coder("float16 + zstd", "", float16)
    yield Coder("PCA, 8 bits + zstd", "", pca_8bit)
    for size in CODEBOOKS:
        yield Coder("k-means + zstd", f"{size} entries", lambda f, k=size: codebook(f, k))
    for step in STEPS:
        yield Coder("PCA, one step + zstd", f"{step:g} rms", lambda f, s=step: pca_step(f, s))


def compressed(values: NDArray[np.generic]) -> int:
    """Bytes of an array of shape (n, channels) after zstandard, channel and plane by plane."""
    width = values.dtype.itemsize
    octets = np.ascontiguousarray(values.T).view(np.uint8).reshape(-1, width)
    planes = np.ascontiguousarray(octets.reshape(values.shape[1], len(values), width))
    data = np.ascontiguousarray(planes.transpose(2, 0, 1)).tobytes()
    return len(zstandard.ZstdCompressor(level=_LEVEL).compress(data))


def float16(features: F64) -> tuple[float, F64]:
    """Half floats."""
    with np.errstate(over="ignore"):
        half = features.astype(np.float16)
    return compressed(half), half.astype(np.float64)


def principal_axes(features: F64) -> tuple[F64, F64]:
    """Mean, and orthonormal axes as float32 would store them, shape (width, width)."""
    mean = features.mean(axis=0).astype(np.float32).astype(np.float64)
    _, axes = np.linalg.eigh(np.cov(features.T).reshape(features.shape[1], -1))
    return mean, axes[:, ::-1].astype(np.float32).astype(np.float64)


def pca_8bit(features: F64) -> tuple[float, F64]:
    """All principal components with 256 levels between least and largest of each."""
    mean, axes = principal_axes(features)
    turned = (features - mean) @ axes
    low = turned.min(axis=0)
    step = np.maximum((turned.max(axis=0) - low) / 255, 1e-30)
    levels = np.rint((turned - low) / step).astype(np.uint8)
    side = 4 * (mean.size + axes.size + 2 * len(low))
    return compressed(levels) + side, (levels * step + low) @ axes.T + mean


def pca_step(features: F64, step: float) -> tuple[float, F64]:
    """All principal components with one step, in units of the rms of a centred channel."""
    mean, axes = principal_axes(features)
    turned = (features - mean) @ axes
    size = step * float(np.sqrt(np.mean(turned**2))) or 1.0
    levels = np.rint(turned / size)
    fits = np.abs(levels).max(initial=0) < 128
    side = 4 * (mean.size + axes.size + 1)
    coded = levels.astype(np.int8 if fits else np.int16)
    return compressed(coded) + side, (levels * size) @ axes.T + mean


def codebook(features: F64, entries: int) -> tuple[float, F64]:
    """k-means on a sample: a float16 vector for each entry, a byte for each row."""
    random = np.random.default_rng(_SEED)
    chosen = random.choice(len(features), min(_SAMPLE, len(features)), replace=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # an entry without rows stays as it is
        centres, _ = kmeans2(features[chosen], entries, _ROUNDS, minit="points", seed=_SEED)
    stored = centres.astype(np.float16).astype(np.float64)
    index = vq(features, stored)[0].astype(np.uint8)
    return compressed(index[:, None]) + 2 * stored.size, stored[index]
