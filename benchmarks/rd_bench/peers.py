"""Other codecs, each run by its own program or library."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

TOOL = "@playcanvas/splat-transform"
TOOL_VERSION = "3.7.0"


class MissingError(Exception):
    """A codec cannot run here; the message says why."""


class FailedError(Exception):
    """A codec ran and failed; the message holds what it said."""


class Peer(Protocol):
    """A codec to compare with."""

    @property
    def name(self) -> str:
        """Shown to people."""

    @property
    def file(self) -> str:
        """Name for its coded file."""

    @property
    def slow(self) -> bool:
        """Whether it takes so long that it must be asked for."""

    def version(self) -> str:
        """Everything about the codec that decides its output; raises :class:`MissingError`."""

    def encode(self, source: Path, target: Path) -> float:
        """Code a PLY; return the seconds it took."""

    def decode(self, source: Path, target: Path) -> None:
        """Make a PLY again."""


@contextmanager
def stopwatch() -> Iterator[list[float]]:
    """Time a block; the list holds the seconds afterwards."""
    seconds: list[float] = []
    begin = time.perf_counter()
    yield seconds
    seconds.append(time.perf_counter() - begin)


def run(*words: str | Path) -> str:
    """Run a program; raise :class:`FailedError` with its last words if it fails."""
    line = [str(word) for word in words]
    done = subprocess.run(line, capture_output=True, text=True)
    if done.returncode:
        last = "\n".join((done.stderr or done.stdout).strip().splitlines()[-5:])
        raise FailedError(f"{Path(line[0]).name} ended with {done.returncode}: {last}")
    return done.stdout


def install_tool(folder: Path) -> None:
    """Install splat-transform into a folder with npm."""
    if shutil.which("npm") is None:
        raise MissingError("npm is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    options = ("--no-audit", "--no-fund", "--prefix", folder)
    run("npm", "install", *options, f"{TOOL}@{TOOL_VERSION}")


@dataclass(frozen=True)
class SplatTransform:
    """A format that splat-transform writes and reads.

    Attributes
    ----------
    name, file
        See :class:`Peer`.
    folder : Path
        Where npm installed it.
    flags : tuple of str
        Options of the encoder.
    slow : bool
    """

    name: str
    file: str
    folder: Path
    flags: tuple[str, ...] = ()
    slow: bool = False

    def _program(self) -> tuple[str, Path]:
        node = shutil.which("node")
        if node is None:
            raise MissingError("node is not installed")
        package = self.folder / "node_modules" / TOOL
        if not (package / "package.json").exists():
            raise MissingError(f"{TOOL} is not installed (--install installs it)")
        return node, package / "bin" / "cli.mjs"

    def version(self) -> str:
        """Return version and options."""
        _, program = self._program()
        about = json.loads((program.parents[1] / "package.json").read_text())
        return " ".join((f"splat-transform {about['version']}", *self.flags))

    def encode(self, source: Path, target: Path) -> float:
        """Code a PLY; return the seconds it took."""
        with stopwatch() as seconds:
            run(*self._program(), "-q", "-w", *self.flags, source, target)
        return seconds[0]

    def decode(self, source: Path, target: Path) -> None:
        """Make a PLY again."""
        run(*self._program(), "-q", "-w", source, target)


def all_peers(tool_folder: Path) -> list[Peer]:
    """Every codec to compare with, installed or not."""
    from rd_bench.gsplat_png import GsplatPng
    from rd_bench.zstd16 import Zstd16

    return [
        SplatTransform("SPZ v4", "scene.spz", tool_folder, ("--spz-version", "4")),
        SplatTransform("SPZ v3", "scene.spz", tool_folder, ("--spz-version", "3")),
        SplatTransform("SOG", "scene.sog", tool_folder, ("-g", "cpu"), slow=True),
        SplatTransform("compressed.ply", "scene.compressed.ply", tool_folder),
        GsplatPng(),
        Zstd16("float16 + zstd-19", planes=False),
        Zstd16("float16 byte planes + zstd-19", planes=True),
    ]


def tool_folder_default(cache: Path) -> Path:
    """Where npm installs splat-transform unless an option says otherwise."""
    chosen = os.environ.get("CSGS_BENCH_NPM")
    return Path(chosen) if chosen else cache / "npm"
