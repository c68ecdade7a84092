"""Selections: each kind of term, their text, and files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from csgs_codec import (
    EncodeOptions,
    Scene,
    UnsupportedError,
    UsageError,
    decode,
    encode,
    probe,
    select,
)
from csgs_codec.encoder.objects import read_names
from csgs_codec.render.cameras import make_camera
from csgs_codec.semantics.catalogue import Catalogue
from csgs_codec.semantics.grammar import click_term, parse_selection, vector_term
from csgs_codec.semantics.grow import grow
from csgs_codec.semantics.select import Selection
from csgs_codec.semantics.similar import Clicked, Like, Similar
from tests.scenes import inria, smooth, with_labels, with_semantics

NAMES = {"0": "Floor", "1": "chair", "2": "chair", "3": "floor"}


def labelled(count: int = 120) -> Scene:
    return with_labels(with_semantics(inria(count, 1)))


def head_bytes(classes: int = 3, width: int = 16, names: tuple[str, ...] = ()) -> bytes:
    stream = io.BytesIO()
    random = np.random.default_rng(1)
    arrays: dict[str, Any] = {
        "weight": random.normal(size=(classes, width)),
        "bias": np.zeros(classes),
    }
    if names:
        arrays["names"] = np.array(names)
    np.savez(stream, **arrays)
    return stream.getvalue()


@pytest.fixture(scope="module")
def data() -> bytes:
    """Features, labels with names, a head."""
    options = EncodeOptions(
        look=False,
        order="keep",
        objects=read_names(NAMES),
        attachments={"head.npz": head_bytes(names=("a", "b", "c")), "note.txt": b"hello"},
    )
    return encode(labelled(), options).data


@pytest.fixture(scope="module")
def scene(data: bytes) -> Scene:
    return decode(data)


def chosen(data: bytes, text: str, **options: Any) -> np.ndarray:
    return select(data, text, **options).mask


# --- terms


def test_ids(data: bytes, scene: Scene) -> None:
    label = scene.columns["label"]
    assert (chosen(data, "id=2") == (label == 2)).all() and (label == 2).any()
    assert (chosen(data, "id=1, 3") == ((label == 1) | (label == 3))).all()
    assert (chosen(data, "id=1@label") == (label == 1)).all()
    nothing = select(data, "id=99")
    assert nothing.count == 0 and any("99" in note for note in nothing.notes)
    with pytest.raises(UsageError, match="no property 'room'"):
        chosen(data, "id=1@room")


def test_names(data: bytes, scene: Scene) -> None:
    label = scene.columns["label"]
    assert (chosen(data, "name=chair") == ((label == 1) | (label == 2))).all()
    assert (chosen(data, "name=CHAIR") == ((label == 1) | (label == 2))).all()
    assert (chosen(data, "name=floor") == (label == 3)).all()
    assert (chosen(data, "name=Floor") == (label == 0)).all()
    with pytest.raises(UsageError, match=r"'lamp' \(names: Floor, chair, floor\)"):
        chosen(data, "name=lamp")
    with pytest.raises(UsageError):
        chosen(data, "name=")


def test_classes(data: bytes, scene: Scene, tmp_path: Path) -> None:
    features = scene.stack(tuple(f"obj_dc_{i}" for i in range(16)))
    with np.load(io.BytesIO(head_bytes())) as opened:
        expected = (features @ opened["weight"].T + opened["bias"]).argmax(axis=1)
    for number, name in enumerate("abc"):
        assert (chosen(data, f"class={number}") == (expected == number)).all()
        assert (chosen(data, f"class={name}") == (expected == number)).all()
    assert (chosen(data, "class=1", head="head.npz") == (expected == 1)).all()
    (tmp_path / "h.npz").write_bytes(head_bytes(classes=2))
    assert chosen(data, "class=1", head=str(tmp_path / "h.npz")).any()
    for text, head in (("class=3", None), ("class=d", None), ("class=-1", None)):
        with pytest.raises(UsageError, match="no class"):
            chosen(data, text, head=head)
    with pytest.raises(UsageError, match="neither an attachment nor a file"):
        chosen(data, "class=1", head="other.npz")
    (tmp_path / "wide.npz").write_bytes(head_bytes(width=5))
    with pytest.raises(UsageError, match="no semantic group fits 5 features"):
        chosen(data, "class=1", head=str(tmp_path / "wide.npz"))


def test_heads_that_are_not_clear() -> None:
    columns = tuple(f"obj_dc_{i}" for i in range(16))
    both = {"a.npz": head_bytes(), "b.npz": head_bytes()}
    for attachments, said in (({}, "no head fits"), (both, r"several heads .*a\.npz, b\.npz")):
        catalogue = Catalogue(columns, semantic={"obj_dc": columns}, attachments=attachments)
        with pytest.raises(UsageError, match=said):
            _ = catalogue.found_head
    catalogue = Catalogue(columns, semantic={"obj_dc": columns}, attachments=both, head="b.npz")
    assert catalogue.found_head.classes == 3


def test_vectors(data: bytes, scene: Scene, tmp_path: Path) -> None:
    features = scene.stack(tuple(f"obj_dc_{i}" for i in range(16)))
    vector = features[7] * 5
    np.save(tmp_path / "v.npy", vector)
    cosine = features @ vector / np.linalg.norm(features, axis=1) / np.linalg.norm(vector)
    for threshold in (0.5, 0.9):
        found = chosen(data, f"vector={tmp_path / 'v.npy'}@{threshold}")
        assert (found == (cosine >= threshold)).all() and found[7]
    assert (chosen(data, f"vector={tmp_path / 'v.npy'}") == (cosine >= 0.8)).all()
    with np.load(io.BytesIO(head_bytes())) as opened:
        logits = features @ opened["weight"].T
    wanted = np.array([1.0, 0.0, -1.0])
    np.save(tmp_path / "v.npy", wanted[None])
    cosine = logits @ wanted / np.linalg.norm(logits, axis=1) / np.linalg.norm(wanted)
    assert (chosen(data, f"vector={tmp_path / 'v.npy'}@0.3") == (cosine >= 0.3)).all()
    for wrong in (np.ones(7), np.zeros(16), np.full(16, np.nan), np.ones((2, 8)), np.array("a")):
        np.save(tmp_path / "v.npy", wrong)
        with pytest.raises(UsageError):
            chosen(data, f"vector={tmp_path / 'v.npy'}")
    with pytest.raises(UsageError):
        vector_term(str(tmp_path / "missing.npy"))


def test_like_a_row(data: bytes, scene: Scene) -> None:
    features = scene.stack(tuple(f"obj_dc_{i}" for i in range(16)))
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    for row, threshold in ((0, 0.5), (17, 0.9), (119, 0.9)):
        found = chosen(data, f"like={row}@{threshold}")
        assert (found == (unit @ unit[row] >= threshold)).all() and found[row]
    assert (chosen(data, "like=17") == (unit @ unit[17] >= 0.8)).all()
    assert 1 < chosen(data, "like=17@0.9").sum() < len(scene.columns["x"])
    with pytest.raises(UsageError, match="no row 120 among 120"):
        chosen(data, "like=120")
    for text in ("like=-1", "like=a", "like=1.5", "like=1@x", "like="):
        with pytest.raises(UsageError):
            parse_selection(text)


def test_rows_are_numbered_as_they_are_decoded() -> None:
    """Whether the file keeps the order of the PLY or not."""
    scene = labelled()
    for order in ("keep", "any"):
        file = encode(scene, EncodeOptions(look=False, order=order)).data  # type: ignore[arg-type]
        back = decode(file).stack(tuple(f"obj_dc_{i}" for i in range(16)))
        unit = back / np.linalg.norm(back, axis=1, keepdims=True)
        assert (chosen(file, "like=5@0.9") == (unit @ unit[5] >= 0.9)).all()


def test_a_row_without_features_is_refused() -> None:
    values = np.array([[0, 0], [1, 0], [np.nan, 1]], np.float32)
    scene = Scene(dict(zip(("s_0", "s_1"), values.T.copy(), strict=True)))
    catalogue = Catalogue(("s_0", "s_1"), semantic={"s": ("s_0", "s_1")})
    for row in (0, 2):
        with pytest.raises(UsageError, match=f"row {row} has no features"):
            Like(row).mask(scene, 3, catalogue, [])
    assert Like(1).mask(scene, 3, catalogue, []).tolist() == [False, True, False]


def test_rows_without_features_are_like_nothing() -> None:
    columns = ("s_0", "s_1")
    values = np.array([[0, 0], [1, 0], [np.nan, 1], [-1, 0]], np.float32)
    scene = Scene(dict(zip(columns, values.T.copy(), strict=True)))
    catalogue = Catalogue(columns, semantic={"s": columns})
    mask = Similar(np.array([1, 0], np.float32), -0.5).mask(scene, 4, catalogue, [])
    assert mask.tolist() == [False, True, False, False]


def test_boxes_and_comparisons(data: bytes, scene: Scene) -> None:
    xyz = scene.stack(("x", "y", "z"))
    inside = (np.abs(xyz) <= [2, 3, 2.5]).all(axis=1)
    assert inside.any() and (chosen(data, "box=-2,-3,-2.5,2,3,2.5") == inside).all()
    assert (chosen(data, "box=2,-3,2.5,-2,3,-2.5") == inside).all()
    for sign, operator in (("<", np.less), (">=", np.greater_equal), ("!=", np.not_equal)):
        assert (chosen(data, f"label {sign} 2") == operator(scene.columns["label"], 2)).all()
    assert (chosen(data, "opacity>0.5") == (scene.columns["opacity"] > 0.5)).all()
    with pytest.raises(UsageError, match="no property 'lable'"):
        chosen(data, "lable==3")


def test_conjunctions(data: bytes, scene: Scene) -> None:
    label, x = scene.columns["label"], scene.columns["x"]
    assert (chosen(data, "!id=2 & x>0") == ((label != 2) & (x > 0))).all()
    assert (chosen(data, "!!id=2") == (label == 2)).all()
    assert chosen(data, "all").all() and not chosen(data, "!all").any()
    assert (chosen(data, "id=2", invert=True) == (label != 2)).all()


def test_rows_are_those_of_the_decoded_level(data: bytes) -> None:
    for level in probe(data).levels:
        part = decode(data, level=level.level)
        assert (chosen(data, "x>0", level=level.level) == (part.columns["x"] > 0)).all()
    held = next(level.level for level in probe(data).levels if "label" in level.groups)
    for level in range(1, held):
        with pytest.raises(UnsupportedError, match=f"level {level} does not hold it; level {held}"):
            chosen(data, "id=2", level=level)
    assert chosen(data, "id=2", level=held).any()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "chair",
        "id=",
        "id=a",
        "id=1.5",
        "box=1,2,3",
        "box=0,0,0,1,1,inf",
        "box=a,0,0,1,1,1",
        "label=3",
        "label==x",
        "==3",
        "id=1 &",
        "& id=1",
        "!",
        "label==3==4",
    ],
)
def test_texts_that_select_nothing(text: str) -> None:
    with pytest.raises(UsageError):
        parse_selection(text)


# --- clicks


def test_clicks(data: bytes, scene: Scene, tmp_path: Path) -> None:
    """Two blobs of different features, one beside the other in the picture."""
    count = 60
    two = inria(count, 0)
    left = np.arange(count) < count // 2
    spread = smooth(two.stack(("x", "y", "z")), 2, 4) * 0.05
    for axis, values in zip("xyz", (np.where(left, -1, 1), 0, 0), strict=True):
        two.columns[axis] = np.full(count, values, np.float32)
    two.columns["x"] += spread[:, 0].astype(np.float32)
    two.columns["opacity"][:] = 5
    for axis in range(3):
        two.columns[f"scale_{axis}"][:] = np.log(0.2)
    two.columns["sem_0"] = np.where(left, 1, 0.1).astype(np.float32)
    two.columns["sem_1"] = np.where(left, 0.1, 1).astype(np.float32)
    file = encode(two, EncodeOptions(look=False, order="keep")).data
    lens = (80.0, 80.0, 50.0, 40.0)
    camera = make_camera("front", (100, 80), lens, np.eye(3), (0, 0, 4))
    for x, expected in ((30, left), (70, ~left)):
        found = select(file, Selection((Clicked(camera, x, 40, 0.9),)))
        assert (found.mask == expected).all() and any("cosine" in note for note in found.notes)
    with pytest.raises(UsageError, match="nothing is seen"):
        select(file, Selection((Clicked(camera, 2, 2),)))
    for pixel in ((100, 40), (50, -1)):
        with pytest.raises(UsageError, match="outside"):
            select(file, Selection((Clicked(camera, *pixel),)))


def test_click_arguments(tmp_path: Path) -> None:
    entry = '{"id": 7, "img_name": "v7", "width": 9, "height": 8, "fx": 5, "fy": 5,'
    entry += '"rotation": [[1,0,0],[0,1,0],[0,0,1]], "position": [0,0,0]}'
    path = tmp_path / "cam:1.json"
    path.write_text(f"[{entry}]")
    for view in ("v7", "0"):
        term = click_term(f"{path}:{view}:3,4.5", 0.7)
        assert (term.camera.name, term.x, term.y, term.threshold) == ("v7", 3, 4.5, 0.7)
    for text in (
        f"{path}:v8:1,1",
        f"{path}:1:1,1",
        f"{path}:0:1",
        "x:0:1,1",
        "1,1",
        f"{path}:0:a,b",
    ):
        with pytest.raises(UsageError):
            click_term(text)


# --- growing


def test_grow_is_what_brute_force_gives() -> None:
    random = np.random.default_rng(2)
    positions = random.normal(size=(700, 3)) * [5, 1, 0.2]
    positions[3] = np.nan
    mask = random.random(700) < 0.02
    for distance in (0.05, 0.3, 2.0, 100.0):
        apart = np.linalg.norm(
            positions[:, None] - positions[None, mask & (np.arange(700) != 3)], axis=2
        )
        expected = mask | (apart <= distance).any(axis=1)
        assert (grow(positions, mask, distance) == expected).all(), distance
    assert not grow(positions, np.zeros(700, bool), 1.0).any()
    assert grow(positions, np.ones(700, bool), 1.0).all()


def test_growing_a_selection(data: bytes, scene: Scene) -> None:
    own = chosen(data, "id=2")
    wider = chosen(data, "id=2", grow=0.5)
    assert (wider >= own).all() and wider.sum() > own.sum()
    assert (chosen(data, "id=2", grow=0.5, invert=True) == ~wider).all()
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(UsageError):
            chosen(data, "id=2", grow=wrong)
