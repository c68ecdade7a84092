"""Sizes, PSNRs, presets and cameras on the command line of csgs-encode."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from csgs_codec.cli.common import ExitCode

from csgs_codec import write_ply
from tests import scenes

Run = Callable[..., Result]


def cameras(path: Path, distance: float) -> Path:
    """Two views of the origin in the layout of nerfstudio."""
    frames = []
    for turn in (0.0, 0.6):
        matrix = np.eye(4)
        matrix[:3, :3] = [
            [np.cos(turn), 0, np.sin(turn)],
            [0, 1, 0],
            [-np.sin(turn), 0, np.cos(turn)],
        ]
        matrix[:3, 3] = matrix[:3, 2] * distance
        frames.append({"file_path": f"{turn}.png", "transform_matrix": matrix.tolist()})
    lens = {"w": 96, "h": 96, "fl_x": 80.0, "fl_y": 80.0, "cx": 48.0, "cy": 48.0}
    path.write_text(json.dumps({**lens, "frames": frames}))
    return path


@pytest.fixture
def larger(tmp_path: Path) -> Path:
    path = tmp_path / "larger.ply"
    write_ply(path, scenes.inria(400, 1))
    return path


def test_presets_are_qualities(run: Run, ply: Path) -> None:
    for name in ("archive", "web", "preview"):
        result = run("csgs-encode", "--json", "--preset", name, ply, f"{name}.csgs")
        assert result.exit_code == ExitCode.OK
        assert (
            json.loads(result.stdout)["quality"] == {"archive": 90, "web": 75, "preview": 60}[name]
        )
    sizes = [Path(f"{name}.csgs").stat().st_size for name in ("preview", "web", "archive")]
    assert sizes == sorted(sizes)


def test_a_size_is_met(run: Run, larger: Path) -> None:
    assert run("csgs-encode", "--fast", larger, "free.csgs").exit_code == ExitCode.OK
    target = int(0.85 * Path("free.csgs").stat().st_size)
    result = run("csgs-encode", "--fast", "--size", target, larger, "sized.csgs")
    assert result.exit_code == ExitCode.OK, result.stderr
    assert 0.98 * target <= Path("sized.csgs").stat().st_size <= target


def test_given_cameras_are_looked_through(run: Run, larger: Path) -> None:
    seen = cameras(larger.parent / "transforms.json", 12.0)
    result = run("csgs-encode", "--cameras", seen, "--psnr", "42", larger, "aimed.csgs")
    assert result.exit_code == ExitCode.OK, result.stderr


def test_cameras_that_see_nothing_or_make_no_sense(run: Run, larger: Path) -> None:
    away = cameras(larger.parent / "away.json", -9.0)
    result = run("csgs-encode", "--cameras", away, larger, "out.csgs")
    assert result.exit_code == ExitCode.BAD_CAMERAS
    assert "see 0.0 % of the Gaussians" in result.stderr
    away.write_text("{}")
    result = run("csgs-encode", "--cameras", away, larger, "out.csgs")
    assert result.exit_code == ExitCode.BAD_CAMERAS
    assert "away.json" in result.stderr
    assert not Path("out.csgs").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("--size", "1kB", "--psnr", "40"),
        ("--quality", "50", "--preset", "web"),
        ("--fast", "--psnr", "40"),
        ("--lossless", "--size", "1MB"),
    ],
)
def test_options_that_exclude_each_other(run: Run, ply: Path, words: tuple[str, ...]) -> None:
    result = run("csgs-encode", *words, ply, "out.csgs")
    assert result.exit_code == ExitCode.USAGE
    assert not Path("out.csgs").exists()


def test_a_target_out_of_reach_names_the_nearest(run: Run, ply: Path) -> None:
    result = run("csgs-encode", "--fast", "--size", "200", ply, "out.csgs")
    assert result.exit_code == ExitCode.UNSUPPORTED
    assert "the nearest is" in result.stderr
    assert not Path("out.csgs").exists()
