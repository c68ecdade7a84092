"""Edits: what changes, what does not, and what a file keeps through them."""

from __future__ import annotations

import numpy as np
import pytest

from csgs_codec import (
    EncodeOptions,
    Scene,
    UsageError,
    decode,
    edit,
    encode,
    probe,
    read_attachments,
)
from csgs_codec.encoder.objects import read_names
from csgs_codec.revise import options_like
from csgs_codec.semantics.edit import SH_C0, Recolour, parse_edit
from tests.scenes import inria, rgb_uchar, with_labels, with_semantics

FILES = {"head.npz": b"not really", "codebook.npy": bytes(99)}


@pytest.fixture(scope="module")
def data() -> bytes:
    """SH1, features, labels under an unusual name, names, files."""
    scene = with_labels(with_semantics(inria(120, 1)), name="part")
    scene.columns["hue_0"] = scene.columns["f_dc_0"] * 2
    scene.columns["hue_1"] = scene.columns["f_dc_1"] * 2
    options = EncodeOptions(
        look=False,
        semantic=("hue_.*",),
        ids=("part",),
        objects=read_names([{"id": i, "name": f"n{i}", "colour": "#010203"} for i in range(6)]),
        attachments=FILES,
    )
    return encode(scene, options).data


def base_mean(scene: Scene, mask: np.ndarray) -> np.ndarray:
    weights = 1 / (1 + np.exp(-scene.columns["opacity"][mask].astype(float)))
    colours = 0.5 + SH_C0 * scene.stack(("f_dc_0", "f_dc_1", "f_dc_2"))[mask]
    return weights @ colours / weights.sum()


def unchanged(a: Scene, b: Scene, but: tuple[str, ...]) -> bool:
    return list(a.columns) == list(b.columns) and all(
        a.columns[n].tobytes() == b.columns[n].tobytes() for n in a.columns if n not in but
    )


def test_remove_and_keep(data: bytes) -> None:
    full = decode(data)
    own = full.columns["part"] == 2
    for kind, rows in (("remove", ~own), ("keep", own)):
        scene, counts, _ = edit(data, [parse_edit(kind, "id=2")])
        assert counts == [own.sum()] and unchanged(scene, full.select(np.flatnonzero(rows)), ())


def test_translate(data: bytes) -> None:
    full = decode(data)
    own = full.columns["part"] == 2
    scene, _, _ = edit(data, [parse_edit("translate", "name=n2", "-1,0,2.5")])
    assert unchanged(scene, full, ("x", "z"))
    for axis, by in (("x", -1), ("z", 2.5)):
        moved = full.columns[axis].astype(float) + np.where(own, by, 0)
        assert (scene.columns[axis] == moved.astype(np.float32)).all()


@pytest.mark.parametrize("colour", ["#336699", "#000000", "#FFFFFF"])
def test_recolour(data: bytes, colour: str) -> None:
    full = decode(data)
    own = full.columns["part"] == 2
    scene, _, _ = edit(data, [parse_edit("recolour", "id=2", colour)])
    rest = tuple(f"f_rest_{i}" for i in range(9))
    assert unchanged(scene, full, ("f_dc_0", "f_dc_1", "f_dc_2", *rest))
    wanted = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    assert np.allclose(base_mean(scene, own), wanted, atol=1e-5)
    before = base_mean(full, own)
    for channel in range(3):
        name = f"f_dc_{channel}"
        shift = scene.columns[name].astype(float) - full.columns[name]
        assert np.ptp(shift[own]) < 1e-5 and not shift[~own].any()
        factor = min(1.0, wanted[channel] / before[channel])
        for name in rest[3 * channel : 3 * channel + 3]:
            assert np.allclose(scene.columns[name][own], factor * full.columns[name][own])
            assert (scene.columns[name][~own] == full.columns[name][~own]).all()


