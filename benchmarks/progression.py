"""What progression costs: a progressive file against files of a single layer.

    python benchmarks/progression.py SCENE.ply CAMERAS.json [...]

writes ``PROGRESSION.md`` beside this file. Both kinds are made by the same encoder, without
semantics; a file of a single layer has all Gaussians in its first level. Each level of the
progressive file, as a decoder shows it, is held against the single-layer file that has its PSNR,
by interpolation between several qualities. PSNR is of the decoded file against the original over
the views marked ``test``. So is the PSNR of the original without SH beyond DC, which bounds levels
that have no SH yet.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import click
from rate_distortion import state_of_sources
from rd_bench.curves import bytes_at
from rd_bench.measure import say
from rd_bench.report import table
from rd_bench.scenes import with_bands
from rd_bench.subject import Subject

from csgs_codec import EncodeOptions, decode, encode, probe

HERE = Path(__file__).resolve().parent
SINGLE = (1.0,)
QUALITY, QUALITIES = 75.0, (1.0, 15.0, 30.0, 45.0, 60.0)
LIMIT = """
What limits the level that has all Gaussians but no SH is view-dependent colour: nearly all of its
error is there without any quantisation. Its geometry and base colours have the precision of the
whole file all the same, where a single-layer file of its PSNR has coarse ones. Levels before it
gain on single-layer files because they leave Gaussians out instead.
"""


def made(subject: Subject, quality: float, layer_ends: tuple[float, ...] | None) -> bytes:
    """Bytes of a file."""
    options = EncodeOptions(quality=quality, layer_ends=layer_ends)
    say(f"{subject.name}: quality {quality:g}, {'single layer' if layer_ends else 'progressive'}")
    return encode(subject.scene, options).data


def measure(subject: Subject, qualities: tuple[float, ...], quality: float) -> str:
    """Measure a scene and return its section."""
    progressive = made(subject, quality, None)
    singles = {q: made(subject, q, SINGLE) for q in sorted({*qualities, quality})}
    curve = [(len(data), subject.psnr(decode(data))) for data in singles.values()]
    whole, single = len(progressive), len(singles[quality])
    rows = []
    for number, level in enumerate(probe(progressive).levels, 1):
        psnr = subject.psnr(decode(progressive, level=number))
        same = bytes_at(curve, psnr)
        matched = [f"{same:,.0f}", f"{level.end / same:.2f}"] if same else ["", ""]
        facts = [f"{level.gaussians:,}", f"{level.end:,}", f"{level.end / whole:.3f}"]
        rows.append([str(number), *facts, f"{psnr:.2f}", *matched])
    head = ["level", "Gaussians", "bytes", "share", "PSNR", "single layer at that PSNR", "ratio"]
    lowest = min(psnr for _, psnr in curve)
    ceiling = subject.psnr(with_bands(subject.scene, 0))
    return (
        f"\n## {subject.name}\n\nQuality {quality:g}: progressive {whole:,} bytes, single layer "
        f"{single:,} bytes: {100 * (whole / single - 1):+.2f} %. The coarsest single-layer file "
        f"(quality {min(singles):g}) has {lowest:.2f} dB. The original without SH beyond DC has "
        f"{ceiling:.2f} dB.\n\n{table(head, rows)}\n"
    )


@click.command()
@click.argument("files", nargs=-1, required=True,
                type=click.Path(exists=True, dir_okay=False, path_type=Path))  # fmt: skip
@click.option("--quality", default=QUALITY, show_default=True)
@click.option("--single", "qualities", multiple=True, type=float,
              default=QUALITIES, show_default=True)  # fmt: skip
def main(files: tuple[Path, ...], quality: float, qualities: tuple[float, ...]) -> None:
    """Measure pairs of SCENE.ply and CAMERAS.json."""
    text = "# Progression\n\nSee `progression.py` for what is measured; the command is\n\n"
    pairs = list(zip(files[::2], files[1::2], strict=True))
    words = [f"{Path(*p.parts[-2:])} {Path(*c.parts[-2:])}" for p, c in pairs]
    words += [f"--quality {quality:g}"] if quality != QUALITY else []
    words += [f"--single {q:g}" for q in qualities] if qualities != QUALITIES else []
    text += f"    python benchmarks/progression.py {' '.join(words)}\n\n"
    text += f"csgs_codec {state_of_sources()}.\n{LIMIT}"
    for path, cameras in pairs:
        with TemporaryDirectory() as folder:
            text += measure(Subject(path, cameras, Path(folder)), qualities, quality)
        (HERE / "PROGRESSION.md").write_text(text)


if __name__ == "__main__":
    main()
