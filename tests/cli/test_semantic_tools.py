"""Merging, attaching, selecting and editing as a user meets them."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from csgs_codec.cli.common import ExitCode

from csgs_codec import EncodeOptions, Scene, decode, encode, probe, read_ply
from csgs_codec.decoder import read_attachments
from csgs_codec.encoder.objects import read_names
from tests.cli.conftest import spawn
from tests.scenes import inria, with_labels, with_semantics

Run = Callable[..., Result]
ROOT = Path(__file__).parents[2]
COUNT = 50


@pytest.fixture(scope="module")
def file() -> bytes:
    """Features, named labels and a head."""
    random, stream = np.random.default_rng(0), io.BytesIO()
    np.savez(stream, weight=random.normal(size=(2, 16)), bias=np.zeros(2))
    options = EncodeOptions(
        look=False,
        order="keep",
        objects=read_names({"1": "chair", "2": "table"}),
        attachments={"head.npz": stream.getvalue(), "readme.txt": b"hello"},
    )
    return encode(with_labels(with_semantics(inria(COUNT, 1))), options).data


@pytest.fixture
def csgs(tmp_path: Path, file: bytes) -> Path:
    path = tmp_path / "scene.csgs"
    path.write_bytes(file)
    return path


@pytest.fixture
def scene(file: bytes) -> Scene:
    return decode(file)


def left_over(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.endswith(".part")]


# --- csgs-encode


def test_merge_attach_and_name(run: Run, ply: Path) -> None:
    np.save("feat.npy", np.random.default_rng(0).normal(size=(30, 5)).astype(np.float16))
    np.save("inst.npy", np.arange(30) % 3)
    Path("head.bin").write_bytes(bytes(1000))
    Path("names.json").write_text('{"0": "floor", "2": "lamp"}')
    words = ["--merge", "feat.npy:clip", "--merge", "inst.npy", "--attach", "head.bin"]
    result = run("csgs-encode", *words, "--objects", "names.json", "--fast", ply, "out.csgs")
    assert result.exit_code == ExitCode.OK, result.stderr
    for said in (
        "float16 is widened",
        "narrowed to int32",
        "clip_0 .. clip_4 merged",
        "inst merged",
    ):
        assert f"note: {said}" in result.stderr or said in result.stderr
    info = probe("out.csgs")
    assert {g.name: g.kind for g in info.groups}["clip"] == "semantic"
    assert [(a.name, a.bytes) for a in info.attachments] == [("head.bin", 1000)]
    assert [(o.id, o.name, o.count) for o in info.objects.objects] == [
        (0, "floor", 10),
        (1, "", 10),
        (2, "lamp", 10),
    ]
    result = run("csgs-encode", *words, "--no-objects", "--fast", "--json", ply, "b.csgs")
    report = json.loads(result.stdout)
    assert probe("b.csgs").objects is None and "attachments" in report["groups"]
    sizes = sum(Path(f).stat().st_size for f in (ply, "feat.npy", "inst.npy"))
    assert report["source_bytes"] == sizes and any("clip" in note for note in report["notes"])


def test_what_cannot_be_merged_or_attached(run: Run, ply: Path) -> None:
    np.save("short.npy", np.zeros((29, 3)))
    Path("names.json").write_text("[1, 2]")
    Path("broken.json").write_text("{")
    for words, code, said in (
        (["--merge", "missing.npy"], ExitCode.SIDECAR, "missing.npy"),
        (["--merge", "short.npy"], ExitCode.SIDECAR, "29 rows, but the scene has 30"),
        (["--attach", "missing.bin"], ExitCode.USAGE, "missing.bin"),
        (
            ["--attach", "short.npy", "--attach", str(ply.parent / "short.npy")],
            ExitCode.USAGE,
            "two",
        ),
        (["--objects", "names.json"], ExitCode.USAGE, "names.json"),
        (["--objects", "broken.json"], ExitCode.USAGE, "JSON"),
        (["--objects", "names.json", "--no-objects"], ExitCode.USAGE, "exclude"),
        (["--id", "opacity"], ExitCode.PLY, "whole numbers"),
        (["--id", "("], ExitCode.PLY, "regular expression"),
    ):
        result = run("csgs-encode", *words, "--fast", ply, "out.csgs")
        assert result.exit_code == code and said in result.stderr, (words, result.stderr)
        assert result.stdout == "" and not Path("out.csgs").exists()
    assert left_over(ply.parent) == []


# --- csgs-decode and csgs-info


def test_attachments_come_back(run: Run, csgs: Path) -> None:
    result = run("csgs-decode", csgs, "--attachments", "new/folder")
    assert result.exit_code == ExitCode.OK and "2 attachments" in result.stderr
    assert sorted(os.listdir("new/folder")) == ["head.npz", "readme.txt"]
    assert Path("new/folder/readme.txt").read_bytes() == b"hello"
    Path("new/folder/head.npz").unlink()
    Path("new/folder/readme.txt").write_bytes(b"precious")
    result = run("csgs-decode", csgs, "out.ply", "--attachments", "new/folder")
    assert result.exit_code == ExitCode.USAGE and "readme.txt" in result.stderr
    assert os.listdir("new/folder") == ["readme.txt"] and not Path("out.ply").exists()
    result = run("csgs-decode", csgs, "out.ply", "--attachments", "new/folder", "--force")
    assert result.exit_code == ExitCode.OK and Path("out.ply").exists()
    assert Path("new/folder/readme.txt").read_bytes() == b"hello"


def test_features_come_back_in_the_order_of_the_ply(run: Run, csgs: Path, scene: Scene) -> None:
    expected = scene.stack(tuple(f"obj_dc_{i}" for i in range(16))).astype(np.float32)
    for words, made in (
        (["--features", "f.npy"], "f.npy"),
        (["out.ply", "--features", "folder"], "folder/obj_dc.npy"),
    ):
        assert run("csgs-decode", csgs, *words).exit_code == ExitCode.OK
        found = np.load(made)
        assert found.dtype == np.float32 and (found == expected).all()
    assert (read_ply("out.ply").columns["obj_dc_3"] == expected[:, 3]).all()
    result = run("csgs-decode", csgs, "--features", "g.npy", "--level", 1)
    assert result.exit_code == ExitCode.UNSUPPORTED and not Path("g.npy").exists()
    assert run("csgs-decode", csgs, "--features", "f.npy").exit_code == ExitCode.USAGE
    assert run("csgs-decode", csgs).exit_code == ExitCode.USAGE


def test_outputs_must_not_replace_each_other(run: Run) -> None:
    scene = with_semantics(inria(30, 0))
    options = EncodeOptions(look=False, attachments={"obj_dc.npy": b"mine", "out.ply": b"mine"})
    Path("in.csgs").write_bytes(encode(scene, options).data)
    for words in (["--attachments", ".", "--features", "."], ["out.ply", "--attachments", "."]):
        result = run("csgs-decode", "in.csgs", *words, "--force")
        assert result.exit_code == ExitCode.USAGE and "two outputs" in result.stderr
    assert os.listdir(".") == ["in.csgs"]


def test_features_of_files_with_none_or_several(run: Run, ply: Path, tmp_path: Path) -> None:
    Path("none.csgs").write_bytes(encode(inria(30, 0), EncodeOptions(look=False)).data)
    assert run("csgs-decode", "none.csgs", "--features", "f.npy").exit_code == ExitCode.USAGE
    two = with_semantics(with_semantics(inria(30, 0)), "goi")
    Path("two.csgs").write_bytes(encode(two, EncodeOptions(look=False)).data)
    result = run("csgs-decode", "two.csgs", "--features", "f.npy")
    assert result.exit_code == ExitCode.USAGE and "obj_dc, sem" in result.stderr
    assert run("csgs-decode", "two.csgs", "--features", "all").exit_code == ExitCode.OK
    assert np.load("all/sem.npy").shape == (30, 10) and np.load("all/obj_dc.npy").shape == (30, 16)


def test_info_shows_what_travels_along(run: Run, csgs: Path) -> None:
    result = run("csgs-info", csgs, "--verify")
    assert result.exit_code == ExitCode.OK
    assert "attached: readme.txt  5 bytes  SHA-256 2cf24dba5fb0a30e" in result.stdout
    assert "objects, by label:" in result.stdout and "chair" in result.stdout
    found = json.loads(run("csgs-info", csgs, "--json").stdout)
    assert found["objects"]["property"] == "label" and found["attachments"][1]["bytes"] == 5
    Path("names.json").write_text(json.dumps(found["objects"]))
    assert read_names(found["objects"]).objects[1].name == "chair"


# --- csgs-select


def test_selections_are_written(run: Run, csgs: Path, scene: Scene) -> None:
    own = scene.columns["label"] == 2
    for words in (
        ["--id", "2"],
        ["--name", "table"],
        ["--where", "label==2"],
        ["--select", "id=2"],
    ):
        result = run("csgs-select", csgs, *words, "-o", "mask.npy", "--force")
        assert result.exit_code == ExitCode.OK and result.stdout == ""
        assert f"{own.sum()} of {COUNT} Gaussians selected" in result.stderr
        mask = np.load("mask.npy")
        assert mask.dtype == bool and (mask == own).all()
    assert run("csgs-select", csgs, "--id", "2", "-o", "object.ply").exit_code == ExitCode.OK
    found = read_ply("object.ply")
    assert list(found.columns) == list(scene.columns)
    assert all(
        found.columns[name].tobytes() == column[own].tobytes()
        for name, column in scene.columns.items()
    )
    words = ["--id", "1,2", "--where", "x>0", "--class", "1", "--invert", "-o", "mask.npy"]
    result = run("csgs-select", csgs, *words, "--force")
    assert result.exit_code == ExitCode.OK


def test_alike(run: Run, csgs: Path) -> None:
    result = run("csgs-select", csgs, "--like", 3, "--threshold", "0.9", "-o", "mask.npy")
    assert result.exit_code == ExitCode.OK and "cosine at" in result.stderr
    mask = np.load("mask.npy")
    assert mask[3] and not mask.all()
    result = run("csgs-select", csgs, "--like", 3, "-o", "mask.npy", "--force")
    assert np.load("mask.npy").sum() >= mask.sum()


def test_relevancy(run: Run, csgs: Path, scene: Scene) -> None:
    """Nearer to the vector than to what means nothing."""
    features = scene.stack(tuple(f"obj_dc_{i}" for i in range(16)))
    np.save("text.npy", features[3])
    np.save("nothing.npy", features[[11, 30]])
    words = ["--vector", "text.npy", "--negatives", "nothing.npy", "-o", "mask.npy"]
    result = run("csgs-select", csgs, *words)
    assert result.exit_code == ExitCode.OK and "relevancy at" in result.stderr
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    nearest = unit @ unit[[3, 11, 30]].T
    assert (np.load("mask.npy") == (nearest[:, 0] >= nearest[:, 1:].max(axis=1))).all()
    result = run("csgs-select", csgs, *words, "--threshold", "0.9", "--force")
    assert result.exit_code == ExitCode.OK and np.load("mask.npy")[3]


def test_an_object_as_a_file(run: Run, csgs: Path, scene: Scene) -> None:
    result = run("csgs-select", csgs, "--id", "1,2", "-o", "object.csgs")
    assert result.exit_code == ExitCode.OK and "second generation" in result.stderr
    info = probe("object.csgs")
    assert info.gaussians == int(np.isin(scene.columns["label"], [1, 2]).sum())
    assert [one.name for one in info.objects.objects] == ["chair", "table"]
    assert [one.name for one in info.attachments] == ["head.npz", "readme.txt"]


def test_nothing_selected(run: Run, csgs: Path) -> None:
    for target in ("mask.npy", "object.ply"):
        result = run("csgs-select", csgs, "--id", "99", "-o", target)
        assert result.exit_code == ExitCode.USAGE and "--allow-empty" in result.stderr
        assert not Path(target).exists()
        result = run("csgs-select", csgs, "--id", "99", "-o", target, "--allow-empty")
        assert result.exit_code == ExitCode.OK and Path(target).exists()
    assert not np.load("mask.npy").any() and read_ply("object.ply").count == 0


@pytest.mark.parametrize(
    "words",
    [
        ["-o", "mask.npy"],
        ["--id", "2"],
        ["--id", "2", "-o", "mask.txt"],
        ["--id", "a", "-o", "mask.npy"],
        ["--property", "label", "-o", "mask.npy"],
        ["--id", "2", "--threshold", "0.5", "-o", "mask.npy"],
        ["--id", "2", "--property", "nothing", "-o", "mask.npy"],
        ["--name", "lamp", "-o", "mask.npy"],
        ["--class", "7", "-o", "mask.npy"],
        ["--vector", "missing.npy", "-o", "mask.npy"],
        ["--like", "50", "-o", "mask.npy"],
        ["--id", "2", "--negatives", "scene.csgs", "-o", "mask.npy"],
        ["--like", "first", "-o", "mask.npy"],
        ["--click", "missing.json:0:1,1", "-o", "mask.npy"],
        ["--box", "1,2", "-o", "mask.npy"],
        ["--where", "label", "-o", "mask.npy"],
        ["--id", "2", "--grow", "-1", "-o", "mask.npy"],
        ["--id", "2", "--group", "nothing", "--class", "1", "-o", "mask.npy"],
    ],
    ids=" ".join,
)
def test_wrong_selections(run: Run, csgs: Path, words: list[str]) -> None:
    result = run("csgs-select", csgs, *words)
    assert result.exit_code == ExitCode.USAGE and result.stdout == ""
    assert os.listdir(csgs.parent) == ["scene.csgs"]


def test_selecting_needs_no_torch_and_decodes_no_colours(csgs: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'scipy', 'csgs_codec.encoder'): sys.modules[name] = None\n"
        "from csgs_codec.cli.select import main\n"
        "main([sys.argv[1], '--id', '2', '-o', sys.argv[1] + '.npy'], standalone_mode=False)\n"
        "main([sys.argv[1], '--id', '2', '-o', sys.argv[1] + '.ply'], standalone_mode=False)\n"
    )
    found = spawn(sys.executable, "-c", code, csgs)
    assert found.returncode == 0, found.stderr


# --- csgs-edit


def test_edits_are_applied_in_the_order_given(run: Run, csgs: Path, scene: Scene) -> None:
    move, keep = ["--translate", "all", "-100,0,0"], ["--keep", "x < -50"]
    result = run("csgs-edit", csgs, *move, *keep, "-o", "all.ply")
    assert result.exit_code == ExitCode.OK, result.stderr
    assert f"translate: {COUNT} Gaussians" in result.stderr
    assert read_ply("all.ply").count == COUNT
    result = run("csgs-edit", csgs, *keep, *move, "-o", "none.ply")
    assert result.exit_code == ExitCode.USAGE and "keep selects nothing" in result.stderr
    words = ["--remove", "id=1", "--recolour", "id=2", "#ff0000", "--remove", "id=0"]
    assert run("csgs-edit", csgs, *words, "-o", "three.ply").exit_code == ExitCode.OK
    left = read_ply("three.ply")
    assert left.count == int((~np.isin(scene.columns["label"], [0, 1])).sum())
    assert sorted(os.listdir(csgs.parent)) == ["all.ply", "scene.csgs", "three.ply"]


def test_an_edited_file(run: Run, csgs: Path) -> None:
    words = ["--remove", "name=chair", "--fast", "--quality", "60", "-o", "edited.csgs"]
    result = run("csgs-edit", csgs, *words)
    assert result.exit_code == ExitCode.OK and "second generation" in result.stderr
    info = probe("edited.csgs")
    assert "chair" not in [one.name for one in info.objects.objects]
    assert [one.name for one in info.attachments] == ["head.npz", "readme.txt"]


@pytest.mark.parametrize(
    "words",
    [
        ["-o", "a.ply"],
        ["--remove", "id=1"],
        ["--remove", "id=1", "-o", "a.npy"],
        ["--remove", "chair", "-o", "a.ply"],
        ["--remove", "id=99", "-o", "a.ply"],
        ["--recolour", "id=1", "red", "-o", "a.ply"],
        ["--translate", "id=1", "1,2", "-o", "a.ply"],
        ["--translate", "id=1", "-o", "a.ply"],
    ],
    ids=" ".join,
)
def test_wrong_edits(run: Run, csgs: Path, words: list[str]) -> None:
    result = run("csgs-edit", csgs, *words)
    assert result.exit_code == ExitCode.USAGE and result.stdout == ""
    assert os.listdir(csgs.parent) == ["scene.csgs"]


@pytest.mark.parametrize(
    ("command", "words"), [("csgs-select", ["--id", "1"]), ("csgs-edit", ["--remove", "id=1"])]
)
def test_outputs_and_damaged_inputs(
    run: Run, csgs: Path, command: str, words: list[str], file: bytes
) -> None:
    Path("out.ply").write_bytes(b"precious")
    result = run(command, csgs, *words, "-o", "out.ply")
    assert result.exit_code == ExitCode.USAGE and Path("out.ply").read_bytes() == b"precious"
    assert run(command, csgs, *words, "-o", "out.ply", "--force").exit_code == ExitCode.OK
    for content, code in (
        (file[:-1], ExitCode.TRUNCATED),
        (file[:-9] + bytes(9), ExitCode.CORRUPT),
        (b"PK" + file, ExitCode.UNSUPPORTED),
    ):
        csgs.write_bytes(content)
        result = run(command, csgs, *words, "-o", "new.ply")
        assert result.exit_code == code and str(csgs) in result.stderr
        assert not Path("new.ply").exists()


def test_clicks(run: Run, csgs: Path, scene: Scene) -> None:
    """A camera that looks at the first Gaussian, from near."""
    place = np.array([scene.columns[axis][0] for axis in "xyz"], float)
    view = {"id": 0, "img_name": "a", "width": 64, "height": 64, "fx": 3000, "fy": 3000}
    view |= {"rotation": np.eye(3).tolist(), "position": (place - [0, 0, 1]).tolist()}
    Path("cameras.json").write_text(json.dumps([view]))
    words = ["-o", "mask.npy", "--click"]
    result = run("csgs-select", csgs, *words, "cameras.json:a:32,32", "--threshold", "-1")
    assert result.exit_code == ExitCode.OK and "cosine" in result.stderr
    assert np.load("mask.npy").all()
    for click, code in (("b:32,32", ExitCode.USAGE), ("a:64,0", ExitCode.USAGE)):
        assert (
            run("csgs-select", csgs, *words, f"cameras.json:{click}", "--force").exit_code == code
        )
    Path("cameras.json").write_text("[]")
    result = run("csgs-select", csgs, *words, "cameras.json:a:32,32", "--force")
    assert result.exit_code == ExitCode.BAD_CAMERAS


def test_precision_goes_where_a_head_needs_it(tmp_path: Path, run: Run) -> None:
    """The head is attached, and csgs-eval finds it."""
    original, head = ROOT / "samples" / "room.ply", ROOT / "samples" / "classifier.npz"
    out = tmp_path / "out.csgs"
    metric = ("--semantic-metric", f"classifier:{head}", "--semantic-quality", "60")
    result = run("csgs-encode", original, out, "--fast", "--json", *metric)
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["semantics"]["obj_dc"]["argmax_agreement"] > 0.97
    assert read_attachments(out)["classifier.npz"] == head.read_bytes()
    for wrong in ("bla", "classifier:", "classifier:none.npz"):
        words = (original, tmp_path / "x.csgs", "--semantic-metric", wrong)
        assert run("csgs-encode", *words).exit_code == ExitCode.USAGE
