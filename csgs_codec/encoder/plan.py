"""Choose quantisers: steps, transforms and step rules of every group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csgs_codec.attributes import warps
from csgs_codec.attributes.coding import TRANSFORMED_KINDS, GroupCoding, warp
from csgs_codec.attributes.steps import LARGEST_CLASS, StepRule
from csgs_codec.attributes.transform import LinearTransform
from csgs_codec.container.kinds import GroupKind
from csgs_codec.decoder.parser import FINE_BITS_MAX
from csgs_codec.scene import Scene
from csgs_codec.schema import Group, Role

F64 = NDArray[np.float64]

KIND_OF_ROLE = {
    Role.OPACITY: GroupKind.OPACITY,
    Role.SCALE: GroupKind.SCALE,
    Role.ROTATION: GroupKind.ROTATION,
    Role.DC: GroupKind.DC,
    Role.SH: GroupKind.SH,
    Role.FEATURE: GroupKind.FEATURE,
    Role.SEMANTIC: GroupKind.SEMANTIC,
}

BASE_STEPS = {
    GroupKind.OPACITY: 0.4,
    GroupKind.SCALE: 0.2,
    GroupKind.ROTATION: 0.14,
    GroupKind.DC: 0.18,
    GroupKind.SH: 0.09,
}
FEATURE_STEP = 0.3
POSITION_STEP = 0.2

# Log sensitivity of the picture to one unit of error, per unit of (smallest, middle, largest log
# scale, warped opacity): fitted to render Jacobians of four trained scenes.
SENSITIVITY = {
    GroupKind.SCALE: (0.0, 0.0, 0.0, 0.6),
    GroupKind.POSITION_FINE: (-1.2, -0.5, 0.35, 0.5),
    GroupKind.ROTATION: (-2.1, -0.27, 3.1, 0.6),
    GroupKind.DC: (-0.6, 0.35, 0.6, 0.6),
    GroupKind.SH: (-0.6, 0.35, 0.6, 0.6),
}
_CLASS_LIMIT = {
    GroupKind.SCALE: 3,
    GroupKind.ROTATION: LARGEST_CLASS,
    GroupKind.DC: 4,
    GroupKind.SH: 4,
}
_NEGLIGIBLE_SPREAD = 0.15
_BASIS_BITS = {GroupKind.SH: 8, GroupKind.DC: 10}
_RULE_SHIFT = 16
_WEIGHT_RANGE = (0.1, 10.0)


class Appearance:
    """What steps depend on: sorted log scales and warped opacities of a scene."""

    def __init__(self, scene: Scene, groups: Sequence[Group]) -> None:
        columns = {group.role: group.columns for group in groups}
        count = scene.count
        self.features = np.zeros((count, 4))
        if Role.SCALE in columns:
            ordered = np.sort(scene.stack(columns[Role.SCALE]), axis=1)
            width = ordered.shape[1]
            self.features[:, :3] = ordered[:, [0, width // 2, width - 1]]
        opacity = np.ones(count)
        if Role.OPACITY in columns:
            logit = scene.stack(columns[Role.OPACITY])[:, 0]
            self.features[:, 3] = warps.opacity_forward(logit)
            opacity = 1.0 / (1.0 + np.exp(-np.clip(logit, -30, 30)))
        self.median = np.median(self.features, axis=0) if count else np.zeros(4)
        area = np.exp(np.clip(self.features[:, 1] + self.features[:, 2], -60, 60))
        self.importance = opacity * area

    def log2_step(self, kind: GroupKind) -> F64:
        """Octaves by which each Gaussian's step should differ from the base step."""
        sensitivity = np.array(SENSITIVITY[kind])
        return -0.5 * ((self.features - self.median) @ sensitivity) / np.log(2.0)

    @property
    def weights(self) -> F64:
        """Weights of Gaussians when a transform is fitted."""
        middle = np.median(self.importance) if len(self.importance) else 1.0
        return np.clip(self.importance / max(middle, 1e-30), *_WEIGHT_RANGE)


def step_rule(
    kind: GroupKind,
    median: F64,
    codings: dict[GroupKind, GroupCoding],
    per_octave: float,
    offset: float,
    low: int,
    high: int,
) -> StepRule:
    """Express ``per_octave * log2 step + offset`` in the decoded integers of scale and opacity."""
    slope = -0.5 * per_octave * np.array(SENSITIVITY[kind]) / np.log(2.0)
    unit, centre = np.zeros(4), median.copy()
    for places, source in (((0, 1, 2), GroupKind.SCALE), ((3,), GroupKind.OPACITY)):
        if source in codings and source is not kind:
            unit[list(places)] = codings[source].step / 64.0
            centre[list(places)] = codings[source].centre[0]
    known = unit > 0
    constant = offset + float((slope * (centre - median))[known].sum())
    coefficients = np.rint(slope * unit * (1 << _RULE_SHIFT)).astype(int)
    bias = int(np.rint(constant * (1 << _RULE_SHIFT)))
    a, b, c, d = (int(v) for v in coefficients)
    return StepRule(bias, (a, b, c, d), _RULE_SHIFT, low, high)


