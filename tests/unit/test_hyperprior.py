"""Contexts and networks: definitions, serialisation, both paths."""

from __future__ import annotations

import numpy as np
import pytest

from csgs_codec.container.fields import FieldReader
from csgs_codec.container.header import GroupDeclaration, Header, Pass, Tiles
from csgs_codec.container.kinds import GroupKind
from csgs_codec.errors import CorruptError
from csgs_codec.hyperprior.contexts import ContextChannels, ContextLayout, LayerContext
from csgs_codec.hyperprior.network import GroupNetwork
from csgs_codec.hyperprior.tile import Tile
from csgs_codec.numerics.mlp import IntegerMlp, Layer
from csgs_codec.numerics.morton import encode_keys
from csgs_codec.numerics.positional import encode_positions
from tests.backends import use_backend

BITS = (6, 5, 7)
COUNTS = (40, 60, 1)


def make_tile(seed: int = 70) -> Tile:
    """Three layers with decoded values of a scale group (1) and an SH group (2)."""
    header = Header(
        gaussians=sum(COUNTS),
        layers=3,
        tiles=1,
        origin=(0.0, 0.0, 0.0),
        grid_step=1.0,
        unit_offset=(110, 190, 300),
        unit_shift=1,
        rounds=(3, 2, 1),
        groups=(
            GroupDeclaration(GroupKind.POSITION, 3, 3),
            GroupDeclaration(GroupKind.SCALE, 3, 3),
            GroupDeclaration(GroupKind.SH, 9, 9),
        ),
        passes=(Pass(0, (0, 1, 2)), Pass(1, (0, 1, 2)), Pass(2, (0, 1, 2))),
    )
    origin = np.array([[100, 200, 300]])
    tile = Tile(header, Tiles(origin, np.array([BITS], np.uint8), np.array([COUNTS])), 0)
    rng = np.random.default_rng(seed)
    for layer, count in enumerate(COUNTS):
        cells = rng.integers(0, 2 ** np.array(BITS), (count, 3))
        tile.set_keys(layer, np.sort(encode_keys(cells, BITS)))
    tile.values(1)[:] = rng.integers(-3000, 3000, (sum(COUNTS), 3))
    tile.values(2)[:] = rng.integers(-(2**30) + 1, 2**30, (sum(COUNTS), 9))
    return tile


LAYOUT = ContextLayout(
    octaves=3,
    layer_inputs=2,
    neighbours=3,
    nearby=ContextChannels(
        2, np.array([5, -(2**30), 0], np.int32), np.array([0, 23, 30], np.uint8)
    ),
    own=(ContextChannels(1, np.array([100, -7], np.int32), np.array([3, 5], np.uint8)),),
    step_class=True,
)


def all_inputs(layout: ContextLayout, tile: Tile, layer: int, classes: np.ndarray) -> np.ndarray:
    """Inputs of a whole layer, put together from its rounds."""
    context = LayerContext(layout, tile, layer, classes)
    found = np.empty((COUNTS[layer], layout.width), np.uint8)
    for part in tile.rounds(layer):
        found[part] = context.inputs(part)
    assert np.array_equal(found, context.inputs(slice(None)))
    return found


def to_eight_bits(value: int, centre: int, shift: int) -> int:
    moved = value - centre
    if shift:
        moved = (moved + 2 ** (shift - 1)) // 2**shift
    return min(max(128 + moved, 0), 255)


def encode_row(channels: ContextChannels, values: list[int]) -> list[int]:
    rule = zip(channels.centre_q6.tolist(), channels.shift.tolist(), strict=True)
    return [to_eight_bits(v, c, s) for v, (c, s) in zip(values, rule, strict=False)]


def unit_positions(tile: Tile, layer: int) -> np.ndarray:
    """Return ``clip((cell - offset) << 4 >> shift, 0, 65535)`` with the header's numbers."""
    moved = (tile.grid(tile.rows(layer)) - [110, 190, 300]) * 16 // 2
    return np.clip(moved, 0, 65_535).astype(np.uint16)


