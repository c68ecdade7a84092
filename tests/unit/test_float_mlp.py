"""The network's derivatives, computed by hand, are those of its bits."""

from __future__ import annotations

import pytest
import torch

from csgs_codec.encoder.float_mlp import FloatMlp, Gradient, helping_thread
from csgs_codec.encoder.laplace import laplace_bits

ROWS, INPUTS, WIDTH, CHANNELS = 1100, 7, 6, 3
Data = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def network() -> FloatMlp:
    torch.manual_seed(2)
    made = FloatMlp(INPUTS, WIDTH, CHANNELS, torch.tensor([1.0, 3.0, 0.4]))
    made.flat += 0.1 * torch.randn(len(made.flat))
    return made


def data() -> Data:
    random = torch.Generator().manual_seed(1)
    inputs = torch.randint(0, 256, (ROWS, INPUTS), generator=random, dtype=torch.uint8)
    wanted = 2 * torch.randn(ROWS, CHANNELS, generator=random)
    finer = torch.exp2(torch.randint(-2, 3, (ROWS, 1), generator=random) / 2.0)
    return inputs, wanted, finer


def mean_bits(made: FloatMlp, flat: torch.Tensor, rows: slice, known: Data) -> torch.Tensor:
    inputs, wanted, finer = (array[rows] for array in known)
    first, first_bias, second, second_bias, last, last_bias = made.cut(flat)
    hidden = (inputs / 256 @ first + first_bias).clamp(0, 255 / 256)
    hidden = (hidden @ second + second_bias).clamp(0, 255 / 256)
    mu, log_sigma = (hidden @ last + last_bias).chunk(2, dim=1)
    residual = (wanted - mu * torch.tensor([1.0, 3.0, 0.4])) * finer
    return laplace_bits(residual, log_sigma + torch.log(finer)).sum() / len(inputs)


@pytest.mark.parametrize("rows", [slice(0, ROWS), slice(3, 4), slice(10, 97), slice(400, 1000)])
def test_gradient_is_that_of_autograd(rows: slice) -> None:
    made, known = network(), data()
    leaf = made.flat.clone().requires_grad_()
    mean_bits(made, leaf, rows, known).backward()
    with helping_thread() as helper:
        found = Gradient(made, *known).of(rows, helper)
    assert leaf.grad is not None and leaf.grad.abs().max() > 0.01
    torch.testing.assert_close(found, leaf.grad, rtol=1e-4, atol=1e-4)


def test_weights_cost_their_bits() -> None:
    made = network()
    leaf = made.flat.clone().requires_grad_()
    first, _, second, _, last, _ = made.cut(leaf)
    of_spread = torch.tensor([1.0, 3.0, 0.4]) * 2.0**8
    of_index = torch.full((3,), 2.0**8 * 6.0) / torch.log(torch.tensor(2.0))
    scaled = [first * 2.0**6, second * 2.0**6, last * torch.cat([of_spread, of_index])]
    sum(torch.log2(1 + part.abs()).sum() for part in scaled).backward()  # type: ignore[union-attr]
    torch.testing.assert_close(made.weight_slopes(), leaf.grad)


def test_threads_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    made, known = network(), data()
    with helping_thread() as helper:
        helped = Gradient(made, *known).of(slice(0, ROWS), helper)
        monkeypatch.setattr("csgs_codec.encoder.float_mlp._LEAST_ROWS", ROWS)
        alone = Gradient(made, *known).of(slice(0, ROWS), helper)
    torch.testing.assert_close(helped, alone, rtol=1e-5, atol=1e-6)


def test_first_guess_is_the_spread() -> None:
    made = FloatMlp(INPUTS, WIDTH, CHANNELS, torch.tensor([1.0, 3.0, 0.4]))
    *_, (weight, bias) = made.layers()
    assert weight.shape == (WIDTH, 2 * CHANNELS)
    assert bias[:CHANNELS] == pytest.approx(0)
    assert bias[CHANNELS:] == pytest.approx([0.0, 1.0986, -0.9163], abs=1e-3)
