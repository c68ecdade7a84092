"""Fit a group's network with torch, then round it to integers (spec section 7 is what it becomes).

The float model has the shape of the integer one: inputs and activations in [0, 1) stand for 0..255,
so rounding the weights (to 6 and 8 fractional bits) is all that is lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from csgs_codec.container.kinds import GroupKind
from csgs_codec.encoder.float_mlp import (
    HIDDEN_BITS,
    INDEX_PER_NAT,
    OUTPUT_BITS,
    FloatLayer,
    FloatMlp,
    Gradient,
    helping_thread,
)
from csgs_codec.hyperprior.network import BIAS_SHIFT, scale_index_of
from csgs_codec.numerics.mlp import EXACT_BOUND, IntegerMlp, Layer

F32 = NDArray[np.float32]

_MEAN_BITS = 6
_LEAST_OUTPUT_BITS = 4
_BATCH = 2048
WEIGHT_RATE = 1.0


@dataclass(frozen=True)
class Effort:
    """How long to train: ``steps`` of Adam on batches of 2048 rows, hidden layers of ``width``."""

    width: int = 32
    steps: int = 800
    rate: float = 2e-2

    @classmethod
    def for_scene(cls, gaussians: int) -> Effort:
        """Smaller networks where there is little to save."""
        return cls(width=16, steps=400) if gaussians < 20_000 else cls()

    @classmethod
    def for_group(cls, kind: GroupKind, gaussians: int) -> Effort:
        """Longer for semantic features: many channels, whose neighbours say most about them."""
        effort = cls.for_scene(gaussians)
        if kind is GroupKind.SEMANTIC:
            return replace(effort, steps=3 * effort.steps // 2)
        return effort


def static_mlp(latents: F32, classes: NDArray[np.int8]) -> IntegerMlp:
    """The best network without inputs: one mean and one scale for each channel."""
    mean = np.median(latents, axis=0)
    own_steps = (latents - mean) / np.exp2(classes / 2.0)[:, None]
    spread = np.abs(np.rint(own_steps)).mean(axis=0) * np.sqrt(2.0)
    index = scale_index_of(np.maximum(spread, 0.1)).astype(np.float64)
    return _round_layers([], (np.zeros((0, 2 * len(mean))), np.concatenate([mean, index])))


@contextmanager
def steady_torch() -> Iterator[None]:
    """One thread and no subnormal numbers while training; the caller's settings afterwards."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)


class NetworkFit:
    """A network with two hidden layers that is trained to minimise the bits of residuals.

    Parameters
    ----------
    latents : ndarray of float32, shape (n, channels)
        Values in base steps, as they are spread before training.
    inputs : int
    effort : Effort
    seed : int
    """

    def __init__(self, latents: F32, inputs: int, effort: Effort, seed: int) -> None:
        self._effort, self._seed = effort, seed
        self._mean = latents.mean(axis=0)
        self._spread = latents.std(axis=0) + np.float32(1e-2)
        torch.manual_seed(seed)
        spread = torch.from_numpy(self._spread)
        self._network = FloatMlp(inputs, effort.width, latents.shape[1], spread)

    def train(
        self,
        inputs: NDArray[np.uint8],
        latents: F32,
        classes: NDArray[np.int8],
        share: float = 1.0,
        rate: float = 1.0,
    ) -> IntegerMlp:
        """Train and round to integers; called again, goes on from where it stands.

        Parameters
        ----------
        inputs : ndarray of uint8, shape (n, inputs)
        latents : ndarray of float32, shape (n, channels)
            Values in base steps.
        classes : ndarray of int8, shape (n,)
            Step classes, in half octaves.
        share, rate : float
            Of the steps and of the learning rate of the effort.
        """
        with steady_torch():
            torch.manual_seed(self._seed)
            self._train(inputs, latents, classes, share, rate)
        return _rounded(self._network, self._mean, self._spread)

    def _train(
        self,
        inputs: NDArray[np.uint8],
        latents: F32,
        classes: NDArray[np.int8],
        share: float,
        rate: float,
    ) -> None:
        order = torch.randperm(len(inputs))
        finer = torch.exp2(torch.from_numpy(classes.astype(np.float32)) / -2)[:, None]
        arrays = (torch.from_numpy(inputs), torch.from_numpy(latents - self._mean), finer)
        gradient = Gradient(self._network, *(array[order] for array in arrays))
        flat = self._network.flat
        steps, rate = max(1, round(share * self._effort.steps)), rate * self._effort.rate
        optimiser = torch.optim.Adam([flat], lr=rate, betas=(0.9, 0.98))
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, rate, total_steps=steps + 1, pct_start=0.08
        )
        price = WEIGHT_RATE / len(inputs)
        with helping_thread() as helper:
            for rows in _batches(len(inputs), steps):
                flat.grad = gradient.of(rows, helper) + price * self._network.weight_slopes()
                optimiser.step()
                schedule.step()


def _batches(count: int, steps: int) -> Iterator[slice]:
    """Full batches of rows whose order is random already, cut elsewhere in every epoch."""
    size = min(_BATCH, count)
    at = count
    for _ in range(steps):
        if at + size > count:
            at = int(torch.randint(count % size + 1, ()))
        yield slice(at, at + size)
        at += size


def _rounded(network: FloatMlp, mean: F32, spread: F32) -> IntegerMlp:
    """Fold in the normalisation, turn log sigma into scale indices, and round."""
    *hidden, (weight, bias) = network.layers()
    factor = np.concatenate([spread, np.full(len(spread), INDEX_PER_NAT)])
    shift = np.concatenate([mean, np.full(len(spread), 1.0 + 6.0 * np.log2(10.0))])
    return _round_layers(hidden, (weight * factor, bias * factor + shift))


def _round_layers(hidden: list[FloatLayer], last: FloatLayer) -> IntegerMlp:
    layers = [_round_layer(layer, HIDDEN_BITS, HIDDEN_BITS) for layer in hidden]
    bits = OUTPUT_BITS
    while True:
        layer = _round_layer(last, bits, bits + 8 - _MEAN_BITS)
        if layer.largest_sum() < EXACT_BOUND or bits == _LEAST_OUTPUT_BITS:
            return IntegerMlp([*layers, layer])
        bits -= 1


def _round_layer(layer: FloatLayer, bits: int, shift: int) -> Layer:
    """Round weights to ``bits`` fractional bits; the bias stands in units of the accumulator."""
    weight = np.clip(np.rint(layer[0] * (1 << bits)), -32767, 32767).astype(np.int16)
    unit = 1 << (bits + 8 - BIAS_SHIFT)
    bias = np.rint(layer[1] * unit).astype(np.int64)
    limit = (1 << 15) - 1
    return Layer(weight, (np.clip(bias, -limit, limit) << BIAS_SHIFT).astype(np.int32), shift)
