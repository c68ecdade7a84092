"""PSNR and SSIM of pictures with values from 0 to 1."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from csgs_codec.errors import UnsupportedError

_LEAST_ERROR = 1e-12
_WINDOW = 11


def psnr(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Peak signal-to-noise ratio in dB; 120 for equal pictures.

    Parameters
    ----------
    a, b : ndarray, shape (height, width, channels)
    """
    error = float(np.mean((np.asarray(a, np.float64) - b) ** 2))
    return float(-10 * np.log10(max(error, _LEAST_ERROR)))


def ssim(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Structural similarity: Gaussian window of sigma 1.5, mean over pixels and channels.

    Parameters
    ----------
    a, b : ndarray, shape (height, width, channels)
        At least 11 pixels each way.

    Raises
    ------
    UnsupportedError
        scikit-image is not installed, or the pictures are too small.
    """
    try:
        from skimage.metrics import structural_similarity
    except ImportError as error:
        raise UnsupportedError("SSIM needs scikit-image: install csgs_codec[eval]") from error
    if min(a.shape[:2]) < _WINDOW:
        raise UnsupportedError(f"SSIM needs pictures of at least {_WINDOW} x {_WINDOW} pixels")
    compare: Callable[..., float] = structural_similarity
    return float(
        compare(
            np.asarray(a, np.float64),
            np.asarray(b, np.float64),
            data_range=1.0,
            channel_axis=2,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )
