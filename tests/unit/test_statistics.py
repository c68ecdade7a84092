"""Checks of values before encoding."""

from __future__ import annotations

import numpy as np
import pytest

from csgs_codec.scene import Scene
from csgs_codec.schema import Role, assign_roles
from csgs_codec.statistics import find_defects, legitimate_infinity, suspicions
from tests import scenes


def defects(scene: Scene) -> list[tuple[str, list[int], str]]:
    found = find_defects(scene, assign_roles(scene))
    return [(d.property, d.rows.tolist(), d.kind) for d in found]


@pytest.mark.parametrize("name", scenes.SCENES)
@pytest.mark.parametrize("n", [0, 1, 50])
def test_clean_scenes(name: str, n: int) -> None:
    assert defects(scenes.SCENES[name](n)) == []


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("x", np.nan, "NaN"),
        ("z", np.inf, "Inf"),
        ("x", -np.inf, "Inf"),
        ("opacity", np.nan, "NaN"),
        ("opacity", -np.inf, "Inf"),
        ("scale_1", np.inf, "Inf"),
        ("rot_3", np.inf, "Inf"),
        ("f_rest_8", -np.inf, "Inf"),
        ("obj_dc_15", np.nan, "NaN"),
    ],
)
def test_defects_are_found_with_their_rows(name: str, value: float, kind: str) -> None:
    scene = scenes.with_semantics(scenes.inria(20, 1))
    scene.columns[name][[3, 17]] = value
    assert defects(scene) == [(name, [3, 17], kind)]


@pytest.mark.parametrize(("name", "value"), [("opacity", np.inf), ("scale_1", -np.inf)])
def test_infinities_that_mean_something_are_fine(name: str, value: float) -> None:
    scene = scenes.inria(20, 0)
    scene.columns[name][5] = value
    assert defects(scene) == []


def test_legitimate_infinity_by_role() -> None:
    column = np.array([np.inf, -np.inf, np.nan, 0], np.float32)
    assert legitimate_infinity(Role.OPACITY, column).tolist() == [True, False, False, False]
    assert legitimate_infinity(Role.SCALE, column).tolist() == [False, True, False, False]
    assert not legitimate_infinity(Role.ROTATION, column).any()


def test_lossless_properties_may_hold_anything() -> None:
    scene = scenes.inria(20, 0)
    scene.columns["nx"][:] = np.nan
    scene.columns["label"] = np.full(20, np.inf, np.float32)
    assert defects(scene) == []


def test_zero_quaternions() -> None:
    scene = scenes.inria(20, 0)
    for name in scenes.numbered("rot_", 4):
        scene.columns[name][[0, 9]] = 0
    scene.columns["rot_2"][9] = -0.0
    scene.columns["rot_2"][0] = 1e-30
    assert defects(scene) == [("rot_0", [9], "zero quaternion")]


def notes(scene: Scene) -> list[str]:
    return suspicions(scene, assign_roles(scene))


def test_trained_scenes_raise_no_suspicion() -> None:
    assert notes(scenes.inria(200, 0)) == []


def test_linear_scales_under_log_names() -> None:
    scene = scenes.inria(200, 0)
    for name in scenes.numbered("scale_", 3):
        scene.columns[name] = np.exp(scene.columns[name])
    assert len(notes(scene)) == 1
    assert "scale" in notes(scene)[0]
    assert notes(scene.select(slice(99))) == []


@pytest.mark.parametrize("factor", [1e3, 1e-6])
def test_quaternions_of_odd_norms(factor: float) -> None:
    scene = scenes.inria(200, 0)
    for name in scenes.numbered("rot_", 4):
        scene.columns[name] *= np.float32(factor)
    assert len(notes(scene)) == 1
    assert "rot" in notes(scene)[0]
