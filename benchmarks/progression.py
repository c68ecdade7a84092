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
QUALITIES, SINGLES = (75.0, 60.0), (1.0, 15.0, 45.0)
LIMIT = """
A level has the precision of the whole file; a single-layer file of its PSNR is coarse where that
does no harm. This is what levels close to the end of a fine file cost, and those of a coarser file
cost less. Early levels gain on single-layer files because they leave Gaussians out instead.
"""


def made(subject: Subject, quality: float, layer_ends: tuple[float, ...] | None) -> bytes:
    """Bytes of a file."""
    options = EncodeOptions(quality=quality, layer_ends=layer_ends)
    say(f"{subject.name}: quality {quality:g}, {'single layer' if layer_ends else 'progressive'}")
    return encode(subject.scene, options).data


def measure(subject: Subject, singles: tuple[float, ...], qualities: tuple[float, ...]) -> str:
    """Measure a scene and return its section."""
    alone = {q: made(subject, q, SINGLE) for q in sorted({*singles, *qualities})}
    curve = [(len(data), subject.psnr(decode(data))) for data in alone.values()]
    lowest = min(psnr for _, psnr in curve)
    ceiling = subject.psnr(with_bands(subject.scene, 0))
    text = (
        f"\n## {subject.name}\n\nThe coarsest single-layer file (quality {min(alone):g}) has "
        f"{lowest:.2f} dB. The original without SH beyond DC has {ceiling:.2f} dB.\n"
    )
    for quality in qualities:
        text += _levels(subject, quality, len(alone[quality]), curve)
    return text


def _levels(subject: Subject, quality: float, single: int, curve: list[tuple[int, float]]) -> str:
    progressive = made(subject, quality, None)
    whole = len(progressive)
    rows = []
    for number, level in enumerate(probe(progressive).levels, 1):
        psnr = subject.psnr(decode(progressive, level=number))
        same = bytes_at(curve, psnr) if level.end < whole else None
        matched = [f"{same:,.0f}", f"{level.end / same:.2f}"] if same else ["", ""]
        facts = [f"{level.gaussians:,}", f"{level.end:,}", f"{level.end / whole:.3f}"]
        rows.append([str(number), *facts, f"{psnr:.2f}", *matched])
    head = ["level", "Gaussians", "bytes", "share", "PSNR", "single layer at that PSNR", "ratio"]
    return (
        f"\nQuality {quality:g}: progressive {whole:,} bytes, single layer {single:,} bytes: "
        f"{100 * (whole / single - 1):+.2f} %.\n\n{table(head, rows)}\n"
    )


@click.command()
@click.argument("files", nargs=-1, required=True,
                type=click.Path(exists=True, dir_okay=False, path_type=Path))  # fmt: skip
@click.option("--quality", "qualities", multiple=True, type=float,
              default=QUALITIES, show_default=True, help="Of progressive files.")  # fmt: skip
@click.option("--single", "singles", multiple=True, type=float,
              default=SINGLES, show_default=True, help="Of single-layer files.")  # fmt: skip
def main(files: tuple[Path, ...], qualities: tuple[float, ...], singles: tuple[float, ...]) -> None:
    """Measure pairs of SCENE.ply and CAMERAS.json."""
    text = "# Progression\n\nSee `progression.py` for what is measured; the command is\n\n"
    pairs = list(zip(files[::2], files[1::2], strict=True))
    words = [f"{Path(*p.parts[-2:])} {Path(*c.parts[-2:])}" for p, c in pairs]
    words += [f"--quality {q:g}" for q in qualities] if qualities != QUALITIES else []
    words += [f"--single {q:g}" for q in singles] if singles != SINGLES else []
    text += f"    python benchmarks/progression.py {' '.join(words)}\n\n"
    text += f"csgs_codec {state_of_sources()}.\n{LIMIT}"
    for path, cameras in pairs:
        with TemporaryDirectory() as folder:
            text += measure(Subject(path, cameras, Path(folder)), singles, qualities)
        (HERE / "PROGRESSION.md").write_text(text)


if __name__ == "__main__":
    main()
