"""Vectors: an input, what is expected of a decoder, and the files that say so."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from conformance.maker import ply
from conformance.maker.coder import Coded
from conformance.maker.reference import Columns, columns_at

EXIT = {"ok": 0, "truncated": 3, "corrupt": 4, "unsupported": 5, "limit": 6}
F4_TOLERANCE, F8_TOLERANCE, COMPENSATED_TOLERANCE = 20, 46, 14


@dataclass
class Vector:
    """One vector.

    Attributes
    ----------
    id, kind, title : str
    sections : list of str
        Of the specification; ``N`` before those of the numerics.
    data : bytes
        The input.
    seed : int
    rule : str
        What an invalid file violates, in the words of the specification.
    runs : list of dict
        Calls of a decoder and what they must give.
    files : dict of str to bytes
        Expected PLYs.
    feed : list of int
        Sizes of the pieces in which the input may be fed.
    note : str
    """

    id: str
    kind: str
    title: str
    sections: list[str]
    data: bytes
    seed: int = 0
    rule: str = ""
    runs: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    feed: list[int] = field(default_factory=list)
    flips: str = ""
    note: str = ""

    def descriptor(self) -> dict[str, Any]:
        """Return the contents of test.json."""
        found: dict[str, Any] = {
            "id": self.id,
            "kind": self.kind,
            "title": self.title,
            "sections": self.sections,
            "input": {
                "bytes": len(self.data),
                "sha256": hashlib.sha256(self.data).hexdigest(),
                "seed": self.seed,
            },
            "runs": self.runs,
        }
        for key, value in (
            ("rule", self.rule),
            ("feed", self.feed),
            ("flips", self.flips),
            ("note", self.note),
        ):
            if value:
                found[key] = value
        return found

    def write(self, folder: Path) -> None:
        """Write the vector's folder below ``folder``."""
        place = folder / self.kind / self.id
        place.mkdir(parents=True)
        (place / "input.csgs").write_bytes(self.data)
        (place / "test.json").write_text(_json(self.descriptor()))
        for name, data in self.files.items():
            (place / name).write_bytes(data)


def _json(descriptor: dict[str, Any]) -> str:
    """A line for each member and for each member of a run."""
    members = []
    for name, value in descriptor.items():
        text = json.dumps(value)
        if name == "runs":
            runs = [
                ",\n".join(f'   "{key}": {json.dumps(said)}' for key, said in run.items())
                for run in value
            ]
            text = "[\n" + ",\n".join(f"  {{\n{run}\n  }}" for run in runs) + "\n ]"
        members.append(f' "{name}": {text}')
    return "{\n" + ",\n".join(members) + "\n}\n"


def failing(outcomes: list[str], **call: object) -> dict[str, Any]:
    """Return a run in which nothing is decoded; the first outcome is the usual one."""
    return {**call, "outcome": outcomes}


def decoding(
    vector: Vector,
    coded: Coded,
    reached: int,
    *,
    compensate: bool = False,
    outcome: str | list[str] = "ok",
    **call: object,
) -> None:
    """Add a run that gives a level.

    Parameters
    ----------
    vector : Vector
    coded : Coded
    reached : int
        The level that is decoded.
    compensate : bool
        Whether the PLY is compensated.
    outcome : str or list of str
    **call
        What else the call says: ``level``, ``allow_truncated``, ``exit``.
    """
    run: dict[str, Any] = dict(call)
    run["outcome"] = [outcome] if isinstance(outcome, str) else outcome
    entry = coded.file.levels[reached - 1]
    found = columns_at(coded, reached, compensate)
    plain = columns_at(coded, reached, False) if compensate else found
    if compensate:
        run["compensate"] = True
    run["reached"] = reached
    run["levels"] = len(coded.file.levels)
    run["gaussians"] = entry.gaussians
    run["digests"] = [one.digest.hex() for one in coded.file.levels[:reached]]
    run["columns"] = {name: _column(plain, name) for name in plain.values}
    name = f"level{reached}{'.compensated' if compensate else ''}.ply"
    run["ply"] = name
    run["within"] = _tolerances(coded, found)
    vector.files[name] = ply.write(found, coded.plan.layout)
    vector.runs.append(run)


def _column(columns: Columns, name: str) -> dict[str, str]:
    """Type of a column, and its hash where every decoder gives the same bits."""
    said = {"type": columns.types[name]}
    if name in columns.bits:
        said["sha256"] = hashlib.sha256(columns.values[name].tobytes()).hexdigest()
    return said


def _tolerances(coded: Coded, columns: Columns) -> dict[str, float]:
    """Largest absolute error of each column that is not exact."""
    largest: dict[int, float] = {}
    for name, group in columns.groups.items():
        values = np.abs(columns.values[name].astype(np.float64))
        finite = values[np.isfinite(values)]
        largest[group] = max(largest.get(group, 0.0), float(finite.max(initial=0.0)))
    within = {}
    for name, group in columns.groups.items():
        if name not in columns.bits:
            power = F8_TOLERANCE if columns.types[name] == "f8" else F4_TOLERANCE
            if columns.compensated and coded.plan.groups[group].kind in (1, 2):
                power = COMPENSATED_TOLERANCE
            within[name] = largest[group] * 2.0**-power
    return within


def good(
    id_: str,
    kind: str,
    title: str,
    sections: str,
    coded: Coded,
    *,
    levels: tuple[int, ...] = (),
    plain: tuple[int, ...] = (),
    feed: bool = False,
    note: str = "",
) -> Vector:
    """Return a vector of a file that decodes.

    Parameters
    ----------
    id_, kind, title : str
    sections : str
        Separated by spaces.
    coded : Coded
    levels : tuple of int
        Levels that are asked for besides the last, compensated where the file says so.
    plain : tuple of int
        Levels that are asked for without compensation.
    feed : bool
        Whether the file may be fed in pieces.
    """
    vector = Vector(
        id_, kind, title, sections.split(), coded.file.data(), coded.plan.seed, note=note
    )
    decoding(vector, coded, len(coded.file.levels))
    for level in levels:
        active = level in coded.plan.compensation
        decoding(vector, coded, level, compensate=active, level=level)
    for level in plain:
        decoding(vector, coded, level, level=level)
    if feed:
        vector.feed = [1, 7, 4096]
    return vector
