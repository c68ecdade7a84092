"""The plainest codec: every float column as float16, then zstd -19."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from csgs_codec import Scene, read_ply
from csgs_codec.io.ply import write_ply
from csgs_codec.scene import Column
from rd_bench.peers import MissingError, stopwatch

LEVEL = 19


def pack(scene: Scene, planes: bool) -> bytes:
    """Header and raw columns, before compression."""
    header = json.dumps({"names": list(scene.columns), "count": scene.count, "planes": planes})
    parts = [struct.pack("<I", len(header)), header.encode()]
    for column in scene.columns.values():
        with np.errstate(over="ignore"):
            half = column.astype("<f2")
        octets = half.view(np.uint8).reshape(-1, 2)
        parts.append(np.ascontiguousarray(octets.T if planes else octets).tobytes())
    return b"".join(parts)


def unpack(data: bytes) -> Scene:
    """Undo :func:`pack`, but for the precision lost."""
    (length,) = struct.unpack_from("<I", data)
    header = json.loads(data[4 : 4 + length])
    count = header["count"]
    columns: dict[str, Column] = {}
    for place, name in enumerate(header["names"]):
        start = 4 + length + 2 * count * place
        octets = np.frombuffer(data, np.uint8, 2 * count, start)
        if header["planes"]:
            octets = np.ascontiguousarray(octets.reshape(2, count).T).reshape(-1)
        columns[name] = octets.view("<f2").astype(np.float32)
    return Scene(columns)


@dataclass(frozen=True)
class Zstd16:
    """See :class:`rd_bench.peers.Peer`."""

    name: str
    planes: bool
    file: str = "scene.f16.zst"
    slow: bool = False

    def version(self) -> str:
        """Return version and options."""
        if find_spec("zstandard") is None:
            raise MissingError("zstandard is not installed")
        import zstandard

        return f"zstandard {zstandard.__version__} -{LEVEL} planes={self.planes}"

    def encode(self, source: Path, target: Path) -> float:
        """Code a PLY; return the seconds it took."""
        import zstandard

        with stopwatch() as seconds:
            data = pack(read_ply(source), self.planes)
            target.write_bytes(zstandard.ZstdCompressor(level=LEVEL).compress(data))
        return seconds[0]

    def decode(self, source: Path, target: Path) -> None:
        """Make a PLY again."""
        import zstandard

        write_ply(target, unpack(zstandard.ZstdDecompressor().decompress(source.read_bytes())))