@pytest.mark.parametrize("layer", range(3))
def test_inputs_are_what_the_layout_says(backend: str, layer: int) -> None:
    tile = make_tile()
    rows = tile.rows(layer)
    classes = np.random.default_rng(71).integers(-8, 9, COUNTS[layer]).astype(np.int8)
    found = all_inputs(LAYOUT, tile, layer, classes)
    assert found.shape == (COUNTS[layer], LAYOUT.width)
    assert found.dtype == np.uint8
    waves = encode_positions(unit_positions(tile, layer), 3)
    near = tile.neighbours(layer)
    for i in range(COUNTS[layer]):
        wanted = waves[i].tolist() + ([255, 0] if layer == 0 else [0, 255])
        for place in range(3):
            row, distance = int(near.row[i, place]), int(near.distance[i, place])
            known = tile.values(2)[row].tolist()
            wanted += encode_row(LAYOUT.nearby, known) if row >= 0 else [128] * 3
            wanted.append(distance)
        wanted += encode_row(LAYOUT.own[0], tile.values(1)[rows][i].tolist())
        wanted.append(128 + 8 * int(classes[i]))
        assert found[i].tolist() == wanted


def test_both_paths_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for name in ("numba", "numpy"):
        use_backend(monkeypatch, name)
        found.append(all_inputs(LAYOUT, make_tile(), 1, np.zeros(60, np.int8)))
    assert np.array_equal(found[0], found[1])


def test_empty_rounds_have_no_inputs(backend: str) -> None:
    """A layer may be too small for some of its rounds."""
    context = LayerContext(LAYOUT, make_tile(), 2, np.zeros(1, np.int8))
    assert context.inputs(slice(1, None)).shape == (0, LAYOUT.width)


def test_layout_of_nothing(backend: str) -> None:
    assert all_inputs(ContextLayout(), make_tile(), 1, np.zeros(60, np.int8)).shape == (60, 0)


def test_positions_are_clipped_to_16_bits() -> None:
    """Cells below the offset count as 0: the tile's origin lies below it on two axes."""
    tile = make_tile()
    assert (unit_positions(tile, 1)[:, :2] == 0).any()
    for octaves in (2, 4, 1):  # the tile keeps the longest for the others
        shown = all_inputs(ContextLayout(octaves=octaves), tile, 1, np.zeros(60, np.int8))
        assert np.array_equal(shown, encode_positions(unit_positions(tile, 1), octaves))


def make_network(channels: int = 9, seed: int = 72) -> GroupNetwork:
    rng = np.random.default_rng(seed)
    widths = [LAYOUT.width, 20, 2 * channels]
    layers = [
        Layer(
            rng.integers(-300, 300, (a, b)).astype(np.int16),
            (rng.integers(-(2**10), 2**10, b) * 256).astype(np.int32),
            shift,
        )
        for a, b, shift in ((widths[0], widths[1], 12), (widths[1], widths[2], 6))
    ]
    return GroupNetwork(2, LAYOUT, IntegerMlp(layers))


def test_prediction(backend: str) -> None:
    network = make_network()
    rng = np.random.default_rng(73)
    inputs = rng.integers(0, 256, (300, LAYOUT.width)).astype(np.uint8)
    classes = rng.integers(-8, 9, 300).astype(np.int8)
    mu_q6, scale_index = network.predict(inputs, classes)
    outputs = network.mlp.forward(inputs)
    assert np.array_equal(mu_q6, outputs[:, :9])
    index = ((outputs[:, 9:].astype(int) + 32) >> 6) - 3 * classes[:, None]
    assert np.array_equal(scale_index, np.clip(index, 0, 63))
    assert 0 < (scale_index == 0).mean() < 1
    assert (mu_q6.dtype, scale_index.dtype) == (np.int32, np.uint8)


def test_network_survives_writing() -> None:
    network = make_network()
    fields = FieldReader(network.write(), "NETW")
    assert fields.integer("u8") == 2
    found = GroupNetwork.read(fields, 2, {1: 3, 2: 9})
    assert found.write() == network.write()
    for before, after in zip(network.mlp.layers, found.mlp.layers, strict=True):
        assert np.array_equal(before.weights, after.weights)
        assert np.array_equal(before.bias, after.bias)
        assert before.shift == after.shift
    assert found.layout.width == LAYOUT.width


@pytest.mark.parametrize("available", [{2: 9}, {1: 1, 2: 9}, {1: 3, 2: 2}, {1: 3, 2: 8}], ids=str)
def test_contexts_of_what_is_not_decoded_are_refused(available: dict[int, int]) -> None:
    payload = make_network().write()
    with pytest.raises(CorruptError):
        GroupNetwork.read(FieldReader(payload[1:], "NETW"), 2, available)


def test_truncated_networks_are_refused() -> None:
    payload = make_network().write()[1:]
    for end in range(0, len(payload), 7):
        with pytest.raises(CorruptError):
            GroupNetwork.read(FieldReader(payload[:end], "NETW"), 2, {1: 3, 2: 9})
