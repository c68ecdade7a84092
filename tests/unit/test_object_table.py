"""The table that says what ids are called, how many there are and where."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

import numpy as np
import pytest

from csgs_codec import CorruptError, EncodeOptions, Scene, UsageError, encode, probe
from csgs_codec.container.objects import ObjectTable, SceneObject
from csgs_codec.encoder.objects import (
    LARGEST_WITH_BOXES,
    describe_objects,
    read_names,
    size_note,
)
from csgs_codec.schema import assign_roles
from tests.scenes import inria, with_labels
from tests.unit.test_mutations import chunks_of, inserted, replace_chunk

FAST = EncodeOptions(look=False)


def described(
    scene: Scene, names: Any = None, notes: list[str] | None = None
) -> ObjectTable | None:
    given = None if names is None else read_names(names)
    options = EncodeOptions(objects=given)
    return describe_objects(scene, assign_roles(scene), options, [] if notes is None else notes)


@pytest.fixture(scope="module")
def data() -> bytes:
    """A few labelled Gaussians with the automatic table."""
    return encode(with_labels(inria(40, 0)), FAST).data


# --- what the encoder writes


def test_automatic_table(data: bytes) -> None:
    scene = with_labels(inria(40, 0))
    table = probe(data).objects
    assert table is not None and table.property == "label"
    ids, counts = np.unique(scene.columns["label"], return_counts=True)
    assert [(o.id, o.count, o.name, o.colour) for o in table.objects] == [
        (i, n, "", None) for i, n in zip(ids.tolist(), counts.tolist(), strict=True)
    ]
    xyz = scene.stack(("x", "y", "z"))
    for one in table.objects:
        own = xyz[scene.columns["label"] == one.id]
        low, high = map(np.array, one.box)
        slack = 0.02
        assert (low <= own.min(axis=0)).all() and (high >= own.max(axis=0)).all()
        assert (low >= own.min(axis=0) - slack).all() and (high <= own.max(axis=0) + slack).all()


def test_no_table() -> None:
    scene = with_labels(inria(40, 0))
    assert probe(encode(scene, EncodeOptions(look=False, object_table=False)).data).objects is None
    assert described(inria(40, 0)) is None
    with pytest.raises(UsageError, match="no id property"):
        described(inria(40, 0), {"1": "chair"})
    with pytest.raises(UsageError):
        EncodeOptions(objects=read_names(["a"]), object_table=False)


@pytest.mark.parametrize(
    "document",
    [
        {"1": "chair", "3": "table"},
        [{"id": 1, "name": "chair"}, {"id": 3, "name": "table"}],
        {"property": "label", "objects": {"1": "chair", "3": "table"}},
        {"objects": [{"id": 1, "name": "chair", "colour": None}, {"id": 3, "name": "table"}]},
        ["", "chair", "", "table"],
    ],
)
def test_names_as_users_write_them(document: Any) -> None:
    table = described(with_labels(inria(200, 0)), document)
    assert table is not None
    names = {one.id: one.name for one in table.objects}
    assert names[1] == "chair" and names[3] == "table" and names[2] == ""


def test_colours_and_ids_that_are_absent() -> None:
    notes: list[str] = []
    names = [{"id": 1, "name": "a", "colour": "#AA00ff"}, {"id": 77, "name": "b"}]
    table = described(with_labels(inria(200, 0)), names, notes)
    assert table is not None
    found = {one.id: one for one in table.objects}
    assert found[1].colour == "#aa00ff" and found[77] == SceneObject(77, "b", None, 0, None)
    assert any("77" in note for note in notes)


@pytest.mark.parametrize(
    "document",
    [
        "chair",
        7,
        None,
        {"x": "chair"},
        {"1": 5},
        [["a"]],
        [{"id": "1"}],
        [{"id": True}],
        [{"id": 1}, {"id": 1}],
        [{"name": "two\nlines"}],
        [{"name": "a", "colour": "red"}],
        {"property": 5, "objects": []},
        {"property": "opacity", "objects": ["a"]},
        {"property": "nothing", "objects": ["a"]},
        {"objects": "a"},
        {str(1 << 40): "far"},
    ],
)
def test_names_that_are_wrong(document: Any) -> None:
    with pytest.raises(UsageError):
        if document is None:
            read_names(None)
        described(with_labels(inria(50, 0)), document)


def test_the_property_is_chosen() -> None:
    scene = with_labels(with_labels(inria(50, 0), name="object_id"), name="label")
    assert described(scene).property == "label"
    del scene.columns["label"]
    assert described(scene).property == "object_id"
    scene.columns["object_id"] = np.arange(50, dtype=np.int32)
    scene.columns = {k: v for k, v in scene.columns.items() if k != "object_id"}
    scene.columns["clip_f_indices_0"] = np.zeros(50, np.int32)
    assert described(scene) is None


def test_many_ids() -> None:
    scene = inria(6000, 0)
    scene.columns["label"] = np.arange(6000, dtype=np.int32)
    assert described(scene) is None
    notes: list[str] = []
    table = described(scene, {"17": "chair"}, notes)
    assert [one.id for one in table.objects] == [17] and any("6000" in note for note in notes)
    scene.columns["label"] = (np.arange(6000) % 3000).astype(np.int32)
    notes = []
    table = described(scene, None, notes)
    assert len(table.objects) == 3000 and len(table.write()) <= LARGEST_WITH_BOXES
    assert table.objects[0].box is None and any("without their boxes" in note for note in notes)


def test_a_large_table_is_told() -> None:
    table = ObjectTable("label", tuple(SceneObject(i, f"name {i}") for i in range(100)))
    assert size_note(table, 50 * len(table.write())) is None
    assert "%" in str(size_note(table, 10 * len(table.write())))
    notes = encode(with_labels(inria(40, 0)), FAST).notes
    assert any("object table takes" in note for note in notes)


def test_positions_that_are_not_finite_have_no_box() -> None:
    scene = with_labels(inria(40, 0))
    scene.columns["label"][:] = 1
    scene.columns["label"][5] = 2
    scene.columns["x"][5] = np.nan
    table = describe_objects(scene, assign_roles(scene), FAST, [])
    assert table.objects[1] == SceneObject(2, "", None, 1, None)
    assert table.objects[0].box is not None


# --- what the reader refuses


def payload(document: Any) -> bytes:
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    return struct.pack("<I", len(text)) + zlib.compress(text)


def table_of(**changes: Any) -> dict[str, Any]:
    entry = {"id": 1, "name": "chair", "colour": "#00ff00", "count": 2, "box": [[0] * 3, [1] * 3]}
    return {"property": "label", "objects": [{**entry, **changes}]}


def place(data: bytes) -> int:
    return next(n for n, (t, _) in enumerate(chunks_of(data)) if t == "oBJT")


@pytest.mark.parametrize(
    "document",
    [
        table_of(),
        table_of(colour=None, box=None, count=0, more="ignored"),
        table_of(name="Stühle & Tische"),
        {"property": "label", "objects": []},
        {"property": "x", "objects": [], "more": 1},
    ],
)
def test_tables_that_are_right(data: bytes, document: Any) -> None:
    table = probe(replace_chunk(data, place(data), payload(document))).objects
    assert table is not None and len(table.objects) == len(document["objects"])


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{",
        b"\xff",
        b"[" * 5000,
        [],
        {},
        {"property": "label"},
        {"property": "nothing", "objects": []},
        {"property": 1, "objects": []},
        {"property": "label", "objects": {}},
        {"property": "label", "objects": [1]},
        {"property": "label", "objects": [*table_of()["objects"]] * 2},
        {"property": "label", "objects": [{"id": 1, "name": "", "colour": None, "count": 0}]},
        {"property": "label", "objects": [{"id": 1, "name": "", "count": 0, "box": None}]},
        table_of(id=None),
        table_of(id=1.0),
        table_of(id=True),
        table_of(id=1 << 31),
        table_of(name=None),
        table_of(name="a\0"),
        table_of(name="x" * 1025),
        table_of(colour="#00FF00"),
        table_of(colour="00ff00"),
        table_of(count=-1),
        table_of(count=41),
        table_of(count=None),
        table_of(box=[[0] * 3]),
        table_of(box=[[0] * 2, [1] * 3]),
        table_of(box=[[2] * 3, [1] * 3]),
        table_of(box=[["0"] * 3, [1] * 3]),
        table_of(box=[[True] * 3, [1] * 3]),
        json.dumps(table_of(box=[[0] * 3, [9] * 3])).replace("9", "1e999").encode(),
        json.dumps(table_of(box=[[0] * 3, [9] * 3])).replace("9", "NaN").encode(),
    ],
)
def test_tables_that_are_wrong(data: bytes, document: Any) -> None:
    with pytest.raises(CorruptError) as caught:
        probe(replace_chunk(data, place(data), payload(document)))
    assert caught.value.context["chunk"] == "oBJT" and "offset" in caught.value.context


def test_payloads_that_are_wrong(data: bytes) -> None:
    good = payload(table_of())
    for wrong in (b"", good[:-1], good + b"\0", struct.pack("<I", 1 << 30) + good[4:]):
        with pytest.raises(CorruptError):
            probe(replace_chunk(data, place(data), wrong))


def test_the_table_stands_once_and_in_its_place(data: bytes) -> None:
    kinds = [t for t, _ in chunks_of(data)]
    bare = encode(with_labels(inria(40, 0)), EncodeOptions(look=False, object_table=False)).data
    for number in range(2, len(chunks_of(bare))):
        with pytest.raises(CorruptError):
            probe(inserted(bare, number, "oBJT"))
    assert kinds[2:4] == ["SCHM", "oBJT"]
    with pytest.raises(CorruptError, match="twice"):
        probe(inserted(data, place(data) + 1, "oBJT"))
