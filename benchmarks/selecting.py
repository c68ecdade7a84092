"""How long selections take, beside decoding everything; medians in process, from memory.

    python benchmarks/selecting.py SCENE.ply [--objects 300] [--repeat 5]

Ids are those of the nearest of some random Gaussians; the file is encoded with ``--fast``. Also
prints how large the object table becomes for more and more objects.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from timing import median, takes_scene

from csgs_codec import EncodeOptions, Scene, decode, encode, probe, read_ply, select
from csgs_codec.encoder.objects import describe_objects
from csgs_codec.schema import assign_roles
from csgs_codec.semantics.select import Selection
from csgs_codec.semantics.similar import Similar

TABLE_SIZES = (10, 100, 300, 1000, 2000, 4096)
_ROWS = 2000


def with_objects(scene: Scene, count: int) -> Scene:
    """Give each Gaussian the number of the nearest of ``count`` seeds."""
    xyz = scene.stack(("x", "y", "z"))
    seeds = xyz[np.random.default_rng(0).choice(len(xyz), count, replace=False)]
    parts = [
        ((xyz[at : at + _ROWS, None] - seeds) ** 2).sum(axis=2).argmin(axis=1)
        for at in range(0, len(xyz), _ROWS)
    ]
    columns = {**scene.columns, "object_id": np.concatenate(parts).astype(np.int32)}
    return Scene(columns, scene.layout, scene.elements)


@click.command()
@takes_scene
@click.option("--objects", default=300, show_default=True)
def main(scene_file: Path, objects: int, repeat: int) -> None:
    """Print a table of seconds and one of sizes."""
    scene = read_ply(scene_file)
    data = encode(with_objects(scene, objects), EncodeOptions(look=False)).data
    decoded = decode(data)
    group = next(g for g in probe(data).groups if g.kind == "semantic")
    vector = decoded.stack(group.properties)[1000].astype(np.float32)
    xyz = decoded.stack(("x", "y", "z"))
    corners = np.quantile(xyz, [0.25, 0.75], axis=0).reshape(-1)
    selections = {
        "an id": "id=17",
        "a box": "box=" + ",".join(f"{v:.3f}" for v in corners),
        "a vector": Selection((Similar(vector, 0.9),)),
    }
    click.echo(f"{scene.count:,} Gaussians, {len(data):,} bytes")
    for name, selection in selections.items():
        chosen = select(data, selection).count
        took = median(lambda one=selection: select(data, one), repeat)
        click.echo(f"{name:<12}{took:>8.3f} s{chosen:>10,} chosen")
    click.echo(f"{'everything':<12}{median(lambda: decode(data), repeat):>8.3f} s")
    for count in TABLE_SIZES:
        many = with_objects(scene, count)
        table = describe_objects(many, assign_roles(many), EncodeOptions(), [])
        assert table is not None
        size = len(table.write())
        boxes = "with" if table.objects[0].box else "without"
        click.echo(f"{count:>6} objects{size:>8,} bytes{size / count:>7.1f} each, {boxes} boxes")


if __name__ == "__main__":
    main()
