"""csgs-encode: a PLY becomes a .csgs file."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from csgs_codec.cli.common import (
    force_option,
    input_file,
    output_file,
    reports_errors,
    say,
    version_option,
)

from csgs_codec.errors import PlyError, UnsupportedError
from csgs_codec.io.atomic import atomic_write, check_target
from csgs_codec.io.ply import read_ply


@click.command()
@click.argument("source", metavar="SCENE.ply", type=input_file)
@click.argument("target", metavar="OUT.csgs", type=output_file)
@click.option("--quality", type=click.FloatRange(1, 100), default=None,
              help="75 by default, 50 with --lossless; "
              "12.5 points halve every quantiser step.")  # fmt: skip
@click.option("--semantic", metavar="REGEX", multiple=True,
              help="Treat the matching float properties as one semantic group.")  # fmt: skip
@click.option("--nan", type=click.Choice(["error", "drop", "keep"]), default="error",
              show_default=True, help="Rows with NaN, Inf or zero quaternions.")  # fmt: skip
@click.option("--order", type=click.Choice(["any", "keep"]), default="any", show_default=True,
              help="Keep the row order of the PLY; the cost is printed.")  # fmt: skip
@click.option("--priority", type=click.Choice(["rgb", "semantic"]), default="rgb",
              show_default=True, help="What follows the base geometry and colour.")  # fmt: skip
@click.option("--lossless", is_flag=True,
              help="Keep every value bit for bit in the last level.")  # fmt: skip
@click.option("--max-error", metavar="NAME=BOUND,...", default=None,
              help="Guaranteed bounds: position=1mm,rotation=0.5deg,scale=1%,opacity=0.01,"
              "dc=0.01,sh=0.02,GROUP=0.05.")  # fmt: skip
@click.option("--seed", type=int, default=0, help="Seed of the hyperprior's training.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON on stdout.")
@force_option
@version_option
@reports_errors
def main(
    source: Path,
    target: Path,
    quality: float | None,
    semantic: tuple[str, ...],
    nan: str,
    order: str,
    priority: str,
    lossless: bool,
    max_error: str | None,
    seed: int,
    as_json: bool,
    force: bool,
) -> None:
    """Encode SCENE.ply as OUT.csgs and verify it by decoding."""
    check_target(target, force)
    if lossless and max_error:
        raise click.UsageError("--lossless and --max-error exclude each other")
    try:
        from csgs_codec.encoder import EncodeOptions, encode
        from csgs_codec.encoder.bounds import parse_max_error
        from csgs_codec.encoder.options import LOSSLESS_QUALITY
    except ModuleNotFoundError as error:
        raise UnsupportedError(
            f"encoding needs {error.name}: pip install 'csgs_codec[encode]'"
        ) from error
    options = EncodeOptions(
        quality=quality or (LOSSLESS_QUALITY if lossless else 75.0),
        semantic=semantic,
        nan=nan,
        order=order,
        priority=priority,
        seed=seed,  # type: ignore[arg-type]
        lossless=lossless,
        max_error=parse_max_error(max_error) if max_error is not None else {},
    )
    scene = read_ply(source)
    try:
        with _Progress() as progress:
            result = encode(scene, options, progress.update)
    except PlyError as error:
        raise error.located(file=str(source)) from None
    with atomic_write(target, force) as stream:
        stream.write(result.data)
    for note in result.notes:
        say(f"note: {note}")
    from csgs_codec.cli.report import encode_report, print_report

    report = encode_report(source, scene.count, result)
    if as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        print_report(report)


class _Progress:
    """A progress bar on a terminal, nothing elsewhere."""

    def __enter__(self) -> _Progress:
        self._bar = None
        if sys.stderr.isatty():
            self._bar = click.progressbar(
                length=1000, label="reading", file=sys.stderr, item_show_func=lambda text: text
            )
            self._bar.__enter__()
        self._done = 0
        return self

    def update(self, text: str, share: float) -> None:
        """Show what is being done and how far it is."""
        if self._bar is not None:
            self._bar.label = "encoding"
            self._bar.update(int(1000 * share) - self._done, text)
            self._done = int(1000 * share)

    def __exit__(self, *details: object) -> None:
        if self._bar is not None:
            self._bar.render_finish()
