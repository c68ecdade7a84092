"""Violations of NETW (section 7.4, numerics 9)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from conformance.maker.coder import Coded
from conformance.maker.networks import Network, channels_of
from conformance.maker.pieces import FilePieces, Piece, patched
from conformance.maker.plan import Plan
from conformance.maker.seeded import Seeded
from conformance.maker.vector import Vector
from conformance.recipes.bad import bad, edited, with_payload
from conformance.recipes.shapes import Builder, one_tile
from csgs_codec.container.fields import FieldWriter
from csgs_codec.container.kinds import GroupKind
from csgs_codec.hyperprior.contexts import ContextChannels, ContextLayout
from csgs_codec.numerics.mlp import Layer
from csgs_codec.numerics.side import encode_integers

GROUP = 2


def vectors() -> Iterator[Vector]:
    """Return these vectors."""
    for make in (_which, _layouts, _lists, _shapes, _layers, _large):
        yield from make()


def _plan() -> Plan:
    builder = Builder(750).position().opacity().scale(own=(1,), hidden=(3,)).ids()
    return builder.plan(one_tile(5))


def _network() -> Network:
    network = _plan().groups[GROUP].network
    assert network is not None
    return network


def _with(network: Network) -> FilePieces:
    return with_payload(_plan(), "NETW", network.payload(GROUP), GROUP)


def _patched(offset: int, form: str, *values: int) -> FilePieces:
    payload = _network().payload(GROUP)
    return with_payload(_plan(), "NETW", patched(payload, offset, form, *values), GROUP)


def _which() -> Iterator[Vector]:
    rule = "NETW names no residual group with a GRUP chunk and without a network"
    yield bad("netw-number", f"{rule}: no such group", "7.4", _patched(0, "B", 4))
    yield bad("netw-position", f"{rule}: the positions", "7.4", _patched(0, "B", 0))
    yield bad("netw-label", f"{rule}: an id group", "7.4", _for_labels())


def _for_labels() -> FilePieces:
    def edit(coded: Coded) -> None:
        payload = bytes([3]) + _network().payload(GROUP)[1:]
        coded.file.put_behind(coded.file.find("GRUP", 3), Piece(b"NETW", payload))

    return edited(_plan(), edit)


def _layouts() -> Iterator[Vector]:
    rule = "a field of NETW is outside its range"
    for offset, name, value in (
        (1, "octaves", 13),
        (2, "layer-inputs", 17),
        (3, "neighbours", 9),
        (4, "step-class", 2),
    ):
        yield bad(
            f"netw-{name}-{value}",
            f"{rule}: {name.replace('-', ' ')} {value}",
            "7.4",
            _patched(offset, "B", value),
        )
    # behind the lists: group, four bytes, nearby of width 2, count, own list of width 1
    at = 5 + (1 + 2 + 2 * 5) + 1 + (1 + 2 + 5)
    assert _network().payload(GROUP)[at] == 1
    yield bad("netw-blended-2", f"{rule}: blended 2", "7.4", _patched(at, "B", 2))
    hidden = at + 1 + 1 + 3
    assert _network().payload(GROUP)[hidden] == 1
    yield bad("netw-hidden-5", f"{rule}: five hidden layers", "7.4", _patched(hidden, "B", 5))
    for width in (0, 257):
        yield bad(
            f"netw-width-{width}",
            f"{rule}: a hidden layer of width {width}",
            "7.4",
            _patched(hidden + 1, "H", width),
        )


def _lists() -> Iterator[Vector]:
    rule = "a channel list is not one of the groups allowed"
    yield bad("nearby-other", f"{rule}: neighbours of another group", "7.4", _patched(5, "B", 1))
    yield bad("nearby-width", "a channel list is wider than its group", "7.4", _patched(6, "H", 4))
    yield bad(
        "nearby-shift", "a shift of a channel list is above 30", "7.4", _patched(5 + 3 + 8, "B", 31)
    )
    own = 5 + 13 + 1
    for name, group in (("itself", 2), ("later", 3), ("position", 0), ("missing", 200)):
        yield bad(f"own-{name}", f"{rule}: own lists of {name}", "7.4", _patched(own, "B", group))
    yield bad(
        "own-width",
        "a channel list is wider than its group (own)",
        "7.4",
        _patched(own + 1, "H", 2),
    )
    seeded = Seeded(751)
    builder = Builder(752).position().opacity().ids().scale(own=(1, 2), own_width=1, neighbours=0)
    plan = builder.plan(one_tile(4))
    network = plan.groups[3].network
    assert network is not None
    for name, groups in (("down", (2, 1)), ("twice", (1, 1))):
        layout = replace(network.layout, own=tuple(channels_of(seeded, g, 1) for g in groups))
        payload = replace(network, layout=layout).payload(3)
        yield bad(
            f"own-{name}",
            "the groups of own lists do not increase strictly",
            "7.4",
            with_payload(plan, "NETW", payload, 3),
        )


def _shapes() -> Iterator[Vector]:
    network = _network()
    shorter = replace(network, row_index=[r[:-1] for r in network.row_index])
    fewer = [Layer(layer.weights[:-1], layer.bias, layer.shift) for layer in network.layers]
    yield bad(
        "netw-rows",
        "side streams of a layer do not hold as many integers as its inputs ask for",
        "7.4 N10.2",
        _with(replace(shorter, layers=fewer)),
    )


def _layers() -> Iterator[Vector]:
    rule = "a field of a network layer is outside its range"

    def changed(edit: Callable[[Network], object]) -> FilePieces:
        network = _network()
        edit(network)
        return _with(network)

    def shift(value: int) -> Callable[[Network], None]:
        def edit(network: Network) -> None:
            layer = network.layers[0]
            network.layers[0] = Layer(layer.weights, layer.bias, value)

        return edit

    for value in (0, 17):
        yield bad(f"layer-shift-{value}", f"{rule}: shift {value}", "7.4", changed(shift(value)))
    payload = _network().payload(GROUP)
    begin = 5 + 13 + 1 + 8 + 1 + 1 + 3 + 1 + 2
    for value in (0, 64):
        file = with_payload(_plan(), "NETW", patched(payload, begin + 1, "B", value), GROUP)
        yield bad(f"layer-bias-index-{value}", f"{rule}: bias index {value}", "7.4", file)
    for value in (0, 64, -5):
        yield bad(
            f"row-index-{value}",
            f"the scale index of a row of weights is {value}",
            "7.4",
            _row_index(begin, value),
        )

    def big(place: tuple[int, int], value: int) -> Callable[[Network], None]:
        def edit(network: Network) -> None:
            layer = network.layers[1]
            weights = layer.weights.astype(np.int32)
            weights[:] = 0
            weights[place] = value
            network.layers[1] = Layer(weights, layer.bias * 0, layer.shift)  # type: ignore[arg-type]

        return edit

    for value in (1 << 15, -(1 << 15)):
        yield bad(
            f"weight-{value}",
            f"a weight reaches 2^15 in magnitude: {value}",
            "7.4",
            changed(big((1, 2), value)),
        )

    def bias(value: int) -> Callable[[Network], None]:
        def edit(network: Network) -> None:
            layer = network.layers[1]
            biases = np.zeros(len(layer.bias), np.int64)
            biases[1] = value << 8
            network.layers[1] = Layer(layer.weights * 0, biases, 1)  # type: ignore[arg-type]

        return edit

    for value in (1 << 16, -(1 << 16)):
        yield bad(
            f"bias-{value}",
            f"a bias integer reaches 2^16 in magnitude: {value}",
            "7.4",
            changed(bias(value)),
        )

    def bound(network: Network) -> None:
        layer = network.layers[0]
        weights = np.zeros(layer.weights.shape, np.int16)
        weights[:3, 0] = (32767, -32767, 194)
        biases = np.zeros(len(layer.bias), np.int32)
        biases[0] = 65 << 8
        assert (
            (1 << 24) <= 255 * 65728 + int(biases[0]) + (1 << (layer.shift - 1)) < (1 << 24) + 256
        )
        network.layers[0] = Layer(weights, biases, layer.shift)

    yield bad("bound", "the bound of numerics 9.2 does not hold, barely", "N9.2", changed(bound))

    def far(network: Network) -> None:
        layer = network.layers[1]
        weights = np.full(layer.weights.shape, 32767, np.int16)
        network.layers[1] = Layer(weights, layer.bias, layer.shift)

    yield bad("bound-far", "the bound of numerics 9.2 does not hold by far", "N9.2", changed(far))


def _row_index(begin: int, value: int) -> FilePieces:
    """The first layer with a scale index of its last row that does not exist."""
    payload = _network().payload(GROUP)
    size = struct.unpack_from("<I", payload, begin + 2)[0]
    rows = len(_network().layers[0].weights)
    steps = np.zeros(rows, np.int64)
    steps[-1] = value - 30
    stream = encode_integers(steps, np.full(rows, 30, np.uint8))
    rest = payload[begin + 6 + size :]
    made = payload[: begin + 2] + struct.pack("<I", len(stream)) + stream + rest
    return with_payload(_plan(), "NETW", made, GROUP)


def _large() -> Iterator[Vector]:
    builder = (
        Builder(760)
        .position()
        .transformed(GroupKind.FEATURE, 1, 600, octaves=0, neighbours=0, hidden=())
    )
    plan = builder.plan(one_tile(1))
    network = plan.groups[1].network
    assert network is not None
    seeded = Seeded(761)
    wide = ContextLayout(0, 0, 8, channels_of(seeded, 1, 600), (), False)
    for name, rule, layout in (("inputs", "a network has more than 4096 inputs", wide),):
        payload = replace(network, layout=layout).payload(1)
        yield bad(f"netw-{name}", rule, "11", with_payload(plan, "NETW", payload, 1))
    near = ContextChannels(1, np.zeros(109, np.int32), np.zeros(109, np.uint8))
    fields = FieldWriter().put("u8", 1)
    ContextLayout(0, 0, 8, near, (), False).write(fields)
    fields.put("u8", 0, 0)
    yield bad(
        "side-integers",
        "a side stream has more than 2^20 integers",
        "11 N10",
        with_payload(plan, "NETW", _wide_layer(fields, 8 * 110), 1),
    )


def _wide_layer(fields: FieldWriter, rows: int) -> bytes:
    """One layer of so many rows and 1200 columns, its weights and biases empty streams."""
    fields.put("u8", 8, 30)
    fields.blob(encode_integers(np.zeros(rows, np.int64), np.full(rows, 30, np.uint8)))
    return fields.blob(bytes(4)).blob(bytes(4)).finish()
