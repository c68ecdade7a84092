"""csgs-eval on small scenes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from csgs_codec.cli import eval as command

from csgs_codec import decode, probe, read_ply, write_ply
from csgs_codec.metrics.image import psnr, ssim
from csgs_codec.render import RenderGaussians, read_cameras, render
from csgs_codec.render.auto_cameras import look_at
from tests import scenes
from tests.conftest import Encoded

pytest.importorskip("skimage")
pytest.importorskip("PIL")
pytest.importorskip("matplotlib")
EYES = {"a": (0, -2, -14), "b": (12, -3, 1), "c": (-9, -4, -8)}


def run(*words: object) -> Result:
    return CliRunner().invoke(command.main, [str(word) for word in words])


def report_of(*words: object) -> dict[str, Any]:
    result = run(*words, "--json")
    assert result.exit_code == 0, result.stderr
    return dict(json.loads(result.stdout))


@pytest.fixture
def ply(tmp_path: Path, small: Encoded) -> Path:
    path = tmp_path / "original.ply"
    write_ply(path, small.scene)
    return path


@pytest.fixture
def csgs(tmp_path: Path, small: Encoded) -> Path:
    path = tmp_path / "out.csgs"
    path.write_bytes(small.data)
    return path


@pytest.fixture
def cameras(tmp_path: Path) -> Path:
    views = []
    for number, (name, eye) in enumerate(EYES.items()):
        view = look_at(np.array(eye, float), np.zeros(3), np.array([0.0, -1, 0]))
        lens = [[50.0, 0, 24], [0, 50, 20], [0, 0, 1]]
        split = "test" if number else "train"
        camera = {"name": name, "split": split, "W": 48, "H": 40, "K": lens}
        views.append({**camera, "viewmat": view.tolist()})
    path = tmp_path / "cameras.json"
    path.write_text(json.dumps({"cameras": views}))
    return path


def test_every_level_is_compared(ply: Path, csgs: Path, cameras: Path) -> None:
    report = report_of(ply, csgs, "--cameras", cameras)
    info = probe(csgs)
    assert [level["bytes"] for level in report["levels"]] == [entry.end for entry in info.levels]
    assert report["views"] == 2 and report["photos"] is None
    last = report["levels"][-1]
    assert [view["name"] for view in last["per_view"]] == ["b", "c"]
    assert last["bits_per_gaussian"] == pytest.approx(8 * info.size / 40)
    assert last["psnr"] > 30 and last["psnr"] >= report["levels"][0]["psnr"]
    whole = RenderGaussians.from_scene(decode(csgs))
    wanted = []
    for camera in read_cameras(cameras)[1:]:
        a, b = (
            np.clip(render(g, camera)[0], 0, 1)
            for g in (RenderGaussians.from_scene(read_ply(ply)), whole)
        )
        wanted.append(psnr(a, b))
    assert last["psnr"] == pytest.approx(np.mean(wanted))


def test_table_and_choices(ply: Path, csgs: Path, cameras: Path) -> None:
    result = run(ply, csgs, "--cameras", cameras, "--level", 1, "--split", "all", "--views", 2)
    assert result.exit_code == 0, result.stderr
    assert "40 Gaussians, 2 views" in result.stdout and "PSNR dB" in result.stdout
    assert len([line for line in result.stdout.splitlines() if line.startswith("  1 ")]) == 1
    assert report_of(ply, csgs, "--cameras", cameras, "--split", "train")["views"] == 1
    assert run(ply, csgs, "--level", 0).exit_code == 2
    assert run(ply, csgs, "--cameras", cameras, "--level", 99).exit_code == 5


def test_automatic_cameras_are_announced(ply: Path, csgs: Path) -> None:
    result = run(ply, csgs, "--views", 1, "--level", 1, "--json")
    assert result.exit_code == 0 and "automatically" in result.stderr
    assert json.loads(result.stdout)["cameras"] == "automatic"


def test_a_ply_is_compared_as_one_level(ply: Path, cameras: Path) -> None:
    report = report_of(ply, ply, "--cameras", cameras)
    (entry,) = report["levels"]
    assert entry["level"] is None and entry["bytes"] == ply.stat().st_size
    assert entry["psnr"] == 120 and entry["ssim"] == pytest.approx(1)
    assert run(ply, ply, "--cameras", cameras, "--level", 1).exit_code == 5
    assert run(ply, ply, "--cameras", cameras).stdout.count("120.00") == 1


def test_photographs(ply: Path, cameras: Path) -> None:
    from PIL import Image

    g = RenderGaussians.from_scene(read_ply(ply))
    camera = read_cameras(cameras)[1]
    rgb = np.clip(render(g, camera)[0], 0, 1)
    photo = ply.parent / "images/b.png"
    photo.parent.mkdir()
    Image.fromarray(np.uint8(rgb * 255 + 0.5)).resize((96, 80)).save(photo)
    report = report_of(ply, ply, "--cameras", cameras)
    assert report["photos"]["views"] == 1 and report["photos"]["psnr"] > 20
    assert report["levels"][0]["photos"] == report["photos"]
    assert "photographs of 1 views" in run(ply, ply, "--cameras", cameras).stdout
    photo.write_bytes(b"no picture")
    assert run(ply, ply, "--cameras", cameras).exit_code == 8


def test_plot_and_images(ply: Path, csgs: Path, cameras: Path, tmp_path: Path) -> None:
    plot, folder = tmp_path / "rd.png", tmp_path / "pictures"
    words = (ply, csgs, "--cameras", cameras, "--level", 2, "--plot", plot, "--images", folder)
    assert run(*words).exit_code == 0
    assert plot.read_bytes()[:4] == b"\x89PNG"
    assert sorted(p.name for p in folder.iterdir()) == ["level2_b.png", "level2_c.png"]
    assert run(*words).exit_code == 2
    plot.unlink()
    assert run(*words).exit_code == 2
    assert run(*words, "--force").exit_code == 0
    assert run(*words[:-3], tmp_path / "rd.doc").exit_code == 5


def test_what_goes_wrong(ply: Path, csgs: Path, cameras: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text("[")
    result = run(ply, csgs, "--cameras", bad)
    assert result.exit_code == 8 and "bad_cameras" in result.stderr and "bad.json" in result.stderr
    flat = tmp_path / "flat.ply"
    write_ply(flat, scenes.gaussian_2d(9))
    assert run(flat, csgs).exit_code == 5
    csgs.write_bytes(csgs.read_bytes()[:-1])
    result = run(ply, csgs, "--cameras", cameras, "--views", 1)
    assert result.exit_code == 0 and "are complete" in result.stderr
    csgs.write_bytes(csgs.read_bytes()[:9])
    assert run(ply, csgs, "--cameras", cameras).exit_code == 3


def test_psnr_and_ssim() -> None:
    a = np.random.default_rng(0).random((32, 40, 3)).astype(np.float32)
    assert psnr(a, a) == 120 and psnr(a, a + 0.1) == pytest.approx(20, abs=1e-3)
    assert ssim(a, a) == pytest.approx(1) and ssim(a, 1 - a) < 0


def test_evaluating_never_imports_torch(ply: Path, csgs: Path, cameras: Path) -> None:
    code = (
        "import sys\nsys.modules['torch'] = None\nfrom csgs_codec.cli.eval import main\n"
        "assert not {'numba', 'skimage', 'matplotlib'} & set(sys.modules)\n"
        "main(sys.argv[1:], standalone_mode=False)\n"
    )
    words = [str(w) for w in (ply, csgs, "--cameras", cameras, "--level", 1)]
    subprocess.run([sys.executable, "-c", code, *words], check=True, capture_output=True)
