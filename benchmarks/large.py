"""What becomes of a scene in a large one: the same scene several times, side by side.

    python benchmarks/large.py SCENE.ply CAMERAS.json --copies 1,4,9

prints a table. Semantics are left out, and the farthest 2 % of the Gaussians on each side of each
axis, so that copies stand apart. PSNR is of the decoded file against the original, mean over the
views of one copy that are marked ``test``, at their size and at twice their width and height.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from time import perf_counter, process_time

import click
import numpy as np
from pruning import Judge
from rd_bench.measure import say
from rd_bench.report import table
from rd_bench.scenes import load, scene_name

from csgs_codec import Scene, decode, encode
from csgs_codec.render.cameras import Camera, read_cameras

_OUTER = 0.02
HEAD = ["copies", "Gaussians", "bytes", "bits/Gaussian", "PSNR", "at twice the size", "s",
        "processor s"]  # fmt: skip


def core(scene: Scene) -> tuple[Scene, float]:
    """A scene without what is far out, and its largest extent."""
    points = scene.stack(("x", "y", "z"))
    low, high = np.quantile(points, [_OUTER, 1 - _OUTER], axis=0)
    inside = ((points >= low) & (points <= high)).all(axis=1)
    return scene.select(np.flatnonzero(inside)), float((high - low).max())


def side_by_side(scene: Scene, copies: int, apart: float) -> Scene:
    """Copies on a square grid in x and z."""
    width = int(np.ceil(np.sqrt(copies)))
    places = {"x": np.arange(copies) % width, "z": np.arange(copies) // width}
    columns = {}
    for name, column in scene.columns.items():
        shifts = apart * places[name] if name in places else np.zeros(copies)
        columns[name] = np.concatenate([(column + s).astype(column.dtype) for s in shifts])
    return Scene(columns, scene.layout)


def enlarged(camera: Camera, factor: int) -> Camera:
    """The same view with more pixels."""
    lens = np.diag([factor, factor, 1.0]) @ camera.intrinsics
    return replace(
        camera, width=factor * camera.width, height=factor * camera.height, intrinsics=lens
    )


@click.command()
@click.argument("scene_file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("camera_file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--copies", default="1,4,9", show_default=True)
def main(scene_file: Path, camera_file: Path, copies: str) -> None:
    """Encode a scene beside copies of itself."""
    one, apart = core(load(scene_file)[1])
    cameras = [camera for camera in read_cameras(camera_file) if camera.split == "test"]
    rows = []
    for count in map(int, copies.split(",")):
        scene = side_by_side(one, count, apart)
        say(f"{scene_name(scene_file)}: {count} of {one.count:,} Gaussians")
        clock, busy = perf_counter(), process_time()
        data = encode(scene).data
        clock, busy = perf_counter() - clock, process_time() - busy
        back = decode(data)
        near = [Judge(scene, [enlarged(c, f) for c in cameras]).psnr(back) for f in (1, 2)]
        rows.append([
            str(count), f"{scene.count:,}", f"{len(data):,}", f"{8 * len(data) / scene.count:.2f}",
            *(f"{value:.2f}" for value in near), f"{clock:.1f}", f"{busy:.1f}",
        ])  # fmt: skip
    click.echo(f"**{scene_name(scene_file)}**\n\n{table(HEAD, rows)}")


if __name__ == "__main__":
    main()
