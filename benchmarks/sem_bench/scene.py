"""A folder with a scene whose features are measured, and what they are measured by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rd_bench.cache import file_digest

from csgs_codec import Scene, read_ply
from csgs_codec.errors import UsageError
from csgs_codec.metrics.features import FeatureScore, compare_features
from csgs_codec.metrics.masks import Labels, find_masks, read_mask
from csgs_codec.metrics.segmentation import SegmentationScore, compare_maps, label_maps
from csgs_codec.numerics.morton import encode_keys
from csgs_codec.render import Camera, RenderGaussians, read_cameras
from csgs_codec.schema import Group, Role, assign_roles
from csgs_codec.semantics.heads import HEAD_SUFFIXES, Head, read_head

Features = NDArray[np.float64]
_MORTON_BITS = 16


@dataclass(frozen=True)
class Scores:
    """What is measured of decoded features."""

    features: FeatureScore
    to_masks: SegmentationScore | None


class Subject:
    """The first semantic group of a scene.

    Parameters
    ----------
    folder : Path
        ``scene.ply``, ``cameras.json`` or ``transforms.json``, and, if there are any, a head
        (``classifier.npz`` or another suffix) and label maps; see
        :func:`csgs_codec.metrics.masks.find_masks`. Views are those marked ``test``, else all.

    Raises
    ------
    UsageError
        The scene has no semantic group.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, folder.resolve().name
        self.ply = folder / "scene.ply"
        self.scene: Scene = read_ply(self.ply)
        self.groups = assign_roles(self.scene)
        semantic = [g for g in self.groups if g.role is Role.SEMANTIC]
        if not semantic:
            raise UsageError("no semantic features", file=str(self.ply))
        self.group: Group = semantic[0]
        self.features: Features = self.scene.stack(self.group.columns)
        heads = [folder / f"classifier{suffix}" for suffix in HEAD_SUFFIXES]
        found = next((path for path in heads if path.is_file()), None)
        self.head: Head | None = None if found is None else read_head(found)
        self.cameras, self._masks = self._views()
        files = [self.ply, *([found] if found else []), *sorted(self._masks.values())]
        self.key = ",".join(file_digest(path) for path in files)

    def _views(self) -> tuple[list[Camera], dict[str, Path]]:
        names = ("cameras.json", "transforms.json")
        file = next((self.folder / n for n in names if (self.folder / n).is_file()), None)
        if file is None or self.head is None:
            return [], {}
        cameras = read_cameras(file)
        chosen = [camera for camera in cameras if camera.split == "test"] or cameras
        masks = find_masks(file, chosen)
        return [camera for camera in chosen if camera.name in masks], masks

    @cached_property
    def gaussians(self) -> RenderGaussians:
        """The original, to be rendered: features are all that changes."""
        return RenderGaussians.from_scene(self.scene)

    @cached_property
    def truth(self) -> list[Labels]:
        """True label maps of the views."""
        return [read_mask(self._masks[camera.name], camera) for camera in self.cameras]

    @cached_property
    def morton_order(self) -> NDArray[np.int64]:
        """Rows along a Morton curve: the order that a codec gives away for free."""
        xyz = self.scene.stack(("x", "y", "z"))
        low, high = np.quantile(xyz, (0.01, 0.99), axis=0)
        span = float((high - low).max()) or 1.0
        most = (1 << _MORTON_BITS) - 1
        cells = np.clip((xyz - low) / span * most, 0, most).astype(np.int64)
        return np.argsort(encode_keys(cells, np.full(3, _MORTON_BITS)), kind="stable")

    def measure(self, decoded: Features) -> Scores:
        """Compare decoded features, in the row order of the PLY."""
        features = compare_features(self.features, decoded, self.head)
        if self.head is None or not self.cameras:
            return Scores(features, None)
        maps = label_maps(self.gaussians, decoded, self.head, self.cameras)
        return Scores(features, compare_maps(self.truth, maps, self.head.classes))
