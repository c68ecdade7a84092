"""PSNR and SSIM of renders of a decoded file against renders of the original."""

from __future__ import annotations

import importlib
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from csgs_codec import read_ply
from rd_bench.cache import Cache, file_digest
from rd_bench.peers import MissingError, run

Picture = NDArray[np.float32]


@dataclass(frozen=True)
class Quality:
    """Means over the test views; SSIM may be missing."""

    psnr: float
    ssim: float | None


class Instrument(Protocol):
    """Something that compares two PLYs."""

    @property
    def name(self) -> str:
        """Shown to people."""

    @property
    def key(self) -> str:
        """Everything about it that decides its answer."""

    def compare(self, original: Path, decoded: Path, cameras: Path) -> Quality:
        """Measure over the views marked ``test``."""


def parse_said(said: str) -> Quality:
    """Read the last ``'psnr': NUMBER`` and ``'ssim': NUMBER`` that a program printed."""
    found = {
        name: re.findall(rf"'{name}': ([-+0-9.eE]+|nan|inf)", said) for name in ("psnr", "ssim")
    }
    if not found["psnr"]:
        raise ValueError("the instrument printed no 'psnr': NUMBER")
    ssim = float(found["ssim"][-1]) if found["ssim"] else None
    return Quality(float(found["psnr"][-1]), ssim)


class External:
    """A program called as ``ORIGINAL.ply DECODED.ply CAMERAS.json --split test``."""

    def __init__(self, program: Path) -> None:
        self.program = program.resolve()
        self.name = f"an external renderer ({program.name})"
        parts = sorted(self.program.parent.glob("*.py"))
        self.key = " ".join(file_digest(part) for part in parts)

    def compare(self, original: Path, decoded: Path, cameras: Path) -> Quality:
        """Measure over the views marked ``test``."""
        files = (original.resolve(), decoded.resolve(), cameras.resolve())
        return parse_said(run(sys.executable, self.program, *files, "--split", "test"))


class Own:
    """Our own renderer, ``csgs_codec.render``."""

    def __init__(self) -> None:
        try:
            self._render: Any = importlib.import_module("csgs_codec.render")
            self._cameras: Any = importlib.import_module("csgs_codec.render.cameras")
        except ModuleNotFoundError as error:
            raise MissingError(f"csgs_codec.render cannot be used: no {error.name}") from error
        self.name = f"csgs_codec.render ({self._render.backend()})"
        sources = sorted(Path(str(self._render.__file__)).parent.glob("*.py"))
        digests = " ".join(file_digest(source) for source in sources)
        self.key = f"{self._render.backend()} {digests}"
        self._original: tuple[tuple[Path, Path], list[Picture]] | None = None

    def _views(self, cameras: Path) -> list[Any]:
        views = [c for c in self._cameras.read_cameras(cameras) if c.split == "test"]
        if not views:
            raise ValueError(f"{cameras.name}: no view is marked as test")
        return views

    def _pictures(self, scene: Path, views: list[Any]) -> list[Picture]:
        gaussians = self._render.RenderGaussians.from_scene(read_ply(scene))
        return [self._render.render(gaussians, view)[0].clip(0, 1) for view in views]

    def compare(self, original: Path, decoded: Path, cameras: Path) -> Quality:
        """Measure over the views marked ``test``."""
        views, pair = self._views(cameras), (original, cameras)
        if self._original is None or self._original[0] != pair:
            self._original = pair, self._pictures(original, views)
        return mean_quality(self._original[1], self._pictures(decoded, views))


def mean_quality(first: Sequence[Picture], second: Sequence[Picture]) -> Quality:
    """Mean PSNR and SSIM of pictures with values of 0 to 1."""
    structural_similarity: Any = importlib.import_module("skimage.metrics").structural_similarity

    psnr, ssim = [], []
    for a, b in zip(first, second, strict=True):
        error = float(np.mean((a.astype(np.float64) - b) ** 2))
        psnr.append(-10 * math.log10(max(error, 1e-12)))
        ssim.append(
            structural_similarity(
                a.astype(np.float64), b.astype(np.float64), data_range=1, channel_axis=-1,
                gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
            )
        )  # fmt: skip
    return Quality(float(np.mean(psnr)), float(np.mean(ssim)))


class Meter:
    """An instrument on one scene that remembers its answers.

    Parameters
    ----------
    instrument : Instrument
    cache : Cache
    original, cameras : Path
    """

    def __init__(self, instrument: Instrument, cache: Cache, original: Path, cameras: Path) -> None:
        self._instrument, self._cache = instrument, cache
        self._original, self._cameras = original, cameras
        self._key = (instrument.key, file_digest(original), file_digest(cameras))

    def __call__(self, decoded: Path) -> Quality:
        """Measure a decoded PLY."""

        def ask() -> dict[str, Any]:
            answer = self._instrument.compare(self._original, decoded, self._cameras)
            return {"psnr": answer.psnr, "ssim": answer.ssim}

        said = self._cache.remember((*self._key, file_digest(decoded)), ask)
        return Quality(said["psnr"], said["ssim"])
