"""Names of properties and what they mean."""

from __future__ import annotations

import numpy as np
import pytest

from csgs_codec.errors import PlyError
from csgs_codec.scene import Scene
from csgs_codec.schema import Group, Role, assign_roles, require_positions
from tests import scenes
from tests.scenes import SEMANTIC_NAMINGS, numbered


def groups_of(scene: Scene, *semantic: str) -> dict[str, Group]:
    groups = assign_roles(scene, semantic)
    placed = [column for group in groups for column in group.columns]
    assert sorted(placed) == sorted(scene.columns), "every property is in exactly one group"
    return {group.name: group for group in groups}


def columns(*names: str, dtype: str = "f4", n: int = 4) -> Scene:
    return Scene({name: (np.arange(n) + 0.5).astype(dtype) for name in names})


def roles(scene: Scene) -> dict[str, Role]:
    return {c: g.role for g in assign_roles(scene) for c in g.columns}


@pytest.mark.parametrize("degree", range(5))
def test_inria(degree: int) -> None:
    groups = groups_of(scenes.inria(5, degree))
    width = scenes.SH_REST[degree]
    assert groups["position"] == Group("position", Role.POSITION, ("x", "y", "z"))
    assert groups["opacity"].role is Role.OPACITY
    assert groups["scale"].columns == tuple(numbered("scale_", 3))
    assert groups["rotation"].columns == tuple(numbered("rot_", 4))
    assert groups["dc"].columns == tuple(numbered("f_dc_", 3))
    assert [groups[n].role for n in ("nx", "ny", "nz")] == [Role.EXTRA] * 3
    assert ("sh" in groups) == (width > 0)
    if width:
        assert groups["sh"].columns == tuple(numbered("f_rest_", width))


def test_column_order_does_not_matter() -> None:
    scene = scenes.inria(5, 3)
    shuffled = Scene(dict(sorted(scene.columns.items(), key=lambda item: item[0][::-1])))
    assert set(assign_roles(shuffled)) == set(assign_roles(scene))
    assert [g.role for g in assign_roles(shuffled)] == [g.role for g in assign_roles(scene)]


def test_numbers_sort_as_numbers() -> None:
    scene = columns(*(f"obj_dc_{i}" for i in (10, 2, 0, 1, 3, 11, 4, 5, 6, 7, 8, 9)))
    assert groups_of(scene)["obj_dc"].columns == tuple(numbered("obj_dc_", 12))


@pytest.mark.parametrize("naming", SEMANTIC_NAMINGS)
def test_semantic_namings(naming: str) -> None:
    names = SEMANTIC_NAMINGS[naming]
    scene = scenes.with_semantics(scenes.inria(5, 1), naming)
    found = [g for g in assign_roles(scene) if g.role is Role.SEMANTIC]
    assert [g.columns for g in found] == [names]


def test_two_namings_are_two_groups() -> None:
    scene = scenes.with_semantics(scenes.inria(5, 0), "geo")
    scene = scenes.with_semantics(scene, "feature3dgs")
    groups = groups_of(scene)
    assert groups["semantic"].columns == SEMANTIC_NAMINGS["feature3dgs"]
    assert groups["semantic_logit"].columns == SEMANTIC_NAMINGS["geo"]


def test_scaffold_anchors() -> None:
    groups = groups_of(scenes.scaffold(5))
    assert groups["f_offset"].role is groups["f_anchor_feat"].role is Role.FEATURE
    assert len(groups["f_offset"].columns) == 30
    assert len(groups["scale"].columns) == 6
    assert "opacity" not in groups


def test_two_scales() -> None:
    assert groups_of(scenes.gaussian_2d(5))["scale"].columns == ("scale_0", "scale_1")


def test_colours_filters_and_uncertainty_are_extras() -> None:
    scene = scenes.rgb_uchar(5)
    scene.columns["filter_3D"] = np.full(5, 0.5, np.float32)
    scene.columns["uncertainty"] = np.full(5, 0.5, np.float32)
    for name in ("red", "green", "blue", "filter_3D", "uncertainty"):
        assert groups_of(scene)[name].role is Role.EXTRA


