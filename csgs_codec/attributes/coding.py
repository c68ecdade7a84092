"""How one residual-coded group is quantised: the payload of a GRUP chunk (spec section 5)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from csgs_codec.attributes import warps
from csgs_codec.attributes.steps import LARGEST_CLASS, StepRule
from csgs_codec.attributes.transform import LinearTransform
from csgs_codec.container.fields import FieldReader, FieldWriter
from csgs_codec.container.kinds import GroupKind

F64 = NDArray[np.float64]

Q6 = 64.0
TRANSFORMED_KINDS = frozenset({GroupKind.DC, GroupKind.SH, GroupKind.FEATURE, GroupKind.SEMANTIC})


@dataclass(frozen=True)
class GroupCoding:
    """Quantiser of one group.

    A *latent* is a warped (opacity, rotation) or transformed (colour, features) value minus the
    channel's centre, divided by the base step; the coded integers are latents in Q6.

    Attributes
    ----------
    kind : GroupKind
    step : float
        Base step, in units of the warped or transformed attribute.
    centre : ndarray of float32, shape (channels,)
    rule : StepRule
        Half-octave step class of each Gaussian.
    transform : LinearTransform, optional
        Present exactly for the kinds in ``TRANSFORMED_KINDS``.
    """

    kind: GroupKind
    step: float
    centre: NDArray[np.float32]
    rule: StepRule = field(default_factory=StepRule)
    transform: LinearTransform | None = None

    @property
    def channels(self) -> int:
        """Coded channels."""
        return len(self.centre)

    def latents(self, columns: F64) -> F64:
        """Latents of the group's columns, shape (n, columns) -> (n, channels)."""
        return (warp(self.kind, self.transform, columns) - self.centre) / self.step

    def dequantise(self, v_q6: NDArray[np.int32]) -> F64:
        """Columns from decoded integers, shape (n, channels) -> (n, columns)."""
        values: F64 = v_q6 * np.float64(self.step / Q6) + self.centre.astype(np.float64)
        if self.transform is not None:
            return self.transform.inverse(values)
        if self.kind is GroupKind.OPACITY:
            return warps.opacity_inverse(values)
        if self.kind is GroupKind.ROTATION:
            return warps.rotation_inverse(values)
        return values

    def write(self) -> bytes:
        """Serialise, without the group's index."""
        fields = FieldWriter().put("f64", self.step).array(self.centre, np.float32)
        self.rule.write(fields)
        if self.transform is not None:
            self.transform.write(fields)
        return fields.finish()

    @classmethod
    def read(cls, fields: FieldReader, kind: GroupKind, channels: int, width: int) -> GroupCoding:
        """Parse a group whose channel and column counts the header declared."""
        step = fields.real("f64")
        fields.require(step > 0, "step is not positive")
        centre = fields.array((channels,), np.float32).astype(np.float32)
        fields.require(bool(np.isfinite(centre).all()), "centre is not finite")
        rule = StepRule.read(fields, -LARGEST_CLASS, LARGEST_CLASS)
        transform = None
        if kind in TRANSFORMED_KINDS:
            transform = LinearTransform.read(fields, channels, width)
        else:
            expected = {GroupKind.ROTATION: 3, GroupKind.SENSITIVITY: channels}.get(kind, width)
            fields.require(channels == expected, "channel count does not fit the kind")
        return cls(kind, step, centre, rule, transform)


def warp(kind: GroupKind, transform: LinearTransform | None, columns: F64) -> F64:
    """Take columns into the domain in which the group is quantised."""
    if transform is not None:
        return transform.forward(columns)
    if kind is GroupKind.OPACITY:
        return warps.opacity_forward(columns)
    if kind is GroupKind.ROTATION:
        return warps.rotation_forward(columns)
    return columns
