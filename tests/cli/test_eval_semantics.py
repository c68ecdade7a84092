"""The semantic part of csgs-eval: bits, angles and classes by group and level."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from csgs_codec.cli import eval as command

from csgs_codec import EncodeOptions, Scene, decode, encode, probe, write_ply
from csgs_codec.metrics.features import describe_semantics
from csgs_codec.metrics.segmentation import label_map
from csgs_codec.metrics.weights import blended_weight
from csgs_codec.render import RenderGaussians, read_cameras
from csgs_codec.render.auto_cameras import look_at
from csgs_codec.schema import assign_roles
from csgs_codec.semantics.heads import read_head
from tests.conftest import Encoded, semantic_scene

pytest.importorskip("skimage")
pytest.importorskip("scipy")
Image = pytest.importorskip("PIL.Image")
NAMES = tuple(f"obj_dc_{i}" for i in range(16))
EYES = {"a": (0, -2, -14), "b": (12, -3, 1), "c": (-9, -4, -8)}
CLASSES = 5


def run(*words: object) -> Result:
    return CliRunner().invoke(command.main, [str(word) for word in words])


def report_of(*words: object) -> dict[str, Any]:
    result = run(*words, "--json")
    assert result.exit_code == 0, result.stderr
    return dict(json.loads(result.stdout))


@pytest.fixture
def folder(tmp_path: Path, trained: Encoded) -> Path:
    """Return a scene, its file, cameras, a head and label maps of two of the three views."""
    write_ply(tmp_path / "original.ply", trained.scene)
    (tmp_path / "keep.csgs").write_bytes(trained.data)
    views = []
    for name, eye in EYES.items():
        view = look_at(np.array(eye, float), np.zeros(3), np.array([0.0, -1, 0]))
        lens = [[50.0, 0, 24], [0, 50, 20], [0, 0, 1]]
        views.append({"name": name, "W": 48, "H": 40, "K": lens, "viewmat": view.tolist()})
    (tmp_path / "cameras.json").write_text(json.dumps({"cameras": views}))
    random = np.random.default_rng(4)
    np.savez(
        tmp_path / "head.npz", weight=random.normal(size=(CLASSES, 16)), bias=np.zeros(CLASSES)
    )
    (tmp_path / "truth").mkdir()
    for name in ("a", "c"):
        labels = true_labels(tmp_path, trained.scene, name)
        labels[:5] = 200
        Image.fromarray(labels.astype(np.uint8)).save(tmp_path / "truth" / f"{name}.png")
    return tmp_path


def true_labels(folder: Path, scene: Scene, view: str) -> np.ndarray:
    camera = next(c for c in read_cameras(folder / "cameras.json") if c.name == view)
    gaussians = RenderGaussians.from_scene(scene)
    return label_map(gaussians, scene.stack(NAMES), read_head(folder / "head.npz"), camera)


def words(folder: Path, file: str) -> tuple[object, ...]:
    return (
        *(folder / "original.ply", folder / file, "--cameras", folder / "cameras.json"),
        *("--head", folder / "head.npz", "--masks", folder / "truth", "--ignore-label", 200),
    )


def test_a_file_that_keeps_its_order(folder: Path, trained: Encoded) -> None:
    report = report_of(*words(folder, "keep.csgs"))
    known = report["semantics"]["obj_dc"]
    assert known["miou_to_masks"] == 1 and known["accuracy_to_masks"] == 1
    assert (known["masked_views"], known["classes"], known["features"]) == (2, CLASSES, 16)
    held = [level for level in report["levels"] if level["semantics"]]
    assert len(held) >= 2 and held[-1] is report["levels"][-1]
    scene, head = trained.scene, read_head(folder / "head.npz")
    views = read_cameras(folder / "cameras.json")
    wanted = describe_semantics(scene, decode(trained.data), assign_roles(scene), head)["obj_dc"]
    for level in held[-2:]:
        score = level["semantics"]["obj_dc"]
        assert score["matched_rows"] == score["decoded_rows"] == scene.count
        assert score["angle_mean"] == pytest.approx(wanted.angle_mean, rel=1e-6)
        assert score["argmax_agreement"] == pytest.approx(wanted.argmax_agreement)
        weight = blended_weight(RenderGaussians.from_scene(scene), views)
        seen = describe_semantics(scene, decode(trained.data), assign_roles(scene), head, weight)
        assert score["seen"]["angle_mean"] == pytest.approx(seen["obj_dc"].angle_mean, rel=1e-6)
        assert score["seen"]["angle_mean"] != pytest.approx(wanted.angle_mean, rel=1e-3)
        assert score["zero_rows"] == score["zero_rows_kept"] == len(range(0, scene.count, 7))
        assert 0.7 < score["miou_to_masks"] < 1 and 0.7 < score["miou_to_original"] < 1
    spent = [one["groups"].get("obj_dc", 0) for one in report["spending"]]
    assert held[-1]["semantics"]["obj_dc"]["bits_per_gaussian"] == pytest.approx(sum(spent))
    whole = sum(
        sum(one["groups"].values()) + one["exact_data"] + one["headers_and_framing"]
        for one in report["spending"]
    )
    assert whole == pytest.approx(8 * probe(trained.data).size / scene.count)


def test_a_file_in_its_own_order(folder: Path, trained: Encoded) -> None:
    data = encode(trained.scene, EncodeOptions(look=False)).data
    (folder / "any.csgs").write_bytes(data)
    score = report_of(*words(folder, "any.csgs"))["levels"][-1]["semantics"]["obj_dc"]
    assert 0.9 < score["matched_rows"] / score["decoded_rows"] <= 1
    assert score["angle_mean"] < 10 and score["argmax_agreement"] > 0.9
    assert "positions within" in score["matched_by"]


def test_a_ply_of_the_same_rows(folder: Path, trained: Encoded) -> None:
    write_ply(folder / "out.ply", decode(trained.data))
    report = report_of(*words(folder, "out.ply"))
    score = report["levels"][0]["semantics"]["obj_dc"]
    assert report["spending"] == [] and score["bits_per_gaussian"] is None
    assert score["angle_max"] < 90 and score["matched_rows"] == trained.scene.count
    mixed = np.random.default_rng(0).permutation(trained.scene.count)
    write_ply(folder / "mixed.ply", decode(trained.data).select(mixed))
    assert report_of(*words(folder, "mixed.ply"))["levels"][0]["semantics"] == {}
    assert "rows cannot be paired" in run(*words(folder, "mixed.ply")).stdout


def test_tables(folder: Path) -> None:
    result = run(*words(folder, "keep.csgs"))
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert any(line.split()[:1] == ["obj_dc"] for line in lines)
    assert any("16 features; original: mIoU 1.0000" in line for line in lines)
    assert "label maps of 2 of 3 views" in result.stderr
    plain = run(*words(folder, "keep.csgs")[:4], "--level", 1)
    assert plain.exit_code == 0 and "in no level" in plain.stdout


def test_label_maps_beside_the_cameras(folder: Path) -> None:
    (folder / "truth").rename(folder / "masks")
    chosen = (*words(folder, "keep.csgs")[:6], "--level", 1, "--ignore-label", 200)
    assert report_of(*chosen)["semantics"]["obj_dc"]["masked_views"] == 2


def test_what_goes_wrong(folder: Path) -> None:
    some = words(folder, "keep.csgs")
    assert run(*some[:4], *some[6:]).exit_code == 2
    failed = run(*some[:8])
    assert failed.exit_code == 2 and "label 200 is none of 5 classes" in failed.stderr
    (folder / "empty").mkdir()
    failed = run(*some[:6], "--masks", folder / "empty")
    assert failed.exit_code == 2 and "no PNG is named after a view" in failed.stderr
    np.savez(folder / "head.npz", weight=np.zeros((3, 4)), bias=np.zeros(3))
    assert "width of the head" in run(*some).stderr


def test_scenes_without_semantics(folder: Path) -> None:
    bare = semantic_scene(40)
    columns = {n: c for n, c in bare.columns.items() if n not in NAMES}
    write_ply(folder / "original.ply", Scene(columns))
    (folder / "bare.csgs").write_bytes(encode(Scene(columns)).data)
    report = report_of(*words(folder, "bare.csgs")[:4])
    assert report["semantics"] == {} and report["levels"][-1]["semantics"] == {}
