"""What a decoder did against what a descriptor expects; differences come back as sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from conformance.checks import ply
from conformance.checks.call import EXITS, Answer

DECODED = {0, EXITS["truncated"]}


def check_run(run: dict[str, Any], answer: Answer, folder: Path) -> list[str]:
    """Compare one run.

    Parameters
    ----------
    run : dict
        Of the descriptor.
    answer : Answer
    folder : Path
        Of the vector, with the expected PLYs.

    Returns
    -------
    list of str
        Differences.
    """
    allowed = run.get("exit") or [EXITS[outcome] for outcome in run["outcome"]]
    if answer.exit not in allowed:
        return [f"exit code {answer.exit} instead of {' or '.join(map(str, allowed))}"]
    wrong = [f"left {name} behind" for name in answer.litter]
    report = answer.report
    if report is None:
        return [*wrong, "no report of integers"]
    outcomes = [o for o in run["outcome"] if "exit" in run or EXITS[o] == answer.exit]
    if report.get("outcome") not in outcomes:
        wrong.append(f"outcome {report.get('outcome')!r} instead of {' or '.join(outcomes)}")
    nothing = run.get("or_nothing") and report.get("level") == 0
    if "reached" in run and answer.exit in DECODED and not nothing:
        return wrong + _decoded(run, report, answer, folder)
    if answer.exit == 0:
        return wrong
    if answer.ply is not None:
        wrong.append("wrote a PLY although nothing is decoded")
    if report.get("level") != 0:
        wrong.append(f"level {report.get('level')!r} instead of 0")
    if report.get("columns"):
        wrong.append("reports columns although nothing is decoded")
    return wrong


def _decoded(
    run: dict[str, Any], report: dict[str, Any], answer: Answer, folder: Path
) -> list[str]:
    wrong = []
    for key, expected in (
        ("level", run["reached"]),
        ("levels", run["levels"]),
        ("gaussians", run["gaussians"]),
        ("digests", run["digests"]),
    ):
        if report.get(key) != expected:
            wrong.append(f"{key}: {_short(report.get(key))} instead of {_short(expected)}")
    wrong += _columns(run["columns"], report.get("columns") or {})
    if answer.ply is None:
        return [*wrong, "no PLY"]
    try:
        found = ply.read(answer.ply)
    except (ValueError, KeyError, IndexError, UnicodeDecodeError) as error:
        return [*wrong, f"the PLY cannot be read: {error}"]
    return wrong + _same_ply(found, ply.read((folder / run["ply"]).read_bytes()), run["within"])


def _columns(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    wrong = []
    for name in sorted(expected.keys() ^ found.keys()):
        wrong.append(f"column {name} is {'missing' if name in expected else 'too much'}")
    for name in expected.keys() & found.keys():
        for key, value in expected[name].items():
            if found[name].get(key) != value:
                wrong.append(f"column {name}: {key} {_short(found[name].get(key))}")
    return wrong


def _same_ply(found: ply.Ply, expected: ply.Ply, within: dict[str, float]) -> list[str]:
    wrong = [
        f"PLY: {key} {_short(getattr(found, key))} instead of {_short(getattr(expected, key))}"
        for key in ("format", "comments", "obj_info")
        if getattr(found, key) != getattr(expected, key)
    ]
    names = [e.name for e in expected.elements]
    if [e.name for e in found.elements] != names:
        return [*wrong, f"PLY: elements {[e.name for e in found.elements]} instead of {names}"]
    for mine, other in zip(found.elements, expected.elements, strict=True):
        where = f"PLY element {mine.name}"
        for key in ("count", "properties", "comments", "rows"):
            if getattr(mine, key) != getattr(other, key):
                wrong.append(f"{where}: {key} differ")
        if mine.properties == other.properties and mine.count == other.count:
            wrong += [
                f"{where}: {said}"
                for name, values in other.columns.items()
                if (said := _same_values(name, mine.columns[name], values, within.get(name)))
            ]
    return wrong


def _same_values(
    name: str, found: np.ndarray, expected: np.ndarray, within: float | None
) -> str | None:
    """Say how two columns differ, if they do."""
    a, b = found.astype("f8"), expected.astype("f8")
    same = (a == b) & (np.signbit(a) == np.signbit(b)) | (np.isnan(a) & np.isnan(b))
    if within is not None:
        with np.errstate(invalid="ignore"):
            same |= np.abs(a - b) <= within
    if same.all():
        return None
    row = int(np.flatnonzero(~same)[0])
    allowed = "" if within is None else f" (within {within:.3g})"
    return f"{name}[{row}] is {found[row]!r} instead of {expected[row]!r}{allowed}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 100 else f"{text[:97]}..."
