"""Data kept bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from csgs_codec.attributes import exact
from csgs_codec.attributes.exact import ExactKind, Exceptions
from csgs_codec.container.fields import FieldReader, FieldWriter
from csgs_codec.container.manifest import DTYPES
from csgs_codec.errors import CorruptError, LimitError
from csgs_codec.limits import Limits


def reader(payload: bytes, kind: ExactKind) -> FieldReader:
    fields = FieldReader(payload, "XDAT")
    assert fields.integer("u8") == kind
    return fields


def read_column(payload: bytes, count: int, dtype: str) -> np.ndarray:
    fields = reader(payload, ExactKind.COLUMN)
    assert fields.integer("u16") == 7
    assert fields.integer("u8") == exact.ColumnCode.DEFLATED
    return exact.read_column(fields, count, np.dtype(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", [0, 1, 2, 1000])
def test_columns_of_every_type(dtype: str, count: int) -> None:
    """Random bytes: among the floats are NaNs with payloads, infinities and denormals."""
    size = np.dtype(dtype).itemsize
    raw = np.random.default_rng(40).bytes(count * size)
    column = np.frombuffer(raw, dtype)
    found = read_column(exact.write_column(7, column), count, dtype)
    assert found.dtype == np.dtype(dtype)
    assert found.tobytes() == raw


def test_special_floats_keep_their_bits() -> None:
    bits = np.array([0x80000000, 0x7F800001, 0xFFC12345, 0x7F800000, 0xFF800000, 1], np.uint32)
    found = read_column(exact.write_column(7, bits.view(np.float32)), 6, "f4")
    assert found.view(np.uint32).tolist() == bits.tolist()


def test_big_endian_and_strided_columns() -> None:
    values = np.arange(20, dtype=">f8")[::2]
    found = read_column(exact.write_column(7, values), 10, "f8")
    assert np.array_equal(found, np.arange(0, 20, 2))


@pytest.mark.parametrize("count", [0, 9, 11])
def test_column_of_the_wrong_length_is_refused(count: int) -> None:
    payload = exact.write_column(7, np.arange(10, dtype=np.float32))
    with pytest.raises(CorruptError):
        read_column(payload, count, "f4")


def test_elements() -> None:
    fields = reader(exact.write_elements(b"ply\n..."), ExactKind.ELEMENTS)
    assert exact.read_elements(fields, Limits()) == b"ply\n..."
    fields = reader(exact.write_elements(bytes(1000)), ExactKind.ELEMENTS)
    with pytest.raises(LimitError):
        exact.read_elements(fields, Limits(inflated_bytes=999))


def make_exceptions() -> Exceptions:
    bits = np.array([0x7F800000, 0xFF800000, 0x7FC00001, 2**64 - 1], np.uint64)
    return Exceptions(np.array([0, 0, 5, 9]), np.array([0, 1, 0, 2]), bits)


def test_exceptions_survive_writing() -> None:
    written = make_exceptions()
    fields = reader(exact.write_exceptions(written), ExactKind.EXCEPTIONS)
    found = exact.read_exceptions(fields, 10, 3)
    for name in ("row", "property", "bits"):
        assert np.array_equal(getattr(found, name), getattr(written, name))


@pytest.mark.parametrize(("gaussians", "properties"), [(9, 3), (10, 2), (1, 3)])
def test_exceptions_outside_the_scene_are_refused(gaussians: int, properties: int) -> None:
    fields = reader(exact.write_exceptions(make_exceptions()), ExactKind.EXCEPTIONS)
    with pytest.raises(CorruptError):
        exact.read_exceptions(fields, gaussians, properties)


def test_exceptions_overwrite_bit_for_bit() -> None:
    columns = {
        "opacity": np.zeros(10, np.float32),
        "scale_0": np.ones(10, np.float32),
        "x": np.zeros(10, np.float64),
        "untouched": np.arange(10, dtype=np.uint8),
    }
    exact.apply_exceptions(list(columns.values()), make_exceptions())
    assert columns["opacity"][0] == np.inf
    assert columns["opacity"].view(np.uint32)[5] == 0x7FC00001
    assert columns["scale_0"].tolist() == [-np.inf] + [1.0] * 9
    assert columns["x"].view(np.uint64)[9] == 2**64 - 1
    assert columns["untouched"].tolist() == list(range(10))
    assert columns["opacity"][1:5].tolist() == [0.0] * 4


def read_order(payload: bytes, count: int) -> np.ndarray:
    return exact.read_row_order(reader(payload, ExactKind.ROW_ORDER), count)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 31, 1000])
def test_random_order_takes_the_rank_code(count: int) -> None:
    order = np.random.default_rng(41).permutation(count)
    payload = exact.write_row_order(order)
    assert payload[1] == 1
    assert np.array_equal(read_order(payload, count), order)
    # log2(n!) bits plus less than one bit for each row
    ideal = sum(np.log2(np.arange(1, count + 1)))
    assert 8 * (len(payload) - 3) < ideal + count


def test_regular_order_takes_the_difference_code() -> None:
    order = np.arange(5000).reshape(2, -1).T.reshape(-1)
    payload = exact.write_row_order(order)
    assert payload[1] == 0
    assert len(payload) < 200
    assert np.array_equal(read_order(payload, 5000), order)


def test_ranks_count_later_smaller_rows() -> None:
    order = np.random.default_rng(42).permutation(77)
    wanted = [int((order[i:] < row).sum()) for i, row in enumerate(order.tolist())]
    assert exact._ranks(order).tolist() == wanted
    assert np.array_equal(exact._unrank(np.array(wanted)), order)


def difference_code(order: list[int]) -> bytes:
    """Write code 0 for anything, permutation or not."""
    import zlib

    steps = np.diff(np.array(order), prepend=0).astype("<i8")
    planes = steps.view(np.uint8).reshape(-1, 8).T.tobytes()
    return FieldWriter().put("u8", ExactKind.ROW_ORDER, 0).raw(zlib.compress(planes)).finish()


@pytest.mark.parametrize("order", [[0, 0, 1], [0, 1, 3], [-1, 0, 1], [2**62, 0, 1]])
def test_not_a_permutation_is_refused(order: list[int]) -> None:
    with pytest.raises(CorruptError):
        read_order(difference_code(order), 3)
    assert read_order(difference_code([2, 0, 1]), 3).tolist() == [2, 0, 1]


def test_rank_of_a_row_that_is_not_there_is_refused() -> None:
    """Three rows need 2 + 1 + 0 bits; the first rank may be 0, 1 or 2 only."""
    payload = bytes([ExactKind.ROW_ORDER, 1])
    assert read_order(payload + bytes([0b10100000]), 3).tolist() == [2, 1, 0]
    with pytest.raises(CorruptError):
        read_order(payload + bytes([0b11000000]), 3)


@pytest.mark.parametrize("order", [np.arange(100), np.random.default_rng(43).permutation(100)])
def test_damaged_orders_are_permutations_or_refused(order: np.ndarray) -> None:
    payload = exact.write_row_order(order)
    for end in range(1, len(payload)):
        with pytest.raises(CorruptError):
            read_order(payload[:end], 100)
    for bit in range(8, 8 * len(payload)):
        damaged = bytearray(payload)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            found = read_order(bytes(damaged), 100)
        except CorruptError:
            continue
        assert sorted(found.tolist()) == list(range(100))
