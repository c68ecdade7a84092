"""What compression leaves of semantics.

    python benchmarks/semantics.py --curve SCENE_DIR [--curve SCENE_DIR ...] [--full] [--update]

measures our codec and plain coders on the features of ``SCENE_DIR/scene.ply`` and writes
``SEMANTICS.md``, ``figures/semantics_SCENE.png`` and ``figures/semantics_points.json``. Points are
kept in a cache, ours for a clean state of the sources, so that a run that was stopped goes on.
``--update`` keeps the other scenes of an earlier run; alone, it draws those again.

    python benchmarks/semantics.py --wide SCENE_DIR [--width 512] [--noise 0.02] [--full]

encodes the scene with its features multiplied into hundreds of columns, says what they cost and how
much memory that takes, and puts the table into ``SEMANTICS.md``.

    python benchmarks/semantics.py --lerf LERF_OVS --scene NAME --queries VECTORS.npz FILE ...
    python benchmarks/semantics.py --ovs SCENE_DIR --queries VECTORS.npz FILE ...

score scenes (PLY or compressed) by the protocols of LERF-OVS (``LERF_OVS/label/NAME``) and 3D-OVS
(``SCENE_DIR/segmentations``) and print a table. VECTORS.npz holds the embedding of every text by
its name, and ``negatives``.
"""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import replace
from pathlib import Path

import click
from rate_distortion import short_command, state_of_sources
from rd_bench.cache import Cache, user_cache
from rd_bench.measure import say
from rd_bench.report import table
from sem_bench import vocabulary
from sem_bench.curve import Made, Results, measure
from sem_bench.ours import id_bits
from sem_bench.report import markdown, plot
from sem_bench.scene import Subject
from sem_bench.wide import measure_wide

from csgs_codec.errors import CsgsError
from csgs_codec.metrics.lerf import THRESHOLD, read_labels
from csgs_codec.metrics.queries import read_queries
from csgs_codec.render import read_cameras
from csgs_codec.semantics.decoders import read_decoder

HERE = Path(__file__).resolve().parent
_folder = click.Path(exists=True, file_okay=False, path_type=Path)
_file = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("files", nargs=-1, type=_file)
@click.option("--curve", "folders", multiple=True, type=_folder, help="Scene to draw curves of.")
@click.option("--full", is_flag=True, help="Encode whole scenes and look at them: slower.")
@click.option("--ours/--no-ours", default=True, help="Measure our codec.")
@click.option("--update", is_flag=True, help="Keep other scenes of an earlier run.")
@click.option("--wide", type=_folder, help="Scene to multiply the features of.")
@click.option("--width", default=512, show_default=True, help="Columns of --wide.")
@click.option("--noise", default=0.02, show_default=True, help="Of --wide, in rms of features.")
@click.option("--lerf", type=_folder, help="LERF-OVS in LangSplat's layout.")
@click.option("--scene", help="Scene of LERF-OVS.")
@click.option("--ovs", type=_folder, help="A scene of 3D-OVS.")
@click.option("--cameras", type=click.Path(exists=True, path_type=Path),
              help="Cameras of the scene.  [default: COLMAP model in its folder]")  # fmt: skip
@click.option("--queries", type=_file, help="Vectors of texts, .npz.")
@click.option("--decoder", type=_file, help="Head or MLP from features to them.")
@click.option("--threshold", default=THRESHOLD, show_default=True, help="Of LERF-OVS masks.")
@click.option("--cache", "cache_folder", type=click.Path(file_okay=False, path_type=Path),
              help="Measured points.  [default: CSGS_BENCH_CACHE or user's]")  # fmt: skip
@click.option("--output", default=HERE, type=click.Path(file_okay=False, path_type=Path),
              help="Folder of table and plots.  [default: that of this script]")  # fmt: skip
