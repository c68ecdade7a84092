"""What is done with a hostile file, and what may come out of it.

A target takes a seeded generator and returns the outcome: the name of an error of the codec, or
``decoded``. Any other exception is a finding.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from csgs_codec import (
    CsgsError,
    Scene,
    TruncatedError,
    decode,
    probe,
    read_attachments,
    read_ply,
    select,
    truncate,
)
from csgs_codec import open as open_stream
from csgs_codec.decoder import decode_columns, parse
from csgs_codec.decoder.reconstruct import reconstruct
from csgs_codec.decoder.scene_decoder import SceneDecoder
from csgs_codec.decoder.spending import count_bits
from csgs_codec.io.ply import elements_from_ply_bytes, write_ply
from csgs_codec.io.sidecars import merge_sidecar
from csgs_codec.numerics import backend
from csgs_codec.semantics.heads import head_from_bytes
from tests.fuzz.corpus import NUMPY_ROWS, Corpus
from tests.fuzz.csgs import mutate_file, with_digests
from tests.fuzz.ply import mutate_ply
from tests.fuzz.sidecars import mutate_sidecar
from tests.fuzz.streams import Streams, draw

OTHER_BACKEND = 0.25
_SELECTIONS = (
    "all", "id=1", "id=1,2@label", "name=floor", "!name=chair", "class=1", "x>0", "label==1",
    "box=-1,-1,-1,1,1,1",
)  # fmt: skip


class SilentSuccess(Exception):
    """Something was decoded that is not what was encoded, or differs between back ends."""


@contextlib.contextmanager
def only(name: str) -> Iterator[None]:
    """Use one back end, ``numba`` or ``numpy``."""
    before = os.environ.get("CSGS_NO_NUMBA", "0")
    os.environ["CSGS_NO_NUMBA"] = "1" if name == "numpy" else "0"
    backend.kernels.cache_clear()
    try:
        yield
    finally:
        os.environ["CSGS_NO_NUMBA"] = before
        backend.kernels.cache_clear()


class _Witness(SceneDecoder):
    """Notes the digests of the levels instead of comparing them, and the integers besides."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.digests: list[bytes] = []
        self._chain = b""

    def _check_digest(self, chain: list[bytes]) -> None:
        self._chain = hashlib.sha256(self._chain + b"".join(chain)).digest()
        self.digests.append(self._chain)

    def integers(self) -> bytes:
        """Hash of everything that was decoded, tile by tile."""
        digest = hashlib.blake2b()
        for index in sorted(self._tiles):
            tile = self._tiles[index]
            digest.update(tile.keys.tobytes())
            for group in sorted(tile._values):
                digest.update(tile._values[group].tobytes())
        for name, column in sorted(self.exact.columns.items()):
            digest.update(name.encode() + column.tobytes())
        return digest.digest()


class Targets:
    """The targets over one corpus.

    Parameters
    ----------
    corpus : Corpus
    folder : Path
        For files that must be on a disk to be read; better in memory.
    """

    def __init__(self, corpus: Corpus, folder: Path) -> None:
        self._files = corpus.of(".csgs")
        self._plys = corpus.of(".ply")
        suffixes = (".npy", ".npz", ".pt")
        arrays = {name: corpus.files[name] for name in corpus.names(*suffixes, ".safetensors")}
        self._heads = {name: data for name, data in arrays.items() if name.startswith("head")}
        self._sidecars = {n: d for n, d in arrays.items() if n not in self._heads}
        self._streams = Streams(self._files)
        self._folder = folder
        rows = {axis: np.arange(NUMPY_ROWS, dtype=np.float32) for axis in "xyz"}
        self._scene = Scene(rows)
        self._integers: dict[bytes, bytes] = {}
        for data in self._files:
            witness = witnessed(data)
            self._integers[witness.digests[-1]] = witness.integers()

    def named(self) -> dict[str, Callable[[Random], str]]:
        """The targets by name."""
        return {
            "parse": self.parse,
            "decode": self.decode,
            "partial": self.partial,
            "streams": self.streams,
            "ply": self.ply,
            "sidecars": self.sidecars,
            "heads": self.heads,
        }

    def parse(self, random: Random) -> str:
        """Describe a file."""
        return outcome_of(lambda: parse_all(mutate_file(random, self._files)))

    def decode(self, random: Random) -> str:
        """Decode a file with and without digests; now and then on the other back end."""
        data = mutate_file(random, self._files)
        return decode_everywhere(data, random.random() < OTHER_BACKEND, self._integers)

    def partial(self, random: Random) -> str:
        """Everything else that reads a file."""
        data = mutate_file(random, self._files)
        return outcome_of(lambda: random.choice(PARTIAL)(random, data))

    def streams(self, random: Random) -> str:
        """One stream, on both back ends."""
        return agreed(draw(random, self._streams))

    def ply(self, random: Random) -> str:
        """Read a PLY; what was read must come back when it is written and read again."""
        data = mutate_ply(random, self._plys)
        if random.random() < 0.2:
            return outcome_of(lambda: elements_from_ply_bytes(data))
        return outcome_of(lambda: reread_ply(data, self._folder))

    def sidecars(self, random: Random) -> str:
        """Merge a file with arrays; nothing may be run."""
        trap = self._folder / "trap"
        suffix, data = mutate_sidecar(random, self._sidecars, str(trap))
        result = outcome_of(lambda: merge_bytes(self._scene, suffix, data, self._folder))
        if trap.exists():
            trap.rmdir()
            raise SilentSuccess("a pickle was run")
        return result

    def heads(self, random: Random) -> str:
        """Read an attachment as a linear head."""
        trap = self._folder / "trap"
        suffix, data = mutate_sidecar(random, self._heads, str(trap))
        result = outcome_of(lambda: head_from_bytes(f"head.{suffix}", data))
        if trap.exists():
            trap.rmdir()
            raise SilentSuccess("a pickle was run")
        return result


