"""Make the golden file anew: ``python -m tests.golden.make``.

To be run only when the bitstream changes on purpose; the change list of the specification names it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from csgs_codec import Scene, decode, encode, probe
from tests.conftest import semantic_scene

FILE = Path(__file__).with_name("small.csgs")
PINNED = Path(__file__).with_name("small.sha256")


def fingerprint(scene: Scene) -> str:
    """SHA-256 of names and of values to 5 significant digits."""
    digest = hashlib.sha256()
    for name, column in scene.columns.items():
        values = column.astype(np.float64)
        text = ",".join(f"{value:.4e}" for value in values.tolist())
        digest.update(f"{name}:{text};".replace("-0.0000e+00", "0.0000e+00").encode())
    return digest.hexdigest()


def main() -> None:
    """Encode, and pin file and decoded values of every level."""
    data = encode(semantic_scene(1600)).data
    FILE.write_bytes(data)
    levels = range(1, len(probe(data).levels) + 1)
    lines = [hashlib.sha256(data).hexdigest()]
    lines += [fingerprint(decode(data, level=level, compensate=False)) for level in levels]
    PINNED.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
