"""csgs-truncate: cut a file behind a level."""

from __future__ import annotations

from pathlib import Path

import click
from csgs_codec.cli.common import ByteSize
from csgs_codec.cli.options import input_file, output_file, writes

from csgs_codec.cut import truncate
from csgs_codec.io.atomic import atomic_write, check_target


@click.command()
@click.argument("source", metavar="IN.csgs", type=input_file)
@click.argument("target", metavar="OUT.csgs", type=output_file)
@click.option("--level", type=click.IntRange(1), help="Level to keep.")
@click.option("--size", type=ByteSize(), help="Keep the highest level that fits, e.g. 1MB.")
@writes
def main(source: Path, target: Path, level: int | None, size: int | None, force: bool) -> None:
    """Copy the first levels of IN.csgs to OUT.csgs, byte for byte."""
    if (level is None) == (size is None):
        raise click.UsageError("give either --level or --size")
    check_target(target, force)
    kept = truncate(source, level=level, size=size)
    with atomic_write(target, force) as stream:
        stream.write(kept)
