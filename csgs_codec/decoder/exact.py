"""What the exact pass of a file gave."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from csgs_codec.attributes.exact import ColumnCode, Exceptions, read_column
from csgs_codec.attributes.exact_columns import Past, read_modelled
from csgs_codec.container.fields import FieldReader
from csgs_codec.decoder.integers import CanonicalIntegers


@dataclass
class ExactData:
    """Exact columns, elements (as PLY bytes), exceptions and row order, as far as decoded."""

    columns: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    elements: bytes | None = None
    exceptions: Exceptions | None = None
    row_order: NDArray[np.int64] | None = None
    past: Past | None = None

    def read_column(
        self,
        name: str,
        fields: FieldReader,
        count: int,
        dtype: np.dtype[np.generic],
        integers: CanonicalIntegers,
    ) -> None:
        """Read a COLUMN payload behind the property index."""
        if fields.integer("u8", 0, len(ColumnCode) - 1) == ColumnCode.DEFLATED:
            self.columns[name] = read_column(fields, count, dtype)
            return
        self.past = self.past or Past(count)
        self.columns[name] = read_modelled(
            fields, count, dtype, integers.channels, integers, self.past
        )
