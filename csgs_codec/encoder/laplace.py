"""Bits of residuals under Laplace densities, and how they change with means and scales."""

from __future__ import annotations

import math
from importlib.util import find_spec

import torch

LOG_SIGMA_RANGE = (-2.7, 5.0)
_OCTAVE = math.log(2.0)


def laplace_bits(residual: torch.Tensor, log_sigma: torch.Tensor) -> torch.Tensor:
    """Bits of a residual, in steps, under a Laplace density summed over one step around it."""
    scale = torch.exp(log_sigma.clamp(*LOG_SIGMA_RANGE)) / 2**0.5
    distance = residual.abs()
    near = distance.clamp(max=0.5)
    inside = 1 - 0.5 * (torch.exp(-(near + 0.5) / scale) + torch.exp((near - 0.5) / scale))
    far = (0.5 - distance.clamp(min=0.5)) / scale + torch.log(-0.5 * torch.expm1(-1 / scale))
    nats = torch.where(distance < 0.5, torch.log(inside.clamp(min=1e-9)), far)
    return -nats / _OCTAVE


def laplace_slopes(
    residual: torch.Tensor, log_sigma: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Derivatives of :func:`laplace_bits` by both arguments.

    Parameters
    ----------
    residual, log_sigma : Tensor of float32, one shape, contiguous

    Returns
    -------
    by_residual, by_log_sigma : Tensor of float32
    """
    if find_spec("numba") is None:
        return _slopes_by_autograd(residual, log_sigma)
    from csgs_codec.encoder.laplace_kernel import slopes

    by_residual, by_log_sigma = torch.empty_like(residual), torch.empty_like(residual)
    flat = [t.view(-1).numpy() for t in (residual, log_sigma, by_residual, by_log_sigma)]
    slopes(*flat)
    return by_residual, by_log_sigma


def _slopes_by_autograd(
    residual: torch.Tensor, log_sigma: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    leaves = [t.detach().clone().requires_grad_() for t in (residual, log_sigma)]
    bits = laplace_bits(*leaves).sum()
    by_residual, by_log_sigma = torch.autograd.grad(bits, leaves)
    return by_residual, by_log_sigma
