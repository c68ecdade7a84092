"""Every way in which a command can end: exit code, where it prints, what it leaves behind."""

from __future__ import annotations

import json
import os
import re
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from csgs_codec.cli.common import ExitCode

import csgs_codec
from csgs_codec import BITSTREAM_VERSION, Scene, decode, probe, read_ply
from csgs_codec.container.chunks import SIGNATURE, frame
from csgs_codec.container.header import VERSION
from tests.cli.conftest import BIN, COMMANDS, spawn
from tests.conftest import Encoded

Run = Callable[..., Result]


def same_columns(path: Path, scene: Scene) -> bool:
    found = read_ply(path).columns
    return list(found) == list(scene.columns) and all(
        found[name].tobytes() == column.tobytes() for name, column in scene.columns.items()
    )


def nothing_but(folder: Path, *names: str) -> bool:
    """Whether a folder holds these files only: no output, no temporary file."""
    return sorted(os.listdir(folder)) == sorted(names)


# --- success


def test_options_reach_the_encoder(run: Run, ply: Path) -> None:
    for words, name in (
        ([], "default"),
        (["--quality", "30"], "coarse"),
        (["--semantic", "f_dc_[12]"], "semantic"),
    ):
        assert run("csgs-encode", *words, ply, f"{name}.csgs").exit_code == ExitCode.OK
    assert Path("coarse.csgs").stat().st_size < Path("default.csgs").stat().st_size
    groups = {group.name: group for group in probe("semantic.csgs").groups}
    assert groups["f_dc"].kind == "semantic" and groups["f_dc"].properties == ("f_dc_1", "f_dc_2")
    assert nothing_but(ply.parent, "scene.ply", "default.csgs", "coarse.csgs", "semantic.csgs")


def test_decode_writes_what_the_library_decodes(run: Run, csgs: Path, small: Encoded) -> None:
    result = run("csgs-decode", "--verify", csgs, "back.ply")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert same_columns(Path("back.ply"), decode(small.data))
    result = run("csgs-decode", "--level", 2, csgs, "two.ply")
    levels = probe(small.data).levels
    assert result.exit_code == 0 and result.stdout == ""
    assert (
        f"level 2 of {len(levels)}: {levels[1].gaussians} of 40 Gaussians; not in it:"
        in result.stderr
    )
    assert "obj_dc" in result.stderr and "uncertainty" in result.stderr
    assert same_columns(Path("two.ply"), decode(small.data, level=2))
    assert run("csgs-decode", "--level", 2, "--no-compensation", csgs, "raw.ply").exit_code == 0
    raw = decode(small.data, level=2, compensate=False)
    assert same_columns(Path("raw.ply"), raw)
    assert not same_columns(Path("two.ply"), raw)


def test_truncate_copies_the_bytes_of_every_level(run: Run, csgs: Path, small: Encoded) -> None:
    for level in probe(small.data).levels:
        result = run("csgs-truncate", "--force", "--level", level.level, csgs, "cut.csgs")
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
        assert Path("cut.csgs").read_bytes() == small.data[: level.end]
        for size in (level.end, f"{level.end}B", f"{(level.end + 1) / 1000}kB"):
            run("csgs-truncate", "--force", "--size", size, csgs, "sized.csgs")
            assert Path("sized.csgs").read_bytes() == small.data[: level.end], size
    second = probe(small.data).levels[1]
    run("csgs-truncate", "--size", second.end - 1, csgs, "below.csgs")
    assert Path("below.csgs").stat().st_size == second.end - second.bytes
    run("csgs-truncate", "--size", "1.5MiB", csgs, "all.csgs")
    assert Path("all.csgs").read_bytes() == small.data


def test_info_lists_everything(run: Run, csgs: Path, small: Encoded) -> None:
    info = probe(small.data)
    result = run("csgs-info", "--verify", "--chunks", csgs)
    assert result.exit_code == 0 and result.stderr == ""
    assert result.stdout.startswith(
        f"CSGS {BITSTREAM_VERSION}, {len(small.data):,} bytes, 40 Gaussians"
    )
    assert "verified" in result.stdout
    for type_, offset, size in info.chunks:
        assert f"  {type_}  {offset:>10}  {size:>10}\n" in result.stdout
    assert "verified" not in run("csgs-info", csgs).stdout
    found = json.loads(run("csgs-info", "--json", csgs).stdout)
    assert found == json.loads(json.dumps({**info.to_json(), "verified": False}))


@pytest.mark.parametrize("command", COMMANDS)
def test_help_and_version(run: Run, command: str) -> None:
    assert "Usage:" in run(command, "--help").stdout
    version = run(command, "--version")
    assert version.exit_code == 0 and csgs_codec.__version__ in version.stdout


