"""Mutations of files that hold arrays: headers, archives, checkpoints."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from random import Random

from tests.fuzz.mutate import mutate_bytes

_SHAPES = ("(8,)", "(8, 3)", "(0,)", "()", "(8, 0)", "(-1,)", "(8, 1000000000)", "(10**9,)", "8",
           "(1000000000000,)", "(8, 70000)", "(8, 1, 1, 1)", "(True,)", "[8]", "('8',)", "(8.0,)",
           "(4294967296, 4294967296)", "(8, 2147483648)")  # fmt: skip
_TYPES = ("'|O'", "'<f4'", "'>f8'", "'|S8'", "'<U4'", "'<c16'", "'|V4'", "'<M8[s]'", "'<f2'",
          "'<f16'", "'|b1'", "[('a', '<f4')]", "[('a', '|O')]", "'<i8'", "'<u8'", "None", "'x'",
          "('<f4', (3,))", "'(1000000000,)f4'")  # fmt: skip
_HEADERS = ("", "{", "{}", "[]", "1", "()" * 50, "(" * 3000, "{'descr': open, 'shape': 1}",
            "__import__('os')", "{'descr': '<f4'}", "-" * 5000, "\0")  # fmt: skip


class Runs:
    """Leaves a trace when it is unpickled."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self._folder,)


def mutate_sidecar(random: Random, files: dict[str, bytes], trap: str) -> tuple[str, bytes]:
    """Suffix and content of one hostile file; ``trap`` is a folder that must not be made."""
    name = random.choice(sorted(files))
    suffix = name.rpartition(".")[2]
    data = files[name]
    chance = random.random()
    if chance < 0.03:
        return random.choice(("npy", "npz", "pt", "pth")), pickle.dumps(Runs(trap))
    if suffix == "npy":
        return suffix, _npy(random, data)
    if suffix == "npz" or data[:2] == b"PK":
        return suffix, _archive(random, data, trap)
    if chance < 0.1:
        return random.choice(("npy", "npz", "pt", "ply")), data
    return suffix, mutate_bytes(random, data)


def _npy(random: Random, data: bytes) -> bytes:
    if random.random() < 0.3:
        return mutate_bytes(random, data)
    (size,) = struct.unpack_from("<H", data, 8)
    header = {"descr": "'<f4'", "fortran_order": "False", "shape": "(8, 3)"}
    header["shape"] = random.choice(_SHAPES)
    if random.random() < 0.6:
        header["descr"] = random.choice(_TYPES)
    if random.random() < 0.2:
        header["fortran_order"] = random.choice(("True", "None", "'no'", "1"))
    text = "{" + ", ".join(f"'{k}': {v}" for k, v in header.items()) + "}"
    if random.random() < 0.1:
        text = random.choice(_HEADERS)
    body = data[10 + size :]
    if random.random() < 0.3:
        body = mutate_bytes(random, body)
    version = random.choice((b"\1\0", b"\1\0", b"\2\0", b"\3\0", b"\4\0"))
    length = struct.pack("<H" if version == b"\1\0" else "<I", len(text) + 1)
    return b"\x93NUMPY" + version + length + text.encode("latin-1") + b"\n" + body


def _archive(random: Random, data: bytes, trap: str) -> bytes:
    """Bytes of the archive, or of a member, changed."""
    if random.random() < 0.3:
        return mutate_bytes(random, data)
    out = io.BytesIO()
    method = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w", method) as target:
        names = source.namelist()
        victim = random.choice(names)
        for name in names:
            content = source.read(name)
            if name == victim:
                if random.random() < 0.1:
                    continue
                content = _member(random, name, content, trap)
                name = name if random.random() < 0.9 else random.choice(("../x.npy", "/x", "a"))
            target.writestr(name, content)
    return out.getvalue()


def _member(random: Random, name: str, content: bytes, trap: str) -> bytes:
    if random.random() < 0.05:
        return pickle.dumps(Runs(trap), protocol=2)
    if name.endswith(".npy"):
        return _npy(random, content)
    return mutate_bytes(random, content)
