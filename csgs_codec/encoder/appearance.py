"""Which quantiser step each Gaussian should have, and how decoders can follow it.

With a rendered :class:`~csgs_codec.encoder.sensitivity.Sensitivity`, every coordinate of every
Gaussian gets the step at which its error costs the picture the same, ``step = q / sqrt(s)``
(reverse water-filling). Decoders know steps as linear functions of decoded integers
(:class:`~csgs_codec.attributes.steps.StepRule`), so the wanted steps are regressed on the features
that a rule may use: scales, opacity, and two sensitivities that are sent for the purpose. Without
a renderer the slopes are constants fitted to other scenes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from csgs_codec.attributes import warps
from csgs_codec.attributes.steps import FEATURES
from csgs_codec.container.kinds import GroupKind
from csgs_codec.encoder.anisotropy import ratios, rotation_metric
from csgs_codec.encoder.sensitivity import Sensitivity
from csgs_codec.scene import Scene
from csgs_codec.schema import Group, Role

F64 = NDArray[np.float64]

# Log sensitivity of the picture to one unit of error, per unit of (smallest, middle, largest log
# scale, warped opacity): fitted to render Jacobians of four trained scenes.
PROXY = {
    GroupKind.SCALE: (0.0, 0.0, 0.0, 0.6),
    GroupKind.POSITION_FINE: (-1.2, -0.5, 0.35, 0.5),
    GroupKind.ROTATION: (-2.1, -0.27, 3.1, 0.6),
    GroupKind.DC: (-0.6, 0.35, 0.6, 0.6),
    GroupKind.SH: (-0.6, 0.35, 0.6, 0.6),
}
PROXY_STEPS = {
    GroupKind.OPACITY: 0.4,
    GroupKind.SCALE: 0.2,
    GroupKind.ROTATION: 0.14,
    GroupKind.DC: 0.18,
    GroupKind.SH: 0.09,
}
_MEASURED_AS = {
    GroupKind.OPACITY: GroupKind.OPACITY,
    GroupKind.SCALE: GroupKind.SCALE,
    GroupKind.POSITION_FINE: GroupKind.POSITION,
    GroupKind.ROTATION: GroupKind.ROTATION,
    GroupKind.DC: GroupKind.DC,
    GroupKind.SH: GroupKind.DC,
}
# How much coarser than the small-error theory says: low rates, and effects that are not linear.
_FUDGE = {
    GroupKind.OPACITY: 1.0,
    GroupKind.SCALE: 1.15,
    GroupKind.POSITION_FINE: 0.8,
    GroupKind.ROTATION: 1.0,
    GroupKind.DC: 0.65,
    GroupKind.SH: 0.4,
}
# What an error of colours costs, as colours are fitted once more when they are all chosen.
_UNMENDED = 0.575
# Wanted mean squared error of pictures at quality 75.
ERROR_AT_75 = 10.0**-4.4
_COORDINATES = 18.0
_FINER, _UNSEEN, _COARSER = 4.0, 4.0, 1.0
_LEAST_COUNT = 10_000
_COARSEST = 2.5
_TINY = 1e-300


class Appearance:
    """What steps depend on.

    Attributes
    ----------
    features : ndarray of float64, shape (n, 6)
        Smallest, middle and largest log scale, warped opacity, and the two sensitivities: octaves
        by which colour asks for a finer step, and octaves that geometry asks for beyond what
        scales, opacity and colour foretell.
    median : ndarray of float64, shape (6,)
    sensitivity : Sensitivity or None
    """

    def __init__(
        self, scene: Scene, groups: Sequence[Group], sensitivity: Sensitivity | None = None
    ) -> None:
        columns = {group.role: group.columns for group in groups}
        count = scene.count
        self.sensitivity = sensitivity
        self.features = np.zeros((count, FEATURES))
        if Role.SCALE in columns:
            ordered = np.sort(scene.stack(columns[Role.SCALE]), axis=1)
            width = ordered.shape[1]
            self.features[:, :3] = ordered[:, [0, width // 2, width - 1]]
        opacity = np.ones(count)
        if Role.OPACITY in columns:
            logit = scene.stack(columns[Role.OPACITY])[:, 0]
            self.features[:, 3] = warps.opacity_forward(logit)
            opacity = 1.0 / (1.0 + np.exp(-np.clip(logit, -30, 30)))
        area = np.exp(np.clip(self.features[:, 1] + self.features[:, 2], -60, 60))
        self.importance = opacity * area
        if sensitivity is not None:
            self.importance = sensitivity.by_kind[GroupKind.DC]
            self._octaves = {
                kind: self._wanted(sensitivity, source)
                for kind, source in _MEASURED_AS.items()
                if sensitivity.by_kind[source].any()
            }
            self._come_closer()
            self.features[:, 4:] = self._signalled()
            self._turns = None
            if Role.ROTATION in columns:
                turns = ratios(sensitivity.turns)
                self._turns = rotation_metric(scene.stack(columns[Role.ROTATION]), turns)
        self.median = np.median(self.features, axis=0) if count else np.zeros(FEATURES)

    def _wanted(self, sensitivity: Sensitivity, source: GroupKind) -> F64:
        """Log2 of the step at which each Gaussian's error costs 1, outliers pulled in."""
        squared = sensitivity.by_kind[source]
        if source is GroupKind.OPACITY:
            squared = squared * np.cosh(self.features[:, 3] / warps.OPACITY_KNEE) ** 2
        octaves = -0.5 * np.log2(squared + _TINY)
        middle = np.median(octaves[squared > 0])
        octaves = np.clip(octaves, middle - _FINER, middle + _UNSEEN)
        known = np.column_stack([self.features[:, :4], np.ones(len(octaves))])
        typical = known @ _regress(known, octaves)
        coarsest = np.minimum(typical, middle) + _COARSER
        return np.minimum(octaves, coarsest)

    def _come_closer(self) -> None:
        """Ask for finer steps all over if pictures from too far away find colours unimportant."""
        if GroupKind.DC in self._octaves:
            step = self.base_step(GroupKind.DC, ERROR_AT_75)
            assert step is not None
            beyond = np.log2(step / (_COARSEST * PROXY_STEPS[GroupKind.DC]))
            for octaves in self._octaves.values():
                octaves -= max(0.0, float(beyond))

    def _signalled(self) -> F64:
        """The two features that the file carries, shape (n, 2)."""
        colour = -self._octaves[GroupKind.DC]
        known = np.column_stack([self.features[:, :4], colour, np.ones(len(colour))])
        beyond = np.zeros(len(colour))
        geometry = (GroupKind.POSITION_FINE, GroupKind.SCALE, GroupKind.ROTATION)
        kinds = [kind for kind in geometry if kind in self._octaves]
        for kind in kinds:
            wanted = self._octaves[kind]
            beyond -= wanted - known @ _regress(known, wanted)
        return np.column_stack([colour - np.median(colour), beyond / max(len(kinds), 1)])

    def slopes(self, kind: GroupKind, known: NDArray[np.bool_]) -> F64:
        """Octaves of step per unit of each feature, 0 where a feature is not known, shape (6,)."""
        if self.sensitivity is None:
            proxy = np.zeros(FEATURES)
            proxy[:4] = PROXY.get(kind, (0.0, 0.0, 0.0, 0.0))
            return -0.5 * proxy / np.log(2.0) * known
        used = np.flatnonzero(known)
        slope = np.zeros(FEATURES)
        if len(used) and kind in self._octaves:
            centred = self.features[:, used] - self.median[used]
            columns = np.column_stack([centred, np.ones(len(centred))])
            slope[used] = _regress(columns, self._octaves[kind])[:-1]
        return slope

    def base_step(self, kind: GroupKind, error: float) -> float | None:
        """Step of a Gaussian with median features, or None where pictures do not say.

        Parameters
        ----------
        kind : GroupKind
        error : float
            Wanted mean squared error of pictures.
        """
        if self.sensitivity is None or kind not in self._octaves:
            return None
        share = self._share(error)
        return float(_FUDGE[kind] * np.sqrt(share) * np.exp2(np.median(self._octaves[kind])))

    def _share(self, error: float) -> float:
        """Squared step of a coordinate whose error costs 1; small scenes are spared nothing."""
        return 12.0 * error / (_COORDINATES * max(len(self.features), _LEAST_COUNT))

    def cost(self, kind: GroupKind, step: float, error: float) -> F64 | None:
        """What a squared error of one base step costs each Gaussian, 1 where it is just right.

        Shape (n,); for rotations a quadratic form, (n, 3, 3).
        """
        if self.sensitivity is None or kind not in self._octaves:
            return None
        share = self._share(error)
        right = _FUDGE[kind] * np.sqrt(share) * np.exp2(self._octaves[kind])
        cost = np.asarray((step / right) ** 2)
        if kind in (GroupKind.DC, GroupKind.SH):
            cost = _UNMENDED * cost
        if kind is GroupKind.ROTATION and self._turns is not None:
            return np.asarray(cost[:, None, None] * self._turns)
        return cost

    @property
    def weights(self) -> F64:
        """Weights of Gaussians when a transform is fitted."""
        middle = np.median(self.importance) if len(self.importance) else 1.0
        return np.clip(self.importance / max(float(middle), 1e-300), 0.1, 10.0)


def _regress(columns: F64, values: F64) -> F64:
    """Least squares; nothing where values are too wild for it."""
    try:
        found = np.linalg.lstsq(columns, values, rcond=None)[0]
    except np.linalg.LinAlgError:
        return np.zeros(columns.shape[1])
    return np.asarray(np.nan_to_num(found, posinf=0.0, neginf=0.0))
