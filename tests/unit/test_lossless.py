"""Lossless files: every bit, whatever it stands for, and levels before the last as ever."""

from __future__ import annotations

import numpy as np
import pytest

from csgs_codec import CorruptError, EncodeOptions, Scene, UsageError, decode, encode, probe
from tests import scenes

ROWS = 150


def hostile(rows: int = ROWS) -> Scene:
    """NaN payloads, infinities, negative zeros and zero quaternions."""
    scene = scenes.with_labels(scenes.with_semantics(scenes.inria(rows, 1)), "float32")
    columns = scene.columns
    columns["x"][3] = np.inf
    columns["y"].view(np.uint32)[4] = 0x7F800001
    columns["f_dc_0"].view(np.uint32)[5] = 0xFFC12345
    columns["f_rest_0"][6] = -0.0
    columns["opacity"][7:9] = [np.inf, -np.inf]
    columns["scale_0"][9] = -np.inf
    columns["scale_1"].view(np.uint32)[9] = 1
    columns["obj_dc_3"][10:14] = [-0.0, np.nan, 1e38, 1e-42]
    for axis in range(4):
        columns[f"rot_{axis}"][20:22] = [0.0, -0.0]
    columns["rot_1"][30] = np.nan
    columns["extra"] = np.random.default_rng(1).normal(size=rows)
    columns["number"] = np.arange(rows, dtype=np.uint16)
    return scene


def same_bits(a: Scene, b: Scene) -> bool:
    return list(a.columns) == list(b.columns) and all(
        a.columns[n].dtype == b.columns[n].dtype
        and a.columns[n].tobytes() == b.columns[n].tobytes()
        for n in a.columns
    )


@pytest.mark.parametrize("nan", ["error", "drop", "keep"])
def test_every_bit_survives(nan: str) -> None:
    scene = hostile()
    options = EncodeOptions(lossless=True, order="keep", nan=nan, quality=50)  # type: ignore[arg-type]
    result = encode(scene, options)
    assert same_bits(decode(result.data, verify=True), scene)


def test_any_order_holds_the_same_rows() -> None:
    scene = hostile()
    decoded = decode(encode(scene, EncodeOptions(lossless=True)).data)

    def rows(of: Scene) -> list[bytes]:
        raw = [c.view(np.uint8).reshape(ROWS, -1) for c in of.columns.values()]
        return sorted(row.tobytes() for row in np.concatenate(raw, axis=1))

    assert rows(decoded) == rows(scene)


def test_levels_before_the_last_are_lossy() -> None:
    scene = scenes.inria(ROWS, 1)
    lossy = encode(scene, EncodeOptions(quality=50, look=False))
    exact = encode(scene, EncodeOptions(quality=50, look=False, lossless=True))
    info = probe(exact.data)
    assert len(info.levels) == len(probe(lossy.data).levels) + 1
    before = decode(exact.data, level=len(info.levels) - 1)
    assert list(before.columns) == list(scene.columns)
    for name, column in decode(lossy.data).columns.items():
        assert np.array_equal(column, before.columns[name])
    cut = exact.data[: info.levels[-2].end]
    assert np.array_equal(decode(cut).columns["x"], before.columns["x"])


def test_groups_are_reported() -> None:
    result = encode(scenes.inria(ROWS, 1), EncodeOptions(lossless=True))
    assert {"position", "opacity", "scale", "rotation", "dc", "sh"} <= result.exact_bits.keys()


@pytest.mark.parametrize("name", ["utm_doubles", "scaffold", "rgb_uchar", "2dgs", "decorated"])
def test_other_scenes(name: str) -> None:
    scene = scenes.SCENES[name](100)
    options = EncodeOptions(lossless=True, order="keep")
    assert same_bits(decode(encode(scene, options).data), scene)


def test_values_that_no_grid_reaches() -> None:
    scene = scenes.inria(ROWS, 0)
    scene.columns["x"][:2] = [1e30, -3e38]
    scene.columns["scale_1"][2] = 3e38
    scene.columns["rot_0"][3] = -3e38
    scene.columns["f_dc_1"][4] = 3e38
    options = EncodeOptions(lossless=True, order="keep")
    assert same_bits(decode(encode(scene, options).data), scene)


def test_no_gaussians() -> None:
    scene = scenes.inria(0, 0)
    assert same_bits(decode(encode(scene, EncodeOptions(lossless=True)).data), scene)


def test_announced_columns_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    module = importlib.import_module("csgs_codec.encoder.encode")
    whole = module.make_exact_pass

    def without_one(*arguments: object) -> object:
        made = whole(*arguments)
        del made.payloads[-1]
        return made

    monkeypatch.setattr(module, "make_exact_pass", without_one)
    with pytest.raises(CorruptError, match="missing"):
        encode(scenes.inria(60, 0, normals=False), EncodeOptions(lossless=True))


def test_bounds_contradict_lossless() -> None:
    with pytest.raises(UsageError):
        EncodeOptions(lossless=True, max_error={"dc": 0.1})
