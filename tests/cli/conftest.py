"""Files on disk that the commands read, and ways to run a command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from csgs_codec.cli import decode, edit, encode, eval, info, learn, select, truncate

from csgs_codec import write_ply
from tests import scenes
from tests.conftest import Encoded

BIN = Path(sys.executable).parent
COMMANDS = {
    "csgs-encode": encode.main,
    "csgs-decode": decode.main,
    "csgs-edit": edit.main,
    "csgs-eval": eval.main,
    "csgs-info": info.main,
    "csgs-learn": learn.main,
    "csgs-select": select.main,
    "csgs-truncate": truncate.main,
}

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process, with the temporary folder as working directory."""
    monkeypatch.chdir(tmp_path)

    def call(command: str, *words: object) -> Result:
        result = CliRunner().invoke(COMMANDS[command], [str(word) for word in words])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


def environment() -> dict[str, str]:
    """Return the environment with the commands of this installation first on the path."""
    return {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"}


def spawn(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program of its own and capture what it prints."""
    return subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def ply(tmp_path: Path) -> Path:
    """Return a PLY of 30 Gaussians without semantics: it encodes in a fraction of a second."""
    path = tmp_path / "scene.ply"
    write_ply(path, scenes.inria(30, 0))
    return path


@pytest.fixture
def csgs(tmp_path: Path, small: Encoded) -> Path:
    """Return an intact file of 40 Gaussians."""
    path = tmp_path / "scene.csgs"
    path.write_bytes(small.data)
    return path
