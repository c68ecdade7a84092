"""The table that csgs-encode prints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from csgs_codec.container.attachments import ATTACHMENT_CHUNK
from csgs_codec.container.objects import OBJECT_CHUNK
from csgs_codec.describe import probe

if TYPE_CHECKING:
    from csgs_codec.encoder import EncodeResult


def encode_report(sources: Sequence[Path], rows: int, result: EncodeResult) -> dict[str, Any]:
    """Sizes of a file made of a PLY and its sidecars, in bytes and bits per Gaussian."""
    info = probe(result.data)
    count = max(info.gaussians, 1)
    size = len(result.data)
    coded = {name: bits / 8 for name, bits in result.group_bits.items()}
    chunks = info.bytes_by_chunk()
    carried = {"attachments": ATTACHMENT_CHUNK, "object table": OBJECT_CHUNK}
    other = {
        "hyperprior": info.hyperprior_bytes,
        **{name: chunks[type_] for name, type_ in carried.items() if type_ in chunks},
        **{f"exact {name}": bits / 8 for name, bits in result.exact_bits.items()},
    }
    rest = size - sum(coded.values()) - sum(other.values())
    parts = {**coded, **other, "headers and framing": rest}
    source_bytes = sum(source.stat().st_size for source in sources)
    return {
        "source_bytes": source_bytes,
        "source_gaussians": rows,
        "gaussians": info.gaussians,
        "bytes": size,
        "ratio": source_bytes / size,
        "bits_per_gaussian": 8 * size / count,
        "groups": {
            name: {"bytes": round(value), "bits_per_gaussian": 8 * value / count}
            for name, value in parts.items()
        },
        "levels": [
            {
                "level": level.level,
                "end": level.end,
                "bytes": level.bytes,
                "gaussians": level.gaussians,
                "bits_per_gaussian": 8 * level.bytes / count,
                "groups": list(level.groups),
            }
            for level in info.levels
        ],
        "quality": result.quality,
        "pruned": None if result.pruned is None else result.pruned.counts(),
        "semantics": {name: vars(score) for name, score in result.semantics.items()},
        "notes": result.notes,
    }


def print_report(report: dict[str, Any]) -> None:
    """Print the report as a table on stderr."""

    def line(text: str) -> None:
        click.echo(text, err=True)

    line(
        f"{report['gaussians']:,} Gaussians: "
        f"{report['source_bytes']:,} -> {report['bytes']:,} bytes"
        f"  ({report['ratio']:.1f}x, {report['bits_per_gaussian']:.2f} bits/Gaussian)"
    )
    line(f"  {'group':<22}{'bytes':>12}{'bits/Gaussian':>16}")
    for name, part in report["groups"].items():
        line(f"  {name:<22}{part['bytes']:>12,}{part['bits_per_gaussian']:>16.2f}")
    for name, score in report["semantics"].items():
        agreement = score["argmax_agreement"]
        classes = "" if agreement is None else f", class kept by {100 * agreement:.2f} %"
        line(
            f"  {name}: angle {score['angle_mean']:.2f} degrees on average, "
            f"{score['angle_p95']:.2f} at 95 %, {score['angle_max']:.1f} at most{classes}"
        )
    line(f"  {'level':<8}{'Gaussians':>12}{'file size':>14}{'share':>8}")
    for level in report["levels"]:
        share = 100 * level["end"] / report["bytes"]
        line(
            f"  {level['level']:<8}{level['gaussians']:>12,}{level['end']:>14,}{share:>7.1f}%"
            f"  {', '.join(level['groups'][-3:])}"
        )