def main(
    files: tuple[Path, ...],
    folders: tuple[Path, ...],
    full: bool,
    ours: bool,
    update: bool,
    wide: Path | None,
    width: int,
    noise: float,
    lerf: Path | None,
    scene: str | None,
    ovs: Path | None,
    cameras: Path | None,
    queries: Path | None,
    decoder: Path | None,
    threshold: float,
    cache_folder: Path | None,
    output: Path,
) -> None:
    """Measure semantics: --curve, --wide, or FILES by --lerf or --ovs."""
    others = (wide is not None, lerf is not None, ovs is not None)
    drawn = bool(folders) or (update and not any(others))
    if (drawn, *others).count(True) != 1:
        raise click.UsageError("give one of --curve, --wide, --lerf and --ovs")
    try:
        if wide is not None:
            wide_features(Subject(wide), width, noise, full, output)
        elif drawn:
            curves(folders, full, ours, update, Cache(cache_folder or user_cache()), output)
        else:
            vocabularies(files, lerf, scene, ovs, cameras, queries, decoder, threshold)
    except CsgsError as error:
        raise click.ClickException(str(error)) from None


def curves(
    folders: tuple[Path, ...], full: bool, ours: bool, update: bool, cache: Cache, output: Path
) -> None:
    """Measure scenes and write table and plots after each; without any, write those again."""
    saved = points_file(output)
    results = Results.load(saved) if update and saved.exists() else Results()
    command, about, state = origin()
    known = None if "dirty" in state or "(" not in state else state
    for folder in folders:
        subject = Subject(folder)
        points = measure(subject, cache, known, full, ours, say)
        columns = subject.group.columns
        features = f"`{columns[0]}..{len(columns) - 1}`"
        ids = id_bits(subject)
        made = Made(subject.name, subject.scene.count, features, command, about, ids)
        results = results.merged(made, points)
        results.save(saved)
        write(results, output)
    if not folders:
        write(results, output)


def wide_features(subject: Subject, width: int, noise: float, full: bool, output: Path) -> None:
    """Measure wide features and put them into an earlier run's table."""
    saved = points_file(output)
    results = Results.load(saved) if saved.exists() else Results()
    command, about, _ = origin()
    points = measure_wide(subject, width, noise, full, say)
    results = results.with_wide(replace(point, command=command, about=about) for point in points)
    results.save(saved)
    write(results, output)


def points_file(output: Path) -> Path:
    """Where points are kept; its folder exists."""
    figures = output / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    return figures / "semantics_points.json"


def origin() -> tuple[str, str, str]:
    """The command, what it ran on, and the state of the sources."""
    command = "python " + short_command([str(Path(__file__).resolve()), *sys.argv[1:]])
    state = state_of_sources()
    about = f"csgs_codec {state}; Python {platform.python_version()}, {os.cpu_count()} CPU cores."
    return command, about, state


def write(results: Results, output: Path) -> None:
    """Write table and plots."""
    for scene in results.scenes():
        plot(results, scene, output / "figures" / f"semantics_{scene}.png")
    (output / "SEMANTICS.md").write_text(markdown(results, "figures"))


def vocabularies(
    files: tuple[Path, ...],
    lerf: Path | None,
    scene: str | None,
    ovs: Path | None,
    camera_file: Path | None,
    query_file: Path | None,
    decoder_file: Path | None,
    threshold: float,
) -> None:
    """Print the scores of files."""
    if query_file is None or not files or (lerf is not None and scene is None):
        raise click.UsageError("FILES, --queries and, for --lerf, --scene are needed")
    queries = read_queries(query_file)
    decoder = None if decoder_file is None else read_decoder(decoder_file)
    folder = ovs if lerf is None else lerf / str(scene)
    assert folder is not None
    cameras = read_cameras(camera_file or folder)
    rows = []
    for file in files:
        rendered = vocabulary.load(file, queries, decoder)
        if lerf is not None:
            frames = read_labels(lerf / "label" / str(scene))
            found = vocabulary.lerf_score(rendered, frames, cameras, queries, decoder, threshold)
            second, count = found.localisation, f"{len(found.queries)} queries"
            miou = found.miou
        else:
            score = vocabulary.ovs_score(rendered, folder, cameras, queries, decoder)
            miou, second = score.miou, float(score.accuracy.mean())
            count = f"{len(score.accuracy)} views"
        size = f"{file.stat().st_size:,}"
        rows.append([file.name, size, f"{miou:.4f}", f"{second:.4f}", count])
    last = "accuracy" if lerf is None else "localisation"
    click.echo(table(["file", "bytes", "mIoU", last, "of"], rows), nl=False)


if __name__ == "__main__":
    main()
