"""Row-indexed files beside a PLY, and what becomes of their arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from csgs_codec import (
    EncodeOptions,
    Scene,
    SidecarError,
    decode,
    encode,
    merge_sidecar,
    probe,
    write_ply,
)
from csgs_codec.io.sidecars import join, split_argument
from csgs_codec.schema import Role, assign_roles
from tests.scenes import decorated, inria, with_labels, with_semantics

ROWS = 60


@pytest.fixture
def scene() -> Scene:
    return inria(ROWS, 0)


def saved(folder: Path, array: Any, name: str = "side.npy") -> Path:
    np.save(folder / name, array)
    return folder / name


def features(width: int = 4, dtype: str = "f4") -> np.ndarray:
    return np.random.default_rng(3).normal(size=(ROWS, width)).astype(dtype)


def role_of(merged: Any, name: str) -> Role:
    groups = assign_roles(merged.scene, merged.semantic, merged.ids)
    return next(group.role for group in groups if name in group.columns)


# --- arrays


@pytest.mark.parametrize(
    ("dtype", "kept", "note"),
    [("f4", "f4", None), ("f8", "f8", None), ("f2", "f4", "widened"), (">f4", "f4", None)],
)
def test_float_matrices_become_a_semantic_group(
    scene: Scene, tmp_path: Path, dtype: str, kept: str, note: str | None
) -> None:
    array = features(4, dtype)
    merged = merge_sidecar(scene, saved(tmp_path, array, "lang feat-2.npy"))
    names = [f"lang_feat_2_{i}" for i in range(4)]
    assert list(merged.scene.columns)[-4:] == names and list(scene.columns)[-1] == "rot_3"
    for i, name in enumerate(names):
        assert merged.scene.columns[name].dtype == kept
        assert (merged.scene.columns[name] == array[:, i].astype(kept)).all()
        assert role_of(merged, name) is Role.SEMANTIC
    assert (note is None) == (not any("widened" in n for n in merged.notes))


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4"])
def test_integers_keep_their_type(scene: Scene, tmp_path: Path, dtype: str) -> None:
    info = np.iinfo(dtype)
    array = np.linspace(info.min, info.max, ROWS).astype(dtype)
    merged = merge_sidecar(scene, saved(tmp_path, array), "parts")
    assert merged.scene.columns["parts"].dtype == dtype
    assert (merged.scene.columns["parts"] == array).all()
    assert role_of(merged, "parts") is Role.ID


@pytest.mark.parametrize(
    ("array", "kept"),
    [
        (np.arange(ROWS) - 5, "i4"),
        (np.arange(ROWS, dtype="u8"), "i4"),
        (np.arange(ROWS) + (1 << 31), "u4"),
        (np.arange(ROWS) % 2 == 0, "u1"),
    ],
)
def test_wide_integers_that_fit(scene: Scene, tmp_path: Path, array: Any, kept: str) -> None:
    merged = merge_sidecar(scene, saved(tmp_path, array))
    assert merged.scene.columns["side"].dtype == kept
    assert (merged.scene.columns["side"].astype(np.int64) == array.astype(np.int64)).all()
    assert any("side" in n and ("narrowed" in n or "uchar" in n) for n in merged.notes)


def test_wide_integers_that_do_not_fit(scene: Scene, tmp_path: Path) -> None:
    for array in (np.arange(ROWS) + (1 << 32), np.arange(ROWS) * (1 << 30) - 1):
        with pytest.raises(SidecarError, match="32 bits") as caught:
            merge_sidecar(scene, saved(tmp_path, array))
        assert caught.value.context["property"] == "side"


def test_other_shapes(scene: Scene, tmp_path: Path) -> None:
    column = merge_sidecar(scene, saved(tmp_path, features(1)[:, 0]))
    assert role_of(column, "side") is Role.EXTRA and not column.semantic
    codes = np.arange(3 * ROWS).reshape(ROWS, 3).astype(np.uint8)
    several = merge_sidecar(scene, saved(tmp_path, codes))
    assert [role_of(several, f"side_{i}") for i in range(3)] == [Role.ID] * 3
    deep = merge_sidecar(scene, saved(tmp_path, features(4)[:, None, :]))
    assert list(deep.scene.columns)[-4:] == [f"side_{i}" for i in range(4)]
    for wrong in (np.float32(1), np.zeros((ROWS, 2, 2)), np.zeros((ROWS, 0))):
        with pytest.raises(SidecarError):
            merge_sidecar(scene, saved(tmp_path, wrong))


def test_rows_must_be_as_many(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(SidecarError, match=f"59 rows, but the scene has {ROWS}") as caught:
        merge_sidecar(scene, saved(tmp_path, features()[:-1]))
    assert str(caught.value.context["file"]).endswith("side.npy")


def test_names_that_are_taken(scene: Scene, tmp_path: Path) -> None:
    for name in ("opacity", "f_dc"):
        with pytest.raises(SidecarError, match="FILE:NAME"):
            merge_sidecar(scene, saved(tmp_path, features()), name)
    once = merge_sidecar(scene, saved(tmp_path, features()))
    with pytest.raises(SidecarError, match="side_0"):
        merge_sidecar(once.scene, saved(tmp_path, features()))


@pytest.mark.parametrize("array", [np.array([{}] * ROWS), np.array(["a"] * ROWS), features() + 1j])
def test_what_is_no_number(scene: Scene, tmp_path: Path, array: Any) -> None:
    with pytest.raises(SidecarError):
        merge_sidecar(scene, saved(tmp_path, array))


# --- containers


def test_npz(scene: Scene, tmp_path: Path) -> None:
    path = tmp_path / "many.npz"
    np.savez(path, feat=features(), ids=np.arange(ROWS, dtype=np.int16))
    with pytest.raises(SidecarError, match=r"feat \(60, 4\), ids \(60,\)"):
        merge_sidecar(scene, path)
    with pytest.raises(SidecarError, match="no array 'other'"):
        merge_sidecar(scene, path, "other")
    assert merge_sidecar(scene, path, "feat").scene.columns["feat_3"].dtype == np.float32
    assert merge_sidecar(scene, path, "ids").scene.columns["ids"].dtype == np.int16
    np.savez_compressed(path, feat=features())
    assert "many_0" in merge_sidecar(scene, path).scene.columns
    assert "name_0" in merge_sidecar(scene, path, "name").scene.columns
    np.savez(path)
    with pytest.raises(SidecarError, match="no array"):
        merge_sidecar(scene, path)


def test_torch(scene: Scene, tmp_path: Path) -> None:
    path = tmp_path / "sem.pth"
    tensor = torch.from_numpy(features())
    torch.save(tensor, path)
    assert (merge_sidecar(scene, path).scene.columns["sem_2"] == features()[:, 2]).all()
    torch.save({"language_feature": torch.nn.Parameter(tensor)}, path)
    assert "sem_0" in merge_sidecar(scene, path).scene.columns
    checkpoint = ({"net.feat": tensor.half(), "net.ids": torch.arange(ROWS)}, 30000)
    torch.save(checkpoint, path)
    with pytest.raises(SidecarError, match=r"0\.net\.feat"):
        merge_sidecar(scene, path)
    assert "feat_0" in merge_sidecar(scene, path, "feat").scene.columns
    assert merge_sidecar(scene, path, "0.net.ids").scene.columns["0_net_ids"].dtype == np.int32
    torch.save(tensor.to(torch.bfloat16), path)
    merged = merge_sidecar(scene, path)
    assert any("bfloat16 is widened" in note for note in merged.notes)
    assert np.allclose(merged.scene.columns["sem_0"], features()[:, 0], rtol=1e-2)


class Harmful:
    """Something that would run code when unpickled."""

    touched: list[str] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return (Harmful.touched.append, ("ran",))


def test_pickles_are_refused(scene: Scene, tmp_path: Path) -> None:
    torch.save({"feat": Harmful()}, tmp_path / "a.pth")
    np.save(tmp_path / "a.npy", np.array([Harmful()] * ROWS), allow_pickle=True)
    np.savez(tmp_path / "a.npz", x=np.array([Harmful()] * ROWS))
    (tmp_path / "a.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    (tmp_path / "b.npy").write_bytes((tmp_path / "a.pkl").read_bytes())
    for name in ("a.pth", "a.npy", "a.npz", "a.pkl", "b.npy"):
        with pytest.raises(SidecarError) as caught:
            merge_sidecar(scene, tmp_path / name)
        assert caught.value.context["file"] == str(tmp_path / name)
    assert not Harmful.touched


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.pth", "a.ply", "a.txt", "a"])
def test_files_that_are_something_else(scene: Scene, tmp_path: Path, name: str) -> None:
    for content in (b"", b"something else", bytes(500)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SidecarError):
            merge_sidecar(scene, tmp_path / name)


# --- PLY


def test_ply(scene: Scene, tmp_path: Path) -> None:
    path = tmp_path / "second.ply"
    source = with_labels(with_semantics(inria(ROWS, 0), "saga"))
    source.columns["opacity"] = source.columns["opacity"] + 1
    write_ply(path, Scene({n: c for n, c in source.columns.items() if "_dc_" not in n}))
    merged = merge_sidecar(scene, path)
    assert list(merged.scene.columns) == [*scene.columns, *(f"f_{i}" for i in range(32)), "label"]
    assert (merged.scene.columns["opacity"] == scene.columns["opacity"]).all()
    assert any("opacity differ" in note for note in merged.notes)
    assert role_of(merged, "f_0") is Role.SEMANTIC and role_of(merged, "label") is Role.ID
    one = merge_sidecar(scene, path, "label")
    assert list(one.scene.columns) == [*scene.columns, "label"]
    some = merge_sidecar(scene, path, "f_")
    assert "f_31" in some.scene.columns and "label" not in some.scene.columns
    with pytest.raises(SidecarError, match="'g_'"):
        merge_sidecar(scene, path, "g_")
    with pytest.raises(SidecarError, match="other values"):
        merge_sidecar(scene, path, "opacity")


def test_a_ply_with_other_rows(scene: Scene, tmp_path: Path) -> None:
    path = tmp_path / "second.ply"
    write_ply(path, with_labels(inria(ROWS, 0)).select(np.arange(ROWS)[::-1]))
    with pytest.raises(SidecarError, match="rows stand elsewhere"):
        merge_sidecar(scene, path)
    write_ply(path, with_labels(inria(ROWS - 1, 0)))
    with pytest.raises(SidecarError, match=f"59 rows, but the scene has {ROWS}"):
        merge_sidecar(scene, path)


def test_what_a_ply_has_besides_is_told(tmp_path: Path) -> None:
    write_ply(tmp_path / "a.ply", decorated(50))
    merged = merge_sidecar(inria(50, 0), tmp_path / "a.ply")
    assert any("left out" in note for note in merged.notes)
    assert any("adds no property" in note for note in merged.notes)


# --- arguments


def test_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.npy", "b:c.npy", "d:e"):
        Path(name).write_bytes(b"")
    assert split_argument("a.npy") == (Path("a.npy"), None)
    assert split_argument("a.npy:feat") == (Path("a.npy"), "feat")
    assert split_argument("a.npy:x:y") == (Path("a.npy"), "x:y")
    assert split_argument("b:c.npy") == (Path("b:c.npy"), None)
    assert split_argument("b:c.npy:feat") == (Path("b:c.npy"), "feat")
    assert split_argument("d:e") == (Path("d:e"), None)
    for wrong in ("missing.npy", "missing.npy:feat", "a.npy:", ":a"):
        with pytest.raises(SidecarError):
            split_argument(wrong)


def test_merged_properties_are_coded_as_what_they_are(tmp_path: Path) -> None:
    arguments = [
        str(saved(tmp_path, features(5), "clip.npy")),
        f"{saved(tmp_path, np.arange(ROWS) % 4, 'i.npy')}:room",
        f"{saved(tmp_path, features(1)[:, 0], 'w.npy')}:weight",
    ]
    joined = join(inria(ROWS, 0), arguments)
    options = EncodeOptions(semantic=joined.semantic, ids=joined.ids, look=False, order="keep")
    data = encode(joined.scene, options).data
    kinds = {group.name: group.kind for group in probe(data).groups}
    assert kinds["clip"] == "semantic" and kinds["room"] == "id"
    assert "weight" in probe(data).extras
    back = decode(data)
    assert (back.columns["room"] == np.arange(ROWS) % 4).all()
    assert (back.columns["weight"] == features(1)[:, 0]).all()
    assert list(back.columns) == list(joined.scene.columns)
