"""Integer multilayer perceptron, evaluated exactly in float32 BLAS (spec, numerics section 9).

All values are integers and every partial sum stays below ``2**24``, so float32 arithmetic is exact
in any order and with any instruction set. The constructor proves the bound from the weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csgs_codec.errors import CorruptError
from csgs_codec.numerics.backend import kernels

F32 = NDArray[np.float32]

ACTIVATION_MAX = 255
EXACT_BOUND = 1 << 24
MAX_SHIFT = 16
_BLOCK = 2048


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
        self._prepared = [
            (
                np.ascontiguousarray(layer.weights, np.float32),
                (layer.bias + (1 << (layer.shift - 1))).astype(np.float32),
                np.float32(2.0**-layer.shift),
            )
            for layer in layers
        ]

    def forward(self, inputs: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Return the outputs, shape (n, inputs) -> (n, outputs)."""
        out = np.empty((len(inputs), self.layers[-1].weights.shape[1]), np.int32)
        widths = [
            len(self._prepared[0][0]),
            *(weights.shape[1] for weights, _, _ in self._prepared),
        ]
        buffers = [np.empty((min(_BLOCK, len(inputs)), width), np.float32) for width in widths]
        for begin in range(0, len(inputs), _BLOCK):
            block = inputs[begin : begin + _BLOCK]
            x, *rest = (buffer[: len(block)] for buffer in buffers)
            x[:] = block
            for place, (weights, bias, scale) in enumerate(self._prepared):
                x = np.matmul(x, weights, out=rest[place])
                _activate(x, bias, scale, hidden=place < len(self._prepared) - 1)
            out[begin : begin + _BLOCK] = x
        return out


def _activate(x: F32, bias: F32, scale: np.float32, hidden: bool) -> None:
    """In place: the rounding shift, and for hidden layers the clip to 0..255."""
    fast = kernels()
    if fast is not None:
        fast.activate(x, bias, scale, np.float32(ACTIVATION_MAX if hidden else -1))
        return
    x += bias
    x *= scale
    np.floor(x, out=x)
    if hidden:
        np.clip(x, 0.0, float(ACTIVATION_MAX), out=x)


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Keep BLAS to one thread: the products are small, and tiles run in parallel instead."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        yield
