"""csgs-encode: a PLY becomes a .csgs file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
from csgs_codec.cli.common import ByteSize, say
from csgs_codec.cli.options import camera_path, input_file, json_option, output_file, writes
from csgs_codec.cli.progress import Progress

from csgs_codec.errors import PlyError, UnsupportedError
from csgs_codec.io.atomic import atomic_write, check_target
from csgs_codec.io.ply import read_ply
from csgs_codec.io.sidecars import join
from csgs_codec.render.cameras import read_cameras
from csgs_codec.semantics.heads import read_head

if TYPE_CHECKING:
    from csgs_codec.encoder.meaning import SemanticMetric

PRESETS = {"archive": 90.0, "web": 75.0, "preview": 60.0}


@click.command()
@click.argument("source", metavar="SCENE.ply", type=input_file)
@click.argument("target", metavar="OUT.csgs", type=output_file)
@click.option("--quality", type=click.FloatRange(1, 100),
              help="75 by default, 50 with --lossless; 12.5 points halve every step.")  # fmt: skip
@click.option("--semantic", metavar="REGEX", multiple=True,
              help="Treat the matching float properties as one semantic group.")  # fmt: skip
@click.option("--semantic-quality", type=click.FloatRange(1, 100),
              help="Quality of semantic features; that of the rest by default.")  # fmt: skip
@click.option("--semantic-metric", default="cosine", show_default=True,
              metavar="cosine|l2|classifier:HEAD",
              help="How features will be compared. A HEAD (.npz, .safetensors, .pth) is attached, "
              "and precision goes where its classes are close.")  # fmt: skip
@click.option("--id", "ids", metavar="REGEX", multiple=True,
              help="Treat each matching property of whole numbers as ids.")  # fmt: skip
@click.option("--merge", metavar="FILE[:NAME]", multiple=True,
              help="Join a .npy, .npz, .pt, .pth or second .ply to the scene, row by row; NAME is "
              "an array of the file, or what to call the columns.")  # fmt: skip
@click.option("--attach", type=input_file, multiple=True,
              help="Carry a file (a head, a codebook) in OUT.csgs.")  # fmt: skip
@click.option("--objects", type=input_file,
              help="JSON with names (and colours) of the ids.")  # fmt: skip
@click.option("--no-objects", is_flag=True, help="Write no table of the ids.")
@click.option("--nan", type=click.Choice(["error", "drop", "keep"]), default="error",
              show_default=True, help="Rows with NaN, Inf or zero quaternions.")  # fmt: skip
@click.option("--order", type=click.Choice(["any", "keep"]), default="any", show_default=True,
              help="Keep the row order of the PLY; the cost is printed.")  # fmt: skip
@click.option("--priority", type=click.Choice(["rgb", "semantic"]), default="rgb",
              show_default=True,
              help="What follows base geometry and colour of all but the last layer.")  # fmt: skip
@click.option("--preset", type=click.Choice(sorted(PRESETS)),
              help="archive, web or preview: a quality by name.")  # fmt: skip
@click.option("--size", type=ByteSize(), help="Aim at a file of this size, e.g. 1.5MB.")
@click.option("--psnr", type=click.FloatRange(10, 80),
              help="Aim at this PSNR in dB of pictures against the original's.")  # fmt: skip
@click.option("--cameras", type=camera_path,
              help="Look from these cameras (transforms.json, cameras.json, COLMAP folder); "
              "chosen automatically by default.")  # fmt: skip
@click.option("--prune", is_flag=True,
              help="Remove Gaussians as far as it pays, and re-fit the others: slow.")  # fmt: skip
@click.option("--prune-share", type=click.FloatRange(0, 1, min_open=True, max_open=True),
              help="Remove this share of the Gaussians, e.g. 0.3.")  # fmt: skip
@click.option("--fast", is_flag=True, help="Do not look at pictures: faster, larger.")
@click.option("--lossless", is_flag=True, help="Keep every value bit for bit in the last level.")
@click.option("--max-error", metavar="NAME=BOUND,...", default=None,
              help="Guaranteed bounds: position=1mm,rotation=0.5deg,scale=1%,opacity=0.01,"
              "dc=0.01,sh=0.02,GROUP=0.05.")  # fmt: skip
@click.option("--seed", type=int, default=0, help="Seed of the hyperprior's training.")
@json_option
@writes
def main(
    source: Path,
    target: Path,
    quality: float | None,
    semantic: tuple[str, ...],
    semantic_quality: float | None,
    semantic_metric: str,
    ids: tuple[str, ...],
    merge: tuple[str, ...],
    attach: tuple[Path, ...],
    objects: Path | None,
    no_objects: bool,
    nan: str,
    order: str,
    priority: str,
    preset: str | None,
    size: int | None,
    psnr: float | None,
    cameras: Path | None,
    prune: bool,
    prune_share: float | None,
    fast: bool,
    lossless: bool,
    max_error: str | None,
    seed: int,
    as_json: bool,
    force: bool,
) -> None:
    """Encode SCENE.ply as OUT.csgs and verify it by decoding."""
    check_target(target, force)
    given = [n for n, v in (("quality", quality), ("preset", preset), ("size", size),
                            ("psnr", psnr)) if v is not None]  # fmt: skip
    if len(given) > 1:
        raise click.UsageError(f"--{given[0]} and --{given[1]} exclude each other")
    if fast and (cameras or psnr):
        raise click.UsageError("--fast takes no pictures, so neither --cameras nor --psnr")
    if lossless and (max_error or size or psnr):
        raise click.UsageError("--lossless goes with neither --max-error nor --size nor --psnr")
    pruning = "prune" if prune_share is None else "prune-share"
    if prune and prune_share is not None:
        raise click.UsageError("--prune chooses the share: leave it out beside --prune-share")
    if (prune or prune_share is not None) and (fast or lossless or max_error):
        other = "fast" if fast else "lossless" if lossless else "max-error"
        raise click.UsageError(f"--{pruning} and --{other} exclude each other")
    if objects and no_objects:
        raise click.UsageError("--objects and --no-objects exclude each other")
    seen = None if cameras is None else tuple(read_cameras(cameras))
    try:
        from csgs_codec.encoder import EncodeOptions, encode
        from csgs_codec.encoder.attach import read_files
        from csgs_codec.encoder.bounds import parse_max_error
        from csgs_codec.encoder.objects import read_names_file
        from csgs_codec.encoder.options import LOSSLESS_QUALITY
    except ModuleNotFoundError as error:
        raise UnsupportedError(
            f"encoding needs {error.name}: pip install 'csgs_codec[encode]'"
        ) from error
    metric, head = _metric(semantic_metric)
    attached = [*attach, head] if head is not None and head not in attach else attach
    joined = join(read_ply(source), merge)
    options = EncodeOptions(
        quality=quality or (LOSSLESS_QUALITY if lossless else PRESETS[preset or "web"]),
        semantic=(*joined.semantic, *semantic),
        ids=(*joined.ids, *ids),
        semantic_quality=semantic_quality,
        semantic_metric=metric,
        attachments=read_files(attached),
        objects=read_names_file(objects) if objects else None,
        object_table=not no_objects,
        nan=nan,
        order=order,
        priority=priority,
        seed=seed,  # type: ignore[arg-type]
        look=not fast,
        cameras=seen,
        size=size,
        psnr=psnr,
        lossless=lossless,
        max_error=parse_max_error(max_error) if max_error is not None else {},
        prune="auto" if prune else prune_share,
    )
    try:
        with Progress("encoding") as progress:
            result = encode(joined.scene, options, progress)
    except PlyError as error:
        raise error.located(file=str(source)) from None
    with atomic_write(target, force) as stream:
        stream.write(result.data)
    result.notes[:0] = joined.notes
    for note in result.notes:
        say(f"note: {note}")
    from csgs_codec.cli.report import encode_report, print_report

    report = encode_report((source, *joined.files), joined.scene.count, result)
    if as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        print_report(report)


def _metric(text: str) -> tuple[SemanticMetric, Path | None]:
    """Parse ``--semantic-metric``; the second value is the file of a head."""
    kind, _, name = text.partition(":")
    if text in ("cosine", "l2"):
        return text, None  # type: ignore[return-value]
    if kind != "classifier" or not name:
        raise click.UsageError(f"--semantic-metric is cosine, l2 or classifier:HEAD, not {text!r}")
    path = Path(name)
    if not path.is_file():
        raise click.UsageError(f"--semantic-metric: there is no file {name!r}")
    return read_head(path), path
