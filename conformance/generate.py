#!/usr/bin/env python3
"""Make the vectors again: ``python -m conformance.generate [FOLDER]``.

Every byte follows from seeds. Exceptions are the vectors of kind ``compat``: files that the encoder
wrote once, which stay as they are.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conformance.maker.vector import Vector
from conformance.recipes import (
    extension,
    invalid_ancillary,
    invalid_data,
    invalid_exact,
    invalid_framing,
    invalid_groups,
    invalid_head,
    invalid_networks,
    invalid_schema,
    truncated,
    uncommon,
    uncommon_syntax,
    valid,
)

HERE = Path(__file__).resolve().parent
FROZEN = "compat"
RECIPES = (
    valid,
    uncommon,
    uncommon_syntax,
    truncated,
    extension,
    invalid_framing,
    invalid_head,
    invalid_schema,
    invalid_groups,
    invalid_networks,
    invalid_data,
    invalid_exact,
    invalid_ancillary,
)


PROFILES = {
    "core": ("What every decoder must read: valid files and frozen ones.", ("valid", "compat")),
    "full": (
        "Everything.",
        ("valid", "compat", "uncommon", "truncated", "extension", "invalid"),
    ),
    "uncommon": ("Legal files that our encoder never writes.", ("uncommon",)),
    "truncated": ("Files that end early.", ("truncated",)),
    "extension": ("Versions, unknown chunks, kinds and members.", ("extension",)),
    "invalid": ("Files that break a rule.", ("invalid",)),
}
HEADING = """# What files must not be

Every rule whose violation the specification calls corrupt, unsupported or limit, and the vector
that breaks it; CRCs are right unless the rule is about them. Made by `generate.py` from the
descriptors. Sections with N are those of the numerics.

Not here, because no file can break them alone: the end of LEVS behind byte 65536 (header and table
cannot grow so far), Exp-Golomb codes of more than 40 bits (no order is above 8, no prefix above
30). Rules marked with a dagger in the specification are not tested.

| section | the file is not decoded if | outcome | vector |
|---|---|---|---|"""


def all_vectors() -> Iterator[Vector]:
    """Make all vectors but the frozen ones."""
    for recipes in RECIPES:
        yield from recipes.vectors()


def write(folder: Path) -> list[Vector]:
    """Write vectors, profiles and FORBIDDEN.md below a folder; frozen vectors stay."""
    vectors = list(all_vectors())
    names = [f"{v.kind}/{v.id}" for v in vectors]
    twice = sorted({name for name in names if names.count(name) > 1})
    assert not twice, f"vectors with the same name: {', '.join(twice)}"
    for old in folder.glob("vectors/*"):
        if old.name != FROZEN:
            shutil.rmtree(old)
    for vector in vectors:
        vector.write(folder / "vectors")
    listed = sorted(path.parent for path in (folder / "vectors").glob("*/*/test.json"))
    described = [json.loads((path / "test.json").read_text()) for path in listed]
    _write_profiles(folder / "profiles", described)
    (folder / "FORBIDDEN.md").write_text(_forbidden(described))
    return vectors


def _write_profiles(folder: Path, described: list[dict[str, Any]]) -> None:
    folder.mkdir(exist_ok=True)
    for name, (text, kinds) in PROFILES.items():
        lines = [f"{one['kind']}/{one['id']}" for one in described if one["kind"] in kinds]
        (folder / f"{name}.txt").write_text("\n".join([f"# {text}", *lines]) + "\n")


def _forbidden(described: list[dict[str, Any]]) -> str:
    """Return the table of what files must not be, by section."""
    rows = [
        (section_key(one["sections"][0]), one["rule"], one["sections"], one)
        for one in described
        if "rule" in one
    ]
    lines = [HEADING]
    for _, rule, sections, one in sorted(rows, key=lambda row: (row[0], row[1], row[3]["id"])):
        outcomes = one["runs"][0]["outcome"] if one["runs"] else ["see vector"]
        cells = (", ".join(sections), rule, " or ".join(outcomes), f"{one['kind']}/{one['id']}")
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def section_key(section: str) -> tuple[int, list[int]]:
    """Order sections of the bitstream, then those of the numerics."""
    numbers = [int(part) for part in section.removeprefix("N").split(".")]
    return int(section.startswith("N")), numbers


def main() -> None:
    """Run the command."""
    vectors = write(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
    print(f"{len(vectors)} vectors", file=sys.stderr)


if __name__ == "__main__":
    main()
