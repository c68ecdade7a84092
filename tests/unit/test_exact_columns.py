"""Modelled exact columns: every value survives, every damaged payload is refused or harmless."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csgs_codec.attributes.buckets import Layout
from csgs_codec.attributes.exact_columns import (
    CONTEXTS,
    PREVIOUS_ROW,
    ColumnModel,
    Past,
    read_modelled,
    write_modelled,
)
from csgs_codec.container.fields import FieldReader
from csgs_codec.container.manifest import DTYPES
from csgs_codec.errors import CorruptError, FormatError

ROWS = 200


def integers(group: int) -> list[np.ndarray]:
    rng = np.random.default_rng(group)
    return list(rng.integers(-(2**20), 2**20, (3, ROWS)))


def channels(group: int) -> int:
    return 3 if group == 4 else 0


def decode(payload: bytes, dtype: str, count: int = ROWS, past: Past | None = None) -> np.ndarray:
    fields = FieldReader(payload, "XDAT")
    return read_modelled(fields, count, np.dtype(dtype), channels, integers, past or Past(count))


def special(dtype: str, count: int = ROWS) -> np.ndarray:
    """Random bits (NaNs with payloads, denormals, huge values) and ordinary values."""
    rng = np.random.default_rng(1)
    column = np.frombuffer(rng.bytes(count * np.dtype(dtype).itemsize), dtype).copy()
    if np.dtype(dtype).kind == "f":
        column[: count // 2] = rng.normal(size=count // 2) * 10.0 ** rng.integers(-5, 3)
        column[:6] = [0.0, -0.0, np.inf, -np.inf, np.nan, np.finfo(dtype).tiny]
    return column


def models(dtype: str) -> list[ColumnModel]:
    low, high = Layout.of(np.dtype(dtype)).exponents
    slopes = np.array([5, -7, 2**31 - 1], np.int32)
    some = sorted({low, high, min(max(0, low), high), min(max(12, low), high)})
    found = [ColumnModel(e, contexts=c) for e in some for c in (1, CONTEXTS)]
    found.append(ColumnModel(some[1], 0, 4, 0, -(2**63), 20, slopes, CONTEXTS))
    found.append(ColumnModel(some[1], 0, 4, 0, 17, 62, slopes))
    return found


@pytest.mark.parametrize("dtype", DTYPES)
def test_columns_of_every_type_and_model(dtype: str) -> None:
    column = special(dtype)
    for model in models(dtype):
        payload = write_modelled(column, model, integers, Past(ROWS))
        found = decode(payload, dtype)
        assert found.dtype == np.dtype(dtype)
        assert found.tobytes() == column.tobytes(), model


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4", "f8"])
def test_previous_row(dtype: str) -> None:
    column = (np.arange(ROWS) // 3).astype(dtype)
    if column.dtype.kind == "f":
        column[::7] = np.nan
    payload = write_modelled(column, ColumnModel(0, source=PREVIOUS_ROW), integers, Past(ROWS))
    assert decode(payload, dtype).tobytes() == column.tobytes()


def test_low_zeros_are_not_sent() -> None:
    column = np.random.default_rng(2).normal(size=ROWS).astype("f2").astype("f4")
    sizes = []
    for zeros in (0, 13):
        payload = write_modelled(column, ColumnModel(6, zeros), integers, Past(ROWS))
        assert decode(payload, "f4").tobytes() == column.tobytes()
        sizes.append(len(payload))
    assert sizes[0] - sizes[1] > 12 * ROWS // 8
    with pytest.raises(ValueError, match="mantissa"):
        write_modelled(column, ColumnModel(6, 14), integers, Past(ROWS))


def test_earlier_columns_foretell_later_ones() -> None:
    rng = np.random.default_rng(3)
    first = rng.normal(size=ROWS).astype("f4")
    second = (first + rng.normal(0, 0.01, ROWS)).astype("f4")
    written, read = Past(ROWS), Past(ROWS)
    slope = np.array([1 << 10], np.int32)
    alone = ColumnModel(9)
    after = ColumnModel(9, earlier=1, shift=10, coefficients=slope)
    payloads = [write_modelled(first, alone, integers, written)]
    payloads.append(write_modelled(second, after, integers, written))
    unaided = write_modelled(second, alone, integers, Past(ROWS))
    assert len(payloads[1]) < len(unaided)
    for payload, column in zip(payloads, (first, second), strict=True):
        assert decode(payload, "f4", past=read).tobytes() == column.tobytes()
    with pytest.raises(CorruptError):
        decode(payloads[1], "f4")


@pytest.mark.parametrize("count", [0, 1, 31, 33])
def test_few_rows(count: int) -> None:
    column = special("f4", ROWS)[:count]
    payload = write_modelled(column, ColumnModel(3), integers, Past(count))
    assert decode(payload, "f4", count).tobytes() == column.tobytes()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 2**32 - 1), min_size=ROWS, max_size=ROWS),
    st.integers(-126, 126),
)
def test_any_bits(bits: list[int], exponent: int) -> None:
    column = np.array(bits, np.uint32).view(np.float32)
    payload = write_modelled(column, ColumnModel(exponent), integers, Past(ROWS))
    assert decode(payload, "f4").tobytes() == column.tobytes()


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "u1"])
def test_damaged_payloads_are_refused_or_give_a_column(dtype: str) -> None:
    """Every cut is refused; a changed byte is refused or decodes to values of the type."""
    for model in (models(dtype)[1], models(dtype)[-2], ColumnModel(0, source=PREVIOUS_ROW)):
        column = special(dtype)
        if model.source == PREVIOUS_ROW:
            column = (np.arange(ROWS) % 90).astype(dtype)
        payload = write_modelled(column, model, integers, Past(ROWS))
        rng = np.random.default_rng(5)
        for end in rng.integers(0, len(payload), 60).tolist():
            with pytest.raises(FormatError):
                decode(payload[:end], dtype)
        places = [*range(40), *rng.integers(0, len(payload), 300).tolist()]
        for place in places:
            damaged = bytearray(payload)
            damaged[place % len(payload)] ^= 1 << int(rng.integers(0, 8))
            try:
                found = decode(bytes(damaged), dtype)
            except FormatError:
                continue
            assert found.dtype == np.dtype(dtype)
            assert len(found) == ROWS


@pytest.mark.parametrize(
    ("place", "value"),
    [(3, 127), (4, 24), (5, 2), (5, 0), (6, 5), (7, 1)],
    ids=["exponent", "zeros", "contexts", "no contexts", "source", "earlier"],
)
def test_impossible_models_are_refused(place: int, value: int) -> None:
    payload = bytearray(write_modelled(special("f4"), ColumnModel(3), integers, Past(ROWS)))
    payload[place] = value
    with pytest.raises(CorruptError):
        decode(bytes(payload), "f4")


def test_random_bytes_are_refused() -> None:
    rng = np.random.default_rng(6)
    for size in range(0, 300, 3):
        with pytest.raises(FormatError):
            decode(rng.bytes(size), "f4")


def test_numpy_and_numba_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    column = special("f4")
    payload = write_modelled(column, ColumnModel(5, contexts=CONTEXTS), integers, Past(ROWS))
    monkeypatch.setattr("csgs_codec.numerics.rans.kernels", lambda: None)
    monkeypatch.setattr("csgs_codec.numerics.bits.kernels", lambda: None)
    assert decode(payload, "f4").tobytes() == column.tobytes()
    again = write_modelled(column, ColumnModel(5, contexts=CONTEXTS), integers, Past(ROWS))
    assert again == payload
