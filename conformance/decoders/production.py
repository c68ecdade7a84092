"""csgs_codec behind the command line of the conformance suite (README.md, "Decoders").

``python -m conformance.decoders.production IN.csgs [OUT.ply] [--level L] ...``; with
``--conformance-server`` it answers requests, one JSON object a line.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from csgs_codec.decoder import load
from csgs_codec.decoder.parser import Parser
from csgs_codec.decoder.reconstruct import reconstruct
from csgs_codec.decoder.scene_decoder import SceneDecoder
from csgs_codec.decoder.stream import StreamDecoder
from csgs_codec.errors import (
    CorruptError,
    CsgsError,
    LimitError,
    TruncatedError,
    UnsupportedError,
)
from csgs_codec.io.atomic import atomic_write
from csgs_codec.io.ply import write_ply
from csgs_codec.scene import Scene

OUTCOMES: list[tuple[type[CsgsError], str, int]] = [
    (TruncatedError, "truncated", 3),
    (CorruptError, "corrupt", 4),
    (UnsupportedError, "unsupported", 5),
    (LimitError, "limit", 6),
]


class Call:
    """One call of the decoder."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.parser = Parser()
        self.outcome, self.exit, self.level = "ok", 0, 0
        self.plain: Scene | None = None
        self.wanted: Scene | None = None

    def run(self) -> int:
        """Decode, write what is asked for, and return the exit code."""
        try:
            self._decode()
        except CsgsError as error:
            self.level, self.plain, self.wanted = 0, None, None
            self._fail(error)
        if self.wanted is not None and self.options.output:
            with atomic_write(Path(self.options.output), True) as stream:
                write_ply(stream, self.wanted)
        if self.options.integers:
            with atomic_write(Path(self.options.integers), True) as stream:
                stream.write(json.dumps(self._report()).encode())
        return self.exit

    def _fail(self, error: CsgsError) -> None:
        found = next(((o, e) for kind, o, e in OUTCOMES if isinstance(error, kind)), None)
        if found is None:
            raise error
        self.outcome, self.exit = found
        print(f"{self.outcome}: {error}", file=sys.stderr)

    def _decode(self) -> None:
        data = load(self.options.input)
        if self.options.feed:
            self._feed(bytes(data))
        self.parser.advance(data)
        level, complete = self.options.level, len(self.parser.complete)
        if self.parser.prelude_done and level and level > len(self.parser.levels):
            raise UnsupportedError(f"there is no level {level}")
        if level is None or level > complete:
            try:
                self.parser.require_end(len(data))
            except TruncatedError as error:
                if level is not None or not complete:
                    raise
                self._fail(error)
                if self.options.allow_truncated:
                    self.exit = 0
            if level is not None and level > complete:
                raise TruncatedError("file ends before the level is complete", level=level)
        self.level = level or complete
        decoder = SceneDecoder(self.parser)
        for number in range(self.level):
            decoder.decode_to(number + 1, verify=True)
        self.plain = reconstruct(self.parser, decoder, compensate=False)
        compensate = not self.options.no_compensation
        self.wanted = (
            reconstruct(self.parser, decoder, compensate=True) if compensate else self.plain
        )

    def _feed(self, data: bytes) -> None:
        """Decode from pieces as well; the levels must come when their bytes are there."""
        stream, handed = StreamDecoder(), 0
        for at in range(0, len(data), self.options.feed):
            handed += len(stream.feed(data[at : at + self.options.feed]))
            known = min(at + self.options.feed, len(data))
            reached = sum(entry.end <= known for entry in self._table(stream))
            if handed != reached:
                raise AssertionError(f"{handed} levels after {known} bytes instead of {reached}")

    @staticmethod
    def _table(stream: StreamDecoder) -> list[Any]:
        return stream.parser.levels if stream.parser.prelude_done else []

    def _report(self) -> dict[str, Any]:
        levels = getattr(self.parser, "levels", [])
        report: dict[str, Any] = {
            "outcome": self.outcome,
            "level": self.level,
            "levels": len(levels),
            "gaussians": levels[self.level - 1].gaussians if self.level else 0,
            "digests": [entry.digest.hex() for entry in levels[: self.level]],
        }
        if self.plain is not None:
            report["columns"] = {n: _said(c) for n, c in self.plain.columns.items()}
        return report


def _said(column: np.ndarray) -> dict[str, str]:
    little = np.ascontiguousarray(column, column.dtype.newbyteorder("<"))
    kind = f"{column.dtype.kind}{column.dtype.itemsize}"
    return {"type": kind, "sha256": hashlib.sha256(little.tobytes()).hexdigest()}


def serve() -> None:
    """Answer requests until the input ends."""
    for line in sys.stdin:
        request = json.loads(line)
        options = arguments().parse_args([request["input"]])
        options.output = request.get("ply")
        for name in ("level", "feed", "integers", "allow_truncated", "no_compensation"):
            setattr(options, name, request.get(name))
        print(json.dumps({"exit": Call(options).run()}), flush=True)


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description="Decode a CSGS file to a PLY.")
    parser.add_argument("input")
    parser.add_argument("output", nargs="?")
    parser.add_argument("--level", type=int)
    parser.add_argument("--no-compensation", action="store_true")
    parser.add_argument("--allow-truncated", action="store_true")
    parser.add_argument("--integers")
    parser.add_argument("--feed", type=int)
    return parser


def main() -> int:
    """Run the command."""
    if sys.argv[1:] == ["--conformance-server"]:
        serve()
        return 0
    return Call(arguments().parse_args()).run()


if __name__ == "__main__":
    sys.exit(main())
