"""Rate-distortion-optimised symbols of features that a linear head classifies.

An error matters by how far it moves a Gaussian towards another class: with ``t`` the share of the
way to it, ``t**2 (1 + 2 t**2)``, less where it moves away. Classes that are close count more, and
so do rare classes, because mean IoU counts each class alike. Every error counts a little whatever
its direction, because renderers blend features before anyone classifies them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from csgs_codec.attributes.coding import GroupCoding
from csgs_codec.attributes.transform import Blocks
from csgs_codec.encoder.class_kernels import choose_rows
from csgs_codec.encoder.quantise import LAMBDA, symbol_bits
from csgs_codec.render.rasterise import in_pieces
from csgs_codec.semantics.heads import Head

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

# Of quality 75: what a move all the way to another class costs, and any error of one step.
_CHANGED_CLASS = 3.0
_ANY_ERROR = 0.1
_GROWTH, _AWAY = 2.0, 0.3
_RARITY = 0.25
_RIVALS = 8
_LEAST_REACH = 1.0 / 16.0
_ROWS = 512


@dataclass(frozen=True)
class ClassErrors:
    """What errors of some Gaussians do to their classes.

    Attributes
    ----------
    logits : ndarray of float64, shape (classes, components)
        What one step of each component adds.
    own : ndarray of int32, shape (n,)
        Class of each Gaussian.
    near : ndarray of int32, shape (n, rivals)
        Classes that it could be taken for.
    reach : ndarray of float64, shape (n, rivals)
        By how much its logit exceeds theirs.
    urgency : ndarray of float64, shape (n, rivals)
        Cost of a move to them, in bits.
    plain : ndarray of float64, shape (n,)
        Cost of an error of one step in any component, in bits.
    """

    logits: F64
    own: I32
    near: I32
    reach: F64
    urgency: F64
    plain: F64

    @classmethod
    def of(
        cls, features: Blocks, head: Head, coding: GroupCoding, step: float, factor: float
    ) -> ClassErrors:
        """Judge the features of n Gaussians, blocks of shape (rows, width).

        Parameters
        ----------
        features : sequence of ndarray of float64
        head : Head
            Of more than one class.
        coding : GroupCoding
            Of the features, with a transform.
        step : float
            Of quality 75.
        factor : float
            By how much coarser the quality is.
        """
        assert coding.transform is not None
        own, near, reach = _rivals(features, head)
        typical = typical_margin(reach[:, 0])
        reach = np.maximum(reach, _LEAST_REACH * typical)
        members = np.bincount(own)[own]
        rarity = (members / np.median(members)) ** -_RARITY
        bits = 1.0 / (LAMBDA * factor**2)
        return cls(
            head.weight @ coding.transform.basis.T * coding.step,
            own,
            near,
            reach,
            _CHANGED_CLASS * bits * rarity[:, None] * typical / reach,
            _ANY_ERROR * bits * rarity * (coding.step / step) ** 2,
        )

    def among(self, rows: NDArray[np.bool_]) -> ClassErrors:
        """The same for more Gaussians, of which these are ``rows``; the others do not matter."""
        places = np.where(rows, np.cumsum(rows) - 1, 0)
        more = self.at(places)
        return replace(
            more, urgency=more.urgency * rows[:, None], plain=np.where(rows, more.plain, 0.0)
        )

    def at(self, rows: NDArray[np.intp] | slice) -> ClassErrors:
        """Those of some of the Gaussians."""
        return replace(
            self,
            own=self.own[rows],
            near=self.near[rows],
            reach=self.reach[rows],
            urgency=self.urgency[rows],
            plain=self.plain[rows],
        )

    def times(self, factor: F64) -> ClassErrors:
        """The same with errors that cost more, shape (n,)."""
        return replace(self, urgency=self.urgency * factor[:, None], plain=self.plain * factor)

    def choose(self, residual: F64, scale_index: NDArray[np.uint8]) -> I32:
        """Choose the symbols of these Gaussians.

        Parameters
        ----------
        residual : ndarray of float64, shape (n, components)
            In steps.
        scale_index : ndarray of uint8, shape (n, components)

        Returns
        -------
        ndarray of int32, shape (n, components)
            0 where the scale index is 0.
        """
        chosen = np.zeros(residual.shape, np.int32)
        costs = (self.logits, self.own, self.near, self.reach, self.urgency, self.plain)
        in_pieces(
            lambda begin, end: choose_rows(
                begin, end, residual, scale_index, symbol_bits(), *costs, (_GROWTH, _AWAY), chosen
            ),
            len(residual),
            4,
            _ROWS,
        )
        return chosen


def typical_margin(margins: F64) -> float:
    """Median of the margins of Gaussians whose class is clear; 1 where there is none."""
    clear = margins[margins > 0]
    return float(np.median(clear)) if len(clear) else 1.0


def _rivals(features: Blocks, head: Head) -> tuple[I32, I32, F64]:
    """Class of each Gaussian, those nearest to it, nearest first, and the distances in logits."""
    most = min(_RIVALS, head.classes - 1)
    own, near, reach = [], [], []
    for block in features:
        logits = head.logits(block)
        best = logits.argmax(axis=1)
        distance = logits[np.arange(len(best)), best][:, None] - logits
        distance[np.arange(len(best)), best] = np.inf
        order = np.argsort(distance, axis=1, kind="stable")[:, :most]
        own.append(best.astype(np.int32))
        near.append(order.astype(np.int32))
        reach.append(np.take_along_axis(distance, order, axis=1))
    return np.concatenate(own), np.concatenate(near), np.concatenate(reach)
