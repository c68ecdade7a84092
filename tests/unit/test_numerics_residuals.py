"""Residual coding: escapes, silent channels, limits."""

from __future__ import annotations

import numpy as np
import pytest

from csgs_codec.errors import CorruptError
from csgs_codec.numerics.bits import BitReader, BitWriter
from csgs_codec.numerics.rans import RansDecoder, RansEncoder
from csgs_codec.numerics.residuals import (
    LARGEST_RESIDUAL,
    decode_residuals,
    encode_residuals,
    escape_orders,
)
from csgs_codec.numerics.tables import half_widths
from tests.backends import use_backend


def encode(*stages: tuple[np.ndarray, np.ndarray]) -> tuple[bytes, bytes]:
    rans, bits = RansEncoder(), BitWriter()
    for k, scale_index in stages:
        encode_residuals(k, scale_index, rans, bits)
    return rans.finish(), bits.finish()


def decode(streams: tuple[bytes, bytes], *scale_indices: np.ndarray) -> list[np.ndarray]:
    rans, bits = RansDecoder(streams[0]), BitReader(streams[1])
    found = [decode_residuals(index, rans, bits) for index in scale_indices]
    rans.finish()
    bits.finish()
    return found


def sample(shape: tuple[int, ...], seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Residuals with a tenth of outliers; scale index 0 among the rest."""
    rng = np.random.default_rng(seed)
    scale_index = rng.integers(0, 64, shape).astype(np.uint8)
    spread = 0.1 * 2 ** ((scale_index.astype(float) - 1) / 6)
    k = rng.laplace(0, spread)
    k *= np.where(rng.random(shape) < 0.1, 500, 1)
    k[scale_index == 0] = 0
    return np.rint(k).astype(np.int32), scale_index


def test_round_trip_with_escapes(backend: str) -> None:
    first, second = sample((200, 7)), sample((33, 1), seed=6)
    assert (np.abs(first[0]) > half_widths()[first[1]]).sum() > 50
    found = decode(encode(first, second), first[1], second[1])
    assert np.array_equal(found[0], first[0])
    assert np.array_equal(found[1], second[0])
    assert found[0].dtype == np.int32


def test_both_paths_write_and_read_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    k, scale_index = sample((500, 3))
    streams = []
    for name in ("numba", "numpy"):
        use_backend(monkeypatch, name)
        streams.append(encode((k, scale_index)))
    assert streams[0] == streams[1]


def test_edges_of_every_table(backend: str) -> None:
    """``-h``, ``h`` are symbols, ``+-(h + 1)`` the first escapes."""
    index = np.repeat(np.arange(1, 64, dtype=np.uint8), 4)
    h = half_widths()[index]
    k = (np.tile([1, -1, 1, -1], 63) * (h + np.tile([0, 0, 1, 1], 63))).astype(np.int32)
    streams = encode((k, index))
    assert np.array_equal(decode(streams, index)[0], k)
    # two escapes per table: Exp-Golomb of 0 takes order + 1 bits, the sign one
    bits = 2 * int((escape_orders(np.arange(1, 64, dtype=np.uint8)).astype(int) + 2).sum())
    assert len(streams[1]) == -(-bits // 8)


def test_silent_channels_cost_nothing(backend: str) -> None:
    index = np.zeros((100, 3), np.uint8)
    streams = encode((np.zeros((100, 3), np.int32), index))
    assert streams == (b"", b"")
    assert not decode(streams, index)[0].any()


def test_empty_stage(backend: str) -> None:
    index = np.zeros((0, 4), np.uint8)
    found = decode(encode((np.zeros((0, 4), np.int32), index)), index)[0]
    assert found.shape == (0, 4)


@pytest.mark.parametrize("sign", [1, -1])
def test_largest_residual(backend: str, sign: int) -> None:
    index = np.array([30], np.uint8)
    k = np.array([sign * (LARGEST_RESIDUAL - 1)], np.int32)
    assert decode(encode((k, index)), index)[0] == k
    with pytest.raises(CorruptError):
        decode(encode((k + sign, index)), index)


def test_residual_of_a_silent_channel_is_refused() -> None:
    with pytest.raises(ValueError, match="scale"):
        encode(
            (np.array([3, 1], np.int32), np.array([9, 0], np.uint8)),
        )


def test_escape_without_bits_is_noticed(backend: str) -> None:
    index = np.array([10], np.uint8)
    rans, bits = encode((np.array([1000], np.int32), index))
    for end in range(len(bits)):
        with pytest.raises(CorruptError):
            decode((rans, bits[:end]), index)
