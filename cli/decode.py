"""csgs-decode: a .csgs file becomes a PLY."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
from csgs_codec.cli.common import ExitCode, say
from csgs_codec.cli.options import input_file, memory_option, output_file, writes

from csgs_codec.decoder import decode_columns, decode_parsed, load, parse
from csgs_codec.decoder.features import feature_files, stack_features
from csgs_codec.decoder.parser import Parser
from csgs_codec.errors import CsgsError, TruncatedError, UsageError
from csgs_codec.io.atomic import atomic_write, check_target
from csgs_codec.io.ply import write_ply
from csgs_codec.limits import Limits
from csgs_codec.numerics.backend import kernels, without_scipy
from csgs_codec.scene import Scene


@click.command()
@click.argument("source", metavar="IN.csgs", type=input_file)
@click.argument("target", metavar="[OUT.ply]", type=output_file, required=False)
@click.option("--level", type=click.IntRange(1), help="Level to decode; the highest by default.")
@click.option("--allow-truncated", is_flag=True,
              help="Exit with 0 although the file ends inside a level.")  # fmt: skip
@click.option("--verify", is_flag=True, help="Check the digests of the decoded integers.")
@click.option("--no-compensation", is_flag=True,
              help="Leave scales and opacities of a coarse level as they are.")  # fmt: skip
@click.option("--attachments", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Write the attached files to a folder.")  # fmt: skip
@click.option("--features", type=click.Path(path_type=Path), metavar="DIR|FILE.npy",
              help="Write semantic groups as float32, in the row order of OUT.ply.")  # fmt: skip
@memory_option
@writes
def main(
    source: Path,
    target: Path | None,
    level: int | None,
    allow_truncated: bool,
    verify: bool,
    no_compensation: bool,
    attachments: Path | None,
    features: Path | None,
    max_memory: int | None,
    force: bool,
) -> None:
    """Decode IN.csgs to OUT.ply, and what travels along to files of their own.

    A file that was cut is decoded to its last complete level; if it was cut inside a level, the
    exit code is that of a truncated file.
    """
    if target is None and attachments is None and features is None:
        raise click.UsageError("give OUT.ply, --attachments or --features")
    if target is not None:
        check_target(target, force)
    ended_early = None
    try:
        parser = parse(source, Limits(memory=max_memory))
        try:
            if level is None or level > len(parser.complete):
                parser.require_end(len(load(source)))
        except TruncatedError as error:
            if not parser.complete or level is not None:
                raise
            ended_early = error
        arrays = {} if features is None else feature_files(parser, features)
        files: dict[Path, Any] = {}
        if attachments is not None:
            files = {attachments / one.name: one.data() for one in parser.attachments}
        places = [path.resolve() for path in (*files, *arrays, *([target] if target else []))]
        for path in (*files, *arrays):
            check_target(path, force)
            if places.count(path.resolve()) > 1:
                raise UsageError(f"two outputs would be {path}")
        scene = _decode(parser, level, verify, not no_compensation, target, arrays)
        files |= {path: stack_features(scene, names) for path, names in arrays.items()}
    except CsgsError as error:
        raise error.located(file=str(source)) from None
    if target is not None:
        with atomic_write(target, force) as stream:
            write_ply(stream, scene)
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path, force) as stream:
            stream.write(content) if isinstance(content, bytes) else np.save(stream, content)
    if attachments is not None:
        count = len(parser.attachments)
        say(f"{count} attachment{'' if count == 1 else 's'} written to {attachments}")
    _tell_what_is_missing(parser, scene, level, target)
    if ended_early is not None:
        reached = level or len(parser.complete)
        say(f"warning: {ended_early.located(file=str(source))}; decoded level {reached}")
        sys.exit(ExitCode.OK if allow_truncated else ExitCode.TRUNCATED)


def _decode(
    parser: Parser,
    level: int | None,
    verify: bool,
    compensate: bool,
    target: Path | None,
    arrays: Mapping[Path, tuple[str, ...]],
) -> Scene:
    """Decode what is to be written; everything if it shall be verified."""
    with without_scipy():
        kernels()
    if target is not None or verify:
        return decode_parsed(parser, level, verify, compensate)
    return decode_columns(parser, {name for names in arrays.values() for name in names}, level)


def _tell_what_is_missing(
    parser: Parser, scene: Scene, level: int | None, target: Path | None
) -> None:
    reached, total = level or len(parser.complete), len(parser.levels)
    if reached == total or target is None:
        return
    held = set(scene.columns)
    missing = [g.name for g in parser.manifest.groups if not held.issuperset(g.columns)]
    missing += [name for name in parser.manifest.extras if name not in held]
    absent = f"; not in it: {', '.join(missing)}" if missing else ""
    say(
        f"level {reached} of {total}: {scene.count:,} of {parser.header.gaussians:,} "
        f"Gaussians{absent}"
    )
