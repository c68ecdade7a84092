"""The examples of the README run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("language", ["bash", "python"])
def test_examples(language: str, tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    for name in ("room.ply", "classifier.npz", "classes.json"):
        (tmp_path / "samples" / name).symlink_to(ROOT / "samples" / name)
    tools = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    program = ["bash", "-e", "-c"] if language == "bash" else [sys.executable, "-c"]
    found = blocks(language)
    assert found
    for block in found:
        subprocess.run([*program, block], check=True, cwd=tmp_path, env=environment)
