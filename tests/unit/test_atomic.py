"""Outputs that are there completely or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from csgs_codec.errors import OutputExistsError
from csgs_codec.io.atomic import atomic_write, check_target


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_writes(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "out") as stream:
        stream.write(b"data")
        assert "out" not in names(tmp_path)
    assert (tmp_path / "out").read_bytes() == b"data"
    assert names(tmp_path) == ["out"]


def test_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), atomic_write(tmp_path / "out") as stream:
        stream.write(b"half")
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_failure_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_bytes(b"old")
    with pytest.raises(ValueError), atomic_write(target, force=True) as stream:
        stream.write(b"half")
        raise ValueError
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["out"]


def test_existing_target_is_refused_before_any_work(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_bytes(b"old")
    began = False
    with pytest.raises(OutputExistsError, match="force"), atomic_write(target):
        began = True
    assert not began
    assert target.read_bytes() == b"old"
    with pytest.raises(OutputExistsError):
        check_target(target, force=False)
    check_target(target, force=True)


def test_target_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with pytest.raises(OutputExistsError), atomic_write(target) as stream:
        stream.write(b"new")
        target.write_bytes(b"other")
    assert target.read_bytes() == b"other"
    assert names(tmp_path) == ["out"]


def test_force_replaces_and_keeps_the_mode(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_bytes(b"old")
    target.chmod(0o640)
    with atomic_write(target, force=True) as stream:
        stream.write(b"new")
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o640


def test_new_files_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "out"):
            pass
        assert os.umask(0o027) == 0o027, "the umask is left as it was"
    finally:
        os.umask(before)
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o640


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "absent" / "out"):
        pass
