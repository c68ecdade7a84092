"""csgs-eval: how a compressed scene looks, level by level."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from csgs_codec.cli.common import say
from csgs_codec.cli.eval_report import ImageFolder, check_plot, print_table, write_plot
from csgs_codec.cli.eval_semantics import (
    level_json,
    match,
    print_semantics,
    print_spending,
    reference_json,
    semantic_reference,
    spending_json,
    spent_until,
)
from csgs_codec.cli.options import (
    camera_path,
    input_file,
    input_folder,
    json_option,
    output_file,
    writes,
)

from csgs_codec.errors import CameraError, UnsupportedError
from csgs_codec.io.ply import read_ply

if TYPE_CHECKING:
    from csgs_codec.describe import Probe
    from csgs_codec.metrics.views import ViewScore
    from csgs_codec.render import Camera, RenderGaussians
    from csgs_codec.scene import Scene

AUTOMATIC_VIEWS = 24


class LevelChoice(click.ParamType):
    """``all`` or a number from 1."""

    name = "level"

    def convert(self, value: Any, param: Any, ctx: Any) -> int | None:
        """Parse one value; None stands for all."""
        if value is None or value == "all":
            return None
        if not str(value).isdigit() or int(value) < 1:
            self.fail(f"{value!r} is neither 'all' nor a number from 1", param, ctx)
        return int(value)


@click.command()
@click.argument("original", metavar="ORIGINAL.ply", type=input_file)
@click.argument("compared", metavar="OUT.csgs|OUT.ply", type=input_file)
@click.option("--cameras", "camera_file", type=camera_path,
              help="JSON, or a COLMAP folder; without it, views are chosen.")  # fmt: skip
@click.option("--split", type=click.Choice(["test", "train", "all"]),
              help="Views to use; test if the cameras say which these are, else all.")  # fmt: skip
@click.option("--level", type=LevelChoice(), default="all", show_default=True)
@click.option("--views", type=click.IntRange(1), help="At most so many views, evenly chosen.")
@click.option("--background", type=click.Choice(["black", "white"]), default="black",
              show_default=True)  # fmt: skip
@click.option("--head", type=input_file, metavar="FILE",
              help="Linear head (.npz, .safetensors, .pth): features to classes.")  # fmt: skip
@click.option("--masks", type=input_folder,
              metavar="DIR", help="True label maps, DIR/<view>.png; those beside the cameras "
              "by default.")  # fmt: skip
@click.option("--ignore-label", type=int, metavar="ID", help="Pixels of DIR that do not count.")
@json_option
@click.option("--plot", type=output_file, help="Write a rate-distortion plot.")
@click.option("--images", type=click.Path(file_okay=False, path_type=Path),
              help="Save original, decoded and 8 x difference to a folder.")  # fmt: skip
@writes
def main(
    original: Path,
    compared: Path,
    camera_file: Path | None,
    split: str | None,
    level: int | None,
    views: int | None,
    background: str,
    head: Path | None,
    masks: Path | None,
    ignore_label: int | None,
    as_json: bool,
    plot: Path | None,
    images: Path | None,
    force: bool,
) -> None:
    """Compare renders of OUT with renders of ORIGINAL.ply, and with photographs where known.

    PSNR and SSIM are means over the views, of pictures clamped to 0..1. Semantic groups are
    compared Gaussian by Gaussian and, with a head, by the classes of rendered pixels: mIoU is the
    mean over classes of one confusion matrix of all views.
    """
    import numpy as np

    from csgs_codec.metrics.views import Reference
    from csgs_codec.render import RenderGaussians

    if plot:
        check_plot(plot, force)
    folder = ImageFolder(images, force) if images else None
    scene = read_ply(original)
    gaussians = RenderGaussians.from_scene(scene)
    cameras = _choose(gaussians, camera_file, split, views)
    semantics = semantic_reference(
        scene, gaussians, cameras, camera_file, head, compared, masks, ignore_label
    )
    reference = Reference(gaussians, cameras, np.full(3, background == "white", np.float32))
    report: dict[str, Any] = {
        "original": str(original),
        "compared": str(compared),
        "gaussians": gaussians.count,
        "cameras": str(camera_file) if camera_file else "automatic",
        "views": len(cameras),
        "photos": _summary(reference.photo_scores()),
        "semantics": reference_json(semantics),
        "spending": _spending(compared, gaussians.count),
        "levels": [],
    }
    for entry, found, info in _levels(compared, level, gaussians.count, report):
        name = f"level{entry['level']}" if entry["level"] else "ply"
        observe = folder.observer(name) if folder else None
        shown = RenderGaussians.from_scene(found)
        scores, photos = reference.compare(shown, observe)
        entry |= {**(_summary(scores) or {}), "photos": _summary(photos)}
        entry["per_view"] = [vars(score) for score in scores]
        entry["semantics"] = {}
        pairs = match(scene, found, compared, info, entry["level"]) if semantics.groups else None
        if pairs is not None:
            bits = spent_until(report["spending"], entry["level"])
            compared_groups = semantics.compare(found, shown, pairs)
            entry["semantics"] = level_json(compared_groups, pairs, bits)
        report["levels"].append(entry)
    if as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        print_table(report)
        if report["spending"]:
            print_spending(report["spending"])
        print_semantics(report)
    if plot:
        write_plot(plot, report, force)


def _choose(
    gaussians: RenderGaussians, file: Path | None, split: str | None, views: int | None
) -> list[Camera]:
    if file is None:
        from csgs_codec.render.auto_cameras import place_cameras

        count = views or AUTOMATIC_VIEWS
        say(f"no --cameras given: {count} views of 512 x 512 pixels are chosen automatically")
        return place_cameras(gaussians, count)
    from csgs_codec.render import read_cameras

    cameras = read_cameras(file)
    splits = {camera.split for camera in cameras}
    if split is None:
        split = "test" if "test" in splits else "all"
    if split != "all":
        cameras = [camera for camera in cameras if camera.split == split]
        if not cameras:
            raise CameraError(f"no camera belongs to the split {split!r}", file=str(file))
    if views and views < len(cameras):
        cameras = [cameras[k * len(cameras) // views] for k in range(views)]
    return cameras


def _spending(path: Path, count: int) -> list[dict[str, Any]]:
    if _is_ply(path):
        return []
    from csgs_codec.decoder.spending import count_bits

    return spending_json(count_bits(path), count)


def _levels(
    path: Path, level: int | None, count: int, report: dict[str, Any]
) -> Iterator[tuple[dict[str, Any], Scene, Probe | None]]:
    """What to compare: the levels of a file, or a PLY as if it were one level."""
    if _is_ply(path):
        if level is not None:
            raise UnsupportedError("a PLY has no levels", file=str(path))
        scene, size = read_ply(path), path.stat().st_size
        yield _entry(None, size, scene.count, count), scene, None
        return
    from csgs_codec.decoder import decode
    from csgs_codec.describe import probe

    info = probe(path)
    chunks = {kind: 8 * size / max(count, 1) for kind, size in info.bytes_by_chunk().items()}
    report["bits_per_gaussian_by_chunk"] = chunks
    complete = [entry for entry in info.levels if entry.complete]
    if len(complete) < len(info.levels):
        say(f"warning: {path}: {len(complete)} of {len(info.levels)} levels are complete")
    wanted = [level] if level else [entry.level for entry in complete] or [1]
    for number in wanted:
        scene = decode(path, number, allow_truncated=True)
        found = info.levels[number - 1]
        groups = {"groups": list(found.groups)}
        yield _entry(number, found.end, scene.count, count) | groups, scene, info


def _is_ply(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(3) == b"ply"


def _entry(level: int | None, size: int, gaussians: int, count: int) -> dict[str, Any]:
    bits = 8 * size / max(count, 1)
    return {"level": level, "bytes": size, "gaussians": gaussians, "bits_per_gaussian": bits}


def _summary(scores: list[ViewScore]) -> dict[str, Any] | None:
    if not scores:
        return None
    return {
        "views": len(scores),
        "psnr": sum(score.psnr for score in scores) / len(scores),
        "ssim": sum(score.ssim for score in scores) / len(scores),
    }
