"""A scene against another, and against photographs, from the same cameras."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from csgs_codec.errors import CameraError, UnsupportedError
from csgs_codec.metrics.image import psnr, ssim
from csgs_codec.render import Camera, RenderGaussians, render
from csgs_codec.render.gaussians import Floats

Observer = Callable[[Camera, Floats, Floats], None]


@dataclass(frozen=True)
class ViewScore:
    """One view: in dB, and from -1 to 1."""

    name: str
    psnr: float
    ssim: float


class Reference:
    """Pictures of the original, rendered once.

    Parameters
    ----------
    gaussians : RenderGaussians
    cameras : sequence of Camera
    background : ndarray of float32, shape (3,), optional

    Attributes
    ----------
    pictures : list of ndarray of float32, shape (height, width, 3)
        Clamped to 0..1.
    photos : list of (ndarray or None)
        Photographs of the views that have one.
    """

    def __init__(
        self,
        gaussians: RenderGaussians,
        cameras: Sequence[Camera],
        background: Floats | None = None,
    ) -> None:
        self.cameras = cameras
        self.background = background
        self.pictures = [self._picture(gaussians, camera) for camera in cameras]
        self.photos = [read_photo(camera, background) for camera in cameras]

    def compare(
        self, gaussians: RenderGaussians, observe: Observer | None = None
    ) -> tuple[list[ViewScore], list[ViewScore]]:
        """Score another scene.

        Parameters
        ----------
        gaussians : RenderGaussians
        observe : callable, optional
            Is given each camera, the original's picture and this scene's.

        Returns
        -------
        against_original, against_photos : list of ViewScore
        """
        scores, photo_scores = [], []
        for camera, wanted, photo in zip(self.cameras, self.pictures, self.photos, strict=True):
            picture = self._picture(gaussians, camera)
            scores.append(_score(camera, picture, wanted))
            if photo is not None:
                photo_scores.append(_score(camera, picture, photo))
            if observe:
                observe(camera, wanted, picture)
        return scores, photo_scores

    def photo_scores(self) -> list[ViewScore]:
        """Scores of the original itself against the photographs."""
        views = zip(self.cameras, self.pictures, self.photos, strict=True)
        return [_score(c, picture, photo) for c, picture, photo in views if photo is not None]

    def _picture(self, gaussians: RenderGaussians, camera: Camera) -> Floats:
        rgb, _, _ = render(gaussians, camera, background=self.background)
        return np.clip(rgb, 0, 1, out=rgb)


def read_photo(camera: Camera, background: Floats | None = None) -> Floats | None:
    """Read the photograph of a view in the camera's size, its holes filled with the background.

    Raises
    ------
    CameraError
        It cannot be read.
    UnsupportedError
        Pillow is not installed.
    """
    if camera.image is None:
        return None
    try:
        from PIL import Image
    except ImportError as error:
        raise UnsupportedError("photographs need Pillow: install csgs_codec[eval]") from error
    try:
        with Image.open(Path(camera.image)) as opened:
            photo = opened.convert("RGBA")
    except OSError as error:
        said = f"photograph cannot be read: {error}"
        raise CameraError(said, file=str(camera.image), camera=camera.name) from error
    if photo.size != (camera.width, camera.height):
        photo = photo.resize((camera.width, camera.height), Image.Resampling.LANCZOS)
    pixels = np.asarray(photo, np.float32) / np.float32(255)
    behind = np.zeros(3, np.float32) if background is None else background
    alpha = pixels[..., 3:]
    result: Floats = pixels[..., :3] * alpha + behind * (1 - alpha)
    return result


def _score(camera: Camera, a: Floats, b: Floats) -> ViewScore:
    return ViewScore(camera.name, psnr(a, b), ssim(a, b))