def test_readme_names_options_that_exist() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    parameters = [p for c in COMMANDS.values() for p in c.params]
    known = {o for p in parameters for o in (*p.opts, *p.secondary_opts)}
    ours = [line for line in readme.splitlines() if "conformance/run.py" not in line]
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", "\n".join(ours)))
    assert len(named) > 8 and not named - known


# --- 2: usage, and outputs that exist


@pytest.mark.parametrize("command", ["csgs-encode", "csgs-decode", "csgs-truncate"])
def test_existing_output_is_kept_unless_forced(
    run: Run, ply: Path, csgs: Path, command: str
) -> None:
    target = Path("out.bin")
    target.write_bytes(b"precious")
    words = [ply if command == "csgs-encode" else csgs, target]
    words += ["--level", 1] if command == "csgs-truncate" else []
    result = run(command, *words)
    assert result.exit_code == ExitCode.USAGE
    assert result.stdout == "" and "out.bin" in result.stderr and "--force" in result.stderr
    assert target.read_bytes() == b"precious"
    assert run(command, "--force", *words).exit_code == ExitCode.OK
    assert target.read_bytes() != b"precious"
    assert nothing_but(ply.parent, "out.bin", "scene.csgs", "scene.ply")


@pytest.mark.parametrize(
    "words",
    [
        ["csgs-encode"],
        ["csgs-encode", "missing.ply", "out"],
        ["csgs-encode", "--quality", "0", "scene.ply", "out"],
        ["csgs-encode", "--quality", "101", "scene.ply", "out"],
        ["csgs-encode", "--nan", "maybe", "scene.ply", "out"],
        ["csgs-decode", "missing.csgs", "out"],
        ["csgs-decode", "--level", "0", "scene.csgs", "out"],
        ["csgs-info", "--nonsense", "scene.csgs"],
        ["csgs-truncate", "scene.csgs", "out"],
        ["csgs-truncate", "--level", "1", "--size", "1MB", "scene.csgs", "out"],
        ["csgs-truncate", "--size", "-5", "scene.csgs", "out"],
    ],
    ids=" ".join,
)
def test_wrong_usage(run: Run, ply: Path, csgs: Path, words: list[str]) -> None:
    result = run(*words)
    assert result.exit_code == ExitCode.USAGE
    assert result.stdout == "" and result.stderr.startswith("Usage:")
    assert nothing_but(ply.parent, "scene.csgs", "scene.ply")


# --- 3: truncated


def test_cut_file_gives_the_last_whole_level(run: Run, csgs: Path, small: Encoded) -> None:
    levels = probe(small.data).levels
    Path("cut.csgs").write_bytes(small.data[: levels[2].end + 5])
    result = run("csgs-decode", "cut.csgs", "coarse.ply")
    assert result.exit_code == ExitCode.TRUNCATED and result.stdout == ""
    assert "warning: cut.csgs" in result.stderr and "decoded level 3" in result.stderr
    assert same_columns(Path("coarse.ply"), decode(small.data, level=3))
    allowed = run("csgs-decode", "--allow-truncated", "cut.csgs", "allowed.ply")
    assert allowed.exit_code == ExitCode.OK and "warning" in allowed.stderr
    assert Path("allowed.ply").read_bytes() == Path("coarse.ply").read_bytes()
    assert run("csgs-decode", "--level", 3, "cut.csgs", "three.ply").exit_code == ExitCode.OK
    for flags in ([], ["--allow-truncated"]):
        result = run("csgs-decode", *flags, "--level", 4, "cut.csgs", "four.ply")
        assert result.exit_code == ExitCode.TRUNCATED and result.stderr.startswith("error: ")
        assert not Path("four.ply").exists()


def test_file_cut_before_its_first_level(run: Run, csgs: Path, small: Encoded) -> None:
    for size in (0, 5, 100, probe(small.data).levels[0].end - 1):
        csgs.write_bytes(small.data[:size])
        for flags in ([], ["--allow-truncated"]):
            result = run("csgs-decode", *flags, csgs, "out.ply")
            assert result.exit_code == ExitCode.TRUNCATED
            assert result.stderr.startswith("error: truncated: ")
    csgs.write_bytes(small.data[:100])
    assert run("csgs-info", csgs).exit_code == ExitCode.TRUNCATED
    assert run("csgs-truncate", "--level", 1, csgs, "out").exit_code == ExitCode.TRUNCATED
    assert nothing_but(csgs.parent, "scene.csgs")


