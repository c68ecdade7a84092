"""Size and quality of whole files and of every level, measured on decoded files.

    python benchmarks/levels.py --compare compare_ply.py SCENE.ply CAMERAS.json [...]

``compare_ply.py`` is any program that, called as ``ORIGINAL.ply DECODED.ply CAMERAS.json --split
test``, prints a last line with ``'psnr': NUMBER``; it renders both with the same cameras. Levels
are cut with ``csgs-truncate`` and decoded with ``csgs-decode``, as a user would.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from csgs_codec import probe


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a program and return what it printed."""
    words = [str(word) for word in command]
    return subprocess.run(words, check=True, capture_output=True, text=True, cwd=cwd).stdout


def tool(name: str) -> Path:
    """Path of one of our commands in the running environment."""
    return Path(sys.executable).with_name(name)


@click.command()
@click.option("--compare", required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--quality", default=75.0)
@click.argument("pairs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def main(compare: Path, quality: float, pairs: tuple[Path, ...]) -> None:
    """Print one table; PAIRS are scene and cameras in turn."""
    compare = compare.resolve()
    print(f"\nquality {quality:g}\n")
    print("| scene | level | Gaussians | bytes | share | bits/Gaussian | PLY / file | PSNR dB |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for scene, cameras in zip(pairs[::2], pairs[1::2], strict=True):
            file, cut, back = (Path(folder) / n for n in ("a.csgs", "cut.csgs", "back.ply"))
            begin = time.perf_counter()
            run(tool("csgs-encode"), "--force", "--quality", str(quality), scene, file)
            seconds = time.perf_counter() - begin
            info = probe(file)
            for level in info.levels:
                run(tool("csgs-truncate"), "--force", "--level", str(level.level), file, cut)
                run(tool("csgs-decode"), "--force", cut, back)
                size = cut.stat().st_size
                said = run(
                    sys.executable, compare, scene.resolve(), back, cameras.resolve(),
                    "--split", "test", cwd=compare.parent,
                )  # fmt: skip
                psnr = float(re.findall(r"'psnr': ([0-9.]+)", said)[-1])
                print(
                    f"| {scene.parent.name} | {level.level} | {level.gaussians:,} | {size:,} "
                    f"| {100 * size / info.size:.1f} % | {8 * size / info.gaussians:.1f} "
                    f"| {scene.stat().st_size / size:.1f} | {psnr:.2f} |",
                    flush=True,
                )
            print(f"<!-- {scene.parent.name}: encoded in {seconds:.1f} s -->")


if __name__ == "__main__":
    main()
