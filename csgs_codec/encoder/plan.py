"""Choose quantisers: steps, transforms and step rules of every group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csgs_codec.attributes.coding import TRANSFORMED_KINDS, GroupCoding, warp
from csgs_codec.attributes.steps import FEATURES, LARGEST_CLASS, LARGEST_COEFFICIENT, StepRule
from csgs_codec.attributes.transform import LinearTransform
from csgs_codec.container.kinds import GroupKind
from csgs_codec.decoder.parser import FINE_BITS_MAX
from csgs_codec.encoder.appearance import PROXY_STEPS, Appearance
from csgs_codec.encoder.meaning import FEATURE_STEP, without_negligible
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
}

POSITION_STEP = 0.2
_LARGEST_CELL = 2.0
_MOST_CELLS = 2.0**21 - 2.0
SENSITIVITY_STEP = 1.5

# Half octaves, finest and coarsest. An error of scale or opacity has effects beyond its slope.
_CLASS_LIMITS = {
    GroupKind.OPACITY: (-4, 3),
    GroupKind.SCALE: (-4, 2),
    GroupKind.ROTATION: (-LARGEST_CLASS, LARGEST_CLASS),
    GroupKind.DC: (-6, 6),
    GroupKind.SH: (-6, 8),
}
_LARGEST_STEP = {GroupKind.OPACITY: 1.0, GroupKind.SCALE: 0.35, GroupKind.ROTATION: 0.5}
_BASIS_BITS = {GroupKind.SH: 8, GroupKind.DC: 10}
_RULE_SHIFT = 16
_RIDGE = 0.02
_COARSE_QUANTILE = 0.7
_FEATURE_SOURCES = (
    ((0, 1, 2), GroupKind.SCALE),
    ((3,), GroupKind.OPACITY),
    ((4, 5), GroupKind.SENSITIVITY),
)


@dataclass(frozen=True)
class Fineness:
    """How finely to quantise.

    Attributes
    ----------
    factor : float
        On the steps of what pictures do not judge.
    error : float
        Mean squared error of pictures that all quantisation together may cause.
    """

    factor: float
    error: float


def sensitivity_coding(appearance: Appearance) -> GroupCoding:
    """Quantiser of the two sensitivities that steps depend on."""
    centre = appearance.median[4:].astype(np.float32)
    return GroupCoding(GroupKind.SENSITIVITY, SENSITIVITY_STEP, centre)


def step_rule(
    kind: GroupKind,
    appearance: Appearance,
    codings: dict[GroupKind, GroupCoding],
    per_octave: float,
    offset: float,
    low: int,
    high: int,
) -> StepRule:
    """Express ``per_octave * log2 step + offset`` in the decoded integers of earlier groups.

    Slopes through a handful of Gaussians can be too steep for the format: one step fits all then.
    """
    unit, centre = np.zeros(FEATURES), appearance.median.copy()
    for places, source in _FEATURE_SOURCES:
        if source in codings and source is not kind:
            unit[list(places)] = codings[source].step / 64.0
            centres = codings[source].centre
            centre[list(places)] = centres if len(centres) == len(places) else centres[0]
    known = unit > 0
    slope = per_octave * appearance.slopes(kind, known)
    constant = offset + float((slope * (centre - appearance.median))[known].sum())
    coefficients = np.rint(slope * unit * (1 << _RULE_SHIFT)).astype(int)
    bias = int(np.rint(constant * (1 << _RULE_SHIFT)))
    a, b, c, d, e, f = (int(v) for v in coefficients)
    if max(map(abs, (bias, a, b, c, d, e, f))) > LARGEST_COEFFICIENT:
        return StepRule()
    return StepRule(bias, (a, b, c, d, e, f), _RULE_SHIFT, low, high)


def plan_group(
    group: Group,
    scene: Scene,
    appearance: Appearance,
    codings: dict[GroupKind, GroupCoding],
    fineness: Fineness,
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
    fineness : Fineness
    """
    kind = KIND_OF_ROLE[group.role]
    columns = scene.stack(group.columns)
    weights = appearance.weights
    step = appearance.base_step(kind, fineness.error)
    if step is None:
        step = PROXY_STEPS.get(kind, FEATURE_STEP * _spread(columns)) * fineness.factor
    largest = _LARGEST_STEP.get(kind, np.inf)
    step = min(step, largest)
    transform = None
    if kind in TRANSFORMED_KINDS:
        heavy = weights if kind is GroupKind.SH else np.ones(len(columns))
        metric = _sh_metric(appearance, columns.shape[1]) if kind is GroupKind.SH else None
        bits = _BASIS_BITS.get(kind, 10)
        whole = LinearTransform.fit([columns], heavy, columns.shape[1], bits, metric)
        transform = without_negligible(whole, step)
    values = warp(kind, transform, columns)
    if kind is GroupKind.SCALE:
        centre = np.full(values.shape[1], np.median(values), np.float32)
    else:
        centre = np.median(values, axis=0).astype(np.float32)
    rule = StepRule()
    if kind in _CLASS_LIMITS and (
        appearance.sensitivity is not None or kind is not GroupKind.OPACITY
    ):
        low, high = _CLASS_LIMITS[kind]
        if np.isfinite(largest):
            high = min(high, int(2.0 * np.log2(largest / step)))
        rule = step_rule(kind, appearance, codings, 2.0, 0.0, low, high)
    return GroupCoding(kind, step, centre, rule, transform)


def _sh_metric(appearance: Appearance, width: int) -> F64 | None:
    """What errors of the SH columns (channel after channel, without DC) do to pictures."""
    if appearance.sensitivity is None or width != 3 * (len(appearance.sensitivity.directions) - 1):
        return None
    bands = appearance.sensitivity.directions[1:, 1:]
    return np.asarray(np.kron(np.eye(3), bands + _RIDGE * np.eye(len(bands))), np.float64)


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
    def of(cls, scene: Scene, appearance: Appearance, fineness: Fineness) -> Grid:
        """Choose the grid.

        Without a rendered sensitivity, steps are in proportion to the scene's typical extent of a
        Gaussian, or of the space between Gaussians where there are no scales.
        """
        xyz = scene.stack(("x", "y", "z"))
        if not scene.count:
            return cls((0.0, 0.0, 0.0), 1.0, 1.0, np.zeros((0, 3), np.int64), xyz)
        size = float(np.exp(appearance.median[1]))
        if not appearance.features[:, :3].any():
            box = float(np.ptp(xyz, axis=0).max())
            size = box / scene.count ** (1 / 3)
        base = appearance.base_step(GroupKind.POSITION_FINE, fineness.error)
        if base is None:
            base = POSITION_STEP * fineness.factor * size
        base = min(base, _LARGEST_CELL * size)
        base = max(base, float(np.abs(xyz).max()) * 1e-9, 1e-12)
        known = np.ones(FEATURES, np.bool_)
        slopes = appearance.slopes(GroupKind.POSITION_FINE, known)
        octaves = (appearance.features - appearance.median) @ slopes
        refined = appearance.features.any()
        step = base * float(np.exp2(np.quantile(octaves, _COARSE_QUANTILE))) if refined else base
        low = xyz.min(axis=0)
        if appearance.sensitivity is not None:
            step = max(step, float((xyz - low).max()) / _MOST_CELLS)
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
    return step_rule(GroupKind.POSITION_FINE, appearance, codings, -1.0, offset, 0, FINE_BITS_MAX)
