"""Bits against what is left of semantics: points of one scene."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rd_bench.cache import Cache

from sem_bench import ours
from sem_bench.coders import F64, baselines
from sem_bench.scene import Subject
from sem_bench.wide import WidePoint

ORIGINAL = "uncompressed"
_VERSION = "1"
"""Of the baselines and of what is measured; part of the keys of the cache."""

Code = Callable[[], tuple[float, F64]]


@dataclass(frozen=True)
class Point:
    """One row of the table.

    Attributes
    ----------
    scene, coder, setting : str
    bits : float
        Per Gaussian, of the features alone.
    angle_mean, angle_p95 : float
        Degrees.
    magnitude_error : float
        Relative.
    argmax : float or None
        Share of the Gaussians that keep their class; None without a head.
    miou, accuracy : float or None
        Of rendered label maps against true ones; None without them.
    """

    scene: str
    coder: str
    setting: str
    bits: float
    angle_mean: float
    angle_p95: float
    magnitude_error: float
    argmax: float | None
    miou: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Made:
    """Where the points of a scene come from: the command and the versions.

    ``ids`` are the bits per Gaussian of its ids, if there are any.
    """

    scene: str
    gaussians: int
    features: str
    command: str
    about: str
    ids: float | None = None


@dataclass(frozen=True)
class Results:
    """Points of several scenes, and what wide features cost."""

    points: tuple[Point, ...] = ()
    made: tuple[Made, ...] = ()
    wide: tuple[WidePoint, ...] = ()

    def scenes(self) -> list[str]:
        """Names in order."""
        return [made.scene for made in self.made]

    def of(self, scene: str) -> dict[str, list[Point]]:
        """Points of a scene by coder."""
        found: dict[str, list[Point]] = {}
        for point in self.points:
            if point.scene == scene:
                found.setdefault(point.coder, []).append(point)
        return found

    def merged(self, made: Made, points: Iterable[Point]) -> Results:
        """Replace a scene, or add it."""
        others = [point for point in self.points if point.scene != made.scene]
        kept = [m for m in self.made if m.scene != made.scene]
        return replace(self, points=(*others, *points), made=(*kept, made))

    def with_wide(self, points: Iterable[WidePoint]) -> Results:
        """Replace what is known of wide features."""
        return replace(self, wide=tuple(points))

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Results:
        """Undo :meth:`save`."""
        data = json.loads(path.read_text())
        points = tuple(Point(**point) for point in data["points"])
        wide = tuple(WidePoint(**point) for point in data.get("wide", ()))
        return cls(points, tuple(Made(**made) for made in data["made"]), wide)


def measure(
    subject: Subject,
    cache: Cache,
    state: str | None,
    full: bool,
    with_ours: bool,
    tell: Callable[[str], None],
) -> list[Point]:
    """Measure every coder on a scene.

    Parameters
    ----------
    subject : Subject
    cache : Cache
        Points of baselines, and of ours for the same state of the sources.
    state : str or None
        State of the sources; None if it has no name and ours must be measured again.
    full : bool
        Encode the whole scene and look at it.
    with_ours : bool
    tell : callable
        Is told each point.
    """

    def point(coder: str, setting: str, code: Code, key: tuple[str, ...] | None) -> Point:
        def ask() -> dict[str, Any]:
            size, decoded = code()
            scores = subject.measure(decoded)
            shown = scores.to_masks
            return {
                "bits": 8 * size / subject.scene.count,
                "angle_mean": scores.features.angle_mean,
                "angle_p95": scores.features.angle_p95,
                "magnitude_error": scores.features.magnitude_error,
                "argmax": scores.features.argmax_agreement,
                "miou": None if shown is None else shown.miou,
                "accuracy": None if shown is None else shown.accuracy,
            }

        said = ask() if key is None else cache.remember((_VERSION, subject.key, *key), ask)
        found = Point(subject.name, coder, setting, **said)
        tell(f"{found.scene}: {coder} {setting}: {found.bits:.2f} bits, {found.angle_mean:.2f}°")
        return found

    whole = subject.features.shape[1] * 4
    points = [
        point(
            ORIGINAL, "float32", lambda: (whole * subject.scene.count, subject.features), ("raw",)
        )
    ]
    for coder, label, options in ours.settings(subject.head, full) if with_ours else ():
        mode = "full" if full else "light"
        key = None if state is None else (coder, state, mode, repr(options))
        code = lambda chosen=options: ours.code(subject, chosen, full)  # noqa: E731
        points.append(point(coder, label, code, key))
    order = subject.morton_order
    for coder in baselines():

        def coded(code: Callable[[F64], tuple[float, F64]] = coder.code) -> tuple[float, F64]:
            size, decoded = code(subject.features[order])
            back = subject.features.copy()
            back[order] = decoded
            return size, back

        points.append(point(coder.name, coder.setting, coded, (coder.name, coder.setting)))
    return points
