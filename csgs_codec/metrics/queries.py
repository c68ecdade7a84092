"""Text queries, as vectors, against rendered features."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from csgs_codec.errors import UsageError
from csgs_codec.render import Camera, RenderGaussians, render
from csgs_codec.semantics.decoders import Decoder

F64 = NDArray[np.float64]

NEGATIVES = "negatives"
_CHANNELS = 32
_TINY = 1e-12


@dataclass(frozen=True)
class Queries:
    """Unit vectors of texts.

    Attributes
    ----------
    vectors : dict of str to ndarray of float64, shape (dimensions,)
    negatives : ndarray of float64, shape (any, dimensions)
        Of texts that mean nothing in particular: "object", "things", "stuff" and "texture" in LERF.
    """

    vectors: dict[str, F64]
    negatives: F64

    def stack(self, names: tuple[str, ...]) -> F64:
        """Vectors of some texts, shape (len(names), dimensions).

        Raises
        ------
        UsageError
            There is none for a text.
        """
        missing = [name for name in names if name not in self.vectors]
        if missing:
            raise UsageError(f"no vector is given for {', '.join(map(repr, missing))}")
        return np.stack([self.vectors[name] for name in names])


def read_queries(path: Path) -> Queries:
    """Read vectors from an ``.npz``: an array for each text, by its name, and ``negatives``.

    Raises
    ------
    UsageError
        It cannot be read, or its vectors are zero, not finite or of different lengths.
    """
    try:
        with np.load(path, allow_pickle=False) as opened:
            arrays = {name: np.asarray(opened[name], np.float64) for name in opened.files}
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"vectors cannot be read: {error}", file=str(path)) from error
    rows = {
        name: array.reshape(-1, array.shape[-1]) for name, array in arrays.items() if array.ndim
    }
    lengths = {array.shape[1] for array in rows.values()}
    texts = [name for name in rows if name != NEGATIVES]
    if len(lengths) != 1 or len(rows) < len(arrays) or any(len(rows[name]) != 1 for name in texts):
        said = f"one vector for each text is expected, and {NEGATIVES!r}, all of one length"
        raise UsageError(said, file=str(path))
    units = {}
    for name, array in rows.items():
        length = np.linalg.norm(array, axis=1, keepdims=True)
        if not (np.isfinite(length).all() and (length > 0).all()):
            raise UsageError(f"the vector of {name!r} has no direction", file=str(path))
        units[name] = array / length
    nothing = np.zeros((0, lengths.pop()))
    return Queries({name: units[name][0] for name in texts}, units.get(NEGATIVES, nothing))


def cosine_maps(
    gaussians: RenderGaussians,
    features: NDArray[np.floating],
    camera: Camera,
    phrases: F64,
    decoder: Decoder | None = None,
) -> F64:
    """Cosines of rendered features with vectors.

    Features are blended raw; the vector of a pixel, decoded if there is a decoder, is then
    normalised. A pixel without any has cosines of 0.

    Parameters
    ----------
    gaussians : RenderGaussians
    features : ndarray, shape (n, width)
    camera : Camera
    phrases : ndarray of float64, shape (phrases, dimensions)
        Unit vectors.
    decoder : Decoder, optional
        From features to the dimensions of the phrases, for reduced features.

    Returns
    -------
    ndarray of float64, shape (height, width, phrases)

    Raises
    ------
    UsageError
        The widths do not fit.
    """
    width = features.shape[1]
    given, wanted = (decoder.width, decoder.dimensions) if decoder else (width, width)
    if given != width or wanted != phrases.shape[1]:
        said = f"{width} features and vectors of {phrases.shape[1]} dimensions"
        raise UsageError(f"{said} do not fit{' the decoder' if decoder else ''}")
    dots = np.zeros((camera.height, camera.width, len(phrases)))
    squares = np.zeros((camera.height, camera.width))
    if decoder is None:
        for part, blended in _rendered(gaussians, features, camera, _CHANNELS):
            dots += blended @ phrases[:, part].T
            squares += (blended**2).sum(axis=2)
    else:
        ((_, blended),) = _rendered(gaussians, features, camera, width)
        for row, pixels in enumerate(blended):
            vectors = decoder.decode(pixels)
            dots[row], squares[row] = vectors @ phrases.T, (vectors**2).sum(axis=1)
    length = np.sqrt(np.maximum(squares, 0))
    return np.where(length[..., None] > _TINY, dots / np.maximum(length, _TINY)[..., None], 0.0)


def resized(camera: Camera, width: int, height: int) -> Camera:
    """The same view with another number of pixels."""
    scale = np.array([[width / camera.width], [height / camera.height], [1.0]])
    return replace(camera, width=width, height=height, intrinsics=camera.intrinsics * scale)


def _rendered(
    gaussians: RenderGaussians, features: NDArray[np.floating], camera: Camera, most: int
) -> Iterator[tuple[slice, F64]]:
    """Rendered channels, a few at a time: 512 of them would not fit into memory."""
    for begin in range(0, features.shape[1], most):
        part = slice(begin, begin + most)
        chosen = features[:, part]
        finite = np.where(np.isfinite(chosen), chosen, 0).astype(np.float32)
        blended = render(gaussians, camera, finite)[2]
        assert blended is not None
        yield part, blended.astype(np.float64)
