"""Integer multilayer perceptron, evaluated exactly in float32 (spec, numerics section 9).

All values are integers and every partial sum stays below ``2**24``, so float32 arithmetic is exact
in any order and with any instruction set. The constructor proves the bound from the weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from csgs_codec.errors import CorruptError
from csgs_codec.numerics.backend import kernels

F32 = NDArray[np.float32]
Packed = tuple[NDArray[np.int64], F32, F32, F32]

ACTIVATION_MAX = 255
EXACT_BOUND = 1 << 24
MAX_SHIFT = 16
_BLOCK = 2048
_TOGETHER = 4


@dataclass(frozen=True)
class Layer:
    """``weights`` int16 (inputs, outputs), ``bias`` int32 (outputs,), ``shift`` 1 to 16."""

    weights: NDArray[np.int16]
    bias: NDArray[np.int32]
    shift: int

    def largest_sum(self) -> int:
        """Bound of any partial sum over inputs in 0..255, rounding term included."""
        columns = np.abs(self.weights.astype(np.int64)).sum(axis=0)
        sums = ACTIVATION_MAX * columns + np.abs(self.bias.astype(np.int64))
        return int(sums.max(initial=0)) + (1 << (self.shift - 1))


class IntegerMlp:
    """Hidden layers: ``clip((x W + b + 2**(s-1)) >> s, 0, 255)``; the last one is not clipped.

    Raises
    ------
    CorruptError
        A shift is not in 1..16, or some sum could reach ``2**24``.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        for number, layer in enumerate(layers):
            if not 1 <= layer.shift <= MAX_SHIFT:
                raise CorruptError(f"network layer {number} has shift {layer.shift}")
            if layer.largest_sum() >= EXACT_BOUND:
                raise CorruptError(f"network layer {number} could exceed 2**24")
        self.layers = tuple(layers)

    @cached_property
    def _prepared(self) -> list[tuple[F32, F32, np.float32]]:
        """Weights, bias with the rounding term, and ``2**-shift`` of each layer."""
        return [
            (
                np.ascontiguousarray(layer.weights, np.float32),
                (layer.bias + (1 << (layer.shift - 1))).astype(np.float32),
                np.float32(2.0**-layer.shift),
            )
            for layer in self.layers
        ]

    @cached_property
    def packed(self) -> Packed:
        """The network as the kernels take it: outputs in fours, their weights input by input."""
        widths = [len(self.layers[0].weights)]
        weights, biases = [], []
        for matrix, bias, _ in self._prepared:
            inputs, outputs = matrix.shape
            widths.append(outputs)
            spare = -outputs % _TOGETHER
            padded = np.pad(matrix, ((0, 0), (0, spare)))
            fours = padded.reshape(inputs, (outputs + spare) // _TOGETHER, _TOGETHER)
            weights.append(fours.transpose(1, 0, 2).reshape(-1))
            biases.append(np.pad(bias, (0, spare)))
        scales = np.array([scale for _, _, scale in self._prepared], np.float32)
        return (
            np.array(widths, np.int64), np.concatenate(weights), np.concatenate(biases), scales
        )  # fmt: skip

    def forward(self, inputs: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Return the outputs, shape (n, inputs) -> (n, outputs)."""
        out = np.empty((len(inputs), self.layers[-1].weights.shape[1]), np.int32)
        fast = kernels()
        if fast is not None:
            fast.network_forward(np.ascontiguousarray(inputs.T), *self.packed, out)
            return out
        for begin in range(0, len(inputs), _BLOCK):
            x = inputs[begin : begin + _BLOCK].astype(np.float32)
            for place, (weights, bias, scale) in enumerate(self._prepared):
                x = np.floor((x @ weights + bias) * scale)
                if place < len(self._prepared) - 1:
                    x = np.clip(x, 0.0, float(ACTIVATION_MAX))
            out[begin : begin + _BLOCK] = x
        return out


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Keep BLAS to one thread: the products are small, and tiles run in parallel instead.

    The kernels do without BLAS, and looking for its libraries takes a while.
    """
    if kernels() is not None:
        yield
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        yield
