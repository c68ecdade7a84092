"""Switch the numeric modules between numba and numpy; ``kernels`` is cached, so it is replaced."""

from __future__ import annotations

import sys

import pytest

# imported so that they are there to be switched
import csgs_codec.decoder
import csgs_codec.hyperprior.neighbours  # noqa: F401
from csgs_codec.numerics import backend, numba_kernels

BACKENDS = ("numba", "numpy")


def use_backend(patch: pytest.MonkeyPatch, name: str) -> None:
    """Make every module with two paths take the named one, however small its arrays."""
    chosen = numba_kernels if name == "numba" else None
    for module in list(sys.modules.values()):
        ours = getattr(module, "__name__", "").startswith("csgs_codec.")
        if ours and module is not backend and hasattr(module, "kernels"):
            patch.setattr(module, "kernels", lambda chosen=chosen: chosen)
            if hasattr(module, "_WORTH_COMPILING"):
                patch.setattr(module, "_WORTH_COMPILING", 0)
