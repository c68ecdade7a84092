"""csgs-decode: a .csgs file becomes a PLY."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from csgs_codec.cli.common import (
    ExitCode,
    force_option,
    input_file,
    output_file,
    reports_errors,
    say,
    version_option,
)

from csgs_codec.decoder import decode_parsed, load, parse
from csgs_codec.errors import CsgsError, TruncatedError
from csgs_codec.io.atomic import atomic_write, check_target
from csgs_codec.io.ply import write_ply
from csgs_codec.numerics.backend import kernels, without_scipy


@click.command()
@click.argument("source", metavar="IN.csgs", type=input_file)
@click.argument("target", metavar="OUT.ply", type=output_file)
@click.option("--level", type=click.IntRange(1), help="Level to decode; the highest by default.")
@click.option("--allow-truncated", is_flag=True,
              help="Exit with 0 although the file ends inside a level.")  # fmt: skip
@click.option("--verify", is_flag=True, help="Check the digests of the decoded integers.")
@click.option("--no-compensation", is_flag=True,
              help="Leave scales and opacities of a coarse level as they are.")  # fmt: skip
@force_option
@version_option
@reports_errors
def main(
    source: Path,
    target: Path,
    level: int | None,
    allow_truncated: bool,
    verify: bool,
    no_compensation: bool,
    force: bool,
) -> None:
    """Decode IN.csgs to OUT.ply.

    A file that was cut is decoded to its last complete level; if it was cut inside a level, the
    exit code is that of a truncated file.
    """
    check_target(target, force)
    ended_early = None
    try:
        parser = parse(source)
        with without_scipy():
            kernels()
        try:
            if level is None or level > len(parser.complete):
                parser.require_end(len(load(source)))
        except TruncatedError as error:
            if not parser.complete or level is not None:
                raise
            ended_early = error
        scene = decode_parsed(parser, level, verify, not no_compensation)
    except CsgsError as error:
        raise error.located(file=str(source)) from None
    with atomic_write(target, force) as stream:
        write_ply(stream, scene)
    total = len(parser.levels)
    reached = level or len(parser.complete)
    if reached < total:
        held = set(scene.columns)
        missing = [g.name for g in parser.manifest.groups if not held.issuperset(g.columns)]
        missing += [name for name in parser.manifest.extras if name not in held]
        absent = f"; not in it: {', '.join(missing)}" if missing else ""
        say(
            f"level {reached} of {total}: {scene.count:,} of {parser.header.gaussians:,} "
            f"Gaussians{absent}"
        )
    if ended_early is not None:
        say(f"warning: {ended_early.located(file=str(source))}; decoded level {reached}")
        sys.exit(ExitCode.OK if allow_truncated else ExitCode.TRUNCATED)
