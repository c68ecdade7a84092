"""A decoder that lies in one way: ``liar.py LIE IN.csgs OUT.ply --integers OUT.json ...``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conformance.decoders.production import Call, arguments


def report(edit: Callable[[dict[str, Any]], object]) -> Callable[[Path, Path], None]:
    """A lie in the report."""

    def lie(ply: Path, integers: Path) -> None:
        said = json.loads(integers.read_text())
        edit(said)
        integers.write_text(json.dumps(said))

    return lie


def scene(old: bytes, new: bytes) -> Callable[[Path, Path], None]:
    """A lie in the PLY."""

    def lie(ply: Path, integers: Path) -> None:
        data = ply.read_bytes()
        assert old in data
        ply.write_bytes(data.replace(old, new, 1))

    return lie


def flip(place: int) -> Callable[[Path, Path], None]:
    """A byte of the PLY, from its end, changed."""

    def lie(ply: Path, integers: Path) -> None:
        data = bytearray(ply.read_bytes())
        data[-place] ^= 0x40
        ply.write_bytes(data)

    return lie


def column(said: dict[str, Any], name: str, key: str, value: str) -> None:
    """Change what is said of a column."""
    said["columns"][name][key] = value


LIES: dict[str, Callable[[Path, Path], object]] = {
    "honest": lambda p, i: None,
    "digest": report(lambda r: r["digests"].__setitem__(0, "0" * 64)),
    "digest-missing": report(lambda r: r["digests"].pop()),
    "level": report(lambda r: r.update(level=r["level"] + 1)),
    "levels": report(lambda r: r.update(levels=r["levels"] + 1)),
    "gaussians": report(lambda r: r.update(gaussians=r["gaussians"] - 1)),
    "outcome": report(lambda r: r.update(outcome="truncated")),
    "column-hash": report(lambda r: column(r, "label", "sha256", "0" * 64)),
    "column-type": report(lambda r: column(r, "x", "type", "f8")),
    "column-missing": report(lambda r: r["columns"].pop("y")),
    "column-more": report(lambda r: r["columns"].update(w={"type": "f4"})),
    "no-report": lambda p, i: i.unlink(),
    "no-ply": lambda p, i: p.unlink(),
    "value-float": flip(2),
    "value-label": flip(26),
    "short": lambda p, i: p.write_bytes(p.read_bytes()[:-1]),
    "long": lambda p, i: p.write_bytes(p.read_bytes() + b"\0"),
    "name": scene(b"float y", b"float w"),
    "type": scene(b"int label", b"uint label"),
    "count": scene(b"element vertex 27", b"element vertex 26"),
    "comment": scene(b"element", b"comment more\nelement"),
    "litter": lambda p, i: p.with_suffix(".tmp").write_bytes(b""),
    "writes-on-failure": lambda p, i: p.write_bytes(b"ply\n"),
    "level-on-failure": report(lambda r: r.update(level=1)),
    "columns-on-failure": report(lambda r: r.update(columns={"x": {"type": "f4"}})),
}
EXITS = {"exit-0": 0, "exit-3": 3, "exit-4": 4, "exit-1": 1}


def main() -> int:
    """Run the command."""
    lie, *rest = sys.argv[1:]
    options = arguments().parse_args(rest)
    code = Call(options).run()
    if lie in EXITS:
        return EXITS[lie]
    LIES[lie](Path(options.output), Path(options.integers))
    return code


if __name__ == "__main__":
    sys.exit(main())