@pytest.mark.parametrize(
    "name", ["label", "semantic_class", "object_id", "instance", "tree_label", "clip_f_indices_7"]
)
@pytest.mark.parametrize("dtype", ["u1", "i4", "f4", "f8"])
def test_ids(name: str, dtype: str) -> None:
    scene = Scene({name: np.array([0, 5, 7, 200]).astype(dtype)})
    assert roles(scene) == {name: Role.ID}


@pytest.mark.parametrize(
    ("values", "role"),
    [
        ([0, 1, 2], Role.ID),
        ([-1, 0, 7], Role.ID),
        ([2**53, -(2**53), 0], Role.ID),
        ([2.0**54, 0, 0], Role.EXTRA),
        ([-(2.0**63), 2.0**63, 0], Role.EXTRA),
        ([0.5, 1, 2], Role.EXTRA),
        ([-0.5, 1, 2], Role.EXTRA),
        ([-1e30, 1, 2], Role.EXTRA),
        ([-0.0, 1, 2], Role.EXTRA),
        ([-1, -0.0, 2], Role.EXTRA),
        ([np.nan, 1, 2], Role.EXTRA),
        ([np.inf, 1, 2], Role.EXTRA),
    ],
    ids=str,
)
def test_float_labels_are_ids_only_if_integers_hold_every_bit(
    values: list[float], role: Role
) -> None:
    column = np.array(values, np.float32)
    assert roles(Scene({"label": column})) == {"label": role}
    if role is Role.ID:
        assert column.astype(np.int64).astype(np.float32).tobytes() == column.tobytes()


@pytest.mark.parametrize(
    "names",
    [
        ["scale_0", "scale_2"],
        ["scale_1", "scale_2", "scale_3"],
        ["scale_0", "scale_01"],
        ["f_dc_0", "f_dc_1"],
        ["rot_0", "rot_1", "rot_2"],
        ["x", "y"],
        numbered("f_rest_", 10),
        numbered("scale_", 4),
        ["semantic_1"],
        ["Opacity"],
    ],
    ids=str,
)
def test_incomplete_families_are_extras(names: list[str]) -> None:
    assert set(roles(columns(*names)).values()) == {Role.EXTRA}


def test_integers_are_never_quantised() -> None:
    names = ["x", "y", "z", "opacity", *numbered("scale_", 3), *numbered("semantic_", 4)]
    assert set(roles(columns(*names, dtype="i4")).values()) == {Role.EXTRA}
    mixed = columns(*numbered("semantic_", 4))
    mixed.columns["semantic_2"] = np.zeros(4, np.uint8)
    assert set(roles(mixed).values()) == {Role.EXTRA}


def test_semantic_expressions_come_first() -> None:
    scene = scenes.inria(5, 0)
    scene.columns |= columns("lang_0", "lang_1", "language", n=5).columns
    groups = groups_of(scene, r"lang_\d+")
    assert groups["lang"] == Group("lang", Role.SEMANTIC, ("lang_0", "lang_1"))
    assert groups["language"].role is Role.EXTRA
    assert groups_of(scene, r"f_dc_\d")["f_dc"].role is Role.SEMANTIC


def test_semantic_expression_skips_integers_and_must_match() -> None:
    scene = columns("a_0", "a_1")
    scene.columns["a_2"] = np.zeros(4, np.int32)
    assert groups_of(scene, r"a_\d")["a"].columns == ("a_0", "a_1")
    for pattern in ("b", "a_2", "a"):
        with pytest.raises(PlyError, match="semantic"):
            assign_roles(scene, [pattern])


def test_positions_are_required() -> None:
    scene = scenes.inria(5, 0)
    require_positions(scene, assign_roles(scene))
    integers = Scene(scene.columns | {"y": np.zeros(5, np.int32)})
    missing = Scene({k: v for k, v in scene.columns.items() if k != "y"})
    for bad in (integers, missing):
        with pytest.raises(PlyError) as caught:
            require_positions(bad, assign_roles(bad))
        assert caught.value.context["property"] == "y"
    with pytest.raises(PlyError):
        require_positions(Scene({}), ())
