"""Bounded errors: syntax and units, and what a bound costs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from click.testing import CliRunner
from csgs_codec.cli.encode import main

from csgs_codec import EncodeOptions, UsageError, decode, encode
from csgs_codec.encoder.bounds import errors, parse_bound, parse_max_error
from csgs_codec.io.ply import write_ply
from csgs_codec.schema import Role
from tests import scenes


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("position", "1mm", 0.001),
        ("position", "2.5cm", 0.025),
        ("position", "1e-1 m", 0.1),
        ("position", 3, 3.0),
        ("rotation", "0.5deg", 0.5),
        ("rotation", "1rad", 180 / math.pi),
        ("rotation", ".25", 0.25),
        ("scale", "1%", 0.01),
        ("scale", "0.02", 0.02),
        ("opacity", 0.01, 0.01),
        ("obj_dc", "5e-2", 0.05),
    ],
)
def test_units(name: str, value: float | str, wanted: float) -> None:
    assert parse_bound(name, value) == pytest.approx(wanted)


@pytest.mark.parametrize(
    "text",
    [
        "", "dc", "dc=", "=1", "dc=1,", "dc=0", "dc=-1", "dc=nan", "dc=inf", "dc=1e999", "dc=1mm",
        "dc=1%", "scale=1mm", "scale=1deg", "rotation=1m", "position=1km", "position=1deg",
        "opacity=1%", "dc=1,dc=2", "dc=1=2", "position=1 2",
    ],
)  # fmt: skip
def test_malformed_bounds_are_usage_errors(text: str) -> None:
    with pytest.raises(UsageError):
        EncodeOptions(max_error=parse_max_error(text))


def test_unknown_group() -> None:
    with pytest.raises(UsageError, match="obj_dc"):
        encode(scenes.inria(50, 0), EncodeOptions(max_error={"obj_dc": 0.1}))


@pytest.mark.parametrize(
    "arguments",
    [["--max-error", "dc=0"], ["--max-error", "what=1"], ["--lossless", "--max-error", "dc=1"]],
)
def test_command_refuses(tmp_path, arguments: list[str]) -> None:  # type: ignore[no-untyped-def]
    source, target = tmp_path / "a.ply", tmp_path / "a.csgs"
    write_ply(source, scenes.inria(20, 0))
    result = CliRunner().invoke(main, [str(source), str(target), *arguments])
    assert result.exit_code == 2
    assert not target.exists()


def test_errors_of_rotations() -> None:
    turn = np.radians(3.0) / 2
    original = np.array([[2.0, 0, 0, 0], [1, 1, 1, 1]])
    decoded = np.array([[-np.cos(turn), -np.sin(turn), 0, 0], [0.5, 0.5, 0.5, 0.5]])
    assert errors(Role.ROTATION, original, decoded)[:, 0] == pytest.approx([3.0, 0.0])


def test_errors_of_extents_points_and_opacities() -> None:
    one = np.zeros((1, 3))
    assert errors(Role.SCALE, one, one + np.log(1.01))[0] == pytest.approx([0.01] * 3)
    assert errors(Role.POSITION, one, one + 1)[0] == pytest.approx([np.sqrt(3)] * 3)
    assert errors(Role.OPACITY, one, one + np.inf)[0] == pytest.approx([0.5] * 3)


def test_exceptions_of_a_bound_are_counted() -> None:
    """One outlier of a bounded feature that quantisation clips."""
    scene = scenes.with_semantics(scenes.inria(200, 0))
    scene.columns["obj_dc_2"][5] = 3e7
    result = encode(scene, EncodeOptions(order="keep", max_error={"obj_dc": 0.01}))
    found = decode(result.data).columns["obj_dc_2"]
    assert np.abs(found.astype(float) - scene.columns["obj_dc_2"]).max() <= 0.01


def test_bounds_beyond_the_type_are_kept_exactly() -> None:
    scene = scenes.inria(200, 0)
    bounds = {"position": 1e-9, "dc": 1e-9, "rotation": 1e-7, "scale": 1e-9, "opacity": 1e-9}
    result = encode(scene, EncodeOptions(order="keep", max_error=bounds))
    found = decode(result.data)
    for name in ("x", "f_dc_1", "rot_0", "scale_2", "opacity"):
        assert found.columns[name].tobytes() == scene.columns[name].tobytes()
    assert {"position", "dc", "rotation", "scale", "opacity"} <= result.exact_bits.keys()


def test_unbounded_groups_are_as_ever() -> None:
    scene = scenes.inria(200, 0)
    free = encode(scene, EncodeOptions())
    bounded = encode(scene, EncodeOptions(max_error={"dc": 0.001}))
    for name in ("x", "opacity", "scale_1", "rot_2"):
        a, b = decode(free.data).columns[name], decode(bounded.data).columns[name]
        assert np.array_equal(a, b)
