"""A folder that remembers what other codecs made and what instruments said."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def user_cache() -> Path:
    """Default folder, outside any repository."""
    for variable in ("CSGS_BENCH_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        if os.environ.get(variable):
            folder = Path(os.environ[variable])
            return folder if variable.startswith("CSGS") else folder / "csgs-bench"
    return Path.home() / ".cache" / "csgs-bench"


@dataclass(frozen=True)
class Encoded:
    """A coded file (or folder) in the cache.

    Attributes
    ----------
    path : Path
    bytes : int
    seconds : float
        Time that its encoder took when it was made.
    fresh : bool
        Made in this run.
    """

    path: Path
    bytes: int
    seconds: float
    fresh: bool


def size_on_disk(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_dir():
        return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    return path.stat().st_size


class Cache:
    """Results by key, written whole or not at all.

    Parameters
    ----------
    folder : Path
        Made when first needed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, key: str, name: str) -> Encoded | None:
        """Find a coded file."""
        entry = self.folder / "encoded" / key
        if not (entry / "made.json").exists():
            return None
        made = json.loads((entry / "made.json").read_text())
        path = entry / name
        return Encoded(path, size_on_disk(path), made["seconds"], fresh=False)

    def make(self, key: str, name: str, encode: Callable[[Path], float]) -> Encoded:
        """Find a coded file, or have it made by ``encode(path)``, which returns its seconds."""
        found = self.find(key, name)
        if found is not None:
            return found
        entry = self.folder / "encoded" / key
        entry.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=entry.parent) as scratch:
            new = Path(scratch) / "entry"
            new.mkdir()
            seconds = encode(new / name)
            (new / "made.json").write_text(json.dumps({"seconds": round(seconds, 2)}))
            shutil.rmtree(entry, ignore_errors=True)
            new.rename(entry)
        return Encoded(entry / name, size_on_disk(entry / name), seconds, fresh=True)

    def remember(self, parts: tuple[str, ...], ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Find a small result by the parts of its key, or ask for it."""
        name = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
        path = self.folder / "asked" / f"{name}.json"
        if path.exists():
            found: dict[str, Any] = json.loads(path.read_text())
            return found
        answer = ask()
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps(answer))
        part.replace(path)
        return answer


def file_digest(path: Path) -> str:
    """Hash of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:32]
