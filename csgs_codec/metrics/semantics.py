"""The semantics of a scene against those of another: Gaussians, and pictures of classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from csgs_codec.metrics.features import FeatureScore, describe_semantics, head_for
from csgs_codec.metrics.masks import Labels, read_mask
from csgs_codec.metrics.matching import Matching
from csgs_codec.metrics.segmentation import SegmentationScore, check_head, compare_maps, label_maps
from csgs_codec.metrics.weights import blended_weight
from csgs_codec.render import Camera, RenderGaussians
from csgs_codec.scene import Scene
from csgs_codec.schema import Group, Role, assign_roles
from csgs_codec.semantics.heads import Head


@dataclass(frozen=True)
class GroupScore:
    """One semantic group of a decoded scene.

    Attributes
    ----------
    features : FeatureScore
        Over the rows that are paired with rows of the original.
    seen : FeatureScore
        The same, every row weighted by how much of the original's pictures it is.
    to_original : SegmentationScore or None
        Rendered label maps against those of the original; None without a head.
    to_masks : SegmentationScore or None
        Rendered label maps against true ones; None without them.
    """

    features: FeatureScore
    seen: FeatureScore
    to_original: SegmentationScore | None = None
    to_masks: SegmentationScore | None = None


class SemanticReference:
    """Label maps of the original, rendered once.

    Parameters
    ----------
    scene : Scene
    gaussians : RenderGaussians
        Of that scene.
    cameras : sequence of Camera
    heads : Head or mapping of str to Head, optional
        See :func:`csgs_codec.metrics.features.describe_semantics`.
    masks : mapping of str to Path, optional
        True label maps by the name of the view.
    ignore : int, optional
        Id of true label maps that does not count.

    Attributes
    ----------
    groups : list of Group
        Semantic groups of the original.
    heads : dict of str to Head
        By the name of the group, for those that have one.

    Raises
    ------
    UsageError
        A head does not fit, or a label is not one of its classes.
    CameraError, UnsupportedError
        A label map cannot be read, or the scene cannot be rendered.
    """

    def __init__(
        self,
        scene: Scene,
        gaussians: RenderGaussians,
        cameras: Sequence[Camera],
        heads: Head | Mapping[str, Head] | None = None,
        masks: Mapping[str, Path] | None = None,
        ignore: int | None = None,
    ) -> None:
        self._scene, self._cameras, self._ignore = scene, cameras, ignore
        self.groups = [g for g in assign_roles(scene) if g.role is Role.SEMANTIC]
        found = {group.name: head_for(group, heads) for group in self.groups}
        self.heads = {name: head for name, head in found.items() if head is not None}
        known = masks or {}
        self._masks = {c.name: read_mask(known[c.name], c) for c in cameras if c.name in known}
        self._weight = blended_weight(gaussians, cameras) if self.groups else None
        self._maps = {
            group.name: self._render(scene, gaussians, group)
            for group in self.groups
            if group.name in self.heads
        }

    @property
    def masked_views(self) -> int:
        """Number of views with a true label map."""
        return len(self._masks)

    def original_scores(self) -> dict[str, SegmentationScore]:
        """Label maps of the original against true ones, for each group with a head."""
        if not self._masks:
            return {}
        return {name: self._to_masks(name, maps) for name, maps in self._maps.items()}

    def compare(
        self, scene: Scene, gaussians: RenderGaussians, matching: Matching
    ) -> dict[str, GroupScore]:
        """Score the semantic groups that a decoded scene holds.

        Parameters
        ----------
        scene : Scene
        gaussians : RenderGaussians
            Of that scene.
        matching : Matching
            Which of its rows are which of the original.
        """
        before = self._scene.select(matching.original)
        after = scene.select(matching.decoded)
        weight = None if self._weight is None else self._weight[matching.original]
        features = describe_semantics(before, after, self.groups, self.heads)
        seen = describe_semantics(before, after, self.groups, self.heads, weight)
        found = {}
        for name in features:
            found[name] = GroupScore(features[name], seen[name])
            if name in self.heads:
                group = next(g for g in self.groups if g.name == name)
                maps = self._render(scene, gaussians, group)
                same = compare_maps(self._maps[name], maps, self.heads[name].classes)
                found[name] = replace(found[name], to_original=same)
                if self._masks:
                    found[name] = replace(found[name], to_masks=self._to_masks(name, maps))
        return found

    def _render(self, scene: Scene, gaussians: RenderGaussians, group: Group) -> list[Labels]:
        head = self.heads[group.name]
        check_head(head, len(group.columns))
        return label_maps(gaussians, scene.stack(group.columns), head, self._cameras)

    def _to_masks(self, name: str, maps: Sequence[Labels]) -> SegmentationScore:
        shown = [
            (self._masks[camera.name], labels)
            for camera, labels in zip(self._cameras, maps, strict=True)
            if camera.name in self._masks
        ]
        truth, predicted = zip(*shown, strict=True)
        return compare_maps(truth, predicted, self.heads[name].classes, self._ignore)
