"""What the neighbours say together: their values, weighted by distance (spec section 7.4).

A network that had to carry the values of neighbours through its narrow layers would spend most of
its training on copying; it only has to correct this blend.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csgs_codec.container.fields import FieldReader, FieldWriter
from csgs_codec.hyperprior.neighbours import Neighbours
from csgs_codec.numerics.backend import kernels

I32 = NDArray[np.int32]

POWERS = np.array(
    [32768, 31379, 30048, 28774, 27554, 26386, 25268, 24196,
     23170, 22188, 21247, 20347, 19484, 18658, 17867, 17109], dtype=np.int64
)  # fmt: skip
_TOTAL_BITS = 8


@dataclass(frozen=True)
class NeighbourBlend:
    """``shr(gain_q8 * sum_j weight_j v_j, 16)``, weights adding up to 256.

    Attributes
    ----------
    decay : int
        By how many 1/64 octaves a weight falls with each step of the distance code.
    gain_q8 : ndarray of uint8, shape (channels,)
    """

    decay: int
    gain_q8: NDArray[np.uint8]

    def predict(self, v_q6: I32, found: Neighbours) -> I32:
        """Blend of each Gaussian's neighbours, 0 where there are none.

        Parameters
        ----------
        v_q6 : ndarray of int32, shape (rows of the tile, channels)
        found : Neighbours
            Of n Gaussians.

        Returns
        -------
        ndarray of int32, shape (n, channels)
        """
        out = np.empty((len(found.row), len(self.gain_q8)), np.int32)
        fast = kernels()
        if fast is not None:
            row, distance = found.row, found.distance
            fast.blend_neighbours(v_q6, row, distance, self.decay, POWERS, self.gain_q8, out)
            return out
        weight = self.weights(found)
        for channel, gain in enumerate(self.gain_q8):
            near = v_q6[np.maximum(found.row, 0), channel].astype(np.int64)
            out[:, channel] = (int(gain) * (weight * near).sum(axis=1) + (1 << 15)) >> 16
        return out

    def weights(self, found: Neighbours) -> NDArray[np.int64]:
        """Weights of the neighbours, shape (n, NEIGHBOURS): 256 together, or all 0."""
        code = found.distance.astype(np.int64)
        octaves = (self.decay * (code - code[:, :1])) >> 2
        raw = POWERS[octaves & 15] >> np.minimum(octaves >> 4, 63)
        raw[found.row < 0] = 0
        weight = (raw << _TOTAL_BITS) // np.maximum(raw.sum(axis=1, keepdims=True), 1)
        weight[:, 0] += np.where(found.row[:, 0] < 0, 0, (1 << _TOTAL_BITS) - weight.sum(axis=1))
        return weight

    def write(self, fields: FieldWriter) -> None:
        """Append to a payload."""
        fields.put("u8", self.decay).array(self.gain_q8, np.uint8)

    @classmethod
    def read(cls, fields: FieldReader, channels: int) -> NeighbourBlend:
        """Read the blend of a group with so many channels."""
        decay = fields.integer("u8")
        return cls(decay, fields.array((channels,), np.uint8).astype(np.uint8))
