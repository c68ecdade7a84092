"""Decode one data chunk: the groups of a pass in one tile (spec section 6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from csgs_codec.attributes.coding import GroupCoding
from csgs_codec.attributes.labels import LabelCoding, decode_labels
from csgs_codec.attributes.positions import decode_keys
from csgs_codec.attributes.steps import StepRule
from csgs_codec.container.fields import FieldReader
from csgs_codec.container.header import Header, Pass, Tiles
from csgs_codec.container.kinds import LABEL_KINDS, GroupKind
from csgs_codec.hyperprior.contexts import LayerContext
from csgs_codec.hyperprior.network import GroupNetwork
from csgs_codec.hyperprior.tile import Tile
from csgs_codec.numerics.bits import BitReader
from csgs_codec.numerics.rans import RansDecoder
from csgs_codec.numerics.tables import FrequencyTables

Observe = Callable[[int, RansDecoder, BitReader], None]


@dataclass
class Tools:
    """Everything outside a chunk that its decoding needs, as the file has sent it so far."""

    header: Header
    tiles: Tiles
    position_tables: FrequencyTables
    codings: dict[int, GroupCoding] = field(default_factory=dict)
    labels: dict[int, LabelCoding] = field(default_factory=dict)
    fine_rules: dict[int, StepRule] = field(default_factory=dict)
    networks: dict[int, GroupNetwork] = field(default_factory=dict)
    sentinels: dict[int, int] = field(default_factory=dict)

    def described(self, group: int) -> bool:
        """Whether the file has sent what is needed to decode a group."""
        kind = self.header.groups[group].kind
        if kind is GroupKind.POSITION:
            return True
        if kind is GroupKind.POSITION_FINE:
            return group in self.fine_rules
        if kind in LABEL_KINDS:
            return group in self.labels
        return group in self.codings and group in self.networks


def decode_chunk(
    tools: Tools,
    tile: Tile,
    pass_: Pass,
    fields: FieldReader,
    groups: tuple[int, ...] | None = None,
    observe: Observe | None = None,
) -> None:
    """Decode a chunk into ``tile``.

    Parameters
    ----------
    tools : Tools
    tile : Tile
        Holds what the earlier chunks of this tile gave.
    pass_ : Pass
    fields : FieldReader
        The payload behind pass and tile numbers: the rANS stream as a blob, then the plain bits.
    groups : tuple of int, optional
        The first groups of the pass, if only they are wanted: what follows is neither decoded nor
        checked.
    observe : callable, optional
        Given the group and the streams before and behind each group.

    Raises
    ------
    CorruptError
        The streams do not decode to exactly what the header announces.
    """
    rans = RansDecoder(fields.blob())
    bits = BitReader(fields.raw(fields.remaining))
    wanted = pass_.groups if groups is None else groups
    for group in wanted:
        if observe:
            observe(group, rans, bits)
        _decode_group(tools, tile, pass_.layer, group, rans, bits)
        if observe:
            observe(group, rans, bits)
    if wanted == pass_.groups:
        rans.finish()
        bits.finish()


def _decode_group(
    tools: Tools, tile: Tile, layer: int, group: int, rans: RansDecoder, bits: BitReader
) -> None:
    kind = tools.header.groups[group].kind
    rows = tile.rows(layer)
    if kind is GroupKind.POSITION:
        earlier = tile.earlier_keys(layer)
        count = rows.stop - rows.start
        keys = decode_keys(count, earlier, tile.depth, tools.position_tables, rans, bits)
        tile.set_keys(layer, keys)
    elif kind is GroupKind.POSITION_FINE:
        widths = tile.step_classes(group, tools.fine_rules[group], layer).astype(np.uint8)
        fine = bits.get(np.repeat(widths, 3)).astype(np.int32)
        tile.values(group)[rows] = fine.reshape(-1, 3)
    elif kind in LABEL_KINDS:
        labels, found = tile.values(group)[:, 0], tile.neighbours(layer)
        for part in tile.rounds(layer):
            coding = tools.labels[group]
            labels[rows][part] = decode_labels(coding, labels, found.part(part), rans, bits)
    else:
        _decode_residuals(tools, tile, layer, group, rans, bits)


def _decode_residuals(
    tools: Tools, tile: Tile, layer: int, group: int, rans: RansDecoder, bits: BitReader
) -> None:
    classes = tile.step_classes(group, tools.codings[group].rule, layer)
    network = tools.networks[group]
    context = LayerContext(network.layout, tile, layer, classes)
    silent = silent_rows(tools.sentinels, tile, layer, group)
    values = tile.values(group)[tile.rows(layer)]
    for part in tile.rounds(layer):
        decoded = network.blended(tile, layer, part)
        own = np.ascontiguousarray(classes[part])
        unheard = None if silent is None else np.ascontiguousarray(silent[part])
        network.decode(context.inputs(part), own, unheard, rans, bits, decoded)
        values[part] = decoded


def silent_rows(
    sentinels: dict[int, int], tile: Tile, layer: int, group: int
) -> NDArray[np.bool_] | None:
    """Rows of a layer that a sentinel group marks as not coded, or None without one."""
    if group not in sentinels:
        return None
    return tile.values(sentinels[group])[tile.rows(layer), 0] > 0
