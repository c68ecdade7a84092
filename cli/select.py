"""csgs-select: the Gaussians of an object, as a PLY, a mask or a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
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

from csgs_codec.decoder import decode
from csgs_codec.errors import UsageError
from csgs_codec.extract import select
from csgs_codec.io.atomic import atomic_write, check_target
from csgs_codec.io.ply import write_ply
from csgs_codec.limits import Limits
from csgs_codec.numerics.backend import kernels, without_scipy
from csgs_codec.semantics import grammar
from csgs_codec.semantics.select import Named, OfClass, Selection
from csgs_codec.semantics.similar import DEFAULT_RELEVANCY, DEFAULT_THRESHOLD

if TYPE_CHECKING:
    from csgs_codec.semantics.select import Term

OUTPUTS = (".ply", ".npy", ".csgs")


@click.command()
@click.argument("source", metavar="IN.csgs", type=input_file)
@click.option("-o", "--output", "target", type=output_file, required=True,
              help="object.ply, mask.npy (bool over the decoded rows) or object.csgs.")  # fmt: skip
@click.option("--id", "ids", metavar="N[,M...]", help="By id.")
@click.option("--property", "property_", metavar="NAME", help="The property that --id is about.")
@click.option("--name", help="By name, from the object table.")
@click.option("--class", "class_", metavar="K|NAME", help="By class, as the head tells it.")
@click.option("--vector", metavar="FILE.npy", help="By cosine to a vector.")
@click.option("--negatives", type=input_file, metavar="FILE.npy",
              help="With --vector: how much more relevant it is than these vectors, a row each "
              f"({DEFAULT_RELEVANCY}: than any of them), instead of the cosine.")  # fmt: skip
@click.option("--like", metavar="ROW",
              help="By cosine to those of a row of the decoded PLY, from 0.")  # fmt: skip
@click.option("--click", "clicked", metavar="CAMERAS:VIEW:x,y",
              help="By cosine to the features seen at a pixel of a view.")  # fmt: skip
@click.option("--box", metavar="x0,y0,z0,x1,y1,z1", help="By place.")
@click.option("--where", multiple=True, metavar="EXPR",
              help="By value: PROPERTY==NUMBER, or != <= >= < >.")  # fmt: skip
@click.option("--select", "texts", multiple=True, metavar="SEL",
              help="As csgs-edit: 'name=chair & !class=3'.")  # fmt: skip
@click.option("--threshold", type=click.FloatRange(-1, 1),
              help=f"Least cosine: --vector, --like, --click ({DEFAULT_THRESHOLD}).")  # fmt: skip
@understands_features
@click.option("--level", type=click.IntRange(1), help="Level to look at; the highest by default.")
@click.option("--invert", is_flag=True, help="Take the other Gaussians.")
@click.option("--grow", type=float, metavar="DISTANCE",
              help="Also take what is at most so far from a selected centre.")  # fmt: skip
@allow_empty_option
@quality_option
@memory_option
@writes
def main(
    source: Path,
    target: Path,
    ids: str | None,
    property_: str | None,
    name: str | None,
    class_: str | None,
    vector: str | None,
    negatives: Path | None,
    like: str | None,
    clicked: str | None,
    box: str | None,
    where: tuple[str, ...],
    texts: tuple[str, ...],
    threshold: float | None,
    head: str | None,
    group: str | None,
    level: int | None,
    invert: bool,
    grow: float | None,
    allow_empty: bool,
    quality: float,
    max_memory: int | None,
    force: bool,
) -> None:
    """Select Gaussians of IN.csgs; several conditions must all hold.

    A PLY or a file holds the selected Gaussians with all their properties. Nothing selected is an
    error, unless --allow-empty.
    """
    check_target(target, force)
    suffix = target.suffix.lower()
    if suffix not in OUTPUTS:
        raise click.UsageError(f"an output is one of {', '.join(OUTPUTS)}, not {target.name}")
    if property_ is not None and ids is None:
        raise click.UsageError("--property goes with --id")
    if threshold is not None and vector is None and like is None and clicked is None:
        raise click.UsageError("--threshold goes with --vector, --like or --click")
    if negatives is not None and vector is None:
        raise click.UsageError("--negatives goes with --vector")
    terms: list[Term] = []
    terms += [grammar.ids_term(ids, property_)] if ids is not None else []
    terms += [Named(name)] if name is not None else []
    terms += [OfClass(class_)] if class_ is not None else []
    terms += [grammar.vector_term(vector, threshold, negatives)] if vector is not None else []
    terms += [grammar.like_term(like, threshold)] if like is not None else []
    terms += [grammar.click_term(clicked, threshold)] if clicked is not None else []
    terms += [grammar.box_term(box)] if box is not None else []
    terms += [grammar.compared_term(text) for text in where]
    for text in texts:
        terms += grammar.parse_selection(text).terms
    if not terms:
        raise click.UsageError("say what to select, for instance --id 17 (see --help)")
    with without_scipy():
        kernels()
    wanted, limits = Selection(tuple(terms)), Limits(memory=max_memory)
    chosen = select(
        source, wanted, level, head=head, group=group, invert=invert, grow=grow, limits=limits
    )
    for note in chosen.notes:
        say(f"note: {note}")
    say(f"{chosen.count:,} of {len(chosen.mask):,} Gaussians selected")
    if not chosen.count and not allow_empty:
        raise UsageError("nothing is selected (see --allow-empty)", file=str(source))
    if suffix == ".npy":
        with atomic_write(target, force) as stream:
            np.save(stream, chosen.mask)
        return
    scene = decode(source, level, allow_truncated=level is not None, limits=limits)
    scene = scene.select(np.flatnonzero(chosen.mask))
    data = encode_like(source, scene, quality) if suffix == ".csgs" else None
    with atomic_write(target, force) as stream:
        if data is None:
            write_ply(stream, scene)
        else:
            stream.write(data)
