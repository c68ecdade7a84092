"""The educational decoder as a server: ``spec/educational_decoder/csgs_decode.py``, started once.

Without ``--conformance-server`` it is that program; with it, requests come one JSON object a line.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[2] / "spec" / "educational_decoder" / "csgs_decode.py"


def command() -> Callable[[list[str]], int]:
    """Return the main function of the program."""
    spec = importlib.util.spec_from_file_location("csgs_decode", PROGRAM)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def words(request: dict[str, object]) -> list[str]:
    """Return a request as arguments."""
    found = [str(request["input"]), str(request["ply"]), "--integers", str(request["integers"])]
    found += ["--level", str(request["level"])] if request.get("level") else []
    found += ["--allow-truncated"] if request.get("allow_truncated") else []
    return found + (["--no-compensation"] if request.get("no_compensation") else [])


def main() -> int:
    """Run the command."""
    decode = command()
    if sys.argv[1:] != ["--conformance-server"]:
        return decode(sys.argv[1:])
    for line in sys.stdin:
        with contextlib.redirect_stdout(io.StringIO()):
            code = decode(words(json.loads(line)))
        print(json.dumps({"exit": code}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
