"""csgs-info: what a file holds."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from csgs_codec.cli.common import ExitCode, say
from csgs_codec.cli.options import input_file, json_option, memory_option, reads

from csgs_codec.container.objects import ObjectTable
from csgs_codec.describe import Probe, probe
from csgs_codec.errors import CorruptError
from csgs_codec.limits import Limits

SHOWN_OBJECTS = 20


@click.command()
@click.argument("source", metavar="FILE.csgs", type=input_file)
@json_option
@click.option("--chunks", is_flag=True, help="List every chunk.")
@click.option("--verify", is_flag=True,
              help="Decode and check CRCs, level digests and hashes of attachments.")  # fmt: skip
@memory_option
@reads
def main(source: Path, as_json: bool, chunks: bool, verify: bool, max_memory: int | None) -> None:
    """Show header, schema, levels and tiles of FILE.csgs."""
    info = probe(source)
    beyond = info.size - info.levels[-1].end
    if info.levels[-1].complete and beyond:
        raise CorruptError(f"{beyond} bytes behind the last level", file=str(source))
    if verify:
        _verify(source, Limits(memory=max_memory))
    if as_json:
        click.echo(json.dumps({**info.to_json(), "verified": verify}, indent=2))
    else:
        _print(info)
        if chunks:
            for type_, offset, size in info.chunks:
                click.echo(f"  {type_}  {offset:>10}  {size:>10}")
        if verify:
            click.echo("verified: CRCs, level digests and hashes of attachments are right")
    if not any(level.end == info.size for level in info.levels):
        done = sum(level.complete for level in info.levels)
        say(f"warning: {source}: ends inside a level; {done} of {len(info.levels)} are complete")
        sys.exit(ExitCode.TRUNCATED)


def _verify(source: Path, limits: Limits) -> None:
    from csgs_codec.decoder import decode, read_attachments

    decode(source, allow_truncated=True, verify=True, limits=limits)
    read_attachments(source)


def _print(info: Probe) -> None:
    click.echo(
        f"CSGS {info.version}, {info.size:,} bytes, {info.gaussians:,} Gaussians, "
        f"{info.layers} layers, {len(info.tiles)} tiles, hyperprior {info.hyperprior_bytes:,} bytes"
    )
    if info.encoder:
        click.echo(f"written by {info.encoder}")
    click.echo("groups:")
    for group in info.groups:
        names = group.properties
        shown = f"{names[0]} .. {names[-1]}" if len(names) > 4 else ", ".join(names)
        click.echo(f"  {group.name:<20}{group.kind:<15}{group.channels:>4} channels  {shown}")
    if info.constants:
        click.echo(f"constant: {', '.join(info.constants)}")
    if info.extras:
        click.echo(f"exact: {', '.join(info.extras)}")
    if info.original_order:
        click.echo("the original row order is kept")
    for attached in info.attachments:
        click.echo(
            f"attached: {attached.name}  {attached.bytes:,} bytes  SHA-256 {attached.sha256}"
        )
    if info.objects is not None:
        _print_objects(info.objects)
    click.echo("levels:")
    for level in info.levels:
        mark = "" if level.complete else "  (missing)"
        click.echo(
            f"  {level.level:>2}  ends at {level.end:>12,}  {level.gaussians:>10,} Gaussians  "
            f"{', '.join(level.groups)}{mark}"
        )


def _print_objects(table: ObjectTable) -> None:
    click.echo(f"objects, by {table.property}:")
    for one in table.objects[:SHOWN_OBJECTS]:
        box = ""
        if one.box is not None:
            low, high = (" ".join(f"{v:g}" for v in corner) for corner in one.box)
            box = f"  ({low}) to ({high})"
        name = f"{one.name}  {one.colour or ''}".strip()
        click.echo(f"  {one.id:>6}  {name:<24}{one.count:>10,} Gaussians{box}")
    if len(table.objects) > SHOWN_OBJECTS:
        click.echo(f"  and {len(table.objects) - SHOWN_OBJECTS} more (--json lists all)")
