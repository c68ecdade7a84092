"""Whole files: what comes back, level by level."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from csgs_codec import (
    EncodeOptions,
    Inputs,
    PlyError,
    Scene,
    TruncatedError,
    UnsupportedError,
    decode,
    encode,
    probe,
    truncate,
    write_ply,
)
from csgs_codec import open as open_stream
from csgs_codec.encoder import partition
from tests.conftest import Encoded, semantic_scene

EXACT = ("label", "uncertainty", "nx", "ny", "nz")
SEMANTIC = [f"obj_dc_{i}" for i in range(16)]


def same(a: Scene, b: Scene) -> bool:
    return list(a.columns) == list(b.columns) and all(
        a.columns[n].dtype == b.columns[n].dtype
        and a.columns[n].tobytes() == b.columns[n].tobytes()
        for n in a.columns
    )


def assert_faithful(original: Scene, decoded: Scene) -> None:
    """Rows in the original order: exact columns exact, the others close."""
    assert list(decoded.columns) == list(original.columns)
    for name, column in original.columns.items():
        found = decoded.columns[name]
        assert found.dtype == column.dtype
        if name in EXACT:
            assert found.tobytes() == column.tobytes(), name
    silent = np.arange(0, original.count, 7)
    for name in SEMANTIC:
        assert not decoded.columns[name][silent].any()
    assert decoded.columns["opacity"][3] == np.inf
    assert decoded.columns["scale_1"][5] == -np.inf
    for name in ("x", "y", "z", "scale_0", "f_dc_0", *SEMANTIC):
        difference = decoded.columns[name] - original.columns[name]
        assert np.sqrt(np.mean(difference**2)) < 0.4 * original.columns[name].std(), name


def test_everything_comes_back(trained: Encoded) -> None:
    assert_faithful(trained.scene, decode(trained.data, verify=True))
    assert probe(trained.data).hyperprior_bytes > 2000


def test_networks_are_worth_their_bytes(trained: Encoded) -> None:
    inputs = Inputs(position=False, own=False, neighbours=False)
    static = encode(trained.scene, EncodeOptions(order="keep", inputs=inputs)).data
    assert_faithful(trained.scene, decode(static))
    assert len(trained.data) < len(static)


def test_levels_are_files_and_rows_accumulate(trained: Encoded) -> None:
    levels = probe(trained.data).levels
    assert len(levels) >= 5
    data = encode(trained.scene).data
    full = decode(data, compensate=False)
    counts = [level.gaussians for level in probe(data).levels]
    assert counts == sorted(counts) and counts[-1] == trained.scene.count
    for number, level in enumerate(probe(data).levels, 1):
        cut = truncate(data, level=number)
        assert bytes(cut) == data[: level.end]
        alone = decode(bytes(cut), compensate=False, verify=True)
        assert same(alone, decode(data, level=number, compensate=False))
        assert alone.count == level.gaussians
        for name in ("x", "rot_0", "f_dc_1"):
            assert np.array_equal(alone.columns[name], full.columns[name][: alone.count])


def test_coarse_levels_are_enlarged(trained: Encoded) -> None:
    raw = decode(trained.data, level=1, compensate=False)
    shown = decode(trained.data, level=1)
    assert (shown.columns["scale_0"] > raw.columns["scale_0"]).mean() > 0.9
    assert np.array_equal(shown.columns["x"], raw.columns["x"])
    last = len(probe(trained.data).levels)
    assert same(decode(trained.data, level=last), decode(trained.data, compensate=False))


@pytest.mark.parametrize("step", [977, 40_000, 10**9])
def test_stream_gives_each_level_when_its_bytes_are_there(trained: Encoded, step: int) -> None:
    ends = [level.end for level in probe(trained.data).levels]
    stream = open_stream()
    arrived = []
    for begin in range(0, len(trained.data), step):
        for scene in stream.feed(trained.data[begin : begin + step]):
            arrived.append((min(begin + step, len(trained.data)), scene))
    stream.close()
    assert stream.done and stream.bytes_needed == 0
    assert len(arrived) == len(ends)
    for number, (size, scene) in enumerate(arrived, 1):
        assert ends[number - 1] <= size < ends[number - 1] + step
        assert same(scene, decode(trained.data, level=number))


def test_stream_that_ends_early_says_so(trained: Encoded) -> None:
    stream = open_stream()
    stream.feed(trained.data[:-1])
    assert not stream.done and stream.bytes_needed == 1
    with pytest.raises(TruncatedError):
        stream.close()


def test_many_tiles_and_threads(monkeypatch: pytest.MonkeyPatch, trained: Encoded) -> None:
    monkeypatch.setattr(partition, "TILE_TARGET", 700)
    data = encode(trained.scene, EncodeOptions(order="keep", priority="semantic")).data
    info = probe(data)
    assert len(info.tiles) == 4
    xyz = decode(data).stack(("x", "y", "z"))
    held = np.zeros(len(xyz), bool)
    for tile in info.tiles:
        held |= ((xyz >= tile.low) & (xyz <= tile.high)).all(axis=1)
    assert held.all()
    decoded = decode(data, verify=True)
    assert_faithful(trained.scene, decoded)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert same(decode(data), decoded)


def test_same_seed_gives_the_same_file(trained: Encoded) -> None:
    assert encode(trained.scene, EncodeOptions(order="keep")).data == trained.data


def test_numpy_alone_decodes_the_same(trained: Encoded, tmp_path: Path) -> None:
    (tmp_path / "a.csgs").write_bytes(trained.data)
    code = (
        "import sys; from csgs_codec import decode, write_ply\n"
        "write_ply(sys.argv[2], decode(sys.argv[1], verify=True))\n"
        "assert 'numba' not in sys.modules and 'torch' not in sys.modules\n"
    )
    environment = {**os.environ, "CSGS_NO_NUMBA": "1"}
    words = [sys.executable, "-c", code, str(tmp_path / "a.csgs"), str(tmp_path / "numpy.ply")]
    subprocess.run(words, check=True, env=environment)
    write_ply(tmp_path / "numba.ply", decode(trained.data))
    assert (tmp_path / "numpy.ply").read_bytes() == (tmp_path / "numba.ply").read_bytes()


def test_nan_policies() -> None:
    scene = semantic_scene(60)
    scene.columns["f_dc_1"][9] = np.nan
    with pytest.raises(PlyError, match=r"f_dc_1.*row 9"):
        encode(scene)
    dropped = encode(scene, EncodeOptions(nan="drop", order="keep"))
    assert decode(dropped.data).count == 59 and any("1 rows" in n for n in dropped.notes)
    kept = decode(encode(scene, EncodeOptions(nan="keep", order="keep")).data)
    assert np.isnan(kept.columns["f_dc_1"][9]) and np.isfinite(kept.columns["f_dc_1"][8])


def test_rows_that_are_all_sentinels() -> None:
    scene = semantic_scene(60)
    for name in SEMANTIC:
        scene.columns[name][:] = np.where(np.arange(60) % 2, -1, 0)
    back = decode(encode(scene, EncodeOptions(order="keep")).data)
    for name in SEMANTIC:
        assert np.array_equal(back.columns[name], scene.columns[name])


def test_level_and_size_that_do_not_exist(trained: Encoded) -> None:
    for request in ({"level": 99}, {"size": 100}, {}):
        with pytest.raises(UnsupportedError):
            truncate(trained.data, **request)
    with pytest.raises(UnsupportedError):
        decode(trained.data, level=99)


def test_encoder_refuses_what_does_not_decode(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("csgs_codec.encoder.encode")
    real = module.assemble

    def damaged(*arguments: object) -> bytes:
        data = bytearray(real(*arguments))
        data[-20] ^= 1
        return bytes(data)

    monkeypatch.setattr(module, "assemble", damaged)
    with pytest.raises(Exception, match="CRC"):
        encode(semantic_scene(30))
