"""Points of rate-distortion curves, measured or known from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

OURS = "csgs"


@dataclass(frozen=True)
class Point:
    """One row of the table.

    Attributes
    ----------
    scene, codec, setting : str
    kind : str
        ``full``, ``default``, ``level`` or ``semantic`` for ours, ``peer`` or ``known`` for others.
    bytes : int
        Whole file on disk.
    gaussians : int
        Of the input.
    psnr : float
        In dB.
    ssim, seconds : float or None
        None where not known.
    note : str
    """

    scene: str
    codec: str
    setting: str
    kind: str
    bytes: int
    gaussians: int
    psnr: float
    ssim: float | None = None
    seconds: float | None = None
    note: str = ""

    @property
    def bits(self) -> float:
        """Bits per Gaussian of the input."""
        return 8 * self.bytes / self.gaussians

    @property
    def pair(self) -> tuple[float, float]:
        """Bytes and PSNR."""
        return float(self.bytes), self.psnr


@dataclass(frozen=True)
class Skipped:
    """A codec that did not run on a scene, and why."""

    scene: str
    codec: str
    why: str


@dataclass(frozen=True)
class Made:
    """What made the results of a scene."""

    scene: str
    command: str
    about: str


@dataclass(frozen=True)
class Results:
    """Everything that one or more runs found out."""

    points: tuple[Point, ...]
    skipped: tuple[Skipped, ...] = ()
    made: tuple[Made, ...] = ()

    def scenes(self) -> list[str]:
        """Names in order of appearance."""
        return list(dict.fromkeys(p.scene for p in self.points))

    def ours(self, scene: str, kinds: Iterable[str] = ("full", "default")) -> list[Point]:
        """Our points of a scene."""
        wanted = set(kinds)
        chosen = [p for p in self.points if p.codec == OURS and p.kind in wanted]
        return [p for p in chosen if p.scene == scene]

    def others(self, scene: str) -> dict[str, list[Point]]:
        """Points of other codecs by codec, the largest first: the scene with all its bands."""
        found: dict[str, list[Point]] = {}
        for point in self.points:
            if point.scene == scene and point.codec != OURS:
                found.setdefault(point.codec, []).append(point)
        return {codec: sorted(ps, key=lambda p: -p.bytes) for codec, ps in found.items()}

    def save(self, path: Path) -> None:
        """Write as JSON."""
        data = {
            "points": [asdict(point) for point in self.points],
            "skipped": [asdict(skip) for skip in self.skipped],
            "made": [asdict(made) for made in self.made],
        }
        path.write_text(json.dumps(data, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Results:
        """Undo :meth:`save`."""
        data = json.loads(path.read_text())
        points = tuple(Point(**point) for point in data["points"])
        skipped = tuple(Skipped(**skip) for skip in data["skipped"])
        return cls(points, skipped, tuple(Made(**made) for made in data.get("made", ())))

    def merged(self, newer: Results) -> Results:
        """Replace whole scenes by those of newer results."""
        names = set(newer.scenes())
        points = tuple(p for p in self.points if p.scene not in names)
        skipped = tuple(s for s in self.skipped if s.scene not in names)
        made = tuple(m for m in self.made if m.scene not in names)
        return Results(points + newer.points, skipped + newer.skipped, made + newer.made)


def known_points(path: Path, scene: str, gaussians: int, measured: set[str]) -> list[Point]:
    """Read points that were measured elsewhere.

    Parameters
    ----------
    path : Path
        JSON: ``{"points": [{scene, gaussians, codec, setting, bytes, psnr, source}]}``.
    scene : str
    gaussians : int
        Points of a scene with another number of Gaussians do not count.
    measured : set of str
        Codecs that need none.

    Raises
    ------
    ValueError
        An entry lacks something.
    """
    data: dict[str, Any] = json.loads(path.read_text())
    found = []
    for place, entry in enumerate(data.get("points", ())):
        need = {"scene", "gaussians", "codec", "bytes", "psnr", "source"}
        if need - entry.keys():
            lacking = ", ".join(sorted(need - entry.keys()))
            raise ValueError(f"{path.name}: point {place} lacks {lacking}")
        if (entry["scene"], entry["gaussians"]) != (scene, gaussians):
            continue
        if entry["codec"] in measured:
            continue
        note = f"not measured in this run: {entry['source']}"
        found.append(
            Point(
                scene, entry["codec"], entry.get("setting", ""), "known", entry["bytes"],
                gaussians, entry["psnr"], entry.get("ssim"), entry.get("seconds"), note,
            )
        )  # fmt: skip
    return found
