"""csgs-edit: remove, keep, recolour or move what is selected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from csgs_codec.cli.common import say
from csgs_codec.cli.options import (
    allow_empty_option,
    input_file,
    memory_option,
    output_file,
    quality_option,
    understands_features,
    writes,
)
from csgs_codec.cli.revise import encode_like

from csgs_codec.errors import UsageError
from csgs_codec.io.atomic import atomic_write, check_target
from csgs_codec.io.ply import write_ply
from csgs_codec.limits import Limits
from csgs_codec.numerics.backend import kernels, without_scipy
from csgs_codec.revise import edit
from csgs_codec.semantics.edit import Edit, parse_edit

OUTPUTS = (".ply", ".csgs")
_EDITS = ("remove", "keep", "recolour", "translate")


class _Ordered(click.Command):
    """A command that remembers in which order its options were given."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        order = self.make_parser(ctx).parse_args(args=list(args))[2]
        ctx.meta["order"] = [parameter.name for parameter in order]
        return super().parse_args(ctx, args)


@click.command(cls=_Ordered)
@click.argument("source", metavar="IN.csgs", type=input_file)
@click.option("-o", "--output", "target", type=output_file, required=True,
              help="edited.ply: decoded values, edited. edited.csgs: encoded anew.")  # fmt: skip
@click.option("--remove", metavar="SEL", multiple=True, help="Drop what is selected.")
@click.option("--keep", metavar="SEL", multiple=True, help="Drop all else.")
@click.option("--recolour", "--recolor", type=(str, str), metavar="SEL #rrggbb", multiple=True,
              help="Shift colours so that their mean is this one; shading stays.")  # fmt: skip
@click.option("--translate", type=(str, str), metavar="SEL x,y,z", multiple=True,
              help="Move by a vector.")  # fmt: skip
@understands_features
@allow_empty_option
@click.option("--fast", is_flag=True, help="Encode without looking at pictures: faster, larger.")
@quality_option
@memory_option
@writes
@click.pass_context
def main(
    context: click.Context,
    source: Path,
    target: Path,
    head: str | None,
    group: str | None,
    allow_empty: bool,
    fast: bool,
    quality: float,
    max_memory: int | None,
    force: bool,
    **given: tuple[Any, ...],
) -> None:
    """Edit IN.csgs; several edits are applied in the order in which they are given.

    SEL is terms joined by &, each perhaps behind ! for what it does not choose: all, id=17,18,
    name=chair, class=3, box=x0,y0,z0,x1,y1,z1, vector=FILE.npy@0.8, like=ROW@0.8, label==3 (or !=
    <= >= < >).
    """
    check_target(target, force)
    if target.suffix.lower() not in OUTPUTS:
        raise click.UsageError(f"an output is one of {', '.join(OUTPUTS)}, not {target.name}")
    waiting = {kind: iter(values) for kind, values in given.items()}
    kinds = [kind for kind in context.meta["order"] if kind in _EDITS]
    edits = [_edit(kind, next(waiting[kind])) for kind in kinds]
    if not edits:
        raise click.UsageError("give an edit, for instance --remove id=17 (see --help)")
    with without_scipy():
        kernels()
    scene, chosen, notes = edit(source, edits, head, group, Limits(memory=max_memory))
    for note in notes:
        say(f"note: {note}")
    for kind, count in zip(kinds, chosen, strict=True):
        say(f"{kind}: {count:,} Gaussians")
    if 0 in chosen and not allow_empty:
        raise UsageError(f"{kinds[chosen.index(0)]} selects nothing (see --allow-empty)",
                         file=str(source))  # fmt: skip
    data = encode_like(source, scene, quality, fast) if target.suffix.lower() == ".csgs" else None
    with atomic_write(target, force) as stream:
        if data is None:
            write_ply(stream, scene)
        else:
            stream.write(data)


def _edit(kind: str, value: Any) -> Edit:
    return parse_edit(kind, value) if isinstance(value, str) else parse_edit(kind, *value)
