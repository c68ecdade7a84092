"""The derivatives that training follows are those of the bits it minimises."""

import numpy as np
import pytest
import torch

from csgs_codec.encoder import laplace
from csgs_codec.encoder.fit import Effort, NetworkFit


def samples(rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(5)
    residual = 4 * torch.randn(rows, 3, generator=random)
    log_sigma = 3 * torch.randn(rows, 3, generator=random)
    residual[0, 0], residual[0, 1], log_sigma[0, 2] = 0.0, 0.5, 40.0
    return residual, log_sigma


@pytest.mark.parametrize("rows", [1, 5, 16, 777])
def test_kernel_agrees_with_autograd(rows: int) -> None:
    residual, log_sigma = samples(rows)
    found = laplace.laplace_slopes(residual, log_sigma)
    expected = laplace._slopes_by_autograd(residual, log_sigma)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=2e-5, atol=5e-5)


def test_without_numba_slopes_are_by_autograd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laplace, "find_spec", lambda name: None)
    residual, log_sigma = samples(9)
    by_residual, _ = laplace.laplace_slopes(residual, log_sigma)
    later = laplace.laplace_bits(residual + 1e-3, log_sigma)
    before = laplace.laplace_bits(residual - 1e-3, log_sigma)
    smooth = (residual.abs() - 0.5).abs() > 2e-3
    numeric = ((later - before) / 2e-3)[smooth]
    torch.testing.assert_close(by_residual[smooth], numeric, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("count", [700, 4096, 9001])
def test_network_finds_what_inputs_say(count: int) -> None:
    random = np.random.default_rng(3)
    inputs = random.integers(0, 256, (count, 4)).astype(np.uint8)
    noise = random.laplace(size=count)
    latents = (inputs[:, :1] / 8.0 + noise[:, None]).astype(np.float32)
    classes = random.integers(-2, 3, count).astype(np.int8)
    fit = NetworkFit(latents, 4, Effort(width=8, steps=250), seed=1)
    mlp = fit.train(inputs, latents, classes)
    mu = mlp.forward(inputs)[:, 0] / 64.0
    assert np.abs(latents[:, 0] - mu).mean() < 1.6
    assert np.abs(latents - latents.mean()).mean() > 7.0
