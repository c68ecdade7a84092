#!/usr/bin/env python3
"""Make the vectors again: ``python -m conformance.generate [FOLDER]``.

Every byte follows from seeds. Exceptions are the vectors of kind ``compat``: files that the encoder
wrote once, which stay as they are.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

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
    return vectors


def main() -> None:
    """Run the command."""
    vectors = write(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
    print(f"{len(vectors)} vectors", file=sys.stderr)


if __name__ == "__main__":
    main()
