"""Tables and plots of results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rd_bench.curves import bd_rate, bytes_at
from rd_bench.points import Point, Results

BARS = {"SPZ v4": 0.25, "SOG": 0.4, "G-PCC": 0.4}
"""Most bytes of ours over the other codec's, at its PSNR with its default setting."""
ONLY_KNOWN = ("G-PCC",)
"""Codecs that are not run, so that they miss on most scenes."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Make a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def all_points(results: Results, scene: str) -> str:
    """Table of every measured, known and skipped codec."""
    rows = []
    points = results.ours(scene, ("full", "default", "level", "semantic"))
    order = {"full": 0, "default": 1, "level": 2, "semantic": 3}
    points.sort(key=lambda p: (order[p.kind], p.bytes))
    for point in points + [p for ps in results.others(scene).values() for p in ps]:
        rows.append((
            point.codec, point.setting, f"{point.bytes:,}", f"{point.bits:.1f}",
            f"{point.psnr:.2f}", _number(point.ssim, ".4f"), _number(point.seconds, ".1f"),
            point.note,
        ))  # fmt: skip
    for skip in results.skipped:
        if skip.scene == scene:
            rows.append((skip.codec, "**skipped**", "", "", "", "", "", skip.why))
    head = ("codec", "setting", "bytes", "bits/Gaussian", "PSNR dB", "SSIM", "encode s", "note")
    return table(head, rows)


@dataclass(frozen=True)
class Match:
    """Our bytes at a point of another codec; None outside our range."""

    point: Point
    ours: float | None
    where: str
    bar: float | None

    @property
    def ratio(self) -> float | None:
        """Our bytes over the other codec's."""
        return None if self.ours is None else self.ours / self.point.bytes


def matches(results: Results, scene: str) -> list[Match]:
    """Compare with every point of every other codec."""
    ours = [p.pair for p in results.ours(scene)]
    others, found = results.others(scene), []
    default = max((p.setting for ps in others.values() for p in ps if p.kind == "peer"), default="")
    for codec, points in others.items():
        for point in points:
            where, is_default = "", point.kind == "known" or point.setting == default
            if ours and (at := bytes_at(ours, point.psnr)) is None:
                above = point.psnr > max(psnr for _, psnr in ours)
                where = f"{'above' if above else 'below'} our range"
            else:
                at = bytes_at(ours, point.psnr)
            found.append(Match(point, at, where, BARS.get(codec) if is_default else None))
    return found


def targets(results: Results, scene: str) -> list[float]:
    """PSNR of the points that a bar applies to."""
    return sorted({m.point.psnr for m in matches(results, scene) if m.bar is not None})


def same_psnr(results: Results, scene: str) -> str:
    """Table of our bytes at the PSNR of other codecs."""
    rows, found = [], matches(results, scene)
    for match in found:
        point, verdict = match.point, ""
        if match.bar is not None and match.ratio is not None:
            verdict = "met" if match.ratio <= match.bar else "**missed**"
        rows.append((
            point.codec, point.setting, f"{point.psnr:.2f}", f"{point.bytes:,}",
            _number(match.ours, ",.0f") or match.where, _number(match.ratio, ".3f"),
            _number(match.bar, ".2f"), verdict,
        ))  # fmt: skip
    reached = {m.point.codec for m in found if m.bar is not None}
    for codec, bar in BARS.items():
        if codec not in reached and codec not in ONLY_KNOWN:
            rows.append((codec, "default", "", "", "", "", f"{bar:.2f}", "**not measured**"))
    head = ("codec", "setting", "its PSNR dB", "its bytes", "our bytes", "ours / its", "bar", "")
    return table(head, rows)


