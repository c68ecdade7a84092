"""Learn features of Gaussians from label maps of views; geometry and colours stay as they are.

Quantisation-aware training rounds a random half of the Gaussians in each step (as Quant-Noise, Fan
et al., ICLR 2021): rounding all of them lets features drift within their cells until they suit one
lattice only, which is not exactly that of the codec's trained predictions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from csgs_codec.encoder.fit import steady_torch
from csgs_codec.errors import UnsupportedError, UsageError
from csgs_codec.scene import Scene
from csgs_codec.semantics.heads import Head
from csgs_codec.semantics.learn.losses import contrastive, cross_entropy
from csgs_codec.semantics.learn.maps import Batch, SparseMap, ViewMap, make_batches
from csgs_codec.semantics.learn.options import LearnOptions
from csgs_codec.semantics.learn.order import CodingOrder
from csgs_codec.semantics.learn.quality import Quality, judge, nearest, neighbour_mean
from csgs_codec.semantics.learn.quantise import FeatureCodec

Progress = Callable[[str, float], None]

MOST_CLASSES = 4096
_NOISY_SHARE = 0.5
_ROUNDED_SHARE = 0.5
_REFIT_EVERY = 20
_RATED_ROWS = 32768
_FEATURE_RATE, _HEAD_RATE, _CODEC_RATE = 0.05, 0.02, 0.02
_PULL = 0.1
_SPREAD_OF_START = 0.05


@dataclass(frozen=True)
class Learned:
    """What was learnt.

    Attributes
    ----------
    features : ndarray of float32, shape (n, dim)
    head : Head or None
        None where ids are not the same in every view.
    bits : float
        Estimated bits per Gaussian at the step that was prepared for.
    quality : Quality
    """

    features: NDArray[np.float32]
    head: Head | None
    bits: float
    quality: Quality


def learn(
    scene: Scene,
    views: Sequence[ViewMap],
    options: LearnOptions = LearnOptions(),
    names: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> Learned:
    """Learn features that blend to separable pixels and that the codec codes cheaply.

    Parameters
    ----------
    scene : Scene
        At least one Gaussian.
    views : sequence of ViewMap
        At least one, of this scene.
    options : LearnOptions
    names : tuple of str
        Names of the ids 0, 1, ...; may be empty.
    progress : callable, optional
        Called with a description and the share done, 0 to 1.

    Returns
    -------
    Learned

    Raises
    ------
    UsageError
        No pixel has a label, or ids are no class numbers.
    UnsupportedError
        The device is not there.
    """
    tell = progress or (lambda text, share: None)
    classes = 1 + max((int(view.labels.max(initial=-1)) for view in views), default=-1)
    if not classes:
        raise UsageError("no pixel of the views has a label")
    if options.ids == "consistent" and classes > MOST_CLASSES:
        raise UsageError(f"label {classes - 1} is no class number; is it to be ignored?")
    tell("judging", 0.0)
    near = nearest(np.nan_to_num(scene.stack(("x", "y", "z"))))
    quality = judge(views, near, options.ids == "consistent", classes)
    tell("preparing", 0.02)
    device = choose_device(options.device)
    width = max(classes, len(names)) if options.ids == "consistent" else 1
    with steady_torch():
        training = _Training(scene, views, options, width, quality, near[1], device)
        training.run(lambda share: tell("learning", 0.05 + 0.95 * share))
        return training.result(quality, names)


def choose_device(wanted: str) -> str:
    """``cuda`` or ``cpu``.

    Raises
    ------
    UnsupportedError
        CUDA is wanted and not there.
    """
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise UnsupportedError("there is no CUDA device")
    return "cuda" if there and wanted != "cpu" else "cpu"


class _Training:
    def __init__(
        self,
        scene: Scene,
        views: Sequence[ViewMap],
        options: LearnOptions,
        classes: int,
        quality: Quality,
        near: NDArray[np.int64],
        device: str,
    ) -> None:
        random = np.random.default_rng(options.seed)
        torch.manual_seed(options.seed)
        self._options = options
        weighted = options.quality_weights
        reliability = quality.reliability if weighted else None
        self._batches = make_batches(views, reliability, device, random)
        self._order = random
        self._reliability = torch.from_numpy(quality.reliability.astype(np.float32)).to(device)
        self._reliability = self._reliability[:, None]
        self._around = (
            SparseMap(neighbour_mean(near, quality.reliability), device) if weighted else None
        )
        self._codec = FeatureCodec(CodingOrder.of(scene), options.dim, options.step, device)
        start = _SPREAD_OF_START * torch.randn(scene.count, options.dim)
        self._features = torch.nn.Parameter(start.to(device))
        self._head = torch.nn.Linear(options.dim, classes).to(device)
        self._optimiser = torch.optim.Adam(
            [
                {"params": [self._features], "lr": _FEATURE_RATE},
                {"params": self._head.parameters(), "lr": _HEAD_RATE},
                {"params": self._codec.parameters(), "lr": _CODEC_RATE},
            ],
            betas=(0.9, 0.98),
        )

    def run(self, tell: Callable[[float], None]) -> None:
        """Take all steps."""
        steps = self._options.steps
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimiser,
            [group["lr"] for group in self._optimiser.param_groups],
            total_steps=steps + 1,
            pct_start=0.1,
        )
        queue: list[int] = []
        for step in range(steps):
            if not queue:
                queue = self._order.permutation(len(self._batches)).tolist()
            if step % _REFIT_EVERY == 0:
                self._codec.refit(self._features)
            loss = self._loss(self._batches[queue.pop()], step < _NOISY_SHARE * steps)
            self._optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimiser.step()
            schedule.step()
            if step % 10 == 0:
                tell(step / steps)

    def _loss(self, batch: Batch, noisy: bool) -> torch.Tensor:
        options, features = self._options, self._features
        latents = self._codec.latents(features if options.rate else features.detach())
        if noisy or not options.qat:
            known = latents + (torch.rand_like(latents) - 0.5)
        else:
            known = latents + (self._codec.rounded(latents) - latents).detach()
        seen = self._codec.restored(features, known) if options.qat else features
        if options.qat and not noisy:
            spared = torch.rand_like(self._reliability) >= _ROUNDED_SHARE
            seen = torch.where(spared, features, seen)
        if self._around is not None:
            seen = self._reliability * seen + (1 - self._reliability) * seen.detach()
        rendered = batch.blend @ seen
        if options.ids == "consistent":
            loss = cross_entropy(self._head(rendered), batch)
        else:
            loss = contrastive(rendered, batch)
        if self._around is not None:
            loss = loss + self._pull()
        coded = known if noisy else latents
        bits = self._codec.bits(coded, known, self._some_rows()).mean()
        return loss + (options.rate or 1.0) * bits

    def _pull(self) -> torch.Tensor:
        """Distance of unreliable Gaussians from their neighbours, relative to all features."""
        assert self._around is not None
        features = self._features
        with torch.no_grad():
            around = self._around @ features
            energy = features.square().mean() + 1e-12
        apart = (features - around).square().mean(1, keepdim=True)
        return _PULL * ((1 - self._reliability) * apart).mean() / energy

    def _some_rows(self) -> torch.Tensor:
        count = len(self._features)
        if count <= _RATED_ROWS:
            return torch.arange(count, device=self._features.device)
        return torch.randint(count, (_RATED_ROWS,), device=self._features.device)

    @torch.no_grad()
    def result(self, quality: Quality, names: tuple[str, ...]) -> Learned:
        """What the last step left."""
        self._codec.refit(self._features)
        latents = self._codec.latents(self._features)
        every = torch.arange(len(latents), device=latents.device)
        bits = float(self._codec.bits(latents, self._codec.rounded(latents), every).mean())
        features = self._features.cpu().numpy().astype(np.float32)
        if self._options.ids != "consistent":
            return Learned(features, None, bits, quality)
        weight, bias = (p.double().cpu().numpy() for p in self._head.parameters())
        return Learned(features, Head(weight, bias, names), bits, quality)
