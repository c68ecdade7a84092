"""The float network that a hyperprior is trained as, and its derivatives by hand.

It has the shape of the integer one: inputs and activations in [0, 1) stand for 0..255. Without a
graph of operations a step of training takes half the time.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray

from csgs_codec.encoder.laplace import laplace_slopes

HIDDEN_BITS = 6
OUTPUT_BITS = 8
INDEX_PER_NAT = float(6.0 / np.log(2.0))
_TOP = 255.0 / 256.0
_PARTS = 2
_LEAST_ROWS = 256

FloatLayer = tuple[NDArray[np.float64], NDArray[np.float64]]


class FloatMlp:
    """Two hidden layers; predicts a mean and a log sigma for each channel.

    Parameters
    ----------
    inputs, width, channels : int
    spread : Tensor of float32, shape (channels,)
        Unit of the means, and the first guess of sigma, in base steps.

    Attributes
    ----------
    flat : Tensor of float32, shape (parameters,)
        Weights and biases, layer after layer.
    parts : list of Tensor
        Views of each of them, by :meth:`cut`.
    """

    def __init__(self, inputs: int, width: int, channels: int, spread: torch.Tensor) -> None:
        self._shapes = [(inputs, width), (width,), (width, width), (width,)]
        self._shapes += [(width, 2 * channels), (2 * channels,)]
        self._spread = spread
        self.flat = torch.zeros(sum(prod(shape) for shape in self._shapes))
        self.parts = self.cut(self.flat)
        first, first_bias, second, second_bias, last, last_bias = self.parts
        for weight, bias in ((first, first_bias), (second, second_bias)):
            torch.nn.init.kaiming_uniform_(weight, mode="fan_out", nonlinearity="relu")
            bias.uniform_(-0.2, 0.4)
        last.uniform_(-0.1, 0.1).div_(width**0.5)
        last_bias[channels:] = torch.log(spread)
        hidden, rest = torch.full((width,), 2.0**HIDDEN_BITS), torch.zeros(2 * channels)
        outputs = torch.cat([spread, torch.full_like(spread, INDEX_PER_NAT)]) * 2.0**OUTPUT_BITS
        rows = [hidden.expand(self._shapes[0]), 0 * hidden, hidden.expand(self._shapes[2])]
        rows += [0 * hidden, outputs.expand(self._shapes[4]), rest]
        self._units = torch.cat([row.reshape(-1) for row in rows])

    def cut(self, flat: torch.Tensor) -> list[torch.Tensor]:
        """Views of the weight and the bias of each layer in a vector of all."""
        parts = torch.split(flat, [prod(shape) for shape in self._shapes])
        return [part.view(shape) for part, shape in zip(parts, self._shapes, strict=True)]

    def weight_slopes(self) -> torch.Tensor:
        """Derivatives of about the bits that weights take: log2 of 1 + size in rounding units."""
        scaled = self.flat * self._units
        return scaled.sign() * self._units / (1.0 + scaled.abs()) / float(np.log(2.0))

    def layers(self) -> list[FloatLayer]:
        """Weights (inputs, outputs) and biases; log sigmas as the last outputs."""
        arrays = [part.numpy().astype(np.float64) for part in self.parts]
        return list(zip(arrays[::2], arrays[1::2], strict=True))

    def slopes(self, out: torch.Tensor, wanted: torch.Tensor, finer: torch.Tensor) -> torch.Tensor:
        """How the bits of each row change with what the network says of it."""
        mu, log_sigma = out.chunk(2, dim=1)
        residual = (wanted - mu * self._spread) * finer
        by_residual, by_log_sigma = laplace_slopes(residual, log_sigma + torch.log(finer))
        return torch.cat([by_residual.mul_(-self._spread).mul_(finer), by_log_sigma], dim=1)


class Gradient:
    """Derivatives of the bits of batches by the parameters of a network.

    Every batch is cut in two, for two threads; sums do not depend on which thread did what.

    Parameters
    ----------
    network : FloatMlp
    inputs : Tensor of uint8, shape (n, inputs)
    wanted : Tensor of float32, shape (n, channels)
    finer : Tensor of float32, shape (n, 1)
        Base steps per own step.
    """

    def __init__(
        self, network: FloatMlp, inputs: torch.Tensor, wanted: torch.Tensor, finer: torch.Tensor
    ) -> None:
        self._network = network
        self._data = inputs, wanted, finer
        self._sums = torch.zeros((_PARTS, len(network.flat)))
        self._cut_sums = [network.cut(sums) for sums in self._sums]

    def of(self, rows: slice, helper: ThreadPoolExecutor) -> torch.Tensor:
        """The mean over a batch, shape (parameters,)."""
        middle = (rows.start + rows.stop) // 2
        halves = slice(rows.start, middle), slice(middle, rows.stop)
        if middle - rows.start < _LEAST_ROWS:
            for half, sums in zip(halves, self._cut_sums, strict=True):
                self._add_up(half, sums)
        else:
            other = helper.submit(self._add_up, halves[1], self._cut_sums[1])
            self._add_up(halves[0], self._cut_sums[0])
            other.result()
        return self._sums.sum(dim=0) / (rows.stop - rows.start)

    def _add_up(self, rows: slice, sums: list[torch.Tensor]) -> None:
        inputs, wanted, finer = (array[rows] for array in self._data)
        first, first_bias, second, second_bias, last, last_bias = self._network.parts
        by_weight, by_bias = sums[::2], sums[1::2]
        scaled = inputs * (1 / 256)
        hidden = torch.addmm(first_bias, scaled, first).clamp_(0.0, _TOP)
        deeper = torch.addmm(second_bias, hidden, second).clamp_(0.0, _TOP)
        out = torch.addmm(last_bias, deeper, last)
        back = self._network.slopes(out, wanted, finer)
        for layer, (seen, weight) in enumerate(((deeper, last), (hidden, second), (scaled, None))):
            torch.mm(seen.T, back, out=by_weight[2 - layer])
            torch.sum(back, 0, out=by_bias[2 - layer])
            if weight is not None:
                back = torch.mm(back, weight.T).mul_((seen > 0) & (seen < _TOP))


@contextmanager
def helping_thread() -> Iterator[ThreadPoolExecutor]:
    """A second thread that computes as the first does: alone, without subnormal numbers."""
    with ThreadPoolExecutor(1, "csgs-train", initializer=_settle) as helper:
        yield helper


def _settle() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
