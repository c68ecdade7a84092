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
from csgs_codec.hyperprior.network import BIAS_SHIFT, scale_index_of
from csgs_codec.numerics.mlp import EXACT_BOUND, IntegerMlp, Layer

F32 = NDArray[np.float32]

HIDDEN_BITS = 6
OUTPUT_BITS = 8
_MEAN_BITS = 6
_LEAST_OUTPUT_BITS = 4
_LOG_SIGMA_RANGE = (-2.7, 5.0)
_BATCH = 4096
_OCTAVE = float(np.log(2.0))
_INDEX_PER_NAT = 6.0 / _OCTAVE
WEIGHT_RATE = 1.0


@dataclass(frozen=True)
class Effort:
    """How long to train: ``steps`` of Adam on batches of 4096 rows, hidden layers of ``width``."""

    width: int = 32
    steps: int = 600
    rate: float = 2e-2

    @classmethod
    def for_scene(cls, gaussians: int) -> Effort:
        """Smaller networks where there is little to save."""
        return cls(width=16, steps=300) if gaussians < 20_000 else cls()

    @classmethod
    def for_group(cls, kind: GroupKind, gaussians: int) -> Effort:
        """Longer for semantic features: many channels, whose neighbours say most about them."""
        effort = cls.for_scene(gaussians)
        return replace(effort, steps=2 * effort.steps) if kind is GroupKind.SEMANTIC else effort


def static_mlp(latents: F32, classes: NDArray[np.int8]) -> IntegerMlp:
    """The best network without inputs: one mean and one scale for each channel."""
    mean = np.median(latents, axis=0)
    own_steps = (latents - mean) / np.exp2(classes / 2.0)[:, None]
    spread = np.abs(np.rint(own_steps)).mean(axis=0) * np.sqrt(2.0)
    index = scale_index_of(np.maximum(spread, 0.1)).astype(np.float64)
    return _round_layers([], (np.zeros((0, 2 * len(mean))), np.concatenate([mean, index])))


def fit_mlp(
    inputs: NDArray[np.uint8],
    latents: F32,
    classes: NDArray[np.int8],
    effort: Effort,
    seed: int,
) -> IntegerMlp:
    """Fit a network with two hidden layers to minimise the bits of the residuals.

    Parameters
    ----------
    inputs : ndarray of uint8, shape (n, inputs)
    latents : ndarray of float32, shape (n, channels)
        Values in base steps.
    classes : ndarray of int8, shape (n,)
        Step classes, in half octaves.
    effort : Effort
    seed : int
    """
    with steady_torch():
        return _train(inputs, latents, classes, effort, seed)


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


def _train(
    inputs: NDArray[np.uint8],
    latents: F32,
    classes: NDArray[np.int8],
    effort: Effort,
    seed: int,
) -> IntegerMlp:
    torch.manual_seed(seed)
    x = torch.from_numpy(inputs)
    y = torch.from_numpy(latents)
    half_octaves = torch.from_numpy(classes.astype(np.float32))[:, None]
    mean, spread = y.mean(0), y.std(0, correction=0) + 1e-2
    model = _Model(x.shape[1], effort.width, y.shape[1], spread)
    optimiser = torch.optim.Adam(model.parameters(), lr=effort.rate, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, effort.rate, total_steps=effort.steps + 1, pct_start=0.08
    )
    order = torch.randperm(len(x))
    at = 0
    for _ in range(effort.steps):
        if at >= len(x):
            order, at = torch.randperm(len(x)), 0
        rows = order[at : at + _BATCH]
        at += _BATCH
        mu, log_sigma = model(x[rows].float() / 256.0)
        octaves = half_octaves[rows] * (_OCTAVE / 2)
        residual = (y[rows] - mean - mu * spread) * torch.exp(-octaves)
        bits = laplace_bits(residual, log_sigma - octaves).sum(1).mean()
        loss = bits + WEIGHT_RATE * model.weight_bits() / len(x)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return model.rounded(mean.numpy(), spread.numpy())


def laplace_bits(residual: torch.Tensor, log_sigma: torch.Tensor) -> torch.Tensor:
    """Bits of a residual, in steps, under a Laplace density summed over one step around it."""
    scale = torch.exp(log_sigma.clamp(*_LOG_SIGMA_RANGE)) / 2**0.5
    distance = residual.abs()
    near = distance.clamp(max=0.5)
    inside = 1 - 0.5 * (torch.exp(-(near + 0.5) / scale) + torch.exp((near - 0.5) / scale))
    far = (0.5 - distance.clamp(min=0.5)) / scale + torch.log(-0.5 * torch.expm1(-1 / scale))
    nats = torch.where(distance < 0.5, torch.log(inside.clamp(min=1e-9)), far)
    return -nats / _OCTAVE


class _Model(torch.nn.Module):
    def __init__(self, inputs: int, width: int, channels: int, spread: torch.Tensor) -> None:
        super().__init__()
        self.first = torch.nn.Linear(inputs, width)
        self.second = torch.nn.Linear(width, width)
        self.last = torch.nn.Linear(width, 2 * channels)
        with torch.no_grad():
            for layer in (self.first, self.second):
                torch.nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
                layer.bias.uniform_(-0.2, 0.4)
            self.last.weight *= 0.1
            self.last.bias.zero_()
            self.last.bias[channels:] = torch.log(spread)
        self.channels = channels
        self.spread = spread

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        top = 255.0 / 256.0
        hidden = self.first(x).clamp(0.0, top)
        hidden = self.second(hidden).clamp(0.0, top)
        out = self.last(hidden)
        return out[:, : self.channels], out[:, self.channels :]

    def weight_bits(self) -> torch.Tensor:
        """About the bits that the weights will take: log2 of their size in rounding units."""
        hidden = torch.cat([self.first.weight.reshape(-1), self.second.weight.reshape(-1)])
        factor = torch.cat([self.spread, torch.full_like(self.spread, _INDEX_PER_NAT)])
        last = (self.last.weight * factor[:, None]).reshape(-1)
        units = torch.cat([hidden * 2.0**HIDDEN_BITS, last * 2.0**OUTPUT_BITS])
        return torch.log2(1.0 + units.abs()).sum()

    def rounded(self, mean: F32, spread: F32) -> IntegerMlp:
        """Fold in the normalisation, turn log sigma into scale indices, and round."""

        def arrays(layer: torch.nn.Linear) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            weight = layer.weight.detach().numpy().astype(np.float64).T
            return weight, layer.bias.detach().numpy().astype(np.float64)

        weight, bias = arrays(self.last)
        factor = np.concatenate([spread, np.full(self.channels, _INDEX_PER_NAT)])
        shift = np.concatenate([mean, np.full(self.channels, 1.0 + 6.0 * np.log2(10.0))])
        last = weight * factor, bias * factor + shift
        return _round_layers([arrays(self.first), arrays(self.second)], last)


FloatLayer = tuple[NDArray[np.float64], NDArray[np.float64]]


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
