"""What each part of learning features for the codec is worth: bits and held-out mIoU.

    python benchmarks/learn_ablation.py SCENE_DIR --out TABLE.md [--fast-codec]

SCENE_DIR holds scene.ply, cameras.json with a split, and label maps (masks or labels). Every
variant learns from the same views and masks with the same seed and is then coded at the same
qualities. The mIoU is that of the decoded features, blended in the test views, classified by the
head, against the label maps; agreement is the share of Gaussians whose class survives coding.
Bits are those of the features with all side information. ``head:50`` stands for quality 50 with
``--semantic-metric classifier:`` and the head that was learnt.
``--fast-codec`` leaves rotations and spherical harmonics out of the coded file and blends with the
original geometry, which changes neither the order nor the neighbours that features are coded by.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from sem_bench.ours import bits_of

from csgs_codec import EncodeOptions, Scene, decode, encode, read_ply
from csgs_codec.encoder.meaning import FEATURE_STEP, SemanticMetric
from csgs_codec.metrics.masks import find_masks
from csgs_codec.render import Camera, RenderGaussians, read_cameras
from csgs_codec.schema import Role, assign_roles
from csgs_codec.semantics.heads import Head
from csgs_codec.semantics.learn import LearnOptions, ViewMap, learn
from csgs_codec.semantics.learn.data import choose_views, map_views
from csgs_codec.semantics.learn.score import segmentation_score

LOOK = 160
TEST_RESOLUTION = 256
FAST = (Role.POSITION, Role.OPACITY, Role.SCALE, Role.DC)
FOR_THE_HEAD = "head:"
PLAIN = LearnOptions(qat=False, quality_weights=False, rate=0.0)


@dataclass
class Bench:
    """A scene without semantics, its views and how it is coded."""

    scene: Scene
    views: list[ViewMap]
    held: list[Camera]
    masks: dict[str, Path]
    unseen: list[ViewMap]
    fast: bool

    @classmethod
    def of(cls, folder: Path, views: int, fast: bool) -> Bench:
        """Read a folder."""
        scene = read_ply(folder / "scene.ply")
        cameras = read_cameras(folder / "cameras.json")
        masks = find_masks(folder / "cameras.json", cameras)
        learning, held = choose_views(cameras, masks, views)
        gaussians = RenderGaussians.from_scene(scene)
        roles = [r for r in Role if r not in (Role.SEMANTIC, Role.ID, Role.EXTRA)]
        kept = [
            column
            for group in assign_roles(scene)
            if group.role in (FAST if fast else roles)
            for column in group.columns
        ]
        bare = Scene({name: scene.columns[name] for name in kept})
        seen = map_views(gaussians, learning, masks, LOOK)
        unseen = map_views(gaussians, held, masks, TEST_RESOLUTION)
        return cls(bare, seen, held, masks, unseen, fast)

    def coded(self, features: NDArray[np.float32], setting: str, head: Head) -> tuple[float, Scene]:
        """Bits per Gaussian of the features, and the decoded scene."""
        columns = {f"semantic_{k}": column for k, column in enumerate(features.T)}
        metric: SemanticMetric = head if setting.startswith(FOR_THE_HEAD) else "cosine"
        quality = float(setting.removeprefix(FOR_THE_HEAD))
        options = EncodeOptions(look=not self.fast, order="keep", semantic_metric=metric)
        scene = Scene({**self.scene.columns, **columns})
        data = encode(scene, replace(options, semantic_quality=quality)).data
        return bits_of(data, "semantic") / self.scene.count, decode(data)

    def miou(self, decoded: Scene, features: NDArray[np.float32], head: Head) -> float:
        """Mean IoU of decoded features in the held-out views."""
        views = self.unseen
        if not self.fast:
            gaussians = RenderGaussians.from_scene(decoded)
            views = map_views(gaussians, self.held, self.masks, TEST_RESOLUTION)
        return segmentation_score(views, features, head).miou


def variants(
    options: LearnOptions, prepared: Sequence[float]
) -> Iterator[tuple[str, LearnOptions]]:
    """Names and options; QAT and rate know the quality that they prepare for."""
    plain = replace(PLAIN, dim=options.dim, steps=options.steps, seed=options.seed)
    yield "plain", plain
    yield "+ quality weights", replace(plain, quality_weights=True)
    for quality in prepared:
        step = FEATURE_STEP * 2 ** ((75 - quality) / 12.5)
        known = replace(plain, step=step)
        yield f"+ QAT for {quality:g}", replace(known, qat=True)
        yield f"+ rate for {quality:g}", replace(known, rate=options.rate)
        yield f"all for {quality:g}", replace(options, step=step)


@click.command()
@click.argument("folder", metavar="SCENE_DIR", type=click.Path(exists=True, path_type=Path))
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--qualities", default="50,75,head:45,head:55,head:75", show_default=True)
@click.option("--prepare", default="75,37.5", show_default=True,
              help="Qualities that quantisation-aware variants prepare for.")  # fmt: skip
@click.option("--dim", default=16, show_default=True)
@click.option("--steps", default=400, show_default=True)
@click.option("--views", default=32, show_default=True)
@click.option("--only", default="", help="Only variants whose name holds this.")
@click.option("--fast-codec", is_flag=True)
@click.option("--seed", default=0)
def main(
    folder: Path,
    out: Path,
    qualities: str,
    prepare: str,
    dim: int,
    steps: int,
    views: int,
    only: str,
    fast_codec: bool,
    seed: int,
) -> None:
    """Append a table to a Markdown file."""
    bench = Bench.of(folder, views, fast_codec)
    coded_at = qualities.split(",")
    options = LearnOptions(dim=dim, steps=steps, seed=seed)
    columns = ["variant", "seconds", "mIoU before coding"]
    columns += [f"{what} at {q}" for q in coded_at for what in ("bits", "mIoU", "agreement")]
    head = [
        f"**{folder.name}**, {bench.scene.count:,} Gaussians, {dim} features, {len(bench.views)} "
        f"training and {len(bench.unseen)} held-out views, {steps} steps; bits per Gaussian of the "
        f"features, held-out mIoU and class agreement at qualities {qualities}",
        "",
        f"| {' | '.join(columns)} |",
        "|---" * len(columns) + "|",
    ]
    with out.open("a", encoding="utf-8") as stream:
        stream.write("\n".join(head) + "\n")
    for name, chosen in variants(options, [float(q) for q in prepare.split(",")]):
        if only not in name:
            continue
        began = time.perf_counter()
        learned = learn(bench.scene, bench.views, chosen)
        seconds = time.perf_counter() - began
        assert learned.head is not None
        before = learned.head.labels(learned.features)
        score = segmentation_score(bench.unseen, learned.features, learned.head)
        cells = [name, f"{seconds:.0f}", f"{score.miou:.4f}"]
        for setting in coded_at:
            bits, decoded = bench.coded(learned.features, setting, learned.head)
            back = decoded.stack(tuple(f"semantic_{k}" for k in range(dim))).astype(np.float32)
            agreement = float((learned.head.labels(back) == before).mean())
            cells += [f"{bits:.2f}", f"{bench.miou(decoded, back, learned.head):.4f}"]
            cells += [f"{agreement:.4f}"]
        line = f"| {' | '.join(cells)} |"
        click.echo(line)
        with out.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")
    with out.open("a", encoding="utf-8") as stream:
        stream.write("\n")


if __name__ == "__main__":
    main()
