"""What the exact pass of a file gave."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from csgs_codec.attributes.exact import Exceptions


@dataclass
class ExactData:
    """Exact columns, elements (as PLY bytes), exceptions and row order, as far as decoded."""

    columns: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    elements: bytes | None = None
    exceptions: Exceptions | None = None
    row_order: NDArray[np.int64] | None = None
