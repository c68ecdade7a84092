"""One file, cut behind its levels, as a picture.

    python benchmarks/levels_picture.py SCENE.ply CAMERAS.json HEAD.npz OUT.png [--view NAME]

Encodes a scene at default settings and shows one view of its first three levels, of the whole file,
of the semantic classes that the head sees in the decoded features, and of the original.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from csgs_codec import EncodeOptions, Scene, decode, encode, probe, read_ply
from csgs_codec.encoder.look import shrunk
from csgs_codec.metrics.segmentation import label_map
from csgs_codec.render import render
from csgs_codec.render.cameras import Camera, read_cameras
from csgs_codec.render.gaussians import RenderGaussians
from csgs_codec.schema import Role, assign_roles
from csgs_codec.semantics.heads import Head, read_head

SIDE, GAP, TEXT = 277, 6, 22
SHOWN_LEVELS = (1, 2, 3)
RGB8 = NDArray[np.uint8]


def picture(scene: Scene, camera: Camera) -> RGB8:
    """Render a scene."""
    image = render(RenderGaussians.from_scene(scene), camera)[0]
    return np.asarray(np.rint(np.clip(image, 0, 1) * 255), np.uint8)


def classes(scene: Scene, head: Head, camera: Camera) -> RGB8:
    """Classes in arbitrary colours."""
    names = next(g.columns for g in assign_roles(scene) if g.role is Role.SEMANTIC)
    labels = label_map(RenderGaussians.from_scene(scene), scene.stack(names), head, camera)
    colours = np.random.default_rng(7).integers(40, 256, (head.classes, 3))
    return np.asarray(colours[labels], np.uint8)


def sheet(panels: list[tuple[str, RGB8]]) -> Image.Image:
    """Panels with captions, three in a row."""
    height, width = panels[0][1].shape[:2]
    wide, high = width + GAP, height + TEXT
    image = Image.new("RGB", (3 * wide - GAP, -(-len(panels) // 3) * high), "white")
    draw = ImageDraw.Draw(image)
    for number, (caption, pixels) in enumerate(panels):
        left, top = number % 3 * wide, number // 3 * high
        image.paste(Image.fromarray(pixels), (left, top))
        draw.text((left + 4, top + height + 4), caption, "black", font_size=13)
    return image


@click.command()
@click.argument("scene_path", type=click.Path(exists=True, path_type=Path))
@click.argument("cameras", type=click.Path(exists=True, path_type=Path))
@click.argument("head_path", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--view", help="Name of a camera; the first by default.")
def main(scene_path: Path, cameras: Path, head_path: Path, out: Path, view: str | None) -> None:
    """Encode, decode every level and draw."""
    scene, head = read_ply(scene_path), read_head(head_path)
    camera = next(c for c in read_cameras(cameras) if view in (None, c.name))
    camera = shrunk(camera, SIDE)
    data = encode(scene, EncodeOptions()).data
    levels = probe(data).levels

    def caption(number: int) -> str:
        end = levels[number - 1].end
        return f"level {number}: {end / 1000:.0f} kB, {100 * end / len(data):.0f} %"

    panels = [(caption(n), picture(decode(data, level=n), camera)) for n in SHOWN_LEVELS]
    decoded = decode(data)
    panels.append((caption(len(levels)), picture(decoded, camera)))
    panels.append(("semantics decoded from the same file", classes(decoded, head, camera)))
    size = scene_path.stat().st_size / 1e6
    panels.append((f"original PLY: {size:.1f} MB", picture(scene, camera)))
    sheet(panels).quantize(256).save(out, optimize=True)


if __name__ == "__main__":
    main()