def outcome_of(action: Callable[[], object]) -> str:
    """Name of the error, ``decoded`` without one."""
    try:
        action()
    except CsgsError as error:
        str(error)
        return type(error).__name__
    return "decoded"


def agreed(run: Callable[[list[Any]], None]) -> str:
    """Outcome of both back ends, which must be the same, and so must what they give."""
    given: dict[str, list[Any]] = {"numba": [], "numpy": []}
    outcomes = []
    for name, found in given.items():
        with only(name):
            outcomes.append(outcome_of(lambda found=found: run(found)))
    read = [[np.ascontiguousarray(array).tobytes() for array in found] for found in given.values()]
    if outcomes[0] != outcomes[1] or read[0] != read[1]:
        raise SilentSuccess(f"numba: {outcomes[0]}, numpy: {outcomes[1]}")
    return outcomes[0]


def parse_all(data: bytes) -> None:
    """Describe a file and check its end."""
    probe(data).to_json()
    parse(data).require_end(len(data))


def witnessed(data: bytes) -> _Witness:
    """Decode a file that may be cut, without comparing digests; integers are kept."""
    parser = parse(data)
    if not parser.complete:
        raise TruncatedError("no level is complete")
    witness = _Witness(parser)
    witness.decode_to(len(parser.complete), verify=True)
    return witness


def decode_everywhere(data: bytes, other: bool, known: dict[bytes, bytes]) -> str:
    """Decode with digests not checked and checked; compare what comes out.

    Parameters
    ----------
    data : bytes
    other : bool
        Whether the other back end is asked as well.
    known : dict
        Hash of the integers of intact files by the digest of their last level.
    """
    found: list[_Witness] = []

    def run() -> None:
        witness = witnessed(data)
        found.append(witness)
        scene = reconstruct(witness._parser, witness)
        if any(len(column) != scene.count for column in scene.columns.values()):
            raise SilentSuccess("columns of different lengths")
        write_ply(io.BytesIO(), scene)

    with only("numba"):
        first = outcome_of(run)
        if found:
            _verified(data, found[0], known)
    if other:
        with only("numpy"):
            second = outcome_of(run)
        if first != second or (found and found[0].digests != found[-1].digests):
            raise SilentSuccess(f"numba: {first}, numpy: {second}")
        if first == "decoded":
            _with_right_digests(data, found[0])
    return first


def _verified(data: bytes, witness: _Witness, known: dict[bytes, bytes]) -> None:
    """A decoder that checks digests must refuse what has others than the table says."""
    parser = witness._parser
    told = [level.digest for level in parser.levels[: len(parser.complete)]]
    try:
        decode(data, allow_truncated=True, verify=True)
        accepted = True
    except CsgsError:
        accepted = False
    if accepted and told != witness.digests:
        raise SilentSuccess("digests differ, but the file was accepted")
    same = known.get(witness.digests[-1]) if witness.digests else None
    if accepted and same is not None and same != witness.integers():
        raise SilentSuccess("integers differ under the same digest")


def _with_right_digests(data: bytes, witness: _Witness) -> None:
    """What was decoded on both back ends must pass with its own digests."""
    if len(witness.digests) < len(witness._parser.levels):
        return
    repaired = with_digests(data[: witness._parser.offset], witness.digests)
    decode(repaired, allow_truncated=True, verify=True)


def merge_bytes(scene: Scene, suffix: str, data: bytes, folder: Path) -> None:
    """Merge a file with the given content."""
    path = folder / f"sidecar.{suffix}"
    path.write_bytes(data)
    merge_sidecar(scene, path)


def reread_ply(data: bytes, folder: Path) -> None:
    """Read, write, read."""
    path = folder / "case.ply"
    path.write_bytes(data)
    scene = read_ply(path)
    stream = io.BytesIO()
    write_ply(stream, scene)
    path.write_bytes(stream.getvalue())
    again = read_ply(path)
    same = list(scene.columns) == list(again.columns) and all(
        np.array_equal(column, again.columns[name], equal_nan=column.dtype.kind == "f")
        for name, column in scene.columns.items()
    )
    if not same or scene.layout.text != again.layout.text:
        raise SilentSuccess("the PLY that is written is another one")


def _cut(random: Random, data: bytes) -> None:
    if random.random() < 0.5:
        once = bytes(truncate(data, level=random.randint(0, 5)))
    else:
        once = bytes(truncate(data, size=random.randint(0, len(data) + 9)))
    if bytes(truncate(once, size=len(once))) != once or not data.startswith(once):
        raise SilentSuccess("cutting twice cuts more")


def _columns(random: Random, data: bytes) -> None:
    parser = parse(data)
    if parser.prelude_done:
        names = [name for name, _ in parser.manifest.properties]
        wanted = random.sample(names, min(len(names), random.randint(1, 3)))
        scene = decode_columns(parser, wanted, random.choice((None, 1, 2)))
        if any(len(column) != scene.count for column in scene.columns.values()):
            raise SilentSuccess("columns of different lengths")


def _stream(random: Random, data: bytes) -> None:
    stream, at = open_stream(), 0
    while at < len(data):
        size = random.choice((1, 40, 300, 5000))
        stream.feed(data[at : at + size])
        at += size
    stream.close()


PARTIAL: tuple[Callable[[Random, bytes], object], ...] = (
    _cut,
    _columns,
    _stream,
    lambda random, data: read_attachments(data),
    lambda random, data: count_bits(data),
    lambda random, data: select(data, random.choice(_SELECTIONS)),
)
