"""The codec's treatment of features, differentiable: decorrelate, predict, round, count bits.

After CSGaussian (WACV 2026), where segmentation is learnt under the quantisation and the rate of
the codec that follows. Here the codec is this one: steps relative to the features' root mean
square on decorrelated channels, residuals around a prediction from neighbours of earlier layers,
symbols chosen by rate and distortion.
"""

from __future__ import annotations

import torch

from csgs_codec.encoder.laplace import laplace_bits
from csgs_codec.encoder.quantise import LAMBDA
from csgs_codec.semantics.learn.order import CodingOrder

_LEAST_SPREAD = 0.05
_LEAST_RMS = 1e-6
_NAT = 1.4426950408889634


class FeatureCodec(torch.nn.Module):
    """What coding would do to features.

    Latents are features on their principal axes, in quantiser steps. The scale of residuals is
    learnt for each channel as a power of how far the neighbours are apart.

    Parameters
    ----------
    order : CodingOrder
    dim : int
    step : float
        Relative to the root mean square of all features.
    device : str
    """

    basis: torch.Tensor
    mean: torch.Tensor
    middle: torch.Tensor

    def __init__(self, order: CodingOrder, dim: int, step: float, device: str) -> None:
        super().__init__()
        self._layers = [torch.from_numpy(rows).to(device) for rows in order.layers]
        self._near = torch.from_numpy(order.near).to(device)
        self._weight = torch.from_numpy(order.weight).to(device)
        self._step = step
        self.basis = torch.eye(dim, device=device)
        self.mean = torch.zeros(dim, device=device)
        self.middle = torch.zeros(dim, device=device)
        self.level = torch.nn.Parameter(torch.zeros(dim, device=device))
        self.slope = torch.nn.Parameter(torch.full((dim,), 0.5, device=device))
        self.alone = torch.nn.Parameter(torch.ones(dim, device=device))

    @torch.no_grad()
    def refit(self, features: torch.Tensor) -> None:
        """Fit the principal axes, and the middle of what is predicted from no neighbour."""
        self.mean = features.mean(0)
        centred = features - self.mean
        _, axes = torch.linalg.eigh((centred.T @ centred / len(features)).double())
        self.basis = axes.flip(1).to(features.dtype)
        self.middle = self.latents(features).median(0).values

    def unit(self, features: torch.Tensor) -> torch.Tensor:
        """One quantiser step, in units of the features."""
        return self._step * features.square().mean().add(_LEAST_RMS**2).sqrt()

    def latents(self, features: torch.Tensor) -> torch.Tensor:
        """Principal components in steps, shape (n, dim)."""
        return (features - self.mean) @ self.basis / self.unit(features)

    def restored(self, features: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        """Features with other latents; the gradient passes straight to the given features."""
        with torch.no_grad():
            change = (latents - self.latents(features)) @ self.basis.T * self.unit(features)
        return features + change

    def predict(self, known: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log standard deviation of latents, given all latents of earlier layers.

        Parameters
        ----------
        known : torch.Tensor, shape (n, dim)
        rows : torch.Tensor of int64, shape (m,)

        Returns
        -------
        mean, log_sigma : torch.Tensor, shape (m, dim)
            In steps, and its logarithm.
        """
        near = known[self._near[rows]]
        weight = self._weight[rows][:, :, None]
        lonely = 1 - weight.sum(1)
        mean = (weight * near).sum(1) + lonely * self.middle
        spread = (weight * (near - mean[:, None]).abs()).sum(1)
        guided = self.level + self.slope * torch.log(spread + _LEAST_SPREAD)
        return mean, guided + lonely * (self.alone - guided)

    @torch.no_grad()
    def rounded(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents as they would be restored: layer after layer, symbols chosen as the codec does.

        A symbol of one less is taken where it saves more than it distorts.
        """
        known = torch.zeros_like(latents)
        for rows in self._layers:
            mean, log_sigma = self.predict(known, rows)
            residual = latents[rows] - mean
            bits = _NAT * 2**0.5 * torch.exp(-log_sigma.clamp(-2.7, 5.0))
            dead = (0.5 * LAMBDA * bits).clamp(max=0.9)
            size = torch.floor((residual.abs() + 0.5 - dead).clamp(min=0))
            known[rows] = mean + residual.sign() * size
        return known

    def bits(self, latents: torch.Tensor, known: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Estimated bits of some Gaussians, shape (m,).

        Parameters
        ----------
        latents : torch.Tensor, shape (n, dim)
            To be coded.
        known : torch.Tensor, shape (n, dim)
            As decoders will know them.
        rows : torch.Tensor of int64, shape (m,)
        """
        mean, log_sigma = self.predict(known, rows)
        return laplace_bits(latents[rows] - mean, log_sigma).sum(1)
