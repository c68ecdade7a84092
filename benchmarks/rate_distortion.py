"""Our codec against others: one table and one plot per scene.

    python benchmarks/rate_distortion.py [--compare compare_ply.py] SCENE.ply CAMERAS.json [...]

writes ``RATE_DISTORTION.md``, ``figures/rd_SCENE.png`` and ``figures/rd_points.json`` beside this
file. Views are those marked ``test``. Renders are made by ``csgs_codec.render``, or by the program
given with ``--compare``. What other codecs make is kept in a cache by the hash
of their input and their version. Those that are not installed are skipped, with a line in the
table.
"""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
from rd_bench.cache import Cache, user_cache
from rd_bench.measure import Settings, measure, say
from rd_bench.peers import (
    FailedError,
    MissingError,
    all_peers,
    install_tool,
    tool_folder_default,
)
from rd_bench.points import OURS, Made, Results
from rd_bench.quality import External, Instrument, Own
from rd_bench.report import markdown, plot

import csgs_codec
from csgs_codec import __version__

HERE = Path(__file__).resolve().parent


def numbers(context: click.Context, option: click.Parameter, value: str) -> tuple[float, ...]:
    """Parse ``50,60,70``."""
    try:
        found = tuple(float(word) for word in value.split(","))
    except ValueError:
        raise click.BadParameter("not numbers with commas between them") from None
    return tuple(dict.fromkeys(found))


def short_command(words: Sequence[str], root: Path = HERE.parent) -> str:
    """Command line without folders of this machine: the last two parts of absolute paths."""
    short = []
    for word in words:
        path = Path(word)
        if path.is_absolute():
            inside = path.is_relative_to(root)
            word = str(path.relative_to(root) if inside else Path(*path.parts[-2:]))
        short.append(word)
    return shlex.join(short)


def state_of_sources() -> str:
    """Version of the codec, and commit where there is one."""
    folder = str(Path(csgs_codec.__file__).parent)
    words = ["git", "-C", folder, "describe", "--always", "--dirty", "--exclude=*"]
    try:
        said = subprocess.run(words, capture_output=True, text=True)
    except OSError:
        return __version__
    commit = said.stdout.strip()
    return f"{__version__} ({commit})" if said.returncode == 0 and commit else __version__


def about(instrument: Instrument, settings: Settings) -> str:
    """Describe what the numbers rest on."""
    ours = " with `--cameras`" if settings.with_cameras else ""
    more = f" and `{shlex.join(settings.encode_args)}`" if settings.encode_args else ""
    return (
        f"csgs_codec {state_of_sources()}{ours}{more}; renders by {instrument.name}; "
        f"{os.cpu_count()} CPU cores, Python {platform.python_version()}."
    )


@click.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--quality", "qualities", default="50,60,70,80,90", show_default=True,
              callback=numbers, help="Qualities of ours.")  # fmt: skip
@click.option("--bands", default="3,2,1,0", show_default=True, callback=numbers,
              help="SH degrees given to other codecs.")  # fmt: skip
@click.option("--compare", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Program that measures; csgs_codec.render by default.")  # fmt: skip
@click.option("--with-cameras", is_flag=True, help="Give the cameras to csgs-encode.")
@click.option("--encode-args", default="", metavar="WORDS", help="More options of csgs-encode.")
@click.option("--closer", default=0, metavar="N",
              help="Up to N more encodings of ours towards each point with a bar.")  # fmt: skip
@click.option("--tolerance", default=0.3, show_default=True, help="Near enough for --closer, dB.")
@click.option("--slow", is_flag=True, help="Run slow codecs (SOG) if their output is not cached.")
@click.option("--known", multiple=True, default=[str(HERE / "known_points.json")],
              type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Points measured elsewhere.  [default: known_points.json]")  # fmt: skip
@click.option("--cache", "cache_folder", type=click.Path(file_okay=False, path_type=Path),
              help="What other codecs made.  [default: CSGS_BENCH_CACHE or user's]")  # fmt: skip
@click.option("--npm-folder", type=click.Path(file_okay=False, path_type=Path),
              help="Where npm installs.  [default: CSGS_BENCH_NPM or in the cache]")  # fmt: skip
@click.option("--install", is_flag=True, help="Install splat-transform there with npm first.")
@click.option("--peers/--no-peers", default=True, help="Measure other codecs.")
@click.option("--ours/--no-ours", default=True, help="Measure our codec.")
@click.option("--update", is_flag=True, help="Keep other scenes of an earlier run.")
@click.option("--output", default=HERE, type=click.Path(file_okay=False, path_type=Path),
              help="Folder of table and plots.  [default: that of this script]")  # fmt: skip
def main(
    files: tuple[Path, ...],
    qualities: tuple[float, ...],
    bands: tuple[float, ...],
    compare: Path | None,
    with_cameras: bool,
    encode_args: str,
    closer: int,
    tolerance: float,
    slow: bool,
    known: tuple[Path, ...],
    cache_folder: Path | None,
    npm_folder: Path | None,
    install: bool,
    peers: bool,
    ours: bool,
    update: bool,
    output: Path,
) -> None:
    """Compare codecs on FILES: SCENE.ply and CAMERAS.json in turn."""
    if len(files) % 2 or (not files and not update):
        raise click.UsageError("give SCENE.ply and CAMERAS.json in turn")
    cache = Cache(cache_folder or user_cache())
    folder = npm_folder or tool_folder_default(cache.folder)
    try:
        instrument: Instrument = External(compare) if compare else Own()
    except MissingError as error:
        raise click.UsageError(f"{error}; give --compare PROGRAM") from None
    if install:
        try:
            install_tool(folder)
        except (MissingError, FailedError) as error:
            say(f"*** splat-transform is not installed: {error}")
    settings = Settings(
        qualities, tuple(int(b) for b in bands), slow, with_cameras,
        tuple(shlex.split(encode_args)), closer, tolerance, known, ours, peers,
    )  # fmt: skip
    saved = output / "figures" / "rd_points.json"
    results = Results.load(saved) if update and saved.exists() else Results(())
    command = "python " + short_command([str(Path(__file__).resolve()), *sys.argv[1:]])
    for scene, cameras in zip(files[::2], files[1::2], strict=True):
        found = measure(scene, cameras, instrument, all_peers(folder), cache, settings)
        made = tuple(Made(name, command, about(instrument, settings)) for name in found.scenes())
        results = results.merged(replace(found, made=made))
        write(results, output)
    if not files:
        write(results, output)
    if any(skip.codec == OURS for skip in results.skipped):
        raise SystemExit("our own codec failed")


def write(results: Results, output: Path) -> None:
    """Write points, plots and tables."""
    figures = output / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    results.save(figures / "rd_points.json")
    for scene in results.scenes():
        plot(results, scene, figures / f"rd_{scene}.png")
    (output / "RATE_DISTORTION.md").write_text(markdown(results, "figures"))


if __name__ == "__main__":
    main()
