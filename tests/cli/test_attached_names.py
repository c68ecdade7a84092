"""Attachments of hostile names and outputs that are not what they seem."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result
from csgs_codec.cli.common import ExitCode

from csgs_codec import EncodeOptions, encode
from csgs_codec.container.fields import FieldWriter
from csgs_codec.io.atomic import atomic_write
from tests import scenes
from tests.fuzz.amplify import many_from_nothing
from tests.fuzz.csgs import assemble, parts_of

Run = Callable[..., Result]
LONGEST = "n" * 251 + ".txt"


@pytest.fixture(scope="module")
def plain() -> bytes:
    scene = scenes.inria(3, 0, normals=False)
    return encode(scene, EncodeOptions(attachments={"a.txt": b"a", "b.txt": b"b"})).data


def named(data: bytes, *names: str | bytes) -> bytes:
    """Give the attachments of a file other names, whatever they are."""
    parts = list(parts_of(data))
    places = [n for n, part in enumerate(parts) if part.type == b"aTCH"]
    for at, name in zip(places, names, strict=True):
        raw = name if isinstance(name, bytes) else name.encode("utf-8", "surrogatepass")
        fields = FieldWriter().put("u16", len(raw)).raw(raw).raw(hashlib.sha256(b"x").digest())
        payload = fields.put("u64", 1).raw(zlib.compress(b"x")).finish()
        parts[at] = replace(parts[at], payload=payload)
    return assemble(parts)


HOSTILE = [
    "", ".", "..", "...", ". .", "../x", "..\\x", "/etc/x", "C:x", "c:\\x", "a/b", "a\\b", "~/x/",
    "con", "CON", "nul.txt", "Aux .txt", "com1", "LPT9.tar.gz", "com¹", "lpt³.x", "conin$",
    "clock$", "x\0.txt", "x\n", "x\r", "\x1b[2Jx", "x\x7f", "x\u202etxt.exe", "x\u200bx", "\ufeffx",
    "x\u2028y", "x\u2029y", "\u0085", "x.", "x ", " x", "x:stream", "x|y", "x*", "x?", "<x>", '"x"',
    "\ud800", b"\xff\xfe", b"\xc0\xae\xc0\xae/x", b"\xe2\x28\xa1", "n" * 256,
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_names_that_lead_elsewhere(
    run: Run, tmp_path: Path, plain: bytes, name: str | bytes
) -> None:
    Path("in.csgs").write_bytes(named(plain, "fine.txt", name))
    result = run("csgs-decode", "in.csgs", "--attachments", "out")
    assert result.exit_code == ExitCode.CORRUPT, result.output
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.csgs"]
    assert all(c.isprintable() for c in result.stderr.strip())


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("A.txt", "a.TXT"),
        ("é", "e\u0301"),
        ("straße", "STRASSE"),
        ("ﬁle", "file"),
        ("\u03a3", "\u03c2"),
        ("\u212b", "å"),
        ("\u0130", "i\u0307"),
    ],
)
def test_names_that_some_system_takes_for_one(
    run: Run, plain: bytes, first: str, second: str
) -> None:
    Path("in.csgs").write_bytes(named(plain, first, second))
    assert run("csgs-decode", "in.csgs", "--attachments", "out").exit_code == ExitCode.CORRUPT


def test_the_longest_name(run: Run, plain: bytes) -> None:
    Path("in.csgs").write_bytes(named(plain, LONGEST, "é" * 127))
    assert run("csgs-decode", "in.csgs", "--attachments", "out").exit_code == ExitCode.OK
    assert Path("out", LONGEST).read_bytes() == b"x"


def test_links_where_outputs_go(run: Run, tmp_path: Path, plain: bytes) -> None:
    """What a link points to is never written to, with --force or without."""
    Path("in.csgs").write_bytes(plain)
    Path("out").mkdir()
    elsewhere, other = tmp_path / "elsewhere", tmp_path / "other"
    os.symlink(elsewhere, "out/a.txt")
    os.symlink(other, "back.ply")
    words = ("csgs-decode", "in.csgs", "back.ply", "--attachments", "out")
    elsewhere.write_bytes(b"precious")
    other.write_bytes(b"precious")
    assert run(*words).exit_code == ExitCode.USAGE
    assert run(*words, "--force").exit_code == ExitCode.OK
    assert elsewhere.read_bytes() == other.read_bytes() == b"precious"
    assert Path("out/a.txt").read_bytes() == b"a" and not Path("out/a.txt").is_symlink()
    elsewhere.unlink()
    os.symlink(elsewhere, "dangling")
    with atomic_write("dangling", force=True) as stream:
        stream.write(b"new")
    assert not elsewhere.exists() and Path("dangling").read_bytes() == b"new"


def test_memory_that_a_small_file_may_take(run: Run) -> None:
    Path("in.csgs").write_bytes(many_from_nothing(2, 0))
    for words in (
        ("csgs-decode", "in.csgs", "back.ply"),
        ("csgs-info", "--verify", "in.csgs"),
        ("csgs-select", "in.csgs", "--select", "all", "-o", "all.ply"),
        ("csgs-edit", "in.csgs", "--keep", "all", "-o", "all.ply"),
    ):
        refused = run(*words, "--max-memory", "1MB")
        assert refused.exit_code == ExitCode.LIMIT
        assert "more than the limit of 1000000" in refused.stderr
    assert run("csgs-decode", "in.csgs", "back.ply", "--max-memory", "1GiB").exit_code == 0
