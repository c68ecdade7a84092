"""Time and memory, as medians.

    python benchmarks/speed.py SCENE.ply [--copies 1,4,8] [--repeat 5]

Larger scenes are made by replicating the scene side by side with a little jitter. ``in process`` is
decoding from memory to columns with everything loaded; ``process`` is the whole command. Memory is
the peak of a decoding process beyond one that has only loaded the modules, over the bytes of the
decoded columns.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from timing import median, takes_scene

from csgs_codec import Scene, decode, encode, read_ply

PEAK = (
    "import re, sys, csgs_codec\n"
    "from csgs_codec.numerics.backend import kernels\n"
    "from csgs_codec.decoder import decode\n"
    "kernels()\n"
    "import csgs_codec.numerics.side, constriction, threadpoolctl\n"
    "data = open(sys.argv[1], 'rb').read()\n"
    "peak = lambda: int(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1])\n"
    "before = peak()\n"
    "scene = decode(data)\n"
    "print(1024 * (peak() - before), sum(c.nbytes for c in scene.columns.values()))\n"
)


def replicate(scene: Scene, copies: int, seed: int = 0) -> Scene:
    """Copies side by side, each a little jittered."""
    if copies == 1:
        return scene
    random = np.random.default_rng(seed)
    box = float(np.ptp(scene.stack(("x", "y", "z")), axis=0).max())
    columns = {}
    for name, column in scene.columns.items():
        parts = []
        for copy in range(copies):
            noise = 0.01 * column.std() * random.standard_normal(len(column))
            shift = {"x": copy % 2, "y": copy // 2 % 2, "z": copy // 4}.get(name, 0) * box
            parts.append((column + noise + shift).astype(column.dtype) if noise.any() else column)
        columns[name] = np.concatenate(parts)
    return Scene(columns, scene.layout)


@click.command()
@takes_scene
@click.option("--copies", default="1,4,8", show_default=True)
def main(scene_file: Path, copies: str, repeat: int) -> None:
    """Print one table."""
    scene = read_ply(scene_file)
    print(
        "\n| Gaussians | bytes | encode s | decode in process s | s per million "
        "| csgs-decode s | csgs-info s | csgs-truncate s | memory / columns |"
    )
    print("|---" * 9 + "|")
    tools = Path(sys.executable).parent
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder) / "a.csgs", Path(folder) / "out"
        for count in (int(c) for c in copies.split(",")):
            large = replicate(scene, count)
            begin = time.perf_counter()
            data = encode(large).data
            encoding = time.perf_counter() - begin
            file.write_bytes(data)
            in_process = median(lambda d=data: decode(d), repeat)

            def command(name: str, *words: object) -> Callable[[], object]:
                line = [str(w) for w in (tools / name, *words)]
                return lambda: subprocess.run(line, check=True, capture_output=True)

            process = median(command("csgs-decode", "--force", file, out), repeat)
            info = median(command("csgs-info", file), repeat)
            cut = median(command("csgs-truncate", "--force", "--level", 2, file, out), repeat)
            line = [sys.executable, "-c", PEAK, str(file)]
            said = subprocess.run(line, check=True, capture_output=True, text=True).stdout
            peak, columns = (int(word) for word in said.split())
            print(
                f"| {large.count:,} | {len(data):,} | {encoding:.1f} | {in_process:.2f} "
                f"| {in_process / large.count * 1e6:.2f} | {process:.2f} | {info:.2f} | {cut:.2f} "
                f"| {peak / columns:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