def test_info_and_truncate_of_a_cut_file(run: Run, csgs: Path, small: Encoded) -> None:
    levels = probe(small.data).levels
    csgs.write_bytes(small.data[: levels[2].end + 5])
    result = run("csgs-info", "--verify", "--json", csgs)
    assert result.exit_code == ExitCode.TRUNCATED
    found = json.loads(result.stdout)["levels"]
    assert [level["complete"] for level in found] == [n < 3 for n in range(len(levels))]
    assert f"3 of {len(levels)} are complete" in result.stderr
    assert run("csgs-truncate", "--level", 4, csgs, "four").exit_code == ExitCode.TRUNCATED
    for words in (["--level", 3], ["--size", "1MB"]):
        result = run("csgs-truncate", "--force", *words, csgs, "three.csgs")
        assert result.exit_code == ExitCode.OK
        assert Path("three.csgs").read_bytes() == small.data[: levels[2].end]


# --- 4: corrupt


@pytest.mark.parametrize(
    "words", [["csgs-decode", "out"], ["csgs-info"], ["csgs-truncate", "out", "--level", 1]]
)
def test_damaged_file(run: Run, csgs: Path, small: Encoded, words: list[object]) -> None:
    damaged = bytearray(small.data)
    damaged[len(damaged) // 2] ^= 1
    csgs.write_bytes(damaged)
    result = run(words[0], csgs, *words[1:])
    assert result.exit_code == ExitCode.CORRUPT and result.stdout == ""
    assert result.stderr.startswith(f"error: corrupt: {csgs}: ")
    assert nothing_but(csgs.parent, "scene.csgs")


def with_other_digest(data: bytes) -> bytes:
    """Change the digest of the last level and repair the CRC: only ``--verify`` can notice."""
    _, offset, size = next(chunk for chunk in probe(data).chunks if chunk[0] == "LEVS")
    payload = bytearray(data[offset + 8 : offset + size - 4])
    payload[-1] ^= 1
    return data[:offset] + frame("LEVS", bytes(payload)) + data[offset + size :]


def test_verify_compares_digests(run: Run, csgs: Path, small: Encoded) -> None:
    csgs.write_bytes(with_other_digest(small.data))
    assert run("csgs-info", csgs).exit_code == ExitCode.OK
    result = run("csgs-info", "--verify", csgs)
    assert result.exit_code == ExitCode.CORRUPT and result.stdout == ""
    result = run("csgs-decode", "--verify", csgs, "out.ply")
    assert result.exit_code == ExitCode.CORRUPT and "not those of the encoder" in result.stderr
    assert nothing_but(csgs.parent, "scene.csgs")
    assert run("csgs-decode", csgs, "out.ply").exit_code == ExitCode.OK


def test_bytes_behind_the_end(run: Run, csgs: Path, small: Encoded) -> None:
    csgs.write_bytes(small.data + b"\0")
    for words in ([csgs], ["--verify", csgs], ["--json", csgs]):
        result = run("csgs-info", *words)
        assert result.exit_code == ExitCode.CORRUPT
        assert result.stdout == "" and "1 bytes behind the last level" in result.stderr
    for flags in ([], ["--allow-truncated"]):
        assert run("csgs-decode", *flags, csgs, "out.ply").exit_code == ExitCode.CORRUPT
    assert nothing_but(csgs.parent, "scene.csgs")


# --- 5: unsupported, 6: limit, 7: PLY


def test_something_else_than_a_csgs_file(run: Run, ply: Path) -> None:
    for words in (["csgs-decode", ply, "out"], ["csgs-info", ply]):
        result = run(*words)
        assert result.exit_code == ExitCode.UNSUPPORTED
        assert result.stderr.startswith(f"error: unsupported: {ply}: ")
    assert nothing_but(ply.parent, "scene.ply")


def test_level_and_size_that_do_not_exist(run: Run, csgs: Path) -> None:
    first = probe(csgs).levels[0].end
    for words in (
        ["csgs-decode", "--level", 99],
        ["csgs-truncate", "--level", 99],
        ["csgs-truncate", "--size", "1kB"],
        ["csgs-truncate", "--size", first - 1],
    ):
        result = run(*words, csgs, "out")
        assert result.exit_code == ExitCode.UNSUPPORTED, words
        assert nothing_but(csgs.parent, "scene.csgs")
    assert f"the first level takes {first} bytes" in result.stderr


def test_encoding_without_torch(ply: Path) -> None:
    """In a process of its own: the encoder may have been imported here."""
    code = "import sys; sys.modules['torch'] = None\n"
    code += "from csgs_codec.cli.encode import main; main(sys.argv[1:])"
    found = spawn(sys.executable, "-c", code, ply, "out.csgs", cwd=ply.parent)
    assert (found.returncode, found.stdout) == (ExitCode.UNSUPPORTED, "")
    assert "csgs_codec[encode]" in found.stderr and "torch" in found.stderr
    assert nothing_but(ply.parent, "scene.ply")


def test_file_over_a_limit(run: Run, tmp_path: Path) -> None:
    head = struct.pack("<HHQBI", *VERSION, 10**9, 4, 1)
    (tmp_path / "huge.csgs").write_bytes(SIGNATURE + frame("HEAD", head))
    for words in (["csgs-decode", "huge.csgs", "out"], ["csgs-info", "huge.csgs"]):
        result = run(*words)
        assert result.exit_code == ExitCode.LIMIT
        assert result.stderr.startswith("error: limit: huge.csgs: ")
    assert nothing_but(tmp_path, "huge.csgs")


def test_bad_plys(run: Run, ply: Path) -> None:
    broken = dict(read_ply(ply).columns)
    broken["scale_1"][7] = np.nan
    csgs_codec.write_ply("nan.ply", Scene(broken))
    del broken["y"]
    csgs_codec.write_ply("flat.ply", Scene(broken))
    Path("short.ply").write_bytes(ply.read_bytes()[:-1])
    Path("zeros.ply").write_bytes(bytes(100))
    names = ("flat.ply", "nan.ply", "short.ply", "zeros.ply")
    for name in names:
        result = run("csgs-encode", "--json", name, "out.csgs")
        assert result.exit_code == ExitCode.PLY, name
        assert result.stdout == "" and result.stderr.startswith(f"error: ply: {name}: ")
    assert run("csgs-encode", "--semantic", "absent_.*", ply, "out.csgs").exit_code == ExitCode.PLY
    result = run("csgs-encode", "nan.ply", "out.csgs")
    assert "property scale_1" in result.stderr and "row 7" in result.stderr
    assert nothing_but(ply.parent, "scene.ply", *names)
    result = run("csgs-encode", "--nan", "drop", "nan.ply", "out.csgs")
    assert result.exit_code == 0 and "note: 1 rows" in result.stderr
    assert decode("out.csgs").count == 29


# --- 1: unexpected, and nothing half-written


def test_output_folder_that_does_not_exist(run: Run, csgs: Path) -> None:
    result = run("csgs-decode", csgs, "no/such/folder/out.ply")
    assert result.exit_code == ExitCode.UNEXPECTED
    assert result.stdout == "" and result.stderr.startswith("error: FileNotFoundError")


def test_disk_that_fills_up(run: Run, csgs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half_then_full(stream, scene) -> None:
        stream.write(b"ply\n")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("csgs_codec.cli.decode.write_ply", half_then_full)
    Path("out.ply").write_bytes(b"precious")
    for words in (["out.ply", "--force"], ["new.ply"]):
        result = run("csgs-decode", csgs, *words)
        assert result.exit_code == ExitCode.UNEXPECTED and "No space left" in result.stderr
        assert nothing_but(csgs.parent, "scene.csgs", "out.ply")
        assert Path("out.ply").read_bytes() == b"precious"


# --- as programs


def test_programs(csgs: Path, small: Encoded) -> None:
    """The installed commands return the same codes as the functions behind them."""
    folder = csgs.parent
    (folder / "cut.csgs").write_bytes(small.data[: probe(small.data).levels[0].end + 1])
    found = spawn(BIN / "csgs-decode", "cut.csgs", "coarse.ply", cwd=folder)
    assert (found.returncode, found.stdout) == (ExitCode.TRUNCATED, "")
    assert "Traceback" not in found.stderr
    assert read_ply(folder / "coarse.ply").count == probe(small.data).levels[0].gaussians
    found = spawn(BIN / "csgs-truncate", csgs, "out.csgs", "--size", "1kB", cwd=folder)
    assert (found.returncode, found.stdout) == (ExitCode.UNSUPPORTED, "")
    found = spawn(BIN / "csgs-info", csgs, "--json", cwd=folder)
    assert found.returncode == 0 and json.loads(found.stdout)["gaussians"] == 40
    found = spawn(BIN / "csgs-decode", csgs, cwd=folder)
    assert found.returncode == ExitCode.USAGE and found.stderr.startswith("Usage:")
    assert nothing_but(folder, "scene.csgs", "cut.csgs", "coarse.ply")


HEAVY = ["torch", "scipy", "numba", "gsplat", "csgs_codec.encoder"]


@pytest.mark.parametrize(
    "statement",
    [
        "import csgs_codec; csgs_codec.Limits",
        "from csgs_codec import probe; probe(sys.argv[1])",
        "from csgs_codec import truncate; truncate(sys.argv[1], level=1)",
        "from csgs_codec.cli.truncate import main\n"
        "main([sys.argv[1], '--level', '1', sys.argv[1] + '1'], standalone_mode=False)",
    ],
)
def test_light_work_imports_nothing_heavy(csgs: Path, statement: str) -> None:
    code = f"import sys\n{statement}\nprint([m for m in {HEAVY} if m in sys.modules])"
    found = spawn(sys.executable, "-c", code, csgs)
    assert found.stdout.strip() == "[]", found.stderr
