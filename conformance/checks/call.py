"""Calls of a decoder: a process for each, or one process that answers requests."""

from __future__ import annotations

import json
import shlex
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EXITS = {"ok": 0, "truncated": 3, "corrupt": 4, "unsupported": 5, "limit": 6}


@dataclass(frozen=True)
class Answer:
    """What a decoder did.

    Attributes
    ----------
    exit : int
    report : dict, optional
        Contents of the file of ``--integers``.
    ply : bytes, optional
    litter : list of str
        Other files that it left behind.
    """

    exit: int
    report: dict[str, Any] | None
    ply: bytes | None
    litter: list[str]


class Decoder:
    """A decoder as a command; every call is a process of its own.

    Parameters
    ----------
    command : str
    timeout : float
        Seconds for a call.
    """

    def __init__(self, command: str, timeout: float) -> None:
        self._command, self._timeout = shlex.split(command), timeout

    def call(self, source: Path, run: dict[str, Any]) -> Answer:
        """Decode a file as a run of a descriptor says."""
        with tempfile.TemporaryDirectory() as folder:
            ply, integers = Path(folder) / "out.ply", Path(folder) / "out.json"
            code = self._exit(source, ply, integers, run)
            report = None
            if integers.exists():
                try:
                    report = json.loads(integers.read_bytes())
                except ValueError:
                    report = {"outcome": "a report that is not JSON"}
            litter = [p.name for p in Path(folder).iterdir() if p not in (ply, integers)]
            return Answer(code, report, ply.read_bytes() if ply.exists() else None, litter)

    def _exit(self, source: Path, ply: Path, integers: Path, run: dict[str, Any]) -> int:
        words = [*self._command, str(source), str(ply), "--integers", str(integers)]
        words += ["--level", str(run["level"])] if "level" in run else []
        words += ["--feed", str(run["feed"])] if "feed" in run else []
        words += ["--allow-truncated"] if run.get("allow_truncated") else []
        words += [] if run.get("compensate") else ["--no-compensation"]
        try:
            return subprocess.run(
                words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                timeout=self._timeout, check=False,
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired:
            return -1

    def close(self) -> None:
        """End what runs."""


class Server(Decoder):
    """A decoder that is started once, with ``--conformance-server``."""

    def __init__(self, command: str, timeout: float) -> None:
        super().__init__(command, timeout)
        self._process: subprocess.Popen[str] | None = None

    def _exit(self, source: Path, ply: Path, integers: Path, run: dict[str, Any]) -> int:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [*self._command, "--conformance-server"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                text=True,
            )  # fmt: skip
        request = {"input": str(source), "ply": str(ply), "integers": str(integers)}
        request |= {key: run[key] for key in ("level", "feed", "allow_truncated") if key in run}
        request["no_compensation"] = not run.get("compensate")
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self.close()
            return -1
        return int(json.loads(line)["exit"])

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
