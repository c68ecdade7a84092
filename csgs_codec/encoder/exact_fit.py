"""Choose how each exact column is coded: a model fitted to it, or deflated byte planes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from csgs_codec.attributes.buckets import Layout
from csgs_codec.attributes.exact import ColumnCode, column_fields, write_column
from csgs_codec.attributes.exact_columns import (
    CONTEXTS,
    MOST_EARLIER,
    PREVIOUS_ROW,
    ColumnModel,
    Integers,
    Past,
    write_modelled,
)
from csgs_codec.decoder.integers import CanonicalIntegers

Generic = NDArray[np.generic]
F64 = NDArray[np.float64]

TYPICAL_DIFFERENCE = 8.0
LEAST_ROWS = 64
_ROWS_FOR_CONTEXTS = 8192
_FITTED_ROWS = 30_000
_RIDGE = 1e-9
_PROMISING = 1.15
_MOST_SHIFT = 40
_LARGEST_COEFFICIENT = 2.0**30
_LARGEST_SUM = 2.0**60
_LARGEST = 1e30


class ExactCoder:
    """Codes columns one after the other, as the decoder will read them.

    Parameters
    ----------
    count : int
        Rows.
    integers : CanonicalIntegers
    """

    def __init__(self, count: int, integers: CanonicalIntegers) -> None:
        self._count, self._integers = count, integers
        self._past = Past(count)
        self._fitted = slice(0, None, max(1, count // _FITTED_ROWS))

    def column(
        self, index: int, column: Generic, group: int | None = None, earlier: int = 0
    ) -> tuple[bytes, bool]:
        """Payload of a column in canonical order, and whether it is modelled.

        Parameters
        ----------
        index : int
            Of the property.
        column : ndarray
        group : int, optional
            The group that holds lossy values of the column.
        earlier : int
            How many modelled columns just before are akin to this one.
        """
        models = []
        if self._count >= LEAST_ROWS:
            values = _finite(column)
            if group is not None and self._integers.channels(group):
                models = [self._foretold(column, values, group, min(earlier, MOST_EARLIER))]
            else:
                step = np.diff(values, prepend=values[:1])
                models = [
                    self._scaled(column, values - np.median(values), values),
                    replace(self._scaled(column, step, values), source=PREVIOUS_ROW),
                ]
        best, after, modelled = b"", self._past, False
        for model in models:
            past = self._past.copy()
            try:
                body = write_modelled(column, model, self._integers, past)
            except ValueError:
                continue
            payload = column_fields(index, ColumnCode.MODELLED).raw(body).finish()
            if not modelled or len(payload) < len(best):
                best, after, modelled = payload, past, True
        deflated = write_column(index, column, 1 if modelled else 9)
        if modelled and len(deflated) < _PROMISING * len(best):
            deflated = write_column(index, column)
        if not modelled or len(deflated) < len(best):
            best, after, modelled = deflated, self._past, False
        self._past = after
        return best, modelled

    def _foretold(self, column: Generic, values: F64, group: int, earlier: int) -> ColumnModel:
        """Fit a prediction from the group's integers and earlier columns by least squares."""
        sources: list[Integers] = list(self._integers(group))
        sources += self._past.recent(earlier)
        design = np.array([s[self._fitted] for s in sources], np.float64)
        middle, spread = design.mean(axis=1), design.std(axis=1)
        spread[spread == 0] = 1.0
        design = (design - middle[:, None]) / spread[:, None]
        wanted = values[self._fitted]
        gram = design @ design.T + _RIDGE * len(wanted) * np.eye(len(design))
        slopes = np.linalg.solve(gram, design @ (wanted - wanted.mean())) / spread
        constant = float(wanted.mean() - middle @ slopes)
        off = values - constant
        reach = abs(constant)
        for source, slope in zip(sources, slopes, strict=True):
            off -= slope * source
            reach += float(np.abs(source).max() * abs(slope))
        plain = self._scaled(column, off, values)
        unit = 2.0**plain.exponent
        room = min(
            np.log2(_LARGEST_COEFFICIENT / max(float(np.abs(slopes).max()) * unit, 1e-30)),
            np.log2(_LARGEST_SUM / max(reach * unit, 1e-30)),
        )
        if room < 0:
            return self._scaled(column, values - np.median(values), values)
        shift = int(min(room, _MOST_SHIFT))
        fixed = unit * 2.0**shift
        return replace(
            plain,
            source=group,
            earlier=earlier,
            bias=int(np.rint(constant * fixed)),
            shift=shift,
            coefficients=np.rint(slopes * fixed).astype(np.int32),
        )

    def _scaled(self, column: Generic, off: F64, values: F64) -> ColumnModel:
        """A model whose buckets fit the typical difference."""
        layout = Layout.of(column.dtype)
        low, high = layout.exponents
        size = float(np.median(np.abs(off)))
        size = size if size > 0 else float(np.mean(np.abs(off)))
        exponent = high if size == 0 else int(np.floor(np.log2(TYPICAL_DIFFERENCE / size))) + 1
        if layout.real:
            reach = float(np.quantile(np.abs(values), 0.999))
            if reach > 0:
                exponent = min(exponent, layout.mantissa - int(np.floor(np.log2(reach))))
        exponent = min(max(exponent, low), high)
        contexts = CONTEXTS if self._count >= _ROWS_FOR_CONTEXTS else 1
        return ColumnModel(exponent, _low_zeros(column, layout), contexts=contexts)


def _finite(column: Generic) -> F64:
    """Values for statistics: what is not finite or absurdly large counts as 0."""
    with np.errstate(invalid="ignore"):
        values = column.astype(np.float64)
    return np.where(np.abs(values) < _LARGEST, values, 0.0)


def _low_zeros(column: Generic, layout: Layout) -> int:
    """Low bits of the mantissa that no finite value uses."""
    if not layout.real or not len(column):
        return 0
    used = int(np.bitwise_or.reduce(layout.to_bits(column[np.isfinite(column)]), initial=0))
    used &= (1 << layout.mantissa) - 1
    return layout.mantissa if used == 0 else (used & -used).bit_length() - 1
