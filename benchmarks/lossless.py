"""The lossless table: our file against zstd -19 of the byte-transposed PLY body.

    python benchmarks/lossless.py SCENE.ply ...

Every decoded column is compared with the original, bit for bit. Needs the package `zstandard`.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import zstandard

from csgs_codec import EncodeOptions, Scene, decode, encode, read_ply
from csgs_codec.encoder.options import LOSSLESS_QUALITY


def transposed(scene: Scene) -> bytes:
    """Byte planes of the whole vertex table: first all first bytes of the rows, and so on."""
    columns = [
        np.ascontiguousarray(c, c.dtype.newbyteorder("<")).view(np.uint8).reshape(scene.count, -1)
        for c in scene.columns.values()
    ]
    return np.ascontiguousarray(np.concatenate(columns, axis=1).T).tobytes()


def measure(path: Path, quality: float) -> str:
    """One line of the table; fails unless the decoded columns are the original's."""
    scene = read_ply(path)
    body = transposed(scene)
    rival = len(zstandard.ZstdCompressor(level=19).compress(body))
    options = EncodeOptions(lossless=True, order="keep", quality=quality)
    begin, working = time.perf_counter(), time.process_time()
    result = encode(scene, options)
    encoding = f"{time.perf_counter() - begin:.1f} | {time.process_time() - working:.1f}"
    decode(result.data)  # compiles or loads the kernels
    begin, working = time.perf_counter(), time.process_time()
    decoded = decode(result.data)
    decoding = f"{time.perf_counter() - begin:.2f} | {time.process_time() - working:.2f}"
    for name, column in scene.columns.items():
        if decoded.columns[name].tobytes() != column.tobytes():
            raise SystemExit(f"{path}: {name} differs")
    order = round(result.exact_bits.pop("row order") / 8)
    early = round(sum(result.group_bits.values()) / 8)
    size = len(result.data)
    print("  exact bytes by group:", {k: round(v / 8) for k, v in result.exact_bits.items()})
    return (
        f"| {path.parent.name} | {scene.count:,} | {len(body):,} | {rival:,} | {size - order:,} "
        f"| {order:,} | {(size - order) / rival:.4f} | {size / rival:.4f} | {early:,} "
        f"| {encoding} | {decoding} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenes", nargs="+", type=Path)
    parser.add_argument("--quality", type=float, default=LOSSLESS_QUALITY)
    chosen = parser.parse_args()
    lines = [measure(path, chosen.quality) for path in chosen.scenes]
    print(
        "| scene | Gaussians | body bytes | zstd -19 | ours | row order | ours / zstd "
        "| with row order | of it early levels | encode s | CPU s | decode s | CPU s |"
    )
    print("|" + 13 * "---|")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