def bd_table(results: Results, scene: str) -> str:
    """Table of BD-rates against codecs with several points."""
    ours, rows = [p.pair for p in results.ours(scene)], []
    for codec, points in results.others(scene).items():
        known = sum(p.kind == "known" for p in points)
        count = f"{len(points)} ({known} known)" if known else str(len(points))
        if len(points) < 2 or not ours:
            rows.append((codec, count, "", "one point" if ours else "ours not measured"))
            continue
        rate = bd_rate(ours, [p.pair for p in points])
        if rate is None:
            rows.append((codec, count, "", "no common range"))
        else:
            span = f"{rate.low:.2f} to {rate.high:.2f}"
            rows.append((codec, count, span, f"{rate.percent:+.1f} %"))
    return table(("codec", "its points", "common range dB", "BD-rate of ours"), rows)


def markdown(results: Results, figures: str) -> str:
    """Make the whole document.

    Parameters
    ----------
    results : Results
    figures : str
        Folder of the plots, relative to the document.
    """
    parts = ["# Rate and distortion\n"]
    for command, about in dict.fromkeys((m.command, m.about) for m in results.made):
        names = [m.scene for m in results.made if (m.command, m.about) == (command, about)]
        parts.append(f"{', '.join(names)}:\n\n    {command}\n\n{about}\n")
    parts.append(_READING)
    for scene in results.scenes():
        count = next(p.gaussians for p in results.points if p.scene == scene)
        parts.append(
            f"## {scene}\n\n{count:,} Gaussians.\n\n![{scene}]({figures}/rd_{scene}.png)\n"
        )
        parts.append("Ours at the PSNR of each:\n\n" + same_psnr(results, scene))
        parts.append("BD-rate, negative where ours is smaller:\n\n" + bd_table(results, scene))
        parts.append("Everything:\n\n" + all_points(results, scene))
    return "\n".join(parts)


_READING = """\
Bytes are whole files on disk. PSNR and SSIM are means over the views marked `test`, of renders of
the decoded file (each codec's own decoder, to PLY) against renders of the input PLY, clamped to
0..1. Bits are per Gaussian of the input. Other codecs drop semantic features, so they and `csgs`
are given the scene without them (geometry, colour and normals only); the row `with semantics` is
`csgs` on the scene as it is. `SH n` is the scene without the bands of spherical harmonics above n,
which is how codecs without a quality setting get several points; PSNR is against the scene with all
its bands. Ours between measured points is interpolated (piecewise cubic in log bytes over PSNR)
over whole files only; a bar applies to the codec's default setting, with all bands. Seconds are
single runs on a busy machine.
"""


def plot(results: Results, scene: str, path: Path) -> None:
    """Draw bits per Gaussian and PSNR of a scene."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5.5), layout="constrained")
    ours = sorted(results.ours(scene), key=lambda p: p.bits)
    if ours:
        axes.plot(*_xy(ours), "o-", color="black", linewidth=2, label="csgs, qualities")
    levels = results.ours(scene, ("level", "default"))
    if levels:
        levels.sort(key=lambda p: p.bits)
        axes.plot(*_xy(levels), "s--", color="grey", label="csgs, levels of the default file")
    for point in results.ours(scene, ("semantic",)):
        axes.plot(*_xy([point]), "*", color="black", markersize=11, label="csgs, with semantics")
    for place, (codec, points) in enumerate(results.others(scene).items()):
        known = all(p.kind == "known" for p in points)
        some = any(p.kind == "known" for p in points)
        label = f"{codec} ({'' if known else 'partly '}known)" if some else codec
        marker = "x" if known else "^vDPX<>hp"[place % 9]
        axes.plot(*_xy(points), f"{marker}:", color=f"C{place}", label=label)
    axes.set(xscale="log", xlabel="bits per Gaussian", ylabel="PSNR against the input, dB")
    axes.set_title(scene)
    ticks = [t for t in (4, 8, 16, 32, 64, 128, 256, 512, 1024) if _within(t, axes.get_xlim())]
    axes.set_xticks(ticks, [str(t) for t in ticks])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100, metadata={"Software": None})
    pyplot.close(figure)


def _within(value: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= value <= limits[1]


def _xy(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [p.bits for p in points], [p.psnr for p in points]
