#!/usr/bin/env python3
"""Run a decoder over the conformance vectors: ``run.py --decoder "CMD"`` (see README.md).

Needs Python and numpy, nothing of csgs_codec.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from conformance.checks.call import EXITS, Answer, Decoder, Server  # noqa: E402
from conformance.checks.compare import check_run  # noqa: E402

FLIP_OUTCOMES = {name[0]: name for name in EXITS}


@dataclass
class Result:
    """What came of one vector.

    Attributes
    ----------
    id, kind : str
    calls : int
    wrong : list of str
    alternate : list of str
        Outcomes that are allowed but not the usual ones.
    """

    id: str
    kind: str
    calls: int = 0
    wrong: list[str] = field(default_factory=list)
    alternate: list[str] = field(default_factory=list)


@dataclass
class Suite:
    """How vectors are run.

    Attributes
    ----------
    command : str
    server, feed : bool
    flips : int
        Of the bits of a file that is to be damaged bit by bit, every such one is.
    timeout : float
    """

    command: str
    server: bool = False
    feed: bool = False
    flips: int = 37
    timeout: float = 120.0
    _decoders: list[Decoder] = field(default_factory=list)
    _local: threading.local = field(default_factory=threading.local)

    def decoder(self) -> Decoder:
        """Return the decoder of this thread."""
        if not hasattr(self._local, "decoder"):
            self._local.decoder = (Server if self.server else Decoder)(self.command, self.timeout)
            self._decoders.append(self._local.decoder)
        return self._local.decoder

    def close(self) -> None:
        """End all decoders."""
        for decoder in self._decoders:
            decoder.close()

    def check(self, folder: Path) -> Result:
        """Run one vector."""
        descriptor = json.loads((folder / "test.json").read_text())
        result = Result(descriptor["id"], descriptor["kind"])
        source = folder / "input.csgs"
        data = source.read_bytes()
        if hashlib.sha256(data).hexdigest() != descriptor["input"]["sha256"]:
            result.wrong.append("input.csgs is not the file that test.json describes")
            return result
        runs = list(descriptor["runs"])
        if self.feed and runs:
            runs += [{**runs[0], "feed": size} for size in descriptor.get("feed", [])]
        for run in runs:
            answer = self.decoder().call(source, run)
            result.calls += 1
            said = _said(run)
            result.wrong += [f"{said}: {wrong}" for wrong in check_run(run, answer, folder)]
            if "exit" not in run and answer.exit != EXITS[run["outcome"][0]]:
                result.alternate.append(f"{said}: exit code {answer.exit}")
        if "flips" in descriptor:
            self._flip(data, descriptor["flips"], result)
        return result

    def _flip(self, data: bytes, outcomes: str, result: Result) -> None:
        """Damage a file bit by bit; each outcome is one letter."""
        with tempfile.TemporaryDirectory() as name:
            source = Path(name) / "damaged.csgs"
            for bit in range(0, len(outcomes), self.flips):
                damaged = bytearray(data)
                damaged[bit >> 3] ^= 1 << (bit & 7)
                source.write_bytes(damaged)
                answer = self.decoder().call(source, {})
                result.calls += 1
                result.wrong += _check_flip(bit, FLIP_OUTCOMES[outcomes[bit]], answer)


def _check_flip(bit: int, outcome: str, answer: Answer) -> list[str]:
    where = f"bit {bit & 7} of byte {bit >> 3} flipped"
    if answer.exit != EXITS[outcome]:
        return [f"{where}: exit code {answer.exit} instead of {EXITS[outcome]}"]
    if answer.ply is not None and outcome != "truncated":
        return [f"{where}: wrote a PLY although the file is damaged"]
    return []


def _said(run: dict[str, Any]) -> str:
    words = [f"level {run['level']}" if "level" in run else "all"]
    words += ["compensated"] if run.get("compensate") else []
    words += ["truncation allowed"] if run.get("allow_truncated") else []
    words += [f"fed {run['feed']}"] if "feed" in run else []
    return ", ".join(words)


def select(vectors: Path, profiles: list[str], wanted: str | None) -> list[Path]:
    """Return folders of the vectors that profiles list and a pattern matches."""
    folders = sorted(path.parent for path in vectors.glob("*/*/test.json"))
    listed = None
    for profile in profiles:
        path = Path(profile) if Path(profile).exists() else HERE / "profiles" / f"{profile}.txt"
        lines = (line.split("#")[0].strip() for line in path.read_text().splitlines())
        listed = (listed or set()) | {line for line in lines if line}
    names = {folder: f"{folder.parent.name}/{folder.name}" for folder in folders}
    if listed is not None:
        missing = listed - set(names.values())
        if missing:
            raise SystemExit(f"profiles list what is not there: {', '.join(sorted(missing))}")
        folders = [folder for folder in folders if names[folder] in listed]
    if wanted:
        folders = [folder for folder in folders if re.search(wanted, names[folder])]
    return folders


def run_all(suite: Suite, folders: list[Path], jobs: int = 1) -> list[Result]:
    """Run vectors, several at a time."""
    try:
        with ThreadPoolExecutor(jobs) as pool:
            return list(pool.map(suite.check, folders))
    finally:
        suite.close()


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 if all vectors pass."""
    parser = argparse.ArgumentParser(description="Run a decoder over the conformance vectors.")
    parser.add_argument("--decoder", required=True, metavar="CMD")
    parser.add_argument("--profile", action="append", default=[], help="name or file; repeatable")
    parser.add_argument("--filter", metavar="REGEX", help="of kind/id")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument(
        "--server", action="store_true", help="start CMD once, with --conformance-server"
    )
    parser.add_argument(
        "--feed", action="store_true", help="also feed inputs in pieces (CMD --feed BYTES)"
    )
    parser.add_argument("--flips", type=int, default=37, help="flip every so many bits (37)")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds for a call")
    parser.add_argument("--vectors", type=Path, default=HERE / "vectors")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    folders = select(options.vectors, options.profile, options.filter)
    suite = Suite(options.decoder, options.server, options.feed, options.flips, options.timeout)
    results = run_all(suite, folders, options.jobs)
    failed = [result for result in results if result.wrong]
    if options.json:
        print(json.dumps([vars(result) for result in results], indent=1))
    else:
        for result in failed:
            for wrong in result.wrong:
                print(f"FAIL {result.kind}/{result.id}: {wrong}")
        calls = sum(result.calls for result in results)
        other = sum(bool(result.alternate) for result in results)
        print(
            f"{len(results) - len(failed)} of {len(results)} vectors pass ({calls} calls; "
            f"{other} vectors with an outcome that is allowed but not the usual one)"
        )
    return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main())
