"""Every codec on one scene."""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from csgs_codec import Scene, probe
from rd_bench import scenes
from rd_bench.cache import Cache
from rd_bench.curves import close_in
from rd_bench.peers import FailedError, MissingError, Peer, run, stopwatch
from rd_bench.points import OURS, Point, Results, Skipped, known_points
from rd_bench.quality import Instrument, Meter
from rd_bench.report import targets


def say(text: str) -> None:
    """Tell on stderr."""
    print(text, file=sys.stderr, flush=True)


def tool(name: str) -> Path:
    """Path of one of our commands in the running environment."""
    return Path(sys.executable).with_name(name)


@dataclass(frozen=True)
class Settings:
    """What to measure.

    Attributes
    ----------
    qualities : tuple of float
    bands : tuple of int
        Degrees of spherical harmonics that other codecs are given.
    slow : bool
        Run slow codecs whose output is not in the cache.
    with_cameras : bool
        Give our encoder the cameras.
    encode_args : tuple of str
        More options of our encoder.
    closer : int
        Most extra encodings of ours per point that a bar applies to.
    tolerance : float
        Near enough, in dB.
    known : tuple of Path
    ours, peers : bool
        Measure these at all.
    """

    qualities: tuple[float, ...] = (50, 60, 70, 80, 90)
    bands: tuple[int, ...] = (3, 2, 1, 0)
    slow: bool = False
    with_cameras: bool = False
    encode_args: tuple[str, ...] = ()
    closer: int = 0
    tolerance: float = 0.3
    known: tuple[Path, ...] = ()
    ours: bool = True
    peers: bool = True


@dataclass
class Bench:
    """Measures codecs on one scene.

    Attributes
    ----------
    name : str
    cameras : Path
    whole, colour : Scene
        As given, and without what other codecs drop.
    meter : Meter
    cache : Cache
    settings : Settings
    folder : Path
        For files that are not kept.
    """

    name: str
    cameras: Path
    whole: Scene
    colour: Scene
    meter: Meter
    cache: Cache
    settings: Settings
    folder: Path
    points: list[Point] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def add(self, point: Point) -> None:
        """Take a point and tell."""
        self.points.append(point)
        what = f"{point.codec} {point.setting}"
        say(f"{self.name}: {what}: {point.bytes:,} bytes, {point.psnr:.2f} dB")

    def skip(self, codec: str, why: str) -> None:
        """Note loudly that a codec did not run."""
        self.skipped.append(Skipped(self.name, codec, why))
        say(f"*** {self.name}: {codec} SKIPPED: {why}")

    def _point(
        self, codec: str, setting: str, kind: str, size: int, decoded: Path,
        seconds: float | None, note: str = "",
    ) -> Point:  # fmt: skip
        said = self.meter(decoded)
        count = self.whole.count
        return Point(
            self.name, codec, setting, kind, size, count, said.psnr, said.ssim, seconds, note
        )

    def peer(self, peer: Peer) -> None:
        """Measure another codec with each number of bands."""
        try:
            version = peer.version()
        except MissingError as error:
            self.skip(peer.name, str(error))
            return
        have = scenes.sh_degree(self.colour)
        for degree in sorted({min(d, have) for d in self.settings.bands}, reverse=True):
            try:
                self._peer_point(peer, version, degree)
            except (FailedError, OSError) as error:
                self.skip(f"{peer.name}, SH {degree}", str(error))

    def _peer_point(self, peer: Peer, version: str, degree: int) -> None:
        given = scenes.with_bands(self.colour, degree)
        program = hashlib.sha256(version.encode()).hexdigest()[:16]
        key = f"{scenes.digest(given)}-{program}"
        if peer.slow and not self.settings.slow and self.cache.find(key, peer.file) is None:
            why = "slow, and not in the cache (--slow runs it)"
            self.skip(f"{peer.name}, SH {degree}", why)
            return
        source, back = self.folder / "given.ply", self.folder / "back.ply"

        def encode(target: Path) -> float:
            return peer.encode(scenes.save(source, given), target)

        made = self.cache.make(key, peer.file, encode)
        peer.decode(made.path, back)
        note = "" if made.fresh else "file and seconds from the cache"
        setting = f"SH {degree}"
        self.add(self._point(peer.name, setting, "peer", made.bytes, back, made.seconds, note))

    def _encode(self, scene: Path, *options: str) -> tuple[Path, float]:
        target = self.folder / "ours.csgs"
        words = [*options, *self.settings.encode_args]
        if self.settings.with_cameras:
            words += ["--cameras", str(self.cameras)]
        with stopwatch() as seconds:
            run(tool("csgs-encode"), "--force", *words, scene, target)
        return target, seconds[0]

    def _ours(self, kind: str, setting: str, scene: Path, *options: str) -> Point:
        file, seconds = self._encode(scene, *options)
        back = self.folder / "back.ply"
        run(tool("csgs-decode"), "--force", file, back)
        return self._point(OURS, setting, kind, file.stat().st_size, back, seconds)

    def _levels(self, file: Path) -> Iterator[Point]:
        cut, back = self.folder / "cut.csgs", self.folder / "back.ply"
        for level in probe(file).levels[:-1]:
            run(tool("csgs-truncate"), "--force", "--level", str(level.level), file, cut)
            run(tool("csgs-decode"), "--force", cut, back)
            setting = f"level {level.level} of default"
            note = f"{level.gaussians:,} Gaussians"
            yield self._point(OURS, setting, "level", cut.stat().st_size, back, None, note)

    def ours(self) -> None:
        """Measure our codec: qualities, levels, and with semantics."""
        scene = scenes.save(self.folder / "colour.ply", self.colour)
        tried: list[tuple[float, float]] = []

        def at(quality: float) -> float:
            setting, option = f"quality {quality:g}", ("--quality", f"{quality:g}")
            self.add(self._ours("full", setting, scene, *option))
            return self.points[-1].psnr

        for quality in self.settings.qualities:
            tried.append((quality, at(quality)))
        self.add(self._ours("default", "default", scene))
        for point in self._levels(self.folder / "ours.csgs"):
            self.add(point)
        if set(self.whole.columns) != set(self.colour.columns):
            whole = scenes.save(self.folder / "whole.ply", self.whole)
            note = "with its semantic features"
            point = self._ours("semantic", "default, with semantics", whole)
            self.add(replace(point, note=note))
        if self.settings.closer and len(tried) > 1:
            for target in targets(Results(tuple(self.points)), self.name):
                close_in(tried, target, at, self.settings.closer, self.settings.tolerance)


def measure(
    scene: Path,
    cameras: Path,
    instrument: Instrument,
    peers: Sequence[Peer],
    cache: Cache,
    settings: Settings,
) -> Results:
    """Run everything on one scene."""
    whole, colour = scenes.load(scene)
    name = scenes.scene_name(scene)
    with tempfile.TemporaryDirectory() as folder:
        meter = Meter(instrument, cache, scene, cameras)
        bench = Bench(name, cameras, whole, colour, meter, cache, settings, Path(folder))
        for peer in peers if settings.peers else ():
            bench.peer(peer)
        default = f"SH {scenes.sh_degree(colour)}"
        measured = {p.codec for p in bench.points if p.setting == default}
        for path in settings.known:
            for point in known_points(path, name, whole.count, measured):
                bench.add(point)
        if settings.ours:
            try:
                bench.ours()
            except FailedError as error:
                bench.skip(OURS, str(error))
    return Results(tuple(bench.points), tuple(bench.skipped))
