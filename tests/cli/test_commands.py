"""The commands as a user meets them: exit codes, streams, files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from csgs_codec.cli import decode, encode, info, truncate

from csgs_codec import probe, read_ply, write_ply
from tests.conftest import Encoded, semantic_scene


def run(command: object, *words: object) -> Result:
    return CliRunner().invoke(command.main, [str(word) for word in words])  # type: ignore[attr-defined]


@pytest.fixture
def file(tmp_path: Path, small: Encoded) -> Path:
    path = tmp_path / "in.csgs"
    path.write_bytes(small.data)
    return path


def test_encode_reports_and_protects(tmp_path: Path) -> None:
    source, target = tmp_path / "a.ply", tmp_path / "a.csgs"
    write_ply(source, semantic_scene(30))
    result = run(encode, source, target, "--order", "keep", "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["bytes"] == target.stat().st_size == probe(target).size
    parts = sum(part["bytes"] for part in report["groups"].values())
    assert abs(parts - report["bytes"]) < 30
    assert any("row order kept" in note for note in report["notes"])
    before = target.read_bytes()
    assert run(encode, source, target).exit_code == 2
    assert target.read_bytes() == before
    table = run(encode, source, target, "--force")
    assert table.exit_code == 0 and not table.stdout and "bits/Gaussian" in table.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csgs", "a.ply"]


def test_encode_of_a_bad_ply(tmp_path: Path) -> None:
    scene = semantic_scene(30)
    scene.columns["x"][4] = np.nan
    source = tmp_path / "a.ply"
    write_ply(source, scene)
    result = run(encode, source, tmp_path / "a.csgs")
    assert result.exit_code == 7
    assert "a.ply" in result.stderr and "property x" in result.stderr and "row 4" in result.stderr
    source.write_bytes(source.read_bytes()[:-10])
    assert run(encode, source, tmp_path / "a.csgs").exit_code == 7
    assert [p.name for p in tmp_path.iterdir()] == ["a.ply"]


def test_decode(file: Path, tmp_path: Path, small: Encoded) -> None:
    target = tmp_path / "back.ply"
    result = run(decode, file, target, "--verify")
    assert result.exit_code == 0 and not result.stdout and not result.stderr
    assert list(read_ply(target).columns) == list(small.scene.columns)
    assert run(decode, file, target).exit_code == 2
    coarse = run(decode, file, target, "--force", "--level", 1)
    assert coarse.exit_code == 0 and "level 1 of" in coarse.stderr
    assert read_ply(target).count == probe(file).levels[0].gaussians
    assert run(decode, file, target, "--force", "--level", 50).exit_code == 5


def test_decode_of_a_cut_file(file: Path, tmp_path: Path) -> None:
    ends = [level.end for level in probe(file).levels]
    target = tmp_path / "back.ply"
    file.write_bytes(file.read_bytes()[: ends[1] + 5])
    result = run(decode, file, target)
    assert result.exit_code == 3 and "decoded level 2" in result.stderr
    assert read_ply(target).count == probe(file).levels[1].gaussians
    assert run(decode, file, target, "--force", "--allow-truncated").exit_code == 0
    target.unlink()
    file.write_bytes(file.read_bytes()[: ends[0] - 1])
    assert run(decode, file, target).exit_code == 3
    assert not target.exists()


def test_decode_of_damaged_and_foreign_files(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "back.ply"
    damaged = bytearray(file.read_bytes())
    damaged[-30] ^= 8
    file.write_bytes(damaged)
    result = run(decode, file, target)
    assert result.exit_code == 4
    assert "in.csgs" in result.stderr and "offset" in result.stderr
    file.write_bytes(b"PK\x03\x04 something else")
    assert run(decode, file, target).exit_code == 5
    file.write_bytes(b"\x89CSGS\r\n\x1aHEAD\xff\xff\xff\xff")
    assert run(decode, file, target).exit_code == 6
    assert [p.name for p in tmp_path.iterdir()] == ["in.csgs"]


def test_truncate(file: Path, tmp_path: Path) -> None:
    levels = probe(file).levels
    target = tmp_path / "cut.csgs"
    assert run(truncate, file, target, "--level", 2).exit_code == 0
    assert target.read_bytes() == file.read_bytes()[: levels[1].end]
    assert run(truncate, file, target, "--size", levels[2].end + 3, "--force").exit_code == 0
    assert target.stat().st_size == levels[2].end
    assert run(truncate, file, target, "--size", "10B", "--force").exit_code == 5
    assert run(truncate, file, target, "--force").exit_code == 2
    assert run(truncate, file, target, "--size", "much", "--force").exit_code == 2


def test_info(file: Path) -> None:
    result = run(info, file, "--json", "--verify")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["verified"] is True
    assert "obj_dc" in run(info, file, "--chunks").stdout
    file.write_bytes(file.read_bytes()[:-1])
    assert run(info, file).exit_code == 3


def test_looking_at_a_file_loads_neither_torch_nor_numba(file: Path) -> None:
    code = (
        "import sys, csgs_codec\nfrom csgs_codec.cli.info import main\n"
        "main([sys.argv[1]], standalone_mode=False)\n"
        "assert not {'torch', 'numba', 'scipy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(file)], check=True, capture_output=True)
