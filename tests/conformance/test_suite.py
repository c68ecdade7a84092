"""The conformance suite: descriptors, reproducible bytes, decoders, and that run.py finds lies."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from conformance import generate, run

ROOT = Path(run.__file__).resolve().parent
VECTORS = ROOT / "vectors"
DECODERS = ROOT / "decoders"
PRODUCTION = f"{sys.executable} {DECODERS / 'production.py'}"
EDUCATIONAL = f"{sys.executable} {DECODERS / 'educational.py'}"
WEB = f"node {DECODERS / 'web.mjs'}"
# found when the attachment is asked for; or corrupt for another reason first
ALTERNATES = {
    "attachment-adler",
    "attachment-sha256",
    "attachment-size",
    "attachments-large",
    "elements-lists",
    "elements-rows",
}


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and generate.FROZEN not in path.parts
    }


def test_descriptors_follow_the_schema() -> None:
    schema = json.loads((ROOT / "schema" / "test.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    descriptors = sorted(VECTORS.glob("*/*/test.json"))
    assert len(descriptors) >= 200
    for path in descriptors:
        descriptor = json.loads(path.read_text())
        validator.validate(descriptor)
        assert (descriptor["kind"], descriptor["id"]) == path.parts[-3:-1]
        plys = {one["ply"] for one in descriptor["runs"] if "ply" in one}
        assert {p.name for p in path.parent.iterdir()} == plys | {"input.csgs", "test.json"}


def test_every_byte_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "vectors").mkdir()
    shutil.copytree(VECTORS / generate.FROZEN, tmp_path / "vectors" / generate.FROZEN)
    generate.write(tmp_path)
    for part in ("vectors", "profiles"):
        made, known = files_below(tmp_path / part), files_below(ROOT / part)
        assert made.keys() == known.keys()
        assert [name for name in made if made[name] != known[name]] == []
    assert (tmp_path / "FORBIDDEN.md").read_text() == (ROOT / "FORBIDDEN.md").read_text()


def passes(command: str, feed: bool) -> None:
    """All vectors pass."""
    suite = run.Suite(command, server=True, feed=feed)
    results = run.run_all(suite, run.select(VECTORS, ["full"], None))
    assert {r.id: r.wrong for r in results if r.wrong} == {}
    assert {r.id for r in results if r.alternate} <= ALTERNATES


@pytest.mark.parametrize("numba", ["0", "1"])
def test_production_passes(numba: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSGS_NO_NUMBA", numba)
    passes(PRODUCTION, feed=True)


def test_educational_passes() -> None:
    passes(EDUCATIONAL, feed=False)


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_web_passes() -> None:
    passes(WEB, feed=True)


def test_a_process_for_each_call_works_as_well() -> None:
    folders = run.select(VECTORS, ["core"], "valid/(little|empty|layered)$")
    assert len(folders) == 3
    for result in run.run_all(run.Suite(PRODUCTION), folders, jobs=2):
        assert result.calls and not result.wrong


# --- lies


LIAR = f"{sys.executable} -m tests.conformance.liar"
DECODED, CUT, FAILED = "valid/little", "truncated/layered-level-1-plus-1", "invalid/crc-head"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSGS_NO_NUMBA", "1")


def wrongs(lie: str, vector: str) -> list[str]:
    """What run.py says of the first run of a vector."""
    folder = VECTORS / vector
    descriptor = json.loads((folder / "test.json").read_text())
    decoder = run.Decoder(f"{LIAR} {lie}", 60.0)
    answer = decoder.call(folder / "input.csgs", descriptor["runs"][0])
    return run.check_run(descriptor["runs"][0], answer, folder)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("vector", [DECODED, CUT, FAILED])
def test_the_truth_is_believed(vector: str) -> None:
    assert wrongs("honest", vector) == []


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("lie", "vector"),
    [
        *((lie, DECODED) for lie in (
            "digest", "digest-missing", "level", "levels", "gaussians", "outcome", "column-hash",
            "column-type", "column-missing", "column-more", "no-report", "no-ply", "value-float",
            "value-label", "short", "long", "name", "type", "count", "comment", "litter", "exit-3",
            "exit-4", "exit-1",
        )),
        *((lie, CUT) for lie in ("exit-0", "exit-4", "no-ply", "value-float")),
        *((lie, FAILED) for lie in (
            "exit-0", "exit-3", "exit-1", "outcome", "writes-on-failure", "level-on-failure",
            "columns-on-failure", "litter", "no-report",
        )),
    ],
)  # fmt: skip
def test_a_lie_is_found(lie: str, vector: str) -> None:
    assert wrongs(lie, vector) != []


@pytest.mark.usefixtures("quick")
def test_the_command_says_which_vector_fails() -> None:
    command = [sys.executable, str(ROOT / "run.py"), "--filter", "valid/little$", "--decoder"]
    for lie, code in (("honest", 0), ("digest", 1)):
        done = subprocess.run(
            [*command, f"{LIAR} {lie}"], capture_output=True, text=True, check=False
        )
        assert done.returncode == code
        assert ("FAIL valid/little: all: digests" in done.stdout) == (code == 1)


def test_a_changed_input_is_noticed(tmp_path: Path) -> None:
    shutil.copytree(VECTORS / DECODED, tmp_path / "vector")
    source = tmp_path / "vector" / "input.csgs"
    source.write_bytes(source.read_bytes() + b"\0")
    assert run.Suite("false").check(tmp_path / "vector").wrong


def test_flips_that_nobody_notices_are_found(tmp_path: Path) -> None:
    """A decoder that always succeeds."""
    always = tmp_path / "always.py"
    always.write_text("import sys\nsys.exit(0)\n")
    suite = run.Suite(f"{sys.executable} {always}", flips=1009)
    result = suite.check(VECTORS / "invalid" / "flips")
    assert len(result.wrong) == result.calls > 3
