"""A scene, and how far what is decoded of it is from it."""

from __future__ import annotations

from pathlib import Path

from csgs_codec import Scene
from rd_bench.cache import Cache, user_cache
from rd_bench.quality import Meter, Own
from rd_bench.scenes import load, save, scene_name


class Subject:
    """A scene without its semantics.

    Parameters
    ----------
    path, cameras : Path
        The scene and its cameras, some of them marked ``test``.
    folder : Path
        Where to write.
    """

    def __init__(self, path: Path, cameras: Path, folder: Path) -> None:
        self.name, self.scene = scene_name(path), load(path)[1]
        self._decoded = folder / "decoded.ply"
        original = save(folder / "original.ply", self.scene)
        self._meter = Meter(Own(), Cache(user_cache()), original, cameras)

    def psnr(self, decoded: Scene) -> float:
        """PSNR against the scene, mean over the test views."""
        return self._meter(save(self._decoded, decoded)).psnr
