"""The float32 network equals an int64 one, whatever BLAS, block or order of summation."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from csgs_codec.errors import CorruptError
from csgs_codec.numerics import mlp as module
from csgs_codec.numerics.mlp import EXACT_BOUND, IntegerMlp, Layer

ROOT = Path(__file__).resolve().parents[2]


def make_layers(widths: list[int], seed: int = 13, scale: float = 1.0) -> list[Layer]:
    """Random layers that use nearly all of the bound ``2**24`` if ``scale`` is 1."""
    rng = np.random.default_rng(seed)
    layers = []
    for rows, columns in pairwise(widths):
        weights = rng.laplace(size=(rows, columns))
        budget = scale * 0.9 * EXACT_BOUND / 255
        weights *= min(budget / max(np.abs(weights).sum(axis=0).max(), 1e-9), 30_000 / 8)
        weights = np.clip(np.fix(weights), -32_767, 32_767).astype(np.int16)
        bias = rng.integers(-(2**19), 2**19, columns).astype(np.int32)
        layers.append(Layer(weights, bias, int(rng.integers(10, 17))))
    return layers


def reference_forward(layers: list[Layer], inputs: np.ndarray) -> np.ndarray:
    """Numerics section 9 in int64."""
    x = inputs.astype(np.int64)
    for place, layer in enumerate(layers):
        x = x @ layer.weights.astype(np.int64) + layer.bias.astype(np.int64)
        x = (x + (1 << (layer.shift - 1))) >> layer.shift
        if place < len(layers) - 1:
            x = np.clip(x, 0, 255)
    return x


def make_inputs(n: int, width: int, seed: int = 14) -> np.ndarray:
    inputs = np.random.default_rng(seed).integers(0, 256, (n, width)).astype(np.uint8)
    inputs[:1], inputs[1:2] = 0, 255
    return inputs


@pytest.mark.parametrize("widths", [[5, 3], [24, 48, 14], [137, 64, 64, 90], [1, 1, 1, 1, 1, 2]])
@pytest.mark.parametrize("scale", [1.0, 0.05])
def test_equals_the_integer_network(backend: str, widths: list[int], scale: float) -> None:
    layers = make_layers(widths, scale=scale)
    inputs = make_inputs(500, widths[0])
    found = IntegerMlp(layers).forward(inputs)
    assert found.dtype == np.int32
    assert np.array_equal(found, reference_forward(layers, inputs))


def test_sums_close_to_the_bound_stay_exact(backend: str) -> None:
    """Odd sums just below ``2**24`` would be rounded if one more bit were needed."""
    weights = np.full((3, 2), 21_930, np.int16) * np.array([1, -1], np.int16)
    layer = Layer(weights, np.array([-1, 1], np.int32), 1)
    assert EXACT_BOUND - 2**10 < layer.largest_sum() < EXACT_BOUND
    inputs = np.array([[255, 255, 255], [255, 255, 254], [1, 0, 0]], np.uint8)
    assert np.array_equal(IntegerMlp([layer]).forward(inputs), reference_forward([layer], inputs))


def test_network_without_inputs_is_its_bias(backend: str) -> None:
    layer = Layer(np.zeros((0, 2), np.int16), np.array([1000, -1000], np.int32), 3)
    found = IntegerMlp([layer]).forward(np.zeros((4, 0), np.uint8))
    assert found.tolist() == [[125, -125]] * 4


def test_no_rows(backend: str) -> None:
    mlp = IntegerMlp(make_layers([5, 4, 3]))
    assert mlp.forward(np.zeros((0, 5), np.uint8)).shape == (0, 3)


@pytest.mark.parametrize("sign", [1, -1])
def test_bound_is_exclusive(sign: int) -> None:
    """``255 * sum|w| + |b| + 2**(s-1)`` must stay below ``2**24``."""
    weights = np.array([[sign]], np.int16)
    free = EXACT_BOUND - 255 - 1
    IntegerMlp([Layer(weights, np.array([sign * (free - 1)], np.int32), 1)])
    with pytest.raises(CorruptError):
        IntegerMlp([Layer(weights, np.array([sign * free], np.int32), 1)])
    with pytest.raises(CorruptError):
        IntegerMlp([Layer(weights, np.array([sign * (free - 1)], np.int32), 2)])


@pytest.mark.parametrize("shift", [-1, 0, 17, 40])
def test_shift_outside_its_range_is_refused(shift: int) -> None:
    layer = Layer(np.ones((2, 2), np.int16), np.zeros(2, np.int32), shift)
    with pytest.raises(CorruptError, match="shift"):
        IntegerMlp([layer])


def test_violation_in_any_layer_and_by_extreme_integers() -> None:
    good = make_layers([4, 4])[0]
    bad = Layer(np.full((4, 4), -32_768, np.int16), np.zeros(4, np.int32), 1)
    extreme = Layer(np.zeros((4, 4), np.int16), np.full(4, -(2**31), np.int32), 1)
    for layer in (bad, extreme):
        with pytest.raises(CorruptError, match="layer 1"):
            IntegerMlp([good, layer])


@pytest.mark.parametrize("block", [1, 7, 64, 100_000])
def test_block_size_changes_nothing(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    mlp = IntegerMlp(make_layers([30, 32, 10]))
    inputs = make_inputs(300, 30)
    wanted = mlp.forward(inputs)
    monkeypatch.setattr(module, "_BLOCK", block)
    assert np.array_equal(mlp.forward(inputs), wanted)


def test_order_of_summation_changes_nothing() -> None:
    layers = make_layers([100, 60, 10])
    inputs = make_inputs(400, 100)
    wanted = IntegerMlp(layers).forward(inputs)
    rng = np.random.default_rng(15)
    for _ in range(5):
        outer, inner = rng.permutation(100), rng.permutation(60)
        shuffled = [
            Layer(layers[0].weights[outer][:, inner], layers[0].bias[inner], layers[0].shift),
            Layer(layers[1].weights[inner], layers[1].bias, layers[1].shift),
        ]
        assert np.array_equal(IntegerMlp(shuffled).forward(inputs[:, outer]), wanted)


def output_hash() -> str:
    """Hash of a forward pass that is large enough for BLAS to block and to use threads."""
    mlp = IntegerMlp(make_layers([137, 128, 128, 60]))
    return hashlib.sha256(mlp.forward(make_inputs(9000, 137)).astype("<i4").tobytes()).hexdigest()


def cpu_has(flag: str) -> bool:
    info = Path("/proc/cpuinfo")
    return info.exists() and flag in info.read_text().split()


_NEEDS = {"Prescott": "pni", "Haswell": "avx2", "SkylakeX": "avx512f"}
_ALSO_NAMED = {"Katmai": "Prescott"}  # one set of kernels in 64-bit builds of OpenBLAS


@pytest.mark.parametrize(("core", "threads"), [(c, t) for c in _NEEDS for t in (1, 2)])
def test_instruction_set_and_threads_change_nothing(core: str, threads: int) -> None:
    if not cpu_has(_NEEDS[core]):
        pytest.skip(f"this machine cannot run the kernels for {core}")
    code = (
        "from tests.unit.test_numerics_mlp import output_hash\n"
        "from threadpoolctl import threadpool_info\n"
        "blas = [i for i in threadpool_info() if i['internal_api'] == 'openblas']\n"
        "print(output_hash(), *{i['architecture'] for i in blas})\n"
    )
    environment = os.environ | {
        "OPENBLAS_CORETYPE": core,
        "OPENBLAS_NUM_THREADS": str(threads),
        "PYTHONPATH": str(ROOT),
    }
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    found, *architectures = run.stdout.split()
    if [_ALSO_NAMED.get(a, a) for a in architectures] != [core]:
        pytest.skip(f"this BLAS does not take {core}: {architectures}")
    assert found == output_hash()
