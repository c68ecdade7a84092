"""Features of hundreds of columns: what they cost, and the memory that encoding them takes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rd_bench.report import table

from csgs_codec import Scene, decode, write_ply
from csgs_codec.metrics.features import describe_semantics
from csgs_codec.schema import Group, Role
from csgs_codec.semantics.heads import Head
from sem_bench.ours import bits_of
from sem_bench.scene import Subject

NAME = "semantic"
_ENCODE = (
    "import re, sys\n"
    "from csgs_codec.cli.encode import main\n"
    "main(sys.argv[1:], standalone_mode=False)\n"
    "status = open('/proc/self/status').read()\n"
    "print('peak', re.search(r'VmHWM:\\s*(\\d+)', status)[1], file=sys.stderr)\n"
)
_READING = """\
The features of a scene times a random matrix, with noise, stand in for those of a 2D model, as
Feature 3DGS and others lift them. Bits are those of the features alone, with all side information;
the class is that of the scene's head times the pseudo-inverse of the matrix. The quantiser's step
follows the number of components that are kept, so that a quality gives about the angle that it
gives the features before they were multiplied.

Memory is the peak of the whole `csgs-encode` process (`VmHWM`), its verification included; columns
are the bytes of the PLY's columns, which it holds once. A process that has only imported the
encoder takes {imported:.0f} MB. Without `--fast` the peak may be that of fitting colours to
pictures, which does not depend on the features.
"""


@dataclass(frozen=True)
class WidePoint:
    """One row of the table.

    Attributes
    ----------
    scene : str
    gaussians, width : int
    noise : float
        In units of the features' root mean square.
    setting : str
        Options of ``csgs-encode``.
    bits, angle_mean, argmax
        See :class:`sem_bench.curve.Point`.
    peak, columns, imported : int
        Bytes: of the encoding process, of the columns of the scene, and of a process that has only
        imported the encoder.
    command, about : str
        What made it.
    """

    scene: str
    gaussians: int
    width: int
    noise: float
    setting: str
    bits: float
    angle_mean: float
    argmax: float | None
    peak: int
    columns: int
    imported: int
    command: str = ""
    about: str = ""


def settings(head: bool) -> Iterator[tuple[str, ...]]:
    """Options of the points: by angle and, with a head, for its classes."""
    for quality in ("60", "70", "75"):
        yield ("--semantic-quality", quality)
    if head:
        yield ("--semantic-quality", "68", "--semantic-metric", "classifier:head.npz")


def expanded(
    subject: Subject, width: int, noise: float, seed: int = 0
) -> tuple[Scene, Head | None]:
    """A scene with features of another width, and the head for them."""
    random = np.random.default_rng(seed)
    before = subject.features
    matrix = random.normal(0, before.shape[1] ** -0.5, (before.shape[1], width))
    spread = noise * float(np.sqrt(np.mean(before**2)))
    columns = {n: c for n, c in subject.scene.columns.items() if n not in subject.group.columns}
    for channel in range(width):
        values = before @ matrix[:, channel] + spread * random.normal(size=len(before))
        columns[f"{NAME}_{channel}"] = values.astype(np.float32)
    head = subject.head
    if head is not None:
        head = replace(head, weight=head.weight @ np.linalg.pinv(matrix).T)
    return Scene(columns, subject.scene.layout), head


def peak_of(code: str, words: tuple[str, ...], folder: Path) -> tuple[int, str]:
    """Run Python code that ends by printing its peak; bytes, and what it says on stdout."""
    line = [sys.executable, "-c", code, *words]
    done = subprocess.run(line, cwd=folder, check=True, capture_output=True, text=True)
    found = re.search(r"^peak (\d+)$", done.stderr, re.MULTILINE)
    assert found is not None
    return 1024 * int(found[1]), done.stdout


def measure_wide(
    subject: Subject, width: int, noise: float, full: bool, tell: Callable[[str], None]
) -> list[WidePoint]:
    """Encode the scene with wide features under each setting."""
    scene, head = expanded(subject, width, noise)
    names = tuple(f"{NAME}_{channel}" for channel in range(width))
    group = Group(NAME, Role.SEMANTIC, names)
    size = sum(column.nbytes for column in scene.columns.values())
    points = []
    with TemporaryDirectory() as place:
        folder = Path(place)
        write_ply(folder / "scene.ply", scene)
        if head is not None:
            np.savez(folder / "head.npz", weight=head.weight, bias=head.bias)
        bare = _ENCODE.replace(
            "main(sys.argv[1:], standalone_mode=False)", "import csgs_codec.encoder"
        )
        imported, _ = peak_of(bare, (), folder)
        for setting in settings(head is not None):
            words = (*setting, *(() if full else ("--fast",)))
            line = ("scene.ply", "out.csgs", "--order", "keep", "--json", "--force", *words)
            peak, said = peak_of(_ENCODE, line, folder)
            data = (folder / "out.csgs").read_bytes()
            assert len(data) == json.loads(said)["bytes"]
            score = describe_semantics(scene, decode(data), [group], head)[NAME]
            bits = bits_of(data, NAME) / scene.count
            points.append(
                WidePoint(
                    subject.name,
                    scene.count,
                    width,
                    noise,
                    " ".join(words),
                    bits,
                    score.angle_mean,
                    score.argmax_agreement,
                    peak,
                    size,
                    imported,
                )
            )
            tell(f"{points[-1].setting}: {bits:.2f} bits, peak {peak / 1e6:.0f} MB")
    return points


def wide_section(points: tuple[WidePoint, ...]) -> str:
    """The part of the page about wide features."""
    if not points:
        return ""
    imported = max(point.imported for point in points) / 1e6
    parts = ["## Wide features\n"]
    for command, about in dict.fromkeys((point.command, point.about) for point in points):
        parts.append(f"    {command}\n\n{about}\n")
    parts.append(_READING.format(imported=imported))
    head = ["scene", "Gaussians", "features", "noise", "options", "bits/Gaussian", "angle mean",
            "argmax", "peak memory", "columns"]  # fmt: skip
    rows = [
        [
            point.scene,
            f"{point.gaussians:,}",
            str(point.width),
            f"{point.noise:g} rms",
            f"`{point.setting}`",
            f"{point.bits:.2f}",
            f"{point.angle_mean:.2f}",
            "" if point.argmax is None else f"{point.argmax:.4f}",
            f"{point.peak / 1e6:.0f} MB",
            f"{point.columns / 1e6:.0f} MB",
        ]
        for point in points
    ]
    return "\n".join(parts) + "\n" + table(head, rows)
