"""Switch the numeric modules between numba and numpy; ``kernels`` is cached, so it is replaced."""

from __future__ import annotations

import pytest

from csgs_codec.hyperprior import neighbours
from csgs_codec.numerics import bits, numba_kernels, rans

BACKENDS = ("numba", "numpy")
_USERS = (bits, rans, neighbours)


def use_backend(patch: pytest.MonkeyPatch, name: str) -> None:
    """Make every module with two paths take the named one."""
    chosen = numba_kernels if name == "numba" else None
    for module in _USERS:
        patch.setattr(module, "kernels", lambda chosen=chosen: chosen)
