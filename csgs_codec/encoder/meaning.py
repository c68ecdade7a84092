"""What an error of semantic features costs, under the measure that their users take.

``cosine``: features are compared by angle, so a Gaussian's error counts relative to its length.
``l2``: every error counts the same. A :class:`~csgs_codec.semantics.heads.Head`: features are
classified, so errors count by what they do to differences of logits; which of them, symbols are
chosen by (:mod:`csgs_codec.encoder.classes`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from csgs_codec.attributes.coding import GroupCoding
from csgs_codec.attributes.steps import StepRule
from csgs_codec.attributes.transform import Blocks, LinearTransform
from csgs_codec.container.kinds import GroupKind
from csgs_codec.encoder.classes import typical_margin
from csgs_codec.encoder.innovation import independent_axes
from csgs_codec.semantics.heads import Head

F64 = NDArray[np.float64]
SemanticMetric = Literal["cosine", "l2"] | Head

FEATURE_STEP = 0.3
_LOGIT_STEP = 0.25
_REACH = 3.0
_RIDGE = 0.1
_LEAST_SPREAD = 0.3
_COARSENING = 0.6
_SIGNAL_STEP = 0.6
_CLASS_LIMIT = 6
_RULE_SHIFT = 16
_BASIS_BITS = 10
_NEGLIGIBLE_SPREAD = 0.15


@dataclass(frozen=True)
class Meaning:
    """How finely the features of each Gaussian should be quantised.

    Attributes
    ----------
    step : float
        Step of a typical Gaussian at quality 75, in units of ``metric``.
    octaves : ndarray of float64, shape (n,)
        Log2 of each Gaussian's own step relative to that.
    metric : ndarray of float64, shape (width, width), optional
        What squared errors of features count.
    angular : bool
        Whether features are compared by angle.
    head : Head, optional
        What classifies them.
    say : ndarray of float64, shape (n,), optional
        Weight of each Gaussian in the choice of components; the same for all by default.
    """

    step: float
    octaves: F64
    metric: F64 | None = None
    angular: bool = False
    head: Head | None = None
    say: F64 | None = None

    @property
    def uneven(self) -> bool:
        """Whether sending each Gaussian's own step pays."""
        return float(self.octaves.std()) > _LEAST_SPREAD

    def step_at(self, factor: float) -> float:
        """Step of a quality, whose errors may be ``factor`` times as large.

        Below quality 75 classes cost fewer bits by symbols that are 0 than by coarser steps.
        """
        coarser = factor if self.head is None else min(factor, factor**_COARSENING)
        return self.step * coarser

    @property
    def cost(self) -> F64:
        """What a squared error of one base step costs each Gaussian, 1 where it is just right."""
        return np.asarray(np.exp2(-2.0 * self.octaves))

    @property
    def signal(self) -> F64:
        """What a SENSITIVITY group sends, shape (n, 2)."""
        return np.column_stack([self.octaves, np.zeros(len(self.octaves))])


def signal_coding() -> GroupCoding:
    """Quantiser of the steps that are sent."""
    return GroupCoding(GroupKind.SENSITIVITY, _SIGNAL_STEP, np.zeros(2, np.float32))


def feature_coding(
    features: Blocks,
    meaning: Meaning,
    factor: float,
    signalled: bool,
    differences: F64 | None = None,
) -> GroupCoding:
    """Choose transform, step and step rule of a semantic group.

    Parameters
    ----------
    features : sequence of ndarray of float64, shape (rows, width)
        Of the rows that are coded, at least one, block after block.
    meaning : Meaning
    factor : float
        By how much larger errors may be than at quality 75.
    signalled : bool
        Whether a SENSITIVITY group with :attr:`Meaning.signal` stands just before.
    differences : ndarray of float64, shape (m, width), optional
        Of features from their surroundings, see :mod:`csgs_codec.encoder.innovation`.
    """
    step = meaning.step_at(factor)
    say = np.ones(len(meaning.octaves)) if meaning.say is None else meaning.say
    width = features[0].shape[1]
    whole = LinearTransform.fit(features, say, width, _BASIS_BITS, meaning.metric)
    transform = without_negligible(whole, step)
    if differences is not None:
        axes = independent_axes(transform.forward(differences + transform.mean), step)
        transform = transform if axes is None else transform.rotated(axes)
    thinned = [transform.forward(block[:: len(features)]) for block in features]
    centre = np.median(np.concatenate(thinned), axis=0).astype(np.float32)
    rule = StepRule()
    if signalled:
        per_unit = round(2.0 * _SIGNAL_STEP / 64.0 * (1 << _RULE_SHIFT))
        coefficients = (0, 0, 0, 0, per_unit, 0)
        rule = StepRule(0, coefficients, _RULE_SHIFT, -_CLASS_LIMIT, _CLASS_LIMIT)
    return GroupCoding(GroupKind.SEMANTIC, step, centre, rule, transform)


def without_negligible(whole: LinearTransform, step: float) -> LinearTransform:
    """Drop the last components whose spread is well below what quantising them would add.

    The transform must come from :meth:`LinearTransform.fit`.
    """
    assert whole.spread is not None
    return whole.first(max(1, int((whole.spread > _NEGLIGIBLE_SPREAD * step).sum())))


def judge(features: Blocks, metric: SemanticMetric) -> Meaning:
    """Judge the features of a group, blocks of shape (rows, width), by a metric.

    A head of another width than the features counts as ``cosine``.
    """
    lengths = np.concatenate([np.linalg.norm(block, axis=1) for block in features])
    width = features[0].shape[1]
    step = _fair_step(features, len(lengths), float((lengths**2).mean()))
    if metric == "l2":
        return Meaning(step, np.zeros(len(lengths)))
    if isinstance(metric, Head) and metric.width == width and metric.classes > 1:
        differences = metric.weight - metric.weight.mean(axis=0)
        logits = differences.T @ differences
        ridge = _RIDGE * np.trace(logits) / len(logits)
        margins = np.concatenate([metric.margins(block) for block in features])
        logit_step = _LOGIT_STEP * typical_margin(margins)
        labels = np.concatenate([metric.labels(block) for block in features])
        return Meaning(
            logit_step,
            np.zeros(len(lengths)),
            logits + ridge * np.eye(len(logits)),
            head=metric,
            say=1.0 / np.bincount(labels)[labels],
        )
    return Meaning(step, _octaves(lengths), angular=True)


def _fair_step(features: Blocks, count: int, energy: float) -> float:
    """Step under which errors are the same share of the energy, however many columns there are.

    It is in proportion to the root mean square of as many columns as there are components that
    will be kept: hundreds of columns often hold a few components and noise.

    Parameters
    ----------
    features : sequence of ndarray of float64, shape (rows, width)
    count : int
        Rows of all blocks.
    energy : float
        Mean squared length of features.
    """
    kept = features[0].shape[1]
    spread = LinearTransform.fit(features, np.ones(count), kept, _BASIS_BITS).spread
    assert spread is not None
    while True:
        step = FEATURE_STEP * float(np.sqrt(energy / kept)) or FEATURE_STEP
        left = max(1, int((spread > _NEGLIGIBLE_SPREAD * step).sum()))
        if left >= kept:
            return step
        kept = left


def _octaves(values: F64) -> F64:
    """Log2 relative to the median, within reach."""
    middle = float(np.median(values[values > 0])) if (values > 0).any() else 1.0
    return np.clip(np.log2(np.maximum(values, 1e-30) / middle), -_REACH, _REACH)
