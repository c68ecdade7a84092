"""SEMANTICS.md and its plots."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rd_bench.report import table

from sem_bench.bars import bars_section
from sem_bench.curve import ORIGINAL, Point, Results
from sem_bench.ours import OURS
from sem_bench.wide import wide_section

_READING = """\
Bits are those of the features alone, per Gaussian, with all side information that their decoding
needs: quantiser and network of ours, axes or codebooks of the others. Angles (degrees) and the
relative error of the magnitude compare every Gaussian with the original; argmax is the share of the
Gaussians that keep their class under the scene's head. mIoU and pixel accuracy are of rendered
label maps against the true ones of the `test` views: features blended raw, geometry of the
original, one confusion matrix of all pixels. mIoU forgives a lot; read it with the other columns.

Others: principal axes of all features with 256 levels for each component, or with one step for all
components (in units of the rms of a centred component); k-means of whole vectors; half floats. Each
goes through zstandard -19, component by component, in Morton order of the positions, which a codec
of whole scenes gives away for free.

"""
_MODE = """\
Ours is given positions, scales, opacities, ids and features of a scene, without looking at
pictures, to be quick; `--full` in a command says that whole scenes were encoded. On tabletop,
features took as many bits in a whole file at quality 60 and 9 % more at quality 75.
"""


def markdown(results: Results, figures: str) -> str:
    """The whole page."""
    parts = ["# Semantics: bits against angle, class and mIoU\n"]
    parts += filter(None, [bars_section(results)])
    for command, about in dict.fromkeys((made.command, made.about) for made in results.made):
        names = [m.scene for m in results.made if (m.command, m.about) == (command, about)]
        parts.append(f"{', '.join(names)}:\n\n    {command}\n\n{about}\n")
    parts.append(_READING + _MODE)
    for made in results.made:
        heading = f"## {made.scene}\n\n{made.gaussians:,} Gaussians, {made.features}."
        parts.append(f"{heading}\n\n![{made.scene}]({figures}/semantics_{made.scene}.png)\n")
        parts.append(points_table(results, made.scene))
    if results.wide:
        parts.append(wide_section(results.wide))
    return "\n".join(parts)


def points_table(results: Results, scene: str) -> str:
    """Every point of a scene."""
    points = [point for points in results.of(scene).values() for point in points]
    head = ["coder", "setting", "bits/Gaussian", "angle mean", "angle 95 %", "magnitude error"]
    rows = [_row(point) for point in points]
    optional = ["argmax", "mIoU", "accuracy"]
    shown = [k for k in range(3) if any(row[6 + k] for row in rows)]
    kept = [*range(6), *(6 + k for k in shown)]
    return table([*head, *(optional[k] for k in shown)], [[row[k] for k in kept] for row in rows])


def _row(point: Point) -> list[str]:
    return [
        f"**{point.coder}**" if point.coder.startswith(OURS) else point.coder,
        point.setting,
        f"{point.bits:.2f}",
        f"{point.angle_mean:.2f}",
        f"{point.angle_p95:.2f}",
        f"{point.magnitude_error:.4f}",
        *("" if v is None else f"{v:.4f}" for v in (point.argmax, point.miou, point.accuracy)),
    ]


def plot(results: Results, scene: str, path: Path) -> None:
    """Draw mean angle, lost classes and lost mIoU over bits."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    coders = results.of(scene)
    original = coders.pop(ORIGINAL)[0]
    panels: list[tuple[str, Callable[[Point], float]]] = [
        ("mean angle, degrees", lambda p: p.angle_mean)
    ]
    if original.argmax is not None:
        panels.append(("Gaussians whose class changes, %", lambda p: 100 * (1 - (p.argmax or 0))))
    known = original.miou
    if known is not None:
        panels.append(("mIoU lost, points", lambda p: 100 * (known - (p.miou or 0))))
    figure, row = pyplot.subplots(
        1, len(panels), figsize=(5.2 * len(panels), 4.4), layout="constrained", squeeze=False
    )
    for axes, (title, value) in zip(row[0], panels, strict=True):
        for place, (name, points) in enumerate(coders.items()):
            ordered = sorted(points, key=lambda p: p.bits)
            own = name.startswith(OURS)
            style = {"color": "black", "lw": 2} if own else {"color": f"C{place}", "lw": 1}
            marker = ("o" if name == OURS else "*") if own else "^vDsPX<>"[place % 8]
            rate, lost = [p.bits for p in ordered], [value(p) for p in ordered]
            axes.plot(rate, lost, marker=marker, label=name, **style)
        axes.set(xscale="log", xlabel="bits per Gaussian of the features", ylabel=title)
        if title == panels[0][0]:
            axes.set_yscale("log")
        else:
            axes.set_yscale("symlog", linthresh=0.05)
            axes.set_ylim(bottom=-0.05)
        axes.grid(alpha=0.3)
    row[0][0].legend(fontsize="small")
    figure.suptitle(scene)
    figure.savefig(path, dpi=100, metadata={"Software": None})
    pyplot.close(figure)