def plan_group(
    group: Group,
    scene: Scene,
    appearance: Appearance,
    codings: dict[GroupKind, GroupCoding],
    factor: float,
    silent: NDArray[np.bool_] | None,
) -> GroupCoding:
    """Choose the quantiser of a residual-coded group.

    Parameters
    ----------
    group : Group
    scene : Scene
        At least one Gaussian, finite values.
    appearance : Appearance
    codings : dict
        Quantisers of the groups before.
    factor : float
        Factor on the step.
    silent : ndarray of bool, optional
        Rows that are not coded and must not influence the transform.
    """
    kind = KIND_OF_ROLE[group.role]
    columns = scene.stack(group.columns)
    weights = appearance.weights
    if silent is not None and not silent.all():
        columns, weights = columns[~silent], weights[~silent]
    step = BASE_STEPS.get(kind, FEATURE_STEP * _spread(columns)) * factor
    transform = None
    if kind in TRANSFORMED_KINDS:
        heavy = weights if kind is GroupKind.SH else np.ones(len(columns))
        whole = LinearTransform.fit(columns, heavy, columns.shape[1], _BASIS_BITS.get(kind, 10))
        transform = _without_negligible(whole, columns, heavy, step)
    values = warp(kind, transform, columns)
    if kind is GroupKind.SCALE:
        centre = np.full(values.shape[1], np.median(values), np.float32)
    else:
        centre = np.median(values, axis=0).astype(np.float32)
    rule = StepRule()
    if kind in _CLASS_LIMIT:
        limit = _CLASS_LIMIT[kind]
        rule = step_rule(kind, appearance.median, codings, 2.0, 0.0, -limit, limit)
    return GroupCoding(kind, step, centre, rule, transform)


def _without_negligible(
    whole: LinearTransform, columns: F64, weights: F64, step: float
) -> LinearTransform:
    """Drop the last components whose spread is well below what quantising them would add."""
    squared = whole.forward(columns) ** 2
    spread = np.sqrt(weights @ squared / weights.sum())
    kept = max(1, int((spread > _NEGLIGIBLE_SPREAD * step).sum()))
    return LinearTransform(whole.mean, whole.basis_q[:kept], whole.bits)


def _spread(columns: F64) -> float:
    """Root mean square of feature vectors per column; 1 for all-zero features."""
    rms = float(np.sqrt(np.mean(columns * columns)))
    return rms if rms > 0 else 1.0


@dataclass(frozen=True)
class Grid:
    """The position grid of a scene.

    Attributes
    ----------
    origin : tuple of 3 floats
    step : float
        Coarse cell: what all but the most lenient Gaussians want refined.
    base : float
        Step wanted by a Gaussian with the scene's median appearance.
    cells : ndarray of int64, shape (n, 3)
    inside : ndarray of float64, shape (n, 3)
        Place within the cell, in [0, 1).
    """

    origin: tuple[float, float, float]
    step: float
    base: float
    cells: NDArray[np.int64]
    inside: F64

    @classmethod
    def of(cls, scene: Scene, appearance: Appearance, factor: float) -> Grid:
        """Choose the grid.

        Steps are in proportion to the scene's typical extent of a Gaussian, or of the space
        between Gaussians where there are no scales.
        """
        xyz = scene.stack(("x", "y", "z"))
        if not scene.count:
            return cls((0.0, 0.0, 0.0), 1.0, 1.0, np.zeros((0, 3), np.int64), xyz)
        size = float(np.exp(appearance.median[1]))
        if not appearance.features[:, :3].any():
            box = float(np.ptp(xyz, axis=0).max())
            size = box / scene.count ** (1 / 3)
        base = POSITION_STEP * factor * max(size, float(np.abs(xyz).max()) * 1e-9, 1e-12)
        octaves = appearance.log2_step(GroupKind.POSITION_FINE)
        refined = appearance.features.any()
        step = base * float(np.exp2(np.quantile(octaves, 0.95))) if refined else base
        low = xyz.min(axis=0)
        cells = np.floor((xyz - low) / step)
        return cls(
            (float(low[0]), float(low[1]), float(low[2])),
            step,
            base,
            cells.astype(np.int64),
            np.clip((xyz - low) / step - cells, 0.0, np.nextafter(1.0, 0.0)),
        )


def fine_rule(
    appearance: Appearance, codings: dict[GroupKind, GroupCoding], base: float, coarse: float
) -> StepRule:
    """Fine bits per axis: ``log2(coarse / wanted step)``, rounded."""
    offset = float(np.log2(coarse / base))
    return step_rule(
        GroupKind.POSITION_FINE, appearance.median, codings, -1.0, offset, 0, FINE_BITS_MAX
    )
