"""Every kernel of decoding gives what its numpy twin gives, at any size."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from csgs_codec.attributes.coding import GroupCoding
from csgs_codec.attributes.positions import build_tables, decode_keys, encode_keys
from csgs_codec.attributes.steps import StepRule
from csgs_codec.attributes.transform import LinearTransform
from csgs_codec.container.kinds import GroupKind
from csgs_codec.decoder.columns import Columns, fill
from csgs_codec.errors import CorruptError
from csgs_codec.hyperprior.contexts import ContextLayout
from csgs_codec.hyperprior.network import GroupNetwork
from csgs_codec.numerics import morton
from csgs_codec.numerics.bits import BitReader, BitWriter
from csgs_codec.numerics.mlp import IntegerMlp, Layer
from csgs_codec.numerics.positional import encode_cells
from csgs_codec.numerics.rans import RansDecoder, RansEncoder
from csgs_codec.numerics.residuals import encode_residuals
from tests.backends import BACKENDS, use_backend

SIZES = (0, 1, 31, 33, 64, 65, 200)
I32 = np.ndarray


def both(patch: pytest.MonkeyPatch, action: Callable[[], np.ndarray]) -> np.ndarray:
    """Result of an action, checked to be the same with and without kernels."""
    found = []
    for name in BACKENDS:
        use_backend(patch, name)
        found.append(action())
    assert found[0].dtype == found[1].dtype
    assert np.array_equal(found[0], found[1])
    return found[0]


def make_network(inputs: int, channels: int, hidden: tuple[int, ...] = (13,)) -> GroupNetwork:
    """A network whose scale indices cover the tables, 0 among them."""
    rng = np.random.default_rng(90)
    widths = [inputs, *hidden, 2 * channels]
    layers = []
    for number, (a, b) in enumerate(pairwise(widths)):
        last = number == len(hidden)
        weights = rng.integers(-90, 90, (a, b)).astype(np.int16)
        bias = np.full(b, 0 if last else 128 << 9)
        bias[b // 2 :] += (1500 << 4) * last
        layers.append(Layer(weights, (bias // 256 * 256).astype(np.int32), 4 if last else 9))
    return GroupNetwork(1, ContextLayout(), IntegerMlp(layers))


class Group:
    """A coded group: streams, and what goes into decoding them."""

    def __init__(self, count: int, channels: int, inputs: int, silent: bool, spread: int) -> None:
        rng = np.random.default_rng(count)
        self.network = make_network(inputs, channels)
        self.inputs = rng.integers(0, 256, (count, inputs)).astype(np.uint8)
        self.classes = rng.integers(-8, 9, count).astype(np.int8)
        self.silent = rng.random(count) < 0.3 if silent else None
        _, index = self.network.predict(self.inputs, self.classes)
        if self.silent is not None:
            index[self.silent] = 0
        k = np.rint(rng.laplace(0, 1, index.shape) * spread).astype(np.int32)
        self.scale_index, self.k = index, k * (index > 0)
        rans, bits = RansEncoder(), BitWriter()
        encode_residuals(self.k, index, rans, bits)
        self.streams = rans.finish(), bits.finish()

    def decode(self, blend: int = 77) -> np.ndarray:
        rans, bits = RansDecoder(self.streams[0]), BitReader(self.streams[1])
        v_q6 = np.full(self.k.shape, blend, np.int32)
        self.network.decode(self.inputs, self.classes, self.silent, rans, bits, v_q6)
        rans.finish()
        bits.finish()
        return v_q6


@pytest.mark.parametrize("silent", [False, True], ids=["all rows", "silent rows"])
@pytest.mark.parametrize("inputs", [0, 1, 91])
@pytest.mark.parametrize("count", SIZES)
def test_groups(monkeypatch: pytest.MonkeyPatch, count: int, inputs: int, silent: bool) -> None:
    for channels, spread in ((1, 3), (21, 40)):
        group = Group(count, channels, inputs, silent, spread)
        v_q6 = both(monkeypatch, group.decode)
        if group.silent is not None:
            assert not v_q6[group.silent].any()
        if count == 200 and inputs == 91 and channels == 21:
            assert 0 < (group.scale_index == 0).mean() < 1


def test_groups_of_wide_and_deep_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    group = Group(70, 3, 40, True, 9)
    group.network = make_network(40, 3, ())
    for hidden in ((), (256,), (1, 2, 3, 5)):
        network = make_network(40, 3, hidden)
        assert both(monkeypatch, lambda n=network: n.mlp.forward(group.inputs)).shape == (70, 6)


def test_group_values_outside_the_range_are_refused(backend: str) -> None:
    group = Group(33, 2, 3, False, 1)
    index = np.maximum(group.scale_index, 1)
    layer = Layer(np.zeros((3, 4), np.int16), np.array([0, 0, 63 << 10, 63 << 10], np.int32), 4)
    group.network = GroupNetwork(1, ContextLayout(), IntegerMlp([layer]))
    group.classes = np.full(33, 8, np.int8)
    index = group.network.predict(group.inputs, group.classes)[1]
    for extreme, refused in ((1 << 20, True), ((1 << 20) - 1, False)):
        k = np.zeros((33, 2), np.int32)
        k[32, 1] = -extreme
        rans, bits = RansEncoder(), BitWriter()
        encode_residuals(k, index, rans, bits)
        group.streams, group.k = (rans.finish(), bits.finish()), k
        if refused:
            with pytest.raises(CorruptError):
                group.decode(0)
        else:
            assert group.decode(0)[32, 1] == -1024 * extreme


@pytest.mark.parametrize("before", [0, 1, 33])
@pytest.mark.parametrize("count", SIZES)
def test_cells(monkeypatch: pytest.MonkeyPatch, count: int, before: int) -> None:
    rng = np.random.default_rng(count)
    tables = build_tables({})
    for depth in (0, 3, 40, 63):
        top = min(depth, 9)  # clusters and duplicates in some, lone cells in others
        made = [
            np.sort(
                rng.integers(0, 2**top, n, np.uint64) << np.uint64(rng.integers(0, depth - top + 1))
            )
            for n in (count, before)
        ]
        keys, earlier = made[0], made[1]
        rans, bits = RansEncoder(), BitWriter()
        encode_keys(keys, earlier, depth, tables, rans, bits)
        streams = rans.finish(), bits.finish()

        def decode(depth: int = depth, earlier: I32 = earlier, streams=streams) -> I32:
            rans, bits = RansDecoder(streams[0]), BitReader(streams[1])
            found = decode_keys(count, earlier, depth, tables, rans, bits)
            rans.finish()
            bits.finish()
            return found

        assert np.array_equal(both(monkeypatch, decode), keys)


@pytest.mark.parametrize("count", SIZES)
def test_cells_waves_and_classes(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    rng = np.random.default_rng(count)
    bits = (21, 0, 13)
    cells = rng.integers(0, 2 ** np.array(bits), (count, 3)).astype(np.int32)
    keys = morton.encode_keys(cells.astype(np.int64), bits)
    assert np.array_equal(both(monkeypatch, lambda: morton.decode_cells(keys, bits)), cells)
    offset = np.array([-(2**20), 2**32 - 7, 300])
    for octaves in (0, 1, 12):
        for shift in (0, 9, 31):
            both(monkeypatch, lambda o=octaves, s=shift: encode_cells(cells, offset, s, o))
    features = rng.integers(-(2**30), 2**30, (count, 4))
    for rule in (StepRule(-99, (3, -5, 2**30, 1), 31, -8, 8), StepRule(5, (1, 0, 0, 0), 0, 0, 3)):
        both(monkeypatch, lambda rule=rule: rule.classes(features))


def codings() -> dict[GroupKind, GroupCoding]:
    """One coding of each kind that has a kernel."""
    rng = np.random.default_rng(91)
    basis = rng.integers(-9000, 9000, (6, 10)).astype(np.int32)
    transform = LinearTransform(rng.random(10).astype(np.float32), basis, 13)
    centre = rng.normal(size=6).astype(np.float32)
    return {
        GroupKind.SCALE: GroupCoding(GroupKind.SCALE, 0.1, centre[:3]),
        GroupKind.OPACITY: GroupCoding(GroupKind.OPACITY, 0.3, centre[:1]),
        GroupKind.ROTATION: GroupCoding(GroupKind.ROTATION, 0.02, centre[:3]),
        GroupKind.SH: GroupCoding(GroupKind.SH, 0.04, centre, transform=transform),
    }


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", codings())
@pytest.mark.parametrize("count", SIZES)
def test_columns(
    monkeypatch: pytest.MonkeyPatch, count: int, kind: GroupKind, dtype: np.dtype
) -> None:
    coding = codings()[kind]
    v_q6 = np.random.default_rng(count).integers(-9000, 9000, (count, coding.channels))
    v_q6 = v_q6.astype(np.int32)
    wanted = coding.dequantise(v_q6)
    tile = SimpleNamespace(rows=lambda layer: slice(0, count), values=lambda group: v_q6)
    header = SimpleNamespace(groups=[SimpleNamespace(kind=kind)])
    tools = SimpleNamespace(header=header, codings=[coding], sentinels={}, fine_rules={})
    for name in BACKENDS:
        use_backend(monkeypatch, name)
        typed = [(f"c{i}", np.dtype(dtype)) for i in range(wanted.shape[1])]
        columns = Columns.make(0, typed, count + 5)
        for column in columns.named.values():
            column[:] = 7
        fill(tools, tile, 0, columns, 3, 1)
        found = np.stack(list(columns.named.values()), axis=1)
        assert (found[:3] == 7).all()
        assert (found[count + 3 :] == 7).all()
        rounded = wanted.astype(dtype)
        assert np.allclose(found[3 : count + 3], rounded, rtol=2e-7, atol=1e-7)


@pytest.mark.parametrize("fine", [False, True], ids=["coarse", "fine"])
@pytest.mark.parametrize("count", SIZES)
def test_positions(monkeypatch: pytest.MonkeyPatch, count: int, fine: bool) -> None:
    rng = np.random.default_rng(count)
    cells = rng.integers(0, 2**21, (count, 3)).astype(np.int32)
    bits = rng.integers(0, 9, count).astype(np.int8)
    tail = (rng.integers(0, 256, (count, 3)) >> (8 - bits[:, None])).astype(np.int32)
    origin = np.array([2**31, 5, 0])
    tile = SimpleNamespace(
        rows=lambda layer: slice(0, count),
        values=lambda group: tail,
        step_classes=lambda group, rule, layer: bits,
        cells=cells,
        grid=lambda rows: cells[rows] + origin,
        origin=origin,
    )
    header = SimpleNamespace(
        groups=[SimpleNamespace(kind=GroupKind.POSITION)], grid_step=1e-3, origin=(1.0, -2.0, 9e3)
    )
    tools = SimpleNamespace(header=header, fine_rules={1: StepRule()})

    def place() -> np.ndarray:
        columns = Columns.make(0, [(name, np.dtype(np.float32)) for name in "xyz"], count)
        fill(tools, tile, 0, columns, 0, 1 + fine)
        return np.stack(list(columns.named.values()), axis=1)

    found = both(monkeypatch, place)
    within = (tail + 0.5) * 0.5 ** bits[:, None] if fine else 0.5
    wanted = (cells + origin + within) * 1e-3 + np.array(header.origin)
    assert np.allclose(found, wanted.astype(np.float32), rtol=2e-7)
