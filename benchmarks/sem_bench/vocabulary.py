"""Scenes, original or compressed, by the protocols of LERF-OVS and 3D-OVS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from csgs_codec import decode, read_ply
from csgs_codec.errors import UsageError
from csgs_codec.metrics import lerf, ovs3d
from csgs_codec.metrics.queries import Queries, cosine_maps, resized
from csgs_codec.render import Camera, RenderGaussians
from csgs_codec.schema import Role, assign_roles
from csgs_codec.semantics.decoders import Decoder


@dataclass(frozen=True)
class Rendered:
    """A scene and its semantic groups that fit the queries: the levels of LangSplat."""

    gaussians: RenderGaussians
    groups: list[NDArray[np.float64]]


def load(path: Path, queries: Queries, decoder: Decoder | None) -> Rendered:
    """Read a PLY or a compressed file.

    Raises
    ------
    UsageError
        No semantic group has the width of the queries, or of the decoder's input.
    """
    with path.open("rb") as stream:
        scene = read_ply(path) if stream.read(3) == b"ply" else decode(path)
    width = queries.negatives.shape[1] if decoder is None else decoder.width
    groups = [
        scene.stack(group.columns)
        for group in assign_roles(scene)
        if group.role is Role.SEMANTIC and len(group.columns) == width
    ]
    if not groups:
        raise UsageError(f"no semantic group has {width} features", file=str(path))
    return Rendered(RenderGaussians.from_scene(scene), groups)


def lerf_score(
    rendered: Rendered,
    frames: Sequence[lerf.Frame],
    cameras: Sequence[Camera],
    queries: Queries,
    decoder: Decoder | None = None,
    threshold: float = lerf.THRESHOLD,
) -> lerf.LerfScore:
    """Score a scene on the annotated frames, rendered in the size of their annotations.

    Raises
    ------
    UsageError
        A frame has no camera of its name, or a text no vector.
    """
    by_name = {Path(camera.name).stem: camera for camera in cameras}
    scores: list[lerf.QueryScore] = []
    for frame in frames:
        if frame.name not in by_name:
            raise UsageError(f"no camera belongs to the annotated frame {frame.name!r}")
        camera = resized(by_name[frame.name], frame.width, frame.height)
        positives = queries.stack(tuple(frame.objects))
        phrases = np.concatenate([positives, queries.negatives])
        levels = []
        for features in rendered.groups:
            cosines = cosine_maps(rendered.gaussians, features, camera, phrases, decoder)
            levels.append((cosines[..., : len(positives)], cosines[..., len(positives) :]))
        scores += lerf.score_frame(frame, levels, threshold)
    return lerf.LerfScore(tuple(scores))


def ovs_score(
    rendered: Rendered,
    folder: Path,
    cameras: Sequence[Camera],
    queries: Queries,
    decoder: Decoder | None = None,
) -> ovs3d.OvsScore:
    """Score the first group of a scene on ``folder/segmentations``, in the size of the masks."""
    classes, views = ovs3d.read_views(folder / "segmentations")
    phrases = queries.stack(classes)
    predicted = []
    for view in views:
        height, width = view.masks.shape[1:]
        camera = resized(ovs3d.camera_of(view.name, cameras), width, height)
        cosines = cosine_maps(rendered.gaussians, rendered.groups[0], camera, phrases, decoder)
        predicted.append(cosines.argmax(axis=-1))
    return ovs3d.score_views(views, predicted)
