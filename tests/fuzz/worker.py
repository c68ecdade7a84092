"""Runs cases one after another and says which one it is at; ended from outside if it hangs.

A case is known by target, seed and number, so a worker that dies needs to leave nothing behind but
the number.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import mmap
import resource
import struct
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from random import Random

import csgs_codec
from tests.fuzz import corpus
from tests.fuzz.targets import Targets

MEMORY = 2 << 30
PULSE = struct.Struct("<qq")
STARTING = -1


def case(seed: int, target: str, number: int) -> Random:
    """The randomness of one case."""
    return Random(f"{seed}/{target}/{number}")


def signature(error: BaseException) -> str:
    """Type of an error and the innermost place of the codec that it passed."""
    ours = str(Path(csgs_codec.__file__).parent)
    frames = traceback.extract_tb(error.__traceback__)
    inside = [f for f in frames if f.filename.startswith(ours)]
    where = inside[-1] if inside else frames[-1]
    return f"{type(error).__name__} in {Path(where.filename).name}:{where.name}"


def peak() -> int:
    """Most memory that this process has held, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def run(arguments: argparse.Namespace) -> None:
    """Run the cases ``first`` to ``first + count - 1``; report as JSON lines."""
    faulthandler.enable()
    warnings.simplefilter("error", RuntimeWarning)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    with (
        open(arguments.pulse, "r+b") as stream,
        mmap.mmap(stream.fileno(), PULSE.size) as pulse,
        tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch,
    ):
        pulse[:] = PULSE.pack(STARTING, time.monotonic_ns())
        target = Targets(corpus.load(arguments.corpus), Path(scratch)).named()[arguments.target]
        outcomes: Counter[str] = Counter()
        slowest = (0.0, -1)
        held = peak()
        for number in range(arguments.first, arguments.first + arguments.count):
            begin = time.perf_counter()
            pulse[:] = PULSE.pack(number, time.monotonic_ns())
            try:
                outcomes[target(case(arguments.seed, arguments.target, number))] += 1
            except BaseException as error:
                outcomes["finding"] += 1
                said = "".join(traceback.format_exception(error)[-8:])
                say(finding=signature(error), number=number, text=said)
                if isinstance(error, KeyboardInterrupt):
                    break
            slowest = max(slowest, (time.perf_counter() - begin, number))
            if peak() > held + (64 << 20):
                held = peak()
                say(peak=held, number=number)
        say(outcomes=dict(outcomes), slowest=slowest, peak=peak())


def say(**record: object) -> None:
    """One line of the report."""
    print(json.dumps(record), flush=True)


def main() -> None:
    """Read the command line of the campaign."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    for name in ("--seed", "--first", "--count"):
        parser.add_argument(name, type=int, required=True)
    for name in ("--corpus", "--pulse", "--scratch"):
        parser.add_argument(name, type=Path, required=True)
    run(parser.parse_args())


if __name__ == "__main__":
    main()
