"""Choice between the numba kernels and the numpy path; both give identical results."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from types import ModuleType

_KERNELS = "csgs_codec.numerics.numba_kernels"


def loaded() -> bool:
    """Whether the kernels are there already, so that even small arrays are worth a call."""
    return _KERNELS in sys.modules


@contextmanager
def without_scipy() -> Iterator[None]:
    """Keep numba from importing scipy, which takes longer than decoding a scene.

    numba looks for scipy's BLAS when it is first used, and does without in the rest of the process:
    for commands, not for libraries.
    """
    hidden = "scipy" not in sys.modules
    if hidden:
        sys.modules["scipy"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hidden:
            del sys.modules["scipy"]


@cache
def kernels() -> ModuleType | None:
    """Return the compiled kernels, or None without numba or under ``CSGS_NO_NUMBA=1``.

    A numba that does not fit numpy, or finds no folder for its cache, is warned of and not used.
    """
    if os.environ.get("CSGS_NO_NUMBA") == "1" or find_spec("numba") is None:
        return None
    try:
        from csgs_codec.numerics import numba_kernels
    except Exception as error:
        hint = "numba is not usable and numpy is slower (is NUMBA_CACHE_DIR writable?)"
        warnings.warn(f"{hint}: {error}", RuntimeWarning, stacklevel=2)
        return None
    return numba_kernels
