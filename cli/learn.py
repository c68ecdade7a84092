"""csgs-learn: semantic features from masks of views, learnt so that they compress."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from csgs_codec.cli.common import say
from csgs_codec.cli.options import (
    camera_path,
    input_file,
    input_folder,
    json_option,
    output_file,
    writes,
)
from csgs_codec.cli.progress import Progress

from csgs_codec.errors import UnsupportedError, UsageError
from csgs_codec.io.atomic import atomic_write, check_target
from csgs_codec.io.ply import read_ply, write_ply
from csgs_codec.scene import Scene
from csgs_codec.schema import Role, assign_roles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csgs_codec.semantics.learn import Learned, ViewMap


class Name(click.ParamType):
    """What the new properties are called, without their number."""

    name = "name"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """Parse one value."""
        if not re.fullmatch(r"[A-Za-z]\w*", str(value)):
            self.fail(f"{value!r} is no name of a property", param, ctx)
        return str(value)


@click.command()
@click.argument("source", metavar="SCENE.ply", type=input_file)
@click.option("--cameras", "camera_file", required=True,
              type=camera_path,
              help="transforms.json, cameras.json or a COLMAP folder.")  # fmt: skip
@click.option("--masks", type=input_folder,
              help="PNG label maps named after the views; by default those that the camera file "
              "names, or a folder masks or labels beside it.")  # fmt: skip
@click.option("--out", required=True, type=output_file, help="The scene with features.")
@click.option("--head", "head_file", type=output_file,
              help="Write the classifier here, as .npz.")  # fmt: skip
@click.option("--ids", type=click.Choice(["consistent", "per-view"]), default="consistent",
              show_default=True, help="Whether an id means the same in every view.")  # fmt: skip
@click.option("--ignore", type=int, help="Pixels with this id are unknown, e.g. 255.")
@click.option("--name", type=Name(), default="semantic", show_default=True,
              help="Properties are called NAME_0 and so on.")  # fmt: skip
@click.option("--replace", is_flag=True, help="Replace properties of that name.")
@click.option("--dim", type=click.IntRange(1, 256), default=16, show_default=True)
@click.option("--steps", type=click.IntRange(1), default=400, show_default=True)
@click.option("--views", type=click.IntRange(1), default=32, show_default=True,
              help="Learn from at most so many views.")  # fmt: skip
@click.option("--resolution", type=click.IntRange(8), default=160, show_default=True,
              help="Look at most at so many pixels along a side of a view.")  # fmt: skip
@click.option("--qat/--no-qat", default=True, help="Whether training sees quantised features.")
@click.option("--quality-weights/--no-quality-weights", default=True,
              help="Whether unreliable Gaussians follow their neighbours.")  # fmt: skip
@click.option("--rate", type=click.FloatRange(0), help="Weight of the estimated bits; 0: none.")
@click.option("--step", type=click.FloatRange(0, min_open=True),
              help="Quantiser step to prepare for, in units of the features' rms.")  # fmt: skip
@click.option("--seed", type=int, default=0)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
@json_option
@writes
def main(
    source: Path,
    camera_file: Path,
    masks: Path | None,
    out: Path,
    head_file: Path | None,
    ids: str,
    ignore: int | None,
    name: str,
    replace: bool,
    views: int,
    resolution: int,
    as_json: bool,
    force: bool,
    **choices: Any,
) -> None:
    """Learn features of SCENE.ply from label maps; geometry and colours stay as they are.

    Features are trained to survive csgs-encode and to cost it little. All other properties of the
    PLY stay untouched.
    """
    began = time.perf_counter()
    for target in (out, *([head_file] if head_file else [])):
        check_target(target, force)
    if head_file is not None and ids == "per-view":
        raise UsageError("masks without ids that views share give no classifier: leave out --head")
    if head_file is not None and head_file.suffix != ".npz":
        raise UsageError("a classifier is written as .npz", file=str(head_file))
    try:
        from csgs_codec.render import RenderGaussians, read_cameras
        from csgs_codec.semantics.learn import LearnOptions, learn
        from csgs_codec.semantics.learn.data import choose_views, map_views
    except ModuleNotFoundError as error:
        raise UnsupportedError(
            f"learning needs {error.name}: pip install 'csgs_codec[encode,eval]'"
        ) from error
    from csgs_codec.metrics.masks import class_names, require_masks

    given = {key: value for key, value in choices.items() if value is not None}
    options = LearnOptions(ids=ids, **given)  # type: ignore[arg-type]
    scene = read_ply(source)
    old = [c for c in scene.columns if re.fullmatch(rf"{name}_\d+", c)]
    if old and not replace:
        raise UsageError(f"the scene has {old[0]} already (see --replace, --name)")
    scene = Scene(
        {c: v for c, v in scene.columns.items() if c not in old}, scene.layout, scene.elements
    )
    gaussians = RenderGaussians.from_scene(scene)
    if not gaussians.count:
        raise UsageError("there are no Gaussians", file=str(source))
    cameras = read_cameras(camera_file)
    found = require_masks(camera_file, cameras, masks)
    learning, held = choose_views(cameras, found, views)
    with Progress("learning") as progress:
        seen = map_views(gaussians, learning, found, resolution, ignore,
                         lambda share: progress("looking", 0.2 * share))  # fmt: skip
        learned = learn(scene, seen, options, class_names(camera_file),
                        lambda text, share: progress(text, 0.2 + 0.7 * share))  # fmt: skip
        unseen = map_views(gaussians, held, found, resolution, ignore)
    columns = {f"{name}_{k}": column.copy() for k, column in enumerate(learned.features.T)}
    made = Scene({**scene.columns, **columns}, scene.layout, scene.elements)
    with atomic_write(out, force) as stream:
        write_ply(stream, made)
    if head_file is not None:
        _write_head(head_file, learned, force)
    elif learned.head is not None:
        say("note: the classifier is not kept (see --head)")
    role = next(g.role for g in assign_roles(made) if f"{name}_0" in g.columns)
    if role is not Role.SEMANTIC:
        say(f"note: csgs-encode takes these features with --semantic '{name}_[0-9]+'")
    report = {
        "source": str(source),
        "out": str(out),
        "gaussians": scene.count,
        "ids": ids,
        "dim": options.dim,
        "classes": None if learned.head is None else learned.head.classes,
        "step": options.step,
        "estimated_bits_per_gaussian": learned.bits,
        "unreliable": float((learned.quality.reliability < 0.5).mean()),
        "train": _scores(seen, learned),
        "held_out": _scores(unseen, learned),
        "seconds": time.perf_counter() - began,
    }
    if as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        _print(report)


def _scores(views: Sequence[ViewMap], learned: Learned) -> dict[str, Any] | None:
    """Agreement of the features, before any coding, with the label maps of views."""
    from csgs_codec.semantics.learn.score import segmentation_score, separation_score

    if not views:
        return None
    if learned.head is None:
        return {"views": len(views), "separation": separation_score(views, learned.features)}
    score = segmentation_score(views, learned.features, learned.head)
    return {"views": len(views), "miou": score.miou, "accuracy": score.accuracy}


def _write_head(path: Path, learned: Learned, force: bool) -> None:
    import numpy as np

    head = learned.head
    assert head is not None
    arrays = {"weight": head.weight.astype(np.float32), "bias": head.bias.astype(np.float32)}
    if head.names:
        arrays["classes"] = np.array(head.names)
    with atomic_write(path, force) as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]


def _print(report: dict[str, Any]) -> None:
    click.echo(
        f"{report['gaussians']:,} Gaussians, {report['dim']} features each, about "
        f"{report['estimated_bits_per_gaussian']:.1f} bits per Gaussian at a step of "
        f"{report['step']:g} of their root mean square"
    )
    for which in ("train", "held_out"):
        scores = report[which]
        if scores:
            said = ", ".join(f"{key} {scores[key]:.4f}" for key in scores if key != "views")
            click.echo(f"  {which.replace('_', ' ')} ({scores['views']} views): {said}")
    click.echo(f"{report['out']} in {report['seconds']:.0f} s")
