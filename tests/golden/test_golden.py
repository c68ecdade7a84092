"""Bytes of the numeric streams for fixed inputs.

A change of a hash is a change of the bitstream: old files would decode to something else. Bless a
new hash only together with a new bitstream version. The inputs come from integer arithmetic alone,
so no generator's or library's change can move them.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from csgs_codec.attributes import exact
from csgs_codec.attributes.labels import encode_labels, fit_labels
from csgs_codec.attributes.positions import (
    count_symbols,
    encode_keys,
    read_tables,
    write_tables,
)
from csgs_codec.container.chunks import frame
from csgs_codec.container.fields import FieldReader
from csgs_codec.hyperprior.neighbours import Places, find_neighbours
from csgs_codec.numerics import morton
from csgs_codec.numerics.bits import BitWriter
from csgs_codec.numerics.mlp import IntegerMlp, Layer
from csgs_codec.numerics.positional import encode_positions
from csgs_codec.numerics.rans import RansEncoder
from csgs_codec.numerics.residuals import encode_residuals
from csgs_codec.numerics.side import encode_integers
from csgs_codec.numerics.tables import FrequencyTables, normalise_frequencies
from tests.backends import BACKENDS, use_backend


def numbers(count: int, seed: int) -> np.ndarray:
    """Return 31-bit numbers of a linear congruential generator."""
    state, out = seed, []
    for _ in range(count):
        state = (6364136223846793005 * state + 1442695040888963407) % 2**64
        out.append(state >> 33)
    return np.array(out, np.int64)


def residual_inputs() -> tuple[np.ndarray, np.ndarray]:
    """Scale indices 0 to 63 and residuals that now and then escape."""
    scale_index = (numbers(3000, 1) % 64).astype(np.uint8)
    k = numbers(3000, 2) % 15 - 7
    k *= np.where(numbers(3000, 3) % 50 == 0, 1000, 1)
    k[scale_index == 0] = 0
    return k.astype(np.int32), scale_index


def rans() -> bytes:
    counts = [numbers(size, size) % 100 for size in (2, 5, 256)]
    tables = FrequencyTables.from_frequencies([normalise_frequencies(c) for c in counts])
    encoder = RansEncoder()
    for size, seed in ((1, 4), (2000, 5), (37, 6)):
        index = (numbers(size, seed) % 3).astype(np.uint8)
        symbols = numbers(size, seed + 10) % tables.sizes[index]
        encoder.put(symbols.astype(np.uint8), index, tables)
    return encoder.finish()


def bits() -> bytes:
    writer = BitWriter()
    widths = (numbers(500, 7) % 57).astype(np.uint8)
    mask = (np.uint64(1) << widths.astype(np.uint64)) - np.uint64(1)
    writer.put((numbers(500, 8).astype(np.uint64) << np.uint64(25)) & mask, widths)
    writer.put_exp_golomb(numbers(500, 9) % 5000, (numbers(500, 10) % 8).astype(np.uint8))
    return writer.finish()


def residuals() -> bytes:
    encoder, writer = RansEncoder(), BitWriter()
    encode_residuals(*residual_inputs(), encoder, writer)
    return encoder.finish() + writer.finish()


def side() -> bytes:
    k, scale_index = residual_inputs()
    return encode_integers(k, np.sort(np.maximum(scale_index, 1)))


def cells(count: int, seed: int) -> Places:
    """Gaussians in order of their keys in a box of 2**(9, 7, 8) cells; duplicates."""
    places = numbers(3 * count, seed).reshape(-1, 3) % (2 ** np.array([6, 4, 5])) * 5
    places %= 2 ** np.array([9, 7, 8])
    keys = morton.encode_keys(places, (9, 7, 8))
    order = np.argsort(keys, kind="stable")
    return Places.of(keys[order], places[order].astype(np.int32), (9, 7, 8))


def positions() -> bytes:
    keys, earlier = cells(2000, 11).keys, cells(700, 12).keys
    payload = write_tables(count_symbols(keys, earlier, 24))
    encoder, writer = RansEncoder(), BitWriter()
    encode_keys(keys, earlier, 24, read_tables(FieldReader(payload, "KDTB")), encoder, writer)
    return payload + encoder.finish() + writer.finish()


def neighbours() -> bytes:
    found = find_neighbours(cells(1000, 13), cells(400, 14))
    return found.row.astype("<i4").tobytes() + found.distance.tobytes()


def labels() -> bytes:
    found = find_neighbours(cells(1000, 13), cells(400, 14))
    target, known = (numbers(n, n) % 5 for n in (1000, 400))
    near = known[np.maximum(found.row[:, 0], 0)]
    target = np.where(numbers(1000, 15) % 4 > 0, near, target).astype(np.int32)
    coding = fit_labels(np.array([-1, 3, 7, 100, 2**40]), [(target, known.astype(np.int32), found)])
    encoder, writer = RansEncoder(), BitWriter()
    encode_labels(coding, target, known.astype(np.int32), found, encoder, writer)
    # the parameters are deflated, and zlib's versions may differ in their choices
    weights = coding.agreement.astype("<u2").tobytes() + coding.explicit.astype("<u2").tobytes()
    return weights + encoder.finish() + writer.finish()


def network() -> bytes:
    weights = [numbers(a * b, a).reshape(a, b) % 401 - 200 for a, b in ((24, 32), (32, 10))]
    biases = [numbers(b, b) % 2**20 - 2**19 for b in (32, 10)]
    layers = [
        Layer(w.astype(np.int16), b.astype(np.int32), shift)
        for w, b, shift in zip(weights, biases, (12, 7), strict=True)
    ]
    inputs = encode_positions((numbers(900, 16).reshape(-1, 3) % 2**16).astype(np.uint16), 4)
    return inputs.tobytes() + IntegerMlp(layers).forward(inputs).astype("<i4").tobytes()


def row_order() -> bytes:
    order = np.argsort(numbers(500, 17), kind="stable")
    return exact.write_row_order(order)


def chunk() -> bytes:
    return frame("DATA", bits())


STREAMS = {
    f.__name__: f
    for f in (rans, bits, residuals, side, positions, neighbours, labels, network, row_order, chunk)
}

GOLDEN = {
    "rans": (
        1176,
        "e635cde42085c7b3361c6683207ded800d4e1fa4ad13a5e470e0fb03e7d85316",
    ),
    "bits": (
        2962,
        "b325b5867eec32f97d2b156dc8101fb92190610f1257cc2d321c521e9bf00f38",
    ),
    "residuals": (
        3222,
        "165f249987998fdbb53682b6d3361bbd811b301ffbfcbcc90ef44630779623d1",
    ),
    "side": (
        3199,
        "54c24dd7de163c4c74b6c7482378535d25545f1bd3af63b241c8dc493afe9a9e",
    ),
    "positions": (
        3442,
        "52f0f0f8925baa0009cc1c3c620d2ce1c1291f2b5a2c84e130c2fe6c5e3ed735",
    ),
    "neighbours": (
        40000,
        "fdc48d05c607452656688391b3b00f043d6a259f020792b71990558d7ef5862a",
    ),
    "labels": (
        300,
        "661b3a68f9ef1a464549c8bde0edc01bb7a356903f3329d51bdb3729fba917c7",
    ),
    "network": (
        19200,
        "4f76d0aedc47deec32f72603effcce9a34e10d9506696cf26f8e4194369defcb",
    ),
    "row_order": (
        501,
        "2e99aefda535ce5d8161c9d4a81a43ed9b38f0e2c06d4f16d488b4e84a2efc0a",
    ),
    "chunk": (
        2974,
        "ab8c53ce43ea955ddef20b13c173cebcbb08b9ee3c0d3ac6512cd725826f775a",
    ),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", STREAMS)
def test_bytes(monkeypatch: pytest.MonkeyPatch, name: str, backend: str) -> None:
    use_backend(monkeypatch, backend)
    data = STREAMS[name]()
    assert (len(data), hashlib.sha256(data).hexdigest()) == GOLDEN[name]
