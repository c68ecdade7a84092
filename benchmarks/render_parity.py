"""Pictures of the CPU rasteriser against those of another renderer, and the time both take.

    python benchmarks/render_parity.py SCENE.ply CAMERAS --tool TOOL.py [--views 4] [--repeat 5]

TOOL.py must have ``load_gaussians(path)`` and ``render(gaussians, viewmat, K, width, height)`` that
returns colours and alpha; nothing of it is used but the pictures.
"""

from __future__ import annotations

import importlib.util
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

from csgs_codec import read_ply
from csgs_codec.render import RenderGaussians, render
from csgs_codec.render.cameras import read_cameras


def load_tool(path: Path) -> Any:
    """Import a module from its file."""
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise click.ClickException(f"{path} is no Python module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def timed(action: Callable[[], Any], repeat: int) -> tuple[Any, float]:
    """Result and median seconds, after one run that does not count."""
    result, seconds = action(), []
    for _ in range(repeat):
        begin = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - begin)
    return result, statistics.median(seconds)


@click.command()
@click.argument("scene", type=click.Path(exists=True, path_type=Path))
@click.argument("cameras", type=click.Path(exists=True, path_type=Path))
@click.option("--tool", required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--views", default=4, show_default=True)
@click.option("--repeat", default=5, show_default=True)
def main(scene: Path, cameras: Path, tool: Path, views: int, repeat: int) -> None:
    """Print one line per view."""
    other = load_tool(tool)
    theirs, ours = other.load_gaussians(str(scene)), RenderGaussians.from_scene(read_ply(scene))
    chosen = read_cameras(cameras)
    chosen = chosen[:: max(1, len(chosen) // views)][:views]
    print(f"{ours.count:,} Gaussians; differences of unclamped colours")
    print("| view | max difference | pixels above 1e-5 | PSNR dB | ours s | theirs s |")
    print("|---" * 6 + "|")
    for camera in chosen:
        arguments = camera.world_to_camera, camera.intrinsics, camera.width, camera.height
        (rgb, _, _), our_time = timed(lambda c=camera: render(ours, c, use="cpu"), repeat)
        (wanted, *_), their_time = timed(lambda a=arguments: other.render(theirs, *a), repeat)
        difference = np.abs(rgb.astype(np.float64) - wanted)
        psnr = -10 * np.log10(max((difference**2).mean(), 1e-20))
        print(
            f"| {camera.name} | {difference.max():.1e} | {(difference.max(-1) > 1e-5).sum():,} "
            f"of {difference[..., 0].size:,} | {psnr:.1f} | {our_time:.3f} | {their_time:.3f} |"
        )


if __name__ == "__main__":
    main()
