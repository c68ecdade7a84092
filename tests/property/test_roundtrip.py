"""Random streams come back as they went in."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from csgs_codec.attributes import exact
from csgs_codec.attributes.labels import decode_labels, encode_labels, fit_labels
from csgs_codec.attributes.positions import (
    build_tables,
    count_symbols,
    decode_keys,
    encode_keys,
    read_tables,
    write_tables,
)
from csgs_codec.container.fields import FieldReader
from csgs_codec.hyperprior.neighbours import Places, find_neighbours
from csgs_codec.numerics import morton
from csgs_codec.numerics.bits import BitReader, BitWriter
from csgs_codec.numerics.rans import RansDecoder, RansEncoder
from csgs_codec.numerics.residuals import decode_residuals, encode_residuals
from csgs_codec.numerics.side import decode_integers, encode_integers

FEW = settings(max_examples=30, deadline=None, derandomize=True)


@FEW
@given(st.lists(st.lists(st.tuples(st.integers(0, 2**56 - 1), st.integers(0, 56)), max_size=20)))
def test_bits(stages: list[list[tuple[int, int]]]) -> None:
    writer = BitWriter()
    wanted = []
    for stage in stages:
        widths = np.array([w for _, w in stage], np.uint8)
        values = np.array([v % 2**w for v, w in stage], np.uint64)
        writer.put(values, widths)
        wanted.append((values.tolist(), widths))
    data = writer.finish()
    assert len(data) == -(-sum(w for stage in stages for _, w in stage) // 8)
    reader = BitReader(data)
    for values, widths in wanted:
        assert reader.get(widths).tolist() == values
    reader.finish()


@FEW
@given(st.lists(st.tuples(st.integers(0, 2**24), st.integers(0, 7)), max_size=30))
def test_exp_golomb(numbers: list[tuple[int, int]]) -> None:
    values = np.array([v for v, _ in numbers], np.int64)
    orders = np.array([o for _, o in numbers], np.uint8)
    writer = BitWriter()
    writer.put_exp_golomb(values, orders)
    reader = BitReader(writer.finish())
    assert reader.get_exp_golomb(orders).tolist() == values.tolist()
    reader.finish()


MAGNITUDE = 2**24 - 1
RESIDUAL = st.one_of(st.integers(-5, 5), st.integers(-MAGNITUDE, MAGNITUDE))


@FEW
@given(st.data(), st.integers(0, 70), st.integers(1, 3))
def test_residuals(data: st.DataObject, rows: int, channels: int) -> None:
    scale_index = data.draw(arrays(np.uint8, (rows, channels), elements=st.integers(0, 63)))
    k = data.draw(arrays(np.int32, (rows, channels), elements=RESIDUAL))
    k[scale_index == 0] = 0
    rans, bits = RansEncoder(), BitWriter()
    encode_residuals(k, scale_index, rans, bits)
    reader, plain = RansDecoder(rans.finish()), BitReader(bits.finish())
    assert np.array_equal(decode_residuals(scale_index, reader, plain), k)
    reader.finish()
    plain.finish()


@FEW
@given(st.lists(st.tuples(st.integers(-(2**31) + 1, 2**31 - 1), st.integers(1, 63)), max_size=50))
def test_side_streams(numbers: list[tuple[int, int]]) -> None:
    values = np.array([v for v, _ in numbers], np.int64)
    scale_index = np.array([s for _, s in numbers], np.uint8)
    data = encode_integers(values, scale_index)
    assert decode_integers(data, len(values), scale_index).tolist() == values.tolist()


@st.composite
def key_layers(draw: st.DrawFn) -> tuple[int, np.ndarray, np.ndarray]:
    """Depth, keys of a layer and of the earlier ones; narrow ranges make duplicates."""
    depth = draw(st.integers(0, 63))
    top = 2 ** draw(st.integers(0, depth)) - 1
    one = st.one_of(st.integers(0, top), st.integers(0, 2**depth - 1))
    keys, earlier = (
        np.array(sorted(draw(st.lists(one, min_size=least, max_size=60))), np.uint64)
        for least in (1, 0)
    )
    return depth, keys, earlier


@FEW
@given(key_layers(), st.booleans())
def test_positions(layers: tuple[int, np.ndarray, np.ndarray], fitted: bool) -> None:
    depth, keys, earlier = layers
    tables = build_tables({})
    if fitted:
        payload = write_tables(50 * count_symbols(keys, earlier, depth))
        tables = read_tables(FieldReader(payload, "KDTB"))
    rans, bits = RansEncoder(), BitWriter()
    encode_keys(keys, earlier, depth, tables, rans, bits)
    reader, plain = RansDecoder(rans.finish()), BitReader(bits.finish())
    found = decode_keys(len(keys), earlier, depth, tables, reader, plain)
    reader.finish()
    plain.finish()
    assert found.tolist() == keys.tolist()


@FEW
@given(st.lists(st.integers(0, 21), min_size=3, max_size=3), st.integers(0, 2**32), st.data())
def test_morton_keys_keep_their_order(bits: list[int], seed: int, data: st.DataObject) -> None:
    cells = np.random.default_rng(seed).integers(0, 2 ** np.array(bits), (20, 3))
    keys = morton.encode_keys(cells, bits)
    assert np.array_equal(morton.decode_keys(keys, bits), cells)
    assert int(keys.max()) < 2 ** sum(bits)


@FEW
@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 400), st.integers(0, 2**32))
def test_labels(count: int, known: int, classes: int, seed: int) -> None:
    """Neighbours as the codec finds them; sizes of the palette on both sides of a table's 256."""
    rng = np.random.default_rng(seed)
    bits = (5, 5, 5)
    cells = [rng.integers(0, 32, (n, 3)).astype(np.int32) for n in (count, known)]
    keys = [np.sort(morton.encode_keys(c, bits)) for c in cells]
    places = [Places.of(k, morton.decode_cells(k, bits), bits) for k in keys]
    found = find_neighbours(*places)
    target, labels = (rng.integers(0, classes, max(n, 1)).astype(np.int32) for n in (count, known))
    target = target[:count]
    coding = fit_labels(np.arange(classes), [(target, labels, found)])
    rans, plain = RansEncoder(), BitWriter()
    encode_labels(coding, target, labels, found, rans, plain)
    reader, bit_reader = RansDecoder(rans.finish()), BitReader(plain.finish())
    decoded = decode_labels(coding, labels, found, reader, bit_reader)
    reader.finish()
    bit_reader.finish()
    assert decoded.tolist() == target.tolist()


@FEW
@given(st.permutations(range(40)), st.integers(0, 40))
def test_row_order(order: list[int], count: int) -> None:
    rows = np.array([row for row in order if row < count], np.int64)
    fields = FieldReader(exact.write_row_order(rows), "XDAT")
    assert fields.integer("u8") == exact.ExactKind.ROW_ORDER
    assert exact.read_row_order(fields, count).tolist() == rows.tolist()


@FEW
@given(st.binary(max_size=400), st.integers(1, 63))
def test_noise_as_a_stream_never_does_worse_than_raise(noise: bytes, index: int) -> None:
    from csgs_codec.errors import CorruptError

    scale_index = np.full(50, index, np.uint8)
    for read in (
        lambda: decode_residuals(scale_index, RansDecoder(noise), BitReader(noise)),
        lambda: decode_integers(noise, 50, scale_index),
        lambda: read_tables(FieldReader(noise, "KDTB")),
    ):
        try:
            read()
        except CorruptError:
            continue
