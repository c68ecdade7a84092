"""What removing Gaussians is worth: bytes at equal PSNR, by the share that goes.

    python benchmarks/pruning.py --share 0,auto --quality 62,68 SCENE.ply CAMERAS.json

measures files of ``csgs_codec`` and writes ``PRUNING.md`` and ``figures/pruning_points.json``
beside this file; points of earlier runs stay, and without FILES the table is only written anew.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import click
import numpy as np
from rd_bench.curves import bytes_at
from rd_bench.points import Results
from rd_bench.scenes import load, scene_name

from csgs_codec import EncodeOptions, Scene, decode, encode
from csgs_codec.encoder.surroundings import look_aside
from csgs_codec.render import RenderGaussians, render
from csgs_codec.render.cameras import Camera, read_cameras

HERE = Path(__file__).resolve().parent
POINTS = HERE / "figures" / "pruning_points.json"
RIVAL = "SPZ v4"
ASIDE_SEED = 1
HEAD = """# Pruning

    {command}

`csgs-encode --prune` on scenes without their semantic features, as in
[RATE_DISTORTION.md](RATE_DISTORTION.md). PSNR is the mean over the views marked `test`, of renders
of the decoded file against renders of the *whole* input, every Gaussian included; the encoder does
not know these views (its cameras are automatic). PSNR aside is that of pictures from the same
places into random directions, 90 degrees wide. `auto` is `--prune`, numbers are `--prune-share`.
"""


@dataclass(frozen=True)
class Point:
    """A file.

    Attributes
    ----------
    scene, share : str
    quality : float
    bytes : int
    gaussians, removed, unseen : int
        Of the input; those that were removed; those that were kept because no view shows them.
    psnr, aside : float
        On test views, and from the same places into other directions.
    """

    scene: str
    share: str
    quality: float
    bytes: int
    gaussians: int
    removed: int
    unseen: int
    psnr: float
    aside: float

    @property
    def key(self) -> tuple[str, bool, str, float]:
        """Place in the table; no two points share it."""
        return self.scene, self.share != "auto", self.share, self.quality


class Judge:
    """PSNR against the whole scene."""

    def __init__(self, scene: Scene, cameras: list[Camera]) -> None:
        self._cameras = cameras
        self._pictures = self._look(scene)

    def _look(self, scene: Scene) -> list[np.ndarray]:
        gaussians = RenderGaussians.from_scene(scene)
        return [render(gaussians, camera)[0].clip(0, 1) for camera in self._cameras]

    def psnr(self, scene: Scene) -> float:
        """Mean over the views."""
        pairs = zip(self._pictures, self._look(scene), strict=True)
        errors = [np.mean((a.astype(np.float64) - b) ** 2) for a, b in pairs]
        return float(np.mean([-10 * np.log10(max(e, 1e-12)) for e in errors]))


def measure(path: Path, cameras: Path, shares: list[str], qualities: list[float]) -> list[Point]:
    """Encode a scene in several ways."""
    scene = load(path)[1]
    test = [camera for camera in read_cameras(cameras) if camera.split == "test"]
    ahead, aside = Judge(scene, test), Judge(scene, look_aside(test, ASIDE_SEED))
    points = []
    for share in shares:
        prune: float | Literal["auto"] = "auto" if share == "auto" else float(share)
        for quality in qualities:
            result = encode(scene, EncodeOptions(quality=quality, prune=prune or None))
            back = decode(result.data)
            removed, unseen = scene.count - back.count, 0
            if result.pruned is not None:
                unseen = result.pruned.unseen
            found = ahead.psnr(back), aside.psnr(back)
            point = Point(
                scene_name(path), share, quality, len(result.data), scene.count, removed, unseen,
                *found,
            )  # fmt: skip
            click.echo(str(point), err=True)
            points.append(point)
    return points


def table(points: list[Point], rivals: Results) -> str:
    """Every point, and bytes at the rival's PSNR."""
    lines = []
    for scene in dict.fromkeys(point.scene for point in points):
        own = [point for point in points if point.scene == scene]
        rival = [
            p for p in rivals.points if p.scene == scene and p.codec == RIVAL and p.kind == "peer"
        ]
        lines += [f"## {scene}", "", f"{own[0].gaussians:,} Gaussians.", ""]
        if rival:
            best = max(rival, key=lambda p: p.psnr)
            lines += [f"At the PSNR of {RIVAL}, {best.psnr:.2f} dB with {best.bytes:,} bytes:", ""]
            lines += ["| share | our bytes | ours / its |", "| --- | --- | --- |"]
            for share in dict.fromkeys(point.share for point in own):
                curve = [(float(p.bytes), p.psnr) for p in own if p.share == share]
                size = bytes_at(curve, best.psnr)
                ratio = "| not measured |  |"
                if size is not None:
                    ratio = f"| {size:,.0f} | {size / best.bytes:.3f} |"
                lines.append(f"| {_name(share)} {ratio}")
            lines.append("")
        lines += [
            "| share | quality | removed | kept unjudged | bytes | PSNR dB | PSNR aside dB |",
            "| --- | --- | --- | --- | --- | --- | --- |",
        ]
        lines += [
            f"| {_name(p.share)} | {p.quality:g} | {p.removed:,} "
            f"({100 * p.removed / p.gaussians:.0f} %) | {p.unseen:,} | {p.bytes:,} "
            f"| {p.psnr:.2f} | {p.aside:.2f} |"
            for p in own
        ]
        lines.append("")
    return "\n".join(lines)


def _name(share: str) -> str:
    return "none" if share == "0" else share


def commands(points: Sequence[Point]) -> list[str]:
    """Commands that measure these points, one for each scene."""
    found = []
    for scene in dict.fromkeys(point.scene for point in points):
        of_scene = [point for point in points if point.scene == scene]
        shares = ",".join(dict.fromkeys(point.share for point in of_scene))
        qualities = ",".join(f"{q:g}" for q in sorted({point.quality for point in of_scene}))
        files = f"{scene}/scene.ply {scene}/cameras.json"
        found.append(f"python benchmarks/pruning.py --share {shares} --quality {qualities} {files}")
    return found


@click.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--share", default="0,auto", show_default=True,
              help="Shares to remove; auto leaves it to the encoder.")  # fmt: skip
@click.option("--quality", default="62,68", show_default=True)
def main(files: tuple[Path, ...], share: str, quality: str) -> None:
    """Measure FILES: SCENE.ply and CAMERAS.json in turn."""
    if len(files) % 2:
        raise click.UsageError("give SCENE.ply and CAMERAS.json in turn")
    saved = json.loads(POINTS.read_text()) if POINTS.exists() else []
    points = {point.key: point for point in (Point(**one) for one in saved)}
    for scene, cameras in zip(files[::2], files[1::2], strict=True):
        shares, qualities = share.split(","), [float(word) for word in quality.split(",")]
        found = measure(scene, cameras, shares, qualities)
        points.update({point.key: point for point in found})
        ordered = [points[key] for key in sorted(points)]
        POINTS.write_text(json.dumps([asdict(point) for point in ordered], indent=1) + "\n")
    rivals = Results.load(HERE / "figures" / "rd_points.json")
    ordered = [points[key] for key in sorted(points)]
    head = HEAD.format(command="\n    ".join(commands(ordered)))
    (HERE / "PRUNING.md").write_text(head + "\n" + table(ordered, rivals))


if __name__ == "__main__":
    main()
