"""Step classes: a Gaussian's own quantiser step, derived from what is already decoded (spec 5.4).

What a rotation error does to a picture depends on how long, thin and opaque the Gaussian is; the
same holds, less sharply, for position, scale and colour. The class is a linear function of decoded
integers, so it costs no bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csgs_codec.container.fields import FieldReader, FieldWriter
from csgs_codec.numerics.backend import kernels
from csgs_codec.numerics.fixed_point import shift_round

I32 = NDArray[np.int32]

LARGEST_CLASS = 8
LARGEST_COEFFICIENT = 1 << 30
STEP_Q6 = np.array(
    [4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512, 724, 1024], dtype=np.int32
)
SCALE_INDEX_PER_CLASS = 3
FEATURES = 6
Coefficients = tuple[int, int, int, int, int, int]


@dataclass(frozen=True)
class StepRule:
    """``class = clip((bias + coefficients . features) >> shift, low, high)``, in half octaves.

    The features of a Gaussian are its smallest, middle and largest scale, its opacity and its two
    sensitivities, each as the decoded ``v_q6``; a feature that is not decoded yet counts as 0.
    """

    bias: int = 0
    coefficients: Coefficients = (0, 0, 0, 0, 0, 0)
    shift: int = 0
    low: int = 0
    high: int = 0

    @property
    def constant(self) -> bool:
        """Whether every Gaussian has class 0."""
        return self.low == self.high == 0

    def classes(self, features: NDArray[np.int64]) -> NDArray[np.int8]:
        """Return the class of each Gaussian.

        Parameters
        ----------
        features : ndarray of int64, shape (n, 6)

        Returns
        -------
        ndarray of int8, shape (n,)
        """
        fast = kernels()
        if fast is not None:
            classes = np.empty(len(features), np.int8)
            coefficients = np.array(self.coefficients, np.int64)
            fast.step_classes(
                features, coefficients, self.bias, self.shift, self.low, self.high, classes
            )
            return classes
        linear = features @ np.array(self.coefficients, np.int64) + self.bias
        return np.clip(shift_round(linear, self.shift), self.low, self.high).astype(np.int8)

    def write(self, fields: FieldWriter) -> None:
        """Append the rule to a payload."""
        fields.put("i32", self.bias, *self.coefficients).put("u8", self.shift)
        fields.put("i8", self.low, self.high)

    @classmethod
    def read(cls, fields: FieldReader, lowest: int, highest: int) -> StepRule:
        """Read a rule whose classes must lie in ``[lowest, highest]``."""
        bias, *coefficients = (
            fields.integer("i32", -LARGEST_COEFFICIENT, LARGEST_COEFFICIENT)
            for _ in range(1 + FEATURES)
        )
        shift = fields.integer("u8", 0, 40)
        low = fields.integer("i8", lowest, highest)
        high = fields.integer("i8", low, highest)
        a, b, c, d, e, f = coefficients
        return cls(bias, (a, b, c, d, e, f), shift, low, high)


def features_of(
    scales: I32 | None, opacity: I32 | None, sensitivity: I32 | None, count: int
) -> NDArray[np.int64]:
    """Return the features of a :class:`StepRule`, shape (count, 6)."""
    features = np.zeros((count, FEATURES), np.int64)
    if scales is not None:
        if scales.shape[1] == 3:
            low, high, other = scales[:, 0], scales[:, 1], scales[:, 2]
            low, high = np.minimum(low, high), np.maximum(low, high)
            features[:, 0] = np.minimum(low, other)
            features[:, 1] = np.maximum(low, np.minimum(high, other))
            features[:, 2] = np.maximum(high, other)
        else:
            ordered = np.sort(scales, axis=1)
            width = ordered.shape[1]
            features[:, :3] = ordered[:, [0, width // 2, width - 1]]
    if opacity is not None:
        features[:, 3] = opacity[:, 0]
    if sensitivity is not None:
        features[:, 4:] = sensitivity
    return features
