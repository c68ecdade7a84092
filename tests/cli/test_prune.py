"""csgs-encode --prune."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from csgs_codec.cli.common import ExitCode

from csgs_codec import probe, write_ply
from tests import scenes

Run = Callable[..., Result]


@pytest.fixture
def larger(tmp_path: Path) -> Path:
    path = tmp_path / "larger.ply"
    write_ply(path, scenes.inria(200, 0))
    return path


def test_a_share_goes_and_is_reported(run: Run, larger: Path) -> None:
    result = run("csgs-encode", "--json", "--prune-share", "0.25", larger, "out.csgs")
    assert result.exit_code == ExitCode.OK, result.stderr
    report = json.loads(result.stdout)
    assert report["source_gaussians"] == 200
    assert report["gaussians"] == probe(Path("out.csgs").read_bytes()).gaussians == 150
    assert report["pruned"]["gaussians"] == 50
    assert "note: pruned 50 of 200 Gaussians (25.0 %" in result.stderr


def test_nothing_goes_unasked(run: Run, larger: Path) -> None:
    result = run("csgs-encode", "--json", larger, "out.csgs")
    report = json.loads(result.stdout)
    assert report["gaussians"] == 200
    assert report["pruned"] is None


@pytest.mark.parametrize("other", [("--fast",), ("--lossless",), ("--max-error", "dc=0.1"),
                                   ("--prune-share", "0.2")])  # fmt: skip
def test_contradictions(run: Run, larger: Path, other: tuple[str, ...]) -> None:
    result = run("csgs-encode", "--prune", *other, larger, "out.csgs")
    assert result.exit_code == ExitCode.USAGE
    assert "--prune" in result.stderr and other[0] in result.stderr
    assert not Path("out.csgs").exists()
