"""What was asked of semantic features, and whether it is met by the measured points."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from rd_bench.report import table

from sem_bench.curve import ORIGINAL, Point, Results
from sem_bench.ours import FOR_THE_HEAD, OURS

ANGLE = 5.0
_MIOU_LOST = 0.005
_SAME_MIOU = 0.001
_SAME_ANGLE = 1.1
_SAME_ARGMAX = 0.001
_IDS = 0.2
_WIDE = 5.0
_HALF = 0.5
_STEPS = "PCA, one step + zstd"
_RIVALS = (("PCA, 8 bits + zstd", ""), ("k-means + zstd", "64 entries"),
           ("k-means + zstd", "256 entries"))  # fmt: skip


@dataclass(frozen=True)
class Bar:
    """One demand, and what was measured."""

    wanted: str
    measured: str
    met: bool


def bars(results: Results) -> Iterator[Bar]:
    """Every demand on a scene that was measured."""
    for made in results.made:
        coders = results.of(made.scene)
        if made.scene in _CLASSES:
            yield _classes(made.scene, coders)
        if made.scene == "bear" and _STEPS in coders:
            yield _angle(made.scene, coders)
        if made.ids is not None:
            kept = f"{made.ids:.2f} bits"
            yield Bar(f"{made.scene}: ids, lossless, at most {_IDS} bits", kept, made.ids <= _IDS)
        for name, setting in _RIVALS:
            rival = next((p for p in coders.get(name, ()) if p.setting == setting), None)
            if rival is not None and rival.miou is not None:
                yield _same_miou(made.scene, coders, rival)
    yield from _wide(results)


_CLASSES = {"tabletop": (2.5, 0.995), "room": (8.0, 0.99)}


def _own(coders: dict[str, list[Point]]) -> list[Point]:
    return [point for name in (OURS, FOR_THE_HEAD) for point in coders.get(name, ())]


def _told(point: Point) -> str:
    head = ", for the head" if point.coder == FOR_THE_HEAD else ""
    return f"{point.bits:.2f} bits ({point.setting}{head})"


def _cheapest(points: list[Point], enough: Callable[[Point], bool]) -> Point | None:
    return min((p for p in points if enough(p)), key=lambda p: p.bits, default=None)


def _classes(scene: str, coders: dict[str, list[Point]]) -> Bar:
    most, least = _CLASSES[scene]
    known = coders[ORIGINAL][0].miou or 0.0

    def enough(point: Point) -> bool:
        return (point.argmax or 0) >= least and (point.miou or 0) >= known - _MIOU_LOST

    wanted = (
        f"{scene}: at most {most} bits, class kept by {100 * least:g} %, "
        f"mIoU within {100 * _MIOU_LOST:g} points"
    )
    best = _cheapest(_own(coders), enough)
    if best is None:
        return Bar(wanted, "no setting", False)
    said = f"{_told(best)}: {100 * (best.argmax or 0):.2f} %, mIoU {best.miou:.4f} of {known:.4f}"
    return Bar(wanted, said, best.bits <= most)


def _angle(scene: str, coders: dict[str, list[Point]]) -> Bar:
    wanted = f"{scene}: at most {ANGLE:g} degrees, at most {_HALF:g} of the bits of {_STEPS}"
    best = _cheapest(coders.get(OURS, []), lambda p: p.angle_mean <= ANGLE)
    if best is None:
        return Bar(wanted, "no setting", False)
    other = bits_at_angle(coders[_STEPS], best.angle_mean)
    share = best.bits / other
    said = f"{_told(best)}: {best.angle_mean:.2f} degrees, {share:.3f} of {other:.2f}"
    return Bar(wanted, said, share <= _HALF)


def _same_miou(scene: str, coders: dict[str, list[Point]], rival: Point) -> Bar:
    name = " ".join(filter(None, (rival.coder, rival.setting)))
    wanted = f"{scene}: mIoU of {name}, at most {_HALF:g} of its bits"
    aim = (rival.miou or 0.0) - _SAME_MIOU
    found = [bits_at_miou(coders.get(own, []), aim) for own in (OURS, FOR_THE_HEAD)]
    reached = [bits for bits in found if bits is not None]
    if not reached:
        return Bar(wanted, f"mIoU {rival.miou:.4f} not reached", False)
    share = min(reached) / rival.bits
    said = f"{min(reached):.2f} of {rival.bits:.2f} bits, {share:.2f}, at mIoU {rival.miou:.4f}"
    return Bar(wanted, said, share <= _HALF)


def _wide(results: Results) -> Iterator[Bar]:
    for width, scene in dict.fromkeys((p.width, p.scene) for p in results.wide):
        narrow = {p.setting: p for p in results.of(scene).get(OURS, ())}
        wanted = (
            f"{scene}, {width} columns: at most {_WIDE:g} bits, angle and classes of the "
            "16 columns at the same quality"
        )
        pairs = [
            (one, narrow[f"quality {quality}"])
            for one in results.wide
            if (one.scene, one.width) == (scene, width)
            for quality in one.setting.split()[1:2]
            if "classifier" not in one.setting and f"quality {quality}" in narrow
        ]
        fits = [(one, own) for one, own in pairs if one.bits <= _WIDE]
        if not fits:
            yield Bar(wanted, "no setting", False)
            continue
        one, own = max(fits, key=lambda pair: pair[0].bits)
        said = (
            f"{one.bits:.2f} bits ({own.setting}): {one.angle_mean:.2f} degrees (16 columns: "
            f"{own.angle_mean:.2f}), "
            f"{100 * (one.argmax or 0):.2f} % ({100 * (own.argmax or 0):.2f} %)"
        )
        alike = one.angle_mean <= _SAME_ANGLE * own.angle_mean
        kept = (one.argmax or 0) >= (own.argmax or 0) - _SAME_ARGMAX
        yield Bar(wanted, said, alike and kept)


def bits_at_angle(points: Sequence[Point], angle: float) -> float:
    """Bits at a mean angle, between points on a logarithmic scale of angles."""
    ordered = sorted(points, key=lambda p: p.angle_mean)
    logs = [np.log(p.angle_mean) for p in ordered]
    return float(np.interp(np.log(angle), logs, [p.bits for p in ordered]))


def bits_at_miou(points: Sequence[Point], miou: float) -> float | None:
    """Least bits at which a curve reaches a mIoU, None if it never does."""
    ordered = sorted(points, key=lambda p: p.bits)
    before: Point | None = None
    for point in ordered:
        if (point.miou or 0.0) >= miou:
            if before is None:
                return point.bits
            low, high = before.miou or 0.0, point.miou or 0.0
            share = (miou - low) / (high - low)
            return float(before.bits + share * (point.bits - before.bits))
        before = point
    return None


def bars_section(results: Results) -> str:
    """The part of the page that says which demands are met; empty without any."""
    found = list(bars(results))
    if not found:
        return ""
    rows = [[bar.wanted, bar.measured, "met" if bar.met else "**missed**"] for bar in found]
    note = (
        f"Bits are per Gaussian. An equal mIoU is one within {100 * _SAME_MIOU:g} points, between "
        f"measured settings; the bits of {_STEPS} are interpolated at our angle.\n"
    )
    return f"## Bars\n\n{note}\n" + table(["wanted", "measured", ""], rows)
