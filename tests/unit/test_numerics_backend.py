"""numba is optional, loaded late, and never changes a result; threads never do either."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from csgs_codec.numerics.bits import BitReader, BitWriter
from csgs_codec.numerics.mlp import IntegerMlp, Layer
from csgs_codec.numerics.rans import RansDecoder, RansEncoder
from csgs_codec.numerics.residuals import decode_residuals, encode_residuals

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(
    f"csgs_codec.numerics.{path.stem}"
    for path in (ROOT / "csgs_codec" / "numerics").glob("*.py")
    if path.stem != "__init__" and not path.stem.startswith("numba_")
)


def python(code: str, **environment: str) -> str:
    """Run code in a fresh interpreter and return what it prints."""
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def sample() -> tuple[np.ndarray, np.ndarray]:
    """Residuals of all scales with escapes, more than the smallest array worth compiling for."""
    rng = np.random.default_rng(21)
    scale_index = rng.integers(0, 64, (3000, 9)).astype(np.uint8)
    k = rng.laplace(0, 0.1 * 2 ** (scale_index / 6)) * np.where(rng.random((3000, 9)) < 0.2, 90, 1)
    return np.rint(k * (scale_index > 0)).astype(np.int32), scale_index


def write(k: np.ndarray, scale_index: np.ndarray) -> tuple[bytes, bytes]:
    rans, bits = RansEncoder(), BitWriter()
    encode_residuals(k, scale_index, rans, bits)
    return rans.finish(), bits.finish()


def read(streams: tuple[bytes, bytes], scale_index: np.ndarray) -> np.ndarray:
    rans, bits = RansDecoder(streams[0]), BitReader(streams[1])
    k = decode_residuals(scale_index, rans, bits)
    rans.finish()
    bits.finish()
    return k


def round_trip_hash() -> str:
    """Hash of the streams of :func:`sample`, read back on the way, and of a network's output."""
    k, scale_index = sample()
    streams = write(k, scale_index)
    assert np.array_equal(read(streams, scale_index), k)
    layer = Layer(np.full((9, 3), 77, np.int16), np.full(3, -5000, np.int32), 4)
    outputs = IntegerMlp([layer, Layer(layer.weights[:3], layer.bias, 3)])
    payload = b"".join(streams) + outputs.forward(scale_index).astype("<i4").tobytes()
    return hashlib.sha256(payload).hexdigest()


def test_importing_the_numerics_loads_nothing_heavy() -> None:
    heavy = ("numba", "llvmlite", "torch", "scipy", "constriction")
    code = f"import sys, {', '.join(MODULES)}; print([m for m in {heavy} if m in sys.modules])"
    assert python(code) == "[]"


_HASH = "from tests.unit.test_numerics_backend import round_trip_hash; print(round_trip_hash())"


def test_environment_variable_selects_numpy() -> None:
    code = "import sys; " + _HASH + "; print('numba' in sys.modules)"
    assert python(code, CSGS_NO_NUMBA="1").split() == [round_trip_hash(), "False"]


_BREAKAGES = {
    "not installed": "backend.find_spec = lambda name: None",
    "does not fit numpy": "sys.modules['csgs_codec.numerics.numba_kernels'] = None",
    "no folder for its cache": "import numba; numba.njit = fail",
}


@pytest.mark.parametrize("breakage", _BREAKAGES)
def test_numba_that_cannot_be_used_is_done_without(breakage: str) -> None:
    code = (
        "import sys, warnings\n"
        "def fail(*args, **options): raise RuntimeError('no locator available')\n"
        "import csgs_codec.numerics.backend as backend\n"
        f"{_BREAKAGES[breakage]}\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    assert backend.kernels() is None\n"
        f"{_HASH}; print(len(caught))\n"
    )
    warned = "0" if breakage == "not installed" else "1"
    assert python(code, CSGS_NO_NUMBA="0").split() == [round_trip_hash(), warned]


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_threads_change_nothing(backend: str, threads: int) -> None:
    k, scale_index = sample()
    k, scale_index = k[:600], scale_index[:600]
    streams = write(k, scale_index)
    with ThreadPoolExecutor(threads) as pool:
        written = list(pool.map(lambda _: write(k, scale_index), range(8)))
        found = list(pool.map(lambda _: read(streams, scale_index), range(8)))
    assert written == [streams] * 8
    assert all(np.array_equal(one, k) for one in found)