def test_recolour_without_harmonics_or_opacity() -> None:
    scene = inria(20, 0)
    del scene.columns["opacity"]
    mask = np.arange(20) < 5
    found = Recolour((0.1, 0.2, 0.3)).apply(scene, mask)
    colours = 0.5 + SH_C0 * found.stack(("f_dc_0", "f_dc_1", "f_dc_2"))[mask]
    assert np.allclose(colours.mean(axis=0), [0.1, 0.2, 0.3], atol=1e-6)
    with pytest.raises(UsageError, match="f_dc_0"):
        Recolour((0.1, 0.2, 0.3)).apply(rgb_uchar(20), mask)
    untouched = Recolour((0.1, 0.2, 0.3)).apply(scene, np.zeros(20, bool))
    assert unchanged(untouched, scene, ())


def test_edits_follow_each_other(data: bytes) -> None:
    full = decode(data)
    edits = [
        parse_edit("translate", "all", "100,0,0"),
        parse_edit("keep", "box=50,-50,-50,150,50,50"),
        parse_edit("remove", "id=2"),
        parse_edit("remove", "id=2"),
    ]
    scene, counts, notes = edit(data, edits)
    own = int((full.columns["part"] == 2).sum())
    assert counts == [120, 120, own, 0] and scene.count == 120 - own
    assert any("no Gaussian has part 2" in note for note in notes)
    with pytest.raises(UsageError, match="nothing"):
        edit(data, [parse_edit("remove", "nothing==1")])


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("recolour", "red"),
        ("recolour", "#12345"),
        ("translate", "1,2"),
        ("translate", "1,2,nan"),
        ("translate", ""),
    ],
)
def test_values_that_are_wrong(kind: str, value: str) -> None:
    with pytest.raises(UsageError):
        parse_edit(kind, "all", value)


def test_a_file_keeps_what_travelled_along(data: bytes) -> None:
    edits = [parse_edit("remove", "id=2"), parse_edit("translate", "id=3", "50,0,0")]
    scene, _, _ = edit(data, edits)
    made = encode(scene, options_like(data, scene, EncodeOptions(look=False))).data
    assert read_attachments(made) == FILES
    before, after = probe(data), probe(made)
    assert {g.name: (g.kind, g.properties) for g in before.groups} == {
        g.name: (g.kind, g.properties) for g in after.groups
    }
    old = {one.id: one for one in before.objects.objects}
    new = {one.id: one for one in after.objects.objects}
    assert after.objects.property == "part" and set(new) == set(old) - {2}
    assert all((new[i].name, new[i].colour) == (f"n{i}", "#010203") for i in new)
    assert all(new[i].count == old[i].count for i in new)
    assert new[3].box[0][0] > 40 and old[3].box[0][0] < 40
    back = decode(made)
    assert sorted(back.columns["part"].tolist()) == sorted(scene.columns["part"].tolist())
    assert list(back.columns) == list(scene.columns)


def test_order_and_priority_are_kept() -> None:
    scene = with_semantics(inria(40, 1))
    first = EncodeOptions(look=False, order="keep", priority="semantic")
    for options, order in ((first, "keep"), (EncodeOptions(look=False), "any")):
        data = encode(scene, options).data
        found = options_like(data, decode(data), EncodeOptions(quality=33))
        assert (found.order, found.priority, found.quality) == (order, options.priority, 33)


def test_what_a_file_did_not_have_it_does_not_get() -> None:
    plain = encode(with_labels(inria(30, 0)), EncodeOptions(look=False, object_table=False)).data
    scene = decode(plain)
    made = encode(scene, options_like(plain, scene, EncodeOptions(look=False))).data
    assert probe(made).objects is None and probe(made).attachments == ()


def test_everything_can_be_removed(data: bytes) -> None:
    scene, _, _ = edit(data, [parse_edit("remove", "all")])
    made = encode(scene, options_like(data, scene, EncodeOptions(look=False))).data
    assert decode(made).count == 0 and read_attachments(made) == FILES
