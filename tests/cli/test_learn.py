"""csgs-learn on a toy scene."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from csgs_codec.cli import learn as command

from csgs_codec import read_ply, write_ply
from csgs_codec.scene import Scene
from csgs_codec.semantics.heads import read_head
from tests.learning import Toy, toy

pytest.importorskip("torch")
pytest.importorskip("scipy")
pytest.importorskip("numba")
pytest.importorskip("PIL")

QUICK = ("--steps", 250, "--dim", 4, "--device", "cpu")


def run(*words: object) -> Result:
    return CliRunner().invoke(command.main, [str(word) for word in words])


@pytest.fixture(scope="module")
def made() -> Toy:
    return toy()


@pytest.fixture
def place(tmp_path: Path, made: Toy, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with scene.ply, cameras.json and masks; also the working directory."""
    monkeypatch.chdir(tmp_path)
    write_ply("scene.ply", made.scene)
    cameras = [
        {
            "name": camera.name,
            "split": "train" if number else "test",
            "W": camera.width,
            "H": camera.height,
            "K": camera.intrinsics.tolist(),
            "viewmat": camera.world_to_camera.tolist(),
        }
        for number, camera in enumerate(made.cameras)
    ]
    names = ["nothing", "left", "right", "top"]
    Path("cameras.json").write_text(json.dumps({"classes": names, "cameras": cameras}))
    from PIL import Image

    Path("masks").mkdir()
    for camera, mask in zip(made.cameras, made.masks, strict=True):
        Image.fromarray(mask.astype(np.uint8)).save(f"masks/{camera.name}.png")
    return tmp_path


def test_features_and_head(place: Path, made: Toy) -> None:
    words = ("scene.ply", "--cameras", "cameras.json", "--out", "out.ply", "--head", "head.npz")
    result = run(*words, *QUICK, "--json")
    assert result.exit_code == 0, result.stderr
    report: dict[str, Any] = json.loads(result.stdout)
    assert report["train"]["views"] == 5
    assert report["held_out"]["views"] == 1
    assert report["held_out"]["accuracy"] > 0.95
    assert report["seconds"] > 0
    scene = read_ply("out.ply")
    assert list(scene.columns)[-4:] == [f"semantic_{k}" for k in range(4)]
    for name, column in made.scene.columns.items():
        assert np.array_equal(scene.columns[name], column)
    head = read_head(Path("head.npz"))
    assert (head.classes, head.width) == (4, 4)
    assert head.names == ("nothing", "left", "right", "top")
    assert run(*words, *QUICK).exit_code == 2
    again = ("out.ply", "--cameras", "cameras.json", "--out", "more.ply", "--steps", 1)
    refused = run(*again)
    assert refused.exit_code == 2
    assert "semantic_0" in refused.stderr
    assert run(*again, "--dim", 2, "--replace").exit_code == 0
    assert [c for c in read_ply("more.ply").columns if c.startswith("semantic")] == [
        "semantic_0",
        "semantic_1",
    ]


def test_masks_without_shared_ids(place: Path) -> None:
    words = ("scene.ply", "--cameras", "cameras.json", "--out", "out.ply", "--ids", "per-view")
    result = run(*words, "--steps", 5, "--name", "mine")
    assert result.exit_code == 0, result.stderr
    assert "separation" in result.stdout
    assert "--semantic 'mine_[0-9]+'" in result.stderr
    assert "mine_15" in read_ply("out.ply").columns
    refused = run(*words, "--force", "--head", "head.npz")
    assert refused.exit_code == 2
    assert "--head" in refused.stderr


def test_errors(place: Path, made: Toy) -> None:
    words = ("scene.ply", "--out", "out.ply", "--cameras")
    (place / "none").mkdir()
    missing = run(*words, "cameras.json", "--masks", "none")
    assert missing.exit_code == 2
    assert "view_0.png" in missing.stderr
    (place / "bad.json").write_text("{}")
    assert run(*words, "bad.json").exit_code == 8
    assert run(*words, "cameras.json", "--head", "head.pth").exit_code == 2
    assert run(*words, "cameras.json", "--name", "4").exit_code == 2
    (place / "masks/view_1.png").write_bytes(b"no picture")
    assert run(*words, "cameras.json").exit_code == 8
    write_ply("few.ply", Scene({a: made.scene.columns[a] for a in "xyz"}))
    assert run("few.ply", *words[1:], "cameras.json").exit_code == 5
    write_ply("empty.ply", made.scene.select(slice(0, 0)))
    assert run("empty.ply", *words[1:], "cameras.json").exit_code == 2
    assert not Path("out.ply").exists()
