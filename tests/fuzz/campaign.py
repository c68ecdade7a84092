"""Workers under a watchdog: counts what comes out, and goes on behind what kills a worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.worker import PULSE, STARTING

HANG_SECONDS = 5.0
_STUCK_SECONDS = 30.0
_STARTING_SECONDS = 300.0
_PIECE = 20_000
BACKENDS = {
    "numba": {},
    "numpy": {"CSGS_NO_NUMBA": "1"},
    "checked": {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": "{scratch}/checked"},
}


@dataclass
class Result:
    """What came out of one target on one back end.

    Attributes
    ----------
    findings : dict
        By what they have in common: how often, and the number of the first case.
    """

    target: str
    backend: str
    executions: int = 0
    seconds: float = 0.0
    peak: int = 0
    slowest: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: dict[str, tuple[int, int, str]] = field(default_factory=dict)

    def note(self, kind: str, number: int, text: str = "") -> None:
        """Add a finding."""
        count, first, told = self.findings.get(kind, (0, number, text))
        self.findings[kind] = (count + 1, first, told)

    def counted(self, *marks: str) -> int:
        """How many findings have one of some marks in their name."""
        return sum(n for kind, (n, _, _) in self.findings.items() if any(m in kind for m in marks))

    def to_json(self) -> dict[str, object]:
        """A JSON-able dictionary."""
        return {**vars(self), "outcomes": dict(sorted(self.outcomes.items()))}


@dataclass(frozen=True)
class Campaign:
    """Where things are, and the seed."""

    corpus: Path
    scratch: Path
    seed: int
    say: Callable[[str], None]

    def run(self, target: str, backend: str, count: int, first: int = 0) -> Result:
        """Run cases ``first`` to ``first + count - 1`` of a target."""
        result = Result(target, backend)
        begin = time.monotonic()
        at, end = first, first + count
        while at < end:
            piece = min(_PIECE, end - at)
            at = self._piece(result, at, piece)
            self.say(f"{target} {backend}: {at - first} of {count}, {len(result.findings)} kinds")
        result.executions, result.seconds = count, time.monotonic() - begin
        return result

    def _piece(self, result: Result, first: int, count: int) -> int:
        """Run one worker; return the number of the next case."""
        with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            pulse, log = Path(folder, "pulse"), Path(folder, "log")
            pulse.write_bytes(PULSE.pack(STARTING, time.monotonic_ns()))
            with open(log, "wb") as out, open(Path(folder, "err"), "w+b") as err:
                worker = subprocess.Popen(
                    self._command(result.target, first, count, pulse, Path(folder)),
                    env=self._environment(result.backend), stdout=out, stderr=err,
                )  # fmt: skip
                number, hung = _watch(worker, pulse)
                err.seek(0)
                errors = err.read()[-2000:].decode(errors="replace")
            self._read(result, log)
        if worker.returncode == 0:
            return first + count
        if number == STARTING:
            raise RuntimeError(f"worker does not start: {errors}")
        kind = "hang" if hung else f"killed by {signal.Signals(-worker.returncode).name}" if (
            worker.returncode < 0) else f"exit {worker.returncode}"  # fmt: skip
        result.note(kind, number, errors)
        return number + 1

    def _read(self, result: Result, log: Path) -> None:
        for line in log.read_text().splitlines():
            record = json.loads(line)
            if "finding" in record:
                result.note(record["finding"], record["number"], record["text"])
            result.peak = max(result.peak, record.get("peak", 0))
            if "outcomes" in record:
                result.outcomes.update(record["outcomes"])
                result.slowest = max(result.slowest, record["slowest"][0])

    def _command(self, target: str, first: int, count: int, pulse: Path, folder: Path) -> list[str]:
        return [
            sys.executable, "-m", "tests.fuzz.worker", target, "--seed", str(self.seed),
            "--first", str(first), "--count", str(count), "--corpus", str(self.corpus),
            "--pulse", str(pulse), "--scratch", str(folder),
        ]  # fmt: skip

    def _environment(self, backend: str) -> dict[str, str]:
        own = {k: v.format(scratch=self.scratch) for k, v in BACKENDS[backend].items()}
        return {**os.environ, **own}


def _watch(worker: subprocess.Popen[bytes], pulse: Path) -> tuple[int, bool]:
    """Wait for a worker; end it when a case takes too long. Return the last case, and whether."""
    seen, cpu, since = None, 0.0, time.monotonic()
    while True:
        try:
            worker.wait(0.5)
            return PULSE.unpack(pulse.read_bytes())[0], False
        except subprocess.TimeoutExpired:
            pass
        number = PULSE.unpack(pulse.read_bytes())[0]
        if number != seen:
            seen, cpu, since = number, _cpu_seconds(worker.pid), time.monotonic()
            continue
        waited = time.monotonic() - since
        worked = _cpu_seconds(worker.pid) - cpu
        starting = number == STARTING
        if waited > (_STARTING_SECONDS if starting else _STUCK_SECONDS) or (
            worked > HANG_SECONDS and not starting
        ):
            worker.kill()
            worker.wait()
            return number, True


def _cpu_seconds(pid: int) -> float:
    """Processor time of a process, so that a busy machine makes no hangs."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
