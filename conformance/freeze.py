#!/usr/bin/env python3
"""Freeze files of the encoder as vectors of kind ``compat``: ``python -m conformance.freeze NAME``.

NAME is a version of the bitstream; files of that name must not be there yet. Training depends on
the machine, so these files are kept, never made again: every later decoder must read them.
"""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from conformance.maker.vector import COMPENSATED_TOLERANCE, F4_TOLERANCE, F8_TOLERANCE, Vector
from csgs_codec import EncodeOptions, Scene, decode, encode, write_ply
from csgs_codec.container.kinds import LABEL_KINDS, GroupKind
from csgs_codec.decoder import parse
from csgs_codec.decoder.parser import Parser
from tests import scenes

KIND = "compat"
FOLDER = Path(__file__).resolve().parent / "vectors"
_COMPENSATED = (GroupKind.OPACITY, GroupKind.SCALE)


def _semantic() -> Scene:
    scene = scenes.with_semantics(scenes.inria(160, 1), "egolifter")
    return scenes.with_labels(scene, "uint8")


FILES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "semantic": ("SH, semantic features and labels", lambda: encode(_semantic()).data),
    "keep-order": (
        "Exact columns, other elements, original order",
        lambda: encode(scenes.decorated(60), EncodeOptions(order="keep")).data,
    ),
    "doubles": ("Positions in doubles", lambda: encode(scenes.utm_doubles(80)).data),
    "scaffold": ("Anchors with offsets and features", lambda: encode(scenes.scaffold(40)).data),
}


def vector(name: str, title: str, data: bytes) -> Vector:
    """Describe a file by what the decoder of today gives."""
    found = Vector(name, KIND, title, ["4", "5", "6", "7", "8", "9", "10"], data)
    found.feed = [7, 4096]
    parser = parse(data)
    last = len(parser.levels)
    for level in sorted({last, 1}, reverse=True):
        found.runs.append(_run(found, parser, level, level < last))
    return found


def _run(found: Vector, parser: Parser, level: int, lower: bool) -> dict[str, Any]:
    plain = decode(found.data, level=level, verify=True, compensate=False)
    compensated = parser.levels[level - 1].compensation.active
    wanted = decode(found.data, level=level) if compensated else plain
    ply = io.BytesIO()
    write_ply(ply, wanted)
    name = f"level{level}{'.compensated' if compensated else ''}.ply"
    found.files[name] = ply.getvalue()
    exact = _exact(parser, level)
    run: dict[str, Any] = {"level": level} if lower else {}
    run |= {"compensate": True} if compensated else {}
    return run | {
        "outcome": ["ok"],
        "reached": level,
        "levels": len(parser.levels),
        "gaussians": plain.count,
        "digests": [entry.digest.hex() for entry in parser.levels[:level]],
        "columns": {n: _said(c, n in exact) for n, c in plain.columns.items()},
        "ply": name,
        "within": _within(parser, wanted, exact, compensated),
    }


def _exact(parser: Parser, level: int) -> set[str]:
    manifest = parser.manifest
    names = set(manifest.constants)
    if level == len(parser.levels):
        names |= {*manifest.extras, *manifest.exact}
    for declared, named in zip(parser.header.groups, manifest.groups, strict=True):
        names |= set(named.columns) if declared.kind in LABEL_KINDS else set()
    return names


def _said(column: np.ndarray, exact: bool) -> dict[str, str]:
    said = {"type": f"{column.dtype.kind}{column.dtype.itemsize}"}
    if exact:
        little = column.astype(column.dtype.newbyteorder("<"))
        said["sha256"] = hashlib.sha256(little.tobytes()).hexdigest()
    return said


def _within(parser: Parser, scene: Scene, exact: set[str], compensated: bool) -> dict[str, float]:
    within = {}
    for declared, named in zip(parser.header.groups, parser.manifest.groups, strict=True):
        held = [name for name in named.columns if name in scene.columns and name not in exact]
        largest = max((float(np.abs(scene.columns[n]).max(initial=0)) for n in held), default=0.0)
        for name in held:
            power = F8_TOLERANCE if scene.columns[name].dtype == np.float64 else F4_TOLERANCE
            if compensated and declared.kind in _COMPENSATED:
                power = COMPENSATED_TOLERANCE
            within[name] = largest * 2.0**-power
    return within


def main() -> None:
    """Run the command."""
    (version,) = sys.argv[1:]
    for name, (title, make) in FILES.items():
        vector(f"{version}-{name}", f"{title}, as version {version} wrote it", make()).write(FOLDER)


if __name__ == "__main__":
    main()
