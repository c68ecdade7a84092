"""Choice between the numba kernels and the numpy path; both give identical results."""

from __future__ import annotations

import os
from functools import cache
from importlib.util import find_spec
from types import ModuleType


@cache
def kernels() -> ModuleType | None:
    """Return the compiled kernels, or None without numba or under ``CSGS_NO_NUMBA=1``."""
    if os.environ.get("CSGS_NO_NUMBA") == "1" or find_spec("numba") is None:
        return None
    from csgs_codec.numerics import numba_kernels

    return numba_kernels
