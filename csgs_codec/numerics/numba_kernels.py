"""All compiled kernels. Each has a numpy twin beside its caller that gives the same integers."""

from __future__ import annotations

from csgs_codec.numerics.numba_context import (
    blend_neighbours,
    encode_channels,
    gather_neighbours,
    morton_decode,
    morton_encode,
    nearest_neighbours,
    positional_columns,
    step_classes,
)
from csgs_codec.numerics.numba_entropy import (
    bits_read,
    cells_decode,
    exp_golomb_read,
    rans_decode,
)
from csgs_codec.numerics.numba_floats import (
    values_linear,
    values_plain,
    values_position,
    values_rotation,
)
from csgs_codec.numerics.numba_network import group_decode

__all__ = [
    "bits_read",
    "blend_neighbours",
    "cells_decode",
    "encode_channels",
    "exp_golomb_read",
    "gather_neighbours",
    "group_decode",
    "morton_decode",
    "morton_encode",
    "nearest_neighbours",
    "positional_columns",
    "rans_decode",
    "step_classes",
    "values_linear",
    "values_plain",
    "values_position",
    "values_rotation",
]
_LATE = ("network_forward", "rans_encode", "reconstruct", "residuals_decode", "split_outputs")


def __getattr__(name: str) -> object:
    """Load what decoding a scene does not need on first use."""
    if name not in _LATE:
        raise AttributeError(name)
    from csgs_codec.numerics import numba_encoder

    return getattr(numba_encoder, name)
