"""Single streams, read by the functions that the decoder calls for them."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from csgs_codec.attributes import exact
from csgs_codec.attributes.coding import GroupCoding
from csgs_codec.attributes.exact_columns import Past, read_modelled
from csgs_codec.attributes.labels import LabelCoding, decode_labels
from csgs_codec.attributes.positions import decode_keys, read_tables
from csgs_codec.attributes.steps import StepRule
from csgs_codec.container.attachments import Attachment
from csgs_codec.container.fields import FieldReader
from csgs_codec.container.kinds import GroupKind
from csgs_codec.container.objects import ObjectTable
from csgs_codec.hyperprior.neighbours import Neighbours, Places, layer_neighbours
from csgs_codec.hyperprior.network import GroupNetwork
from csgs_codec.limits import DEFAULT_LIMITS
from csgs_codec.numerics.bits import BitReader
from csgs_codec.numerics.morton import decode_cells
from csgs_codec.numerics.rans import RansDecoder
from csgs_codec.numerics.residuals import decode_residuals
from csgs_codec.numerics.side import decode_integers
from tests.fuzz.csgs import parts_of
from tests.fuzz.mutate import mutate_bytes, mutate_deflated

Run = Callable[[list[Any]], None]
_TYPES = ("f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4")
_TABLES = read_tables(FieldReader(bytes(13), "KDTB"))


class Streams:
    """Payloads of a corpus by chunk type."""

    def __init__(self, files: list[bytes]) -> None:
        self._payloads: dict[bytes, list[bytes]] = {}
        for part in (part for data in files for part in parts_of(data)):
            self._payloads.setdefault(part.type, []).append(part.payload)

    def payload(self, random: Random, kind: bytes) -> bytes:
        """A mutated payload."""
        source = random.choice(self._payloads[kind])
        return mutate_deflated(random, source) if random.random() < 0.4 else (
            mutate_bytes(random, source)
        )  # fmt: skip

    def bits(self, random: Random) -> bytes:
        """Noise, zeros, or the streams of a data chunk."""
        kind = random.randrange(4)
        size = random.choice((0, 1, 7, 128, 130, 200, 300))
        if kind == 0:
            return bytes(size)
        if kind == 1:
            return random.randbytes(size)
        data = random.choice(self._payloads[b"DATA"])
        length = int.from_bytes(data[6:10], "little")
        words = data[10 : 10 + length] if kind == 2 else data[10 + length :]
        return words if random.random() < 0.3 else mutate_bytes(random, words)


def draw(random: Random, streams: Streams) -> Run:
    """Choose a stream and hostile bytes for it.

    The result can be run on each back end; it appends what it reads to a list, so that it can be
    compared as far as it went.
    """
    return random.choice(_KINDS)(random, streams)


def _indices(random: Random, most: int) -> np.ndarray:
    count = random.choice((0, 1, 2, 31, 32, 33, 64, 65, 200))
    return np.random.default_rng(random.getrandbits(32)).integers(0, most, count).astype(np.uint8)


def _rans(random: Random, streams: Streams) -> Run:
    data, tables, index = streams.bits(random), _indices(random, 104), _indices(random, 64)

    def run(found: list[Any]) -> None:
        rans = RansDecoder(data)
        found.append(rans.get(tables, _TABLES))
        found.append(rans.get_residuals(index))
        found.append(rans.states)
        rans.finish()

    return run


def _residuals(random: Random, streams: Streams) -> Run:
    words, plain, index = streams.bits(random), streams.bits(random), _indices(random, 64)

    def run(found: list[Any]) -> None:
        rans, bits = RansDecoder(words), BitReader(plain)
        found.append(decode_residuals(index, rans, bits))
        rans.finish()
        bits.finish()

    return run


def _bits(random: Random, streams: Streams) -> Run:
    data, widths, orders = streams.bits(random), _indices(random, 57), _indices(random, 8)

    def run(found: list[Any]) -> None:
        bits = BitReader(data)
        found.append(bits.get_exp_golomb(orders))
        found.append(bits.get(widths))
        bits.finish()

    return run


def _side(random: Random, streams: Streams) -> Run:
    index = np.sort(_indices(random, 63)) + np.uint8(1)
    data = streams.bits(random)
    words = len(data) // 4 * 4 if random.random() < 0.8 else random.randrange(1 << 20)
    framed = words.to_bytes(4, "little") + data

    def run(found: list[Any]) -> None:
        found.append(decode_integers(framed, len(index), index))

    return run


def _tables(random: Random, streams: Streams) -> Run:
    payload = streams.payload(random, b"KDTB")
    return lambda found: found.append(read_tables(FieldReader(payload, "KDTB")).cdf)


def _positions(random: Random, streams: Streams) -> Run:
    depth = random.randint(0, 63)
    count = random.choice((0, 1, 2, 8, 9, 16, 100, 300))
    rng = np.random.default_rng(random.getrandbits(32))
    earlier = np.sort(rng.integers(0, 1 << depth, random.choice((0, 3, 50)), np.uint64))
    words, plain = streams.bits(random), streams.bits(random)

    def run(found: list[Any]) -> None:
        rans, bits = RansDecoder(words), BitReader(plain)
        keys = decode_keys(count, earlier, depth, _TABLES, rans, bits)
        found.append(keys)
        if depth % 3 == 0:
            axes = (depth // 3,) * 3
            cells = decode_cells(keys, axes)
            near = layer_neighbours(Places.of(keys, cells, axes), 0, depth % 7 + 1)
            found += [cells, near.row, near.distance]
        rans.finish()
        bits.finish()

    return run


def _network(random: Random, streams: Streams) -> Run:
    payload, words, plain = (
        streams.payload(random, b"NETW"), streams.bits(random), streams.bits(random)
    )  # fmt: skip
    available = {g: random.choice((1, 3, 3, 16)) for g in range(1, 12)}
    rows, seed = random.choice((0, 1, 5, 64, 65)), random.getrandbits(32)

    def run(found: list[Any]) -> None:
        fields = FieldReader(payload, "NETW")
        network = GroupNetwork.read(fields, fields.integer("u8", 1, 11), available)
        rng = np.random.default_rng(seed)
        inputs = rng.integers(0, 256, (network.layout.width, rows)).astype(np.uint8).T
        classes = rng.integers(-8, 9, rows).astype(np.int8)
        silent = rng.random(rows) < 0.2 if seed % 2 else None
        v_q6 = np.zeros((rows, network.channels), np.int32)
        rans, bits = RansDecoder(words), BitReader(plain)
        network.decode(inputs, classes, silent, rans, bits, v_q6)
        found.append(v_q6)
        rans.finish()
        bits.finish()

    return run


def _labels(random: Random, streams: Streams) -> Run:
    payload, words, plain = (
        streams.payload(random, b"GRUP"), streams.bits(random), streams.bits(random)
    )  # fmt: skip
    rng = np.random.default_rng(random.getrandbits(32))
    known, rows = random.choice(((0, 5), (1, 3), (40, 9)))
    row = rng.integers(-1, max(known, 1), (rows, 8)).astype(np.int32)
    row = np.where(known, np.where(row.min(axis=1, keepdims=True) < 0, -1, row), -1)
    near = Neighbours(row.astype(np.int32), np.zeros(row.shape, np.uint8))

    def run(found: list[Any]) -> None:
        fields = FieldReader(payload, "GRUP")
        fields.integer("u8")
        coding = LabelCoding.read(fields, 1000)
        fields.finish()
        labels = np.arange(known + rows, dtype=np.int32) % max(len(coding.palette), 1)
        rans, bits = RansDecoder(words), BitReader(plain)
        found.append(decode_labels(coding, labels, near, rans, bits))
        rans.finish()
        bits.finish()

    return run


def _group(random: Random, streams: Streams) -> Run:
    payload = streams.payload(random, b"GRUP")
    kind = random.choice(list(GroupKind))
    channels, width = random.choice(((1, 1), (3, 3), (3, 4), (2, 3), (16, 16)))
    v_q6 = np.full((3, channels), random.choice((0, 1, -(2**30) + 1, 2**30 - 1)), np.int32)

    def run(found: list[Any]) -> None:
        fields = FieldReader(payload, "GRUP")
        fields.integer("u8")
        if kind is GroupKind.POSITION_FINE:
            rule = StepRule.read(fields, 0, 8)
        else:
            fields.integer("u8")
            coding = GroupCoding.read(fields, kind, channels, width)
            rule = coding.rule
            with np.errstate(all="ignore"):
                coding.dequantise(v_q6)
        fields.finish()
        found.append(rule.classes(np.full((3, 6), 2**30 - 1, np.int64)))

    return run


def _exact(random: Random, streams: Streams) -> Run:
    payload = streams.payload(random, b"XDAT")
    count = random.choice((0, 1, 6, 8, 10, 20))
    dtype = np.dtype(random.choice(_TYPES))
    integers = np.arange(count, dtype=np.int64) * random.choice((1, -(2**29), 2**40))

    def run(found: list[Any]) -> None:
        fields = FieldReader(payload, "XDAT")
        kind = fields.integer("u8", 0, 3)
        if kind == exact.ExactKind.ELEMENTS:
            data = exact.read_elements(fields, DEFAULT_LIMITS)
            found.append(np.frombuffer(data, np.uint8))
        elif kind == exact.ExactKind.EXCEPTIONS:
            listed = exact.read_exceptions(fields, count, 5)
            found += [listed.row, listed.property, listed.bits]
        elif kind == exact.ExactKind.ROW_ORDER:
            found.append(exact.read_row_order(fields, count))
        elif fields.integer("u16") and fields.integer("u8", 0, 1) == exact.ColumnCode.DEFLATED:
            found.append(exact.read_column(fields, count, dtype))
        else:
            past = Past(count)
            read = read_modelled(fields, count, dtype, lambda _: 3, lambda _: [integers] * 3, past)
            found.append(read)

    return run


def _ancillary(random: Random, streams: Streams) -> Run:
    kind = random.choice((b"aTCH", b"oBJT"))
    payload = streams.payload(random, kind)

    def run(found: list[Any]) -> None:
        fields = FieldReader(payload, kind.decode())
        if kind == b"aTCH":
            found.append(np.frombuffer(Attachment.read(fields, 0).data(), np.uint8))
        else:
            table = ObjectTable.read(fields, {"label": "u1"}, 20)
            found.append(np.array([o.id for o in table.objects]))

    return run


_KINDS: tuple[Callable[[Random, Streams], Run], ...] = (
    _rans, _residuals, _bits, _side, _tables, _positions, _network, _labels, _group, _exact,
    _ancillary,
)  # fmt: skip
