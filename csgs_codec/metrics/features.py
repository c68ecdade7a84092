"""Semantic features of a decoded scene against those of the original, Gaussian by Gaussian.

Users compare features by angle (cosine similarity with a query) or by a head's largest logit, and
renderers blend them raw: so angle, class and magnitude count, and a row of zeros means "nothing
here" and must stay one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csgs_codec.errors import UsageError
from csgs_codec.scene import Scene
from csgs_codec.schema import Group, Role
from csgs_codec.semantics.heads import Head

F64 = NDArray[np.float64]
Rows = NDArray[np.floating]

_BLOCK_VALUES = 1 << 20
_FIELDS = 6
_TAIL = 0.95


@dataclass(frozen=True)
class FeatureScore:
    """Differences of one group of features.

    Attributes
    ----------
    rows : int
        Rows that count: the original is finite and not all zero.
    zero_rows, zero_rows_kept : int
        Rows that are all zero in the original, and how many of them still are.
    angle_mean, angle_p95, angle_max : float
        Angle between original and decoded, in degrees; 90 for a row that became zero.
    magnitude_error : float
        Mean of ``| |decoded| / |original| - 1 |``.
    argmax_agreement : float or None
        Share of the rows whose class under the head is the original's; None without a head.
    margin, margin_decoded : float or None
        Mean of the logit of the original's class minus the largest other logit: of the original,
        and of the decoded features (negative where the class changed).
    """

    rows: int
    zero_rows: int
    zero_rows_kept: int
    angle_mean: float
    angle_p95: float
    angle_max: float
    magnitude_error: float
    argmax_agreement: float | None = None
    margin: float | None = None
    margin_decoded: float | None = None


def compare_features(
    original: Rows,
    decoded: Rows,
    head: Head | None = None,
    weights: NDArray[np.floating] | None = None,
) -> FeatureScore:
    """Compare features row by row.

    Parameters
    ----------
    original, decoded : ndarray, shape (n, width)
        In the same row order.
    head : Head, optional
    weights : ndarray, shape (n,), optional
        Not negative; means, the share of rows that agree and the 95 % point count a row by its
        weight, such as :func:`csgs_codec.metrics.weights.blended_weight`. Equal by default.

    Raises
    ------
    UsageError
        The shapes differ, or the head takes features of another width.
    """
    if original.shape != decoded.shape or original.ndim != 2:
        raise UsageError(f"features of shapes {original.shape} and {decoded.shape}")
    blocks = ((original[b], decoded[b]) for b in _blocks(*original.shape))
    return compare_blocks(blocks, head, weights)


def compare_blocks(
    blocks: Iterable[tuple[Rows, Rows]],
    head: Head | None = None,
    weights: NDArray[np.floating] | None = None,
) -> FeatureScore:
    """Do what :func:`compare_features` does with rows that come block after block.

    Parameters
    ----------
    blocks : iterable of pairs of ndarray, shape (rows, width)
        Original and decoded rows.
    head, weights
        As there.

    Raises
    ------
    UsageError
        The head takes features of another width.
    """
    return _score(_by_row(blocks, head), head, weights)


def describe_semantics(
    original: Scene,
    decoded: Scene,
    groups: Sequence[Group],
    heads: Head | Mapping[str, Head] | None = None,
    weights: NDArray[np.floating] | None = None,
) -> dict[str, FeatureScore]:
    """Compare every semantic group that the decoded scene holds.

    Parameters
    ----------
    original, decoded : Scene
        In the same row order.
    groups : sequence of Group
        Groups of the original; only those with :attr:`csgs_codec.schema.Role.SEMANTIC` count.
    heads : Head or mapping of str to Head, optional
        For the group of that name; a single head for every group of its width.
    weights : ndarray, shape (n,), optional
        See :func:`compare_features`.

    Returns
    -------
    dict of str to FeatureScore
        By the group's name; ``vars(score)`` can be written as JSON.

    Raises
    ------
    UsageError
        The scenes have different numbers of rows, or a head named for a group does not fit.
    """
    if original.count != decoded.count:
        raise UsageError(f"scenes of {original.count} and {decoded.count} Gaussians")
    found = {}
    for group in groups:
        names = group.columns
        if group.role is not Role.SEMANTIC or not all(name in decoded.columns for name in names):
            continue
        head = head_for(group, heads)
        blocks = (
            (original.part(b, names), decoded.part(b, names))
            for b in _blocks(original.count, len(names))
        )
        found[group.name] = compare_blocks(blocks, head, weights)
    return found


def head_for(group: Group, heads: Head | Mapping[str, Head] | None) -> Head | None:
    """Choose the head of a group: the one of its name, or a single one if the width fits."""
    if isinstance(heads, Head):
        return heads if heads.width == len(group.columns) else None
    return None if heads is None else heads.get(group.name)


def _blocks(rows: int, width: int) -> list[slice]:
    height = max(1, _BLOCK_VALUES // max(width, 1))
    return [slice(begin, min(begin + height, rows)) for begin in range(0, rows, height)]


def _by_row(blocks: Iterable[tuple[Rows, Rows]], head: Head | None) -> F64:
    """Magnitudes of both, angle, class kept, both margins; shape (n, 6)."""
    parts = [np.zeros((0, _FIELDS))]
    for before, after in blocks:
        if head is not None and head.width != before.shape[1]:
            raise UsageError(f"the head takes {head.width} features, the group {before.shape[1]}")
        part = np.zeros((len(before), _FIELDS))
        part[:, 0], a = _directions(before)
        part[:, 1], b = _directions(after)
        apart, together = np.linalg.norm(a - b, axis=1), np.linalg.norm(a + b, axis=1)
        part[:, 2] = np.degrees(2 * np.arctan2(apart, together))
        if head is not None:
            part[:, 3:] = _classes(head, before, after)
        parts.append(part)
    return np.concatenate(parts)


def _directions(rows: Rows) -> tuple[F64, F64]:
    """Magnitudes, NaN where one is not finite, and unit vectors; zeros stay zeros."""
    values = np.asarray(rows, np.float64)
    length = np.linalg.norm(values, axis=1)
    length[~np.isfinite(length)] = np.nan
    usable = length > 0
    return length, np.where(usable[:, None], values / np.where(usable, length, 1)[:, None], 0.0)


def _classes(head: Head, before: Rows, after: Rows) -> F64:
    """Whether the class is kept, and the margins of the original's class; shape (n, 3)."""
    rows = np.arange(len(before))
    logits = head.logits(before)
    kind = logits.argmax(axis=1)
    margins = []
    for values in (logits, head.logits(after)):
        own = values[rows, kind]
        others = values.copy()
        others[rows, kind] = -np.inf
        margins.append(own - others.max(axis=1))
    kept = head.labels(after) == kind
    return np.column_stack([kept, *margins])


