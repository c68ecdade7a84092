"""Imports point down only, and what is heavy is imported only where it is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import csgs_codec

ROOT = Path(csgs_codec.__file__).resolve().parent
HEAVY = ("torch", "scipy", "gsplat", "matplotlib", "rich")

# A module may import its own rank and those below. io, scene, schema and statistics stand beside.
RANKS = (
    ("errors", "limits", "version"),
    ("container", "numerics"),
    ("attributes", "hyperprior", "levels"),
    ("decoder",),
    ("encoder",),
)
PEERS_OF_THE_FORMAT = ("io", "scene", "schema", "statistics")
# Pictures know scenes but no format; encoders may look at pictures, decoders never do.
PICTURES = ("render", "semantics", "metrics")
# Learning features knows how the encoder will code them, and nothing but its command knows it.
LEARNING = ROOT / "semantics" / "learn"


def modules(part: str) -> list[Path]:
    """Return the files of a package or module of csgs_codec."""
    if (ROOT / part).is_dir():
        return sorted((ROOT / part).rglob("*.py"))
    return [ROOT / f"{part}.py"]


def imports(path: Path) -> Iterator[str]:
    """Names of all modules that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def parts_imported(path: Path) -> set[str]:
    """Top-level parts of csgs_codec that a file imports."""
    names = [name.split(".") for name in imports(path)]
    return {name[1] for name in names if name[0] == "csgs_codec" and len(name) > 1}


ALL_PARTS = [part for rank in RANKS for part in rank] + [*PEERS_OF_THE_FORMAT, *PICTURES]
MAY_BE_HEAVY = {
    "encoder": set(HEAVY),
    "render": {"torch", "gsplat", "scipy"},
    "semantics": {"torch"},
    "io": {"torch"},
    "metrics": {"scipy"},
}


@pytest.mark.parametrize("part", ALL_PARTS)
def test_heavy_packages_are_imported_only_where_they_belong(part: str) -> None:
    for path in modules(part):
        found = {name.split(".")[0] for name in imports(path)} & set(HEAVY)
        found -= {"torch", "scipy"} if LEARNING in path.parents else MAY_BE_HEAVY.get(part, set())
        assert not found, f"{path.relative_to(ROOT)} imports {found}"


@pytest.mark.parametrize("part", [p for rank in RANKS for p in rank])
def test_arrows_point_down(part: str) -> None:
    rank = next(i for i, parts in enumerate(RANKS) if part in parts)
    allowed = {p for parts in RANKS[: rank + 1] for p in parts}
    if part in ("container", "numerics"):
        allowed -= {"container", "numerics"} - {part}
    if part in ("decoder", "encoder"):
        allowed |= set(PEERS_OF_THE_FORMAT)
    if part == "encoder":
        allowed |= set(PICTURES)
    for path in modules(part):
        found = parts_imported(path) - allowed
        assert not found, f"{path.relative_to(ROOT)} imports {found}"


@pytest.mark.parametrize("part", PEERS_OF_THE_FORMAT)
def test_scenes_and_their_files_know_nothing_of_the_format(part: str) -> None:
    allowed = {"errors", "limits", *PEERS_OF_THE_FORMAT}
    for path in modules(part):
        found = parts_imported(path) - allowed
        assert not found, f"{path.relative_to(ROOT)} imports {found}"


@pytest.mark.parametrize("part", PICTURES)
def test_pictures_know_nothing_of_the_format(part: str) -> None:
    allowed = {"errors", "limits", *PEERS_OF_THE_FORMAT, *PICTURES}
    for path in (p for p in modules(part) if LEARNING not in p.parents):
        found = parts_imported(path) - allowed
        assert not found, f"{path.relative_to(ROOT)} imports {found}"


def test_only_its_command_imports_learning() -> None:
    for path in (p for p in ROOT.rglob("*.py") if LEARNING not in p.parents):
        assert not any(name.startswith("csgs_codec.semantics.learn") for name in imports(path))


def test_ranks_cover_the_package() -> None:
    """A new part must be given a rank here, or be one of those that use both sides."""
    found = {p.stem for p in ROOT.iterdir() if p.suffix == ".py"}
    found |= {p.name for p in ROOT.iterdir() if (p / "__init__.py").exists()}
    assert set(ALL_PARTS) <= found
    assert found - set(ALL_PARTS) <= {"__init__", "describe", "cut", "cli", "extract", "revise"}


def run(code: str, *arguments: str) -> str:
    """Run code in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_package_import_is_light() -> None:
    loaded = run("import sys, csgs_codec; print(*sys.modules)").split()
    assert "csgs_codec" in loaded
    assert not {"torch", "scipy", "numba", "gsplat"} & set(loaded)


def test_decoder_import_takes_no_heavy_packages() -> None:
    loaded = run("import sys, csgs_codec.decoder; print(*sys.modules)").split()
    assert "csgs_codec.decoder.parser" in loaded
    assert not {*HEAVY, "csgs_codec.encoder", "csgs_codec.render"} & set(loaded)


def test_decoding_works_where_the_encoder_cannot_be_imported(tmp_path: Path) -> None:
    """A scene too small to train on: the file is made here, decoded without torch and scipy."""
    from csgs_codec.encoder import encode
    from tests.scenes import inria, with_labels

    path = tmp_path / "scene.csgs"
    path.write_bytes(encode(with_labels(inria(40, 1))).data)
    code = (
        "import sys\n"
        f"for name in {(*HEAVY, 'csgs_codec.encoder')!r}: sys.modules[name] = None\n"
        "from csgs_codec.decoder import decode\n"
        "scene = decode(sys.argv[1], verify=True)\n"
        "print(scene.count, len(scene.columns), int(scene.columns['label'].sum()))\n"
    )
    count, columns, labels = map(int, run(code, str(path)).split())
    wanted = with_labels(inria(40, 1))
    assert (count, columns) == (40, len(wanted.columns))
    assert labels == int(np.sum(wanted.columns["label"]))
