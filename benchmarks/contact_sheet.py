"""A sheet of small pictures of what the automatic cameras see.

python benchmarks/contact_sheet.py SCENE.ply SHEET.png [--count 24] [--cameras FILE]
"""

from __future__ import annotations

import time
from pathlib import Path

import click
import numpy as np
from PIL import Image

from csgs_codec import read_ply
from csgs_codec.render import RenderGaussians, read_cameras, render
from csgs_codec.render.auto_cameras import place_cameras


@click.command()
@click.argument("scene", type=click.Path(exists=True, path_type=Path))
@click.argument("sheet", type=click.Path(path_type=Path))
@click.option("--count", default=24, show_default=True)
@click.option("--columns", default=8, show_default=True)
@click.option("--side", default=96, show_default=True, help="Pixels of a small picture.")
@click.option("--cameras", type=click.Path(exists=True, path_type=Path), help="Instead.")
def main(
    scene: Path, sheet: Path, count: int, columns: int, side: int, cameras: Path | None
) -> None:
    """Render and save."""
    gaussians = RenderGaussians.from_scene(read_ply(scene))
    begin = time.perf_counter()
    if cameras:
        found = read_cameras(cameras)
        chosen = found[:: max(1, len(found) // count)][:count]
    else:
        chosen = place_cameras(gaussians, count, 4 * side, 4 * side)
        print(f"{time.perf_counter() - begin:.1f} s to place {count} cameras")
    rows = -(-len(chosen) // columns)
    picture = Image.new("RGB", (columns * side, rows * side))
    for number, camera in enumerate(chosen):
        rgb = render(gaussians, camera, use="cpu")[0]
        small = Image.fromarray(np.uint8(np.clip(rgb, 0, 1) * 255 + 0.5)).resize((side, side))
        picture.paste(small, (number % columns * side, number // columns * side))
    sheet.parent.mkdir(parents=True, exist_ok=True)
    picture.quantize(128).save(sheet, optimize=True)
    print(f"{sheet}: {sheet.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