def _score(by_row: F64, head: Head | None, weights: NDArray[np.floating] | None) -> FeatureScore:
    before, after = by_row[:, 0], by_row[:, 1]
    zero, counts = before == 0, before > 0
    weight = np.ones(len(by_row)) if weights is None else np.asarray(weights, np.float64)
    if weight.shape != (len(by_row),) or (weight < 0).any():
        raise UsageError(f"weights of shape {weight.shape} for {len(by_row)} rows, or negative")
    used, weight = by_row[counts], weight[counts]
    total = weight.sum()
    if not total > 0:
        weight, total = np.ones(len(used)), float(max(len(used), 1))

    def mean(values: F64) -> float:
        return float((values * weight).sum() / total)

    angle = used[:, 2]
    return FeatureScore(
        rows=len(used),
        zero_rows=int(zero.sum()),
        zero_rows_kept=int((after[zero] == 0).sum()),
        angle_mean=mean(angle),
        angle_p95=_point(angle, weight, _TAIL),
        angle_max=float(angle.max(initial=0.0)),
        magnitude_error=mean(np.abs(used[:, 1] / used[:, 0] - 1)),
        argmax_agreement=None if head is None else mean(used[:, 3]),
        margin=None if head is None else mean(used[:, 4]),
        margin_decoded=None if head is None else mean(used[:, 5]),
    )


def _point(values: F64, weight: F64, share: float) -> float:
    """Smallest value such that at least ``share`` of the weight is not above it."""
    if not len(values):
        return 0.0
    order = np.argsort(values)
    reached = np.cumsum(weight[order])
    return float(values[order[np.searchsorted(reached, share * reached[-1])]])
