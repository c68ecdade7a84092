"""Label coding: neighbours, tables, palettes."""

from __future__ import annotations

import numpy as np
import pytest

from csgs_codec.attributes.labels import LabelCoding, decode_labels, encode_labels, fit_labels
from csgs_codec.container.fields import FieldReader
from csgs_codec.errors import CorruptError
from csgs_codec.hyperprior.neighbours import MISSING, Neighbours
from csgs_codec.numerics.bits import BitReader, BitWriter
from csgs_codec.numerics.rans import RansDecoder, RansEncoder

Layer = tuple[np.ndarray, np.ndarray, Neighbours]


def neighbours(rows: np.ndarray) -> Neighbours:
    rows = np.asarray(rows, np.int32).reshape(-1, 4)
    return Neighbours(rows, np.zeros(rows.shape, np.uint8))


def make_layer(count: int, earlier: int, classes: int, seed: int = 30) -> Layer:
    """Labels that mostly equal the nearest neighbour's; some neighbours are missing."""
    rng = np.random.default_rng(seed)
    labels = np.sort(rng.integers(0, classes, max(earlier, 1))).astype(np.int32)
    rows = np.full((count, 4), MISSING)
    if earlier:
        near = rng.integers(0, earlier, (count, 1)) + np.arange(4)
        rows = np.where(near < earlier, near, MISSING)
        rows[rng.random(count) < 0.05] = MISSING
    first = np.where(rows[:, 0] >= 0, labels[np.maximum(rows[:, 0], 0)] if earlier else 0, 0)
    other = rng.integers(0, classes, count)
    target = np.where(rng.random(count) < 0.8, first, other).astype(np.int32)
    return target, labels, neighbours(rows)


def round_trip(coding: LabelCoding, layer: Layer) -> tuple[np.ndarray, int]:
    target, labels, found = layer
    rans, bits = RansEncoder(), BitWriter()
    encode_labels(coding, target, labels, found, rans, bits)
    streams = rans.finish(), bits.finish()
    reader, plain = RansDecoder(streams[0]), BitReader(streams[1])
    decoded = decode_labels(coding, labels, found, reader, plain)
    reader.finish()
    plain.finish()
    assert decoded.dtype == np.int32
    return decoded, sum(map(len, streams))


def reread(coding: LabelCoding, gaussians: int) -> LabelCoding:
    fields = FieldReader(coding.write(), "GRUP")
    found = LabelCoding.read(fields, gaussians)
    fields.finish()
    return found


@pytest.mark.parametrize("classes", [1, 2, 7, 256, 257, 3000])
@pytest.mark.parametrize(("count", "earlier"), [(500, 0), (500, 1), (2000, 700), (1, 1)])
def test_round_trip(backend: str, classes: int, count: int, earlier: int) -> None:
    layer = make_layer(count, earlier, classes)
    coding = fit_labels(np.arange(classes) * 10 - 5, [layer])
    assert bool(len(coding.explicit)) == (classes <= 256)
    coding = reread(coding, 5000)
    assert np.array_equal(round_trip(coding, layer)[0], layer[0])


def test_no_rows() -> None:
    layer = make_layer(0, 10, 4)
    coding = fit_labels(np.arange(4), [layer])
    assert len(round_trip(coding, layer)[0]) == 0
    empty = fit_labels(np.zeros(0, np.int64), [])
    assert len(reread(empty, 0).palette) == 0


def test_agreeing_neighbours_are_cheap() -> None:
    labels = np.repeat(np.arange(8, dtype=np.int32), 100)
    place = np.arange(800)
    layer = (labels.copy(), labels, neighbours(np.stack([place] * 4, axis=1)))
    assert round_trip(fit_labels(np.arange(8), [layer]), layer)[1] <= 140


def test_choice_of_the_nearest_other_label() -> None:
    """Neighbours 3, 3, 5, 1: OTHER means 5, two agree."""
    labels = np.array([3, 3, 5, 1], np.int32)
    found = neighbours([[0, 1, 2, 3]])
    layer = (np.array([5], np.int32), labels, found)
    coding = fit_labels(np.arange(6), [layer])
    assert coding.agreement.tolist() == [[0, 0, 0], [0, 1, 0]] + [[0, 0, 0]] * 6
    assert not coding.explicit.any()
    # a single neighbour counts as full agreement: there is no other label
    alone = (np.array([5], np.int32), labels, neighbours([[2, MISSING, MISSING, MISSING]]))
    assert fit_labels(np.arange(6), [alone]).agreement[7].tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    "palette", [[0], [-(2**62), -1, 0, 2**62], list(range(300)), [2**32 - 1]], ids=len
)
def test_parameters_survive_writing(palette: list[int]) -> None:
    rng = np.random.default_rng(31)
    explicit = rng.integers(0, 65_536, len(palette) if len(palette) <= 256 else 0)
    coding = LabelCoding(np.array(palette), rng.integers(0, 65_536, (8, 3)), explicit)
    found = reread(coding, 1000)
    assert np.array_equal(found.palette, coding.palette)
    assert np.array_equal(found.agreement, coding.agreement)
    assert np.array_equal(found.explicit, coding.explicit)


def test_counts_beyond_16_bits_are_scaled_and_stay_positive() -> None:
    target = np.zeros(200_000, np.int32)
    target[0] = 1
    layer = (target, target, neighbours(np.full((200_000, 4), MISSING)))
    explicit = fit_labels(np.arange(2), [layer]).explicit
    assert explicit.max() == 65_535
    assert explicit.min() >= 1


def corrupt(coding: LabelCoding, gaussians: int = 1000) -> None:
    with pytest.raises(CorruptError):
        reread(coding, gaussians)


def test_invalid_parameters_are_refused() -> None:
    weights = np.ones((8, 3), np.int64)
    corrupt(LabelCoding(np.array([1, 1]), weights, np.ones(2, np.int64)))
    corrupt(LabelCoding(np.array([2, 1]), weights, np.ones(2, np.int64)))
    corrupt(LabelCoding(np.array([1, 2]), weights, np.ones(1, np.int64)))
    corrupt(LabelCoding(np.zeros(0, np.int64), weights, np.zeros(0, np.int64)))
    corrupt(LabelCoding(np.arange(1001), weights, np.zeros(0, np.int64)))
    payload = LabelCoding(np.arange(3), weights, np.ones(3, np.int64)).write()
    for end in range(len(payload)):
        with pytest.raises(CorruptError):
            LabelCoding.read(FieldReader(payload[:end], "GRUP"), 1000)


def test_label_outside_its_palette_is_refused() -> None:
    """An explicit index of 9 bits can name more than 300 labels; OTHER may have no candidate."""
    coding = LabelCoding(np.arange(300), np.ones((8, 3), np.int64), np.zeros(0, np.int64))
    nothing = np.zeros(1, np.int32)
    far = neighbours(np.full((1, 4), MISSING))
    with pytest.raises(CorruptError):
        decode_labels(coding, nothing, far, RansDecoder(b""), BitReader(b"\xff\xff"))
    rans = RansEncoder()
    rans.put(np.array([1], np.uint8), np.array([7], np.uint8), coding.agreement_tables)
    with pytest.raises(CorruptError):
        decode_labels(
            coding,
            np.array([7], np.int32),
            neighbours([[0, MISSING, MISSING, MISSING]]),
            RansDecoder(rans.finish()),
            BitReader(b""),
        )
