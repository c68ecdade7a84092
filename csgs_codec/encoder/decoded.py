"""What a decoder will have of the groups that are coded so far."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from csgs_codec.container.kinds import GroupKind
from csgs_codec.decoder.columns import Columns, fill
from csgs_codec.encoder.code import CodedScene
from csgs_codec.encoder.script import Planned
from csgs_codec.scene import Column, Scene

PART_VALUES = 1 << 20


def decoded_columns(
    coded: CodedScene,
    planned: Sequence[Planned],
    scene: Scene,
    rows: Sequence[NDArray[np.int64]],
    without: Collection[GroupKind] = (),
) -> dict[str, Column]:
    """Columns of the positions and of every group that has its network, in scene row order.

    Parameters
    ----------
    coded : CodedScene
    planned : sequence of Planned
        The groups of the file.
    scene : Scene
        Gives types and row order.
    rows : sequence of ndarray of int64, one per tile
        Scene row of each row of the tile.
    without : collection of GroupKind
        Groups that are left out.
    """
    found: dict[str, Column] = {}
    for index, group in enumerate(planned):
        done = group.kind is GroupKind.POSITION or index in coded.tools.networks
        if not done or not group.columns or group.kind in without:
            continue
        typed = [(name, scene.columns[name].dtype) for name in group.columns]
        for name, dtype in typed:
            found[name] = np.empty(scene.count, dtype)
        for tile, members in zip(coded.tiles, rows, strict=True):
            columns = Columns.make(index, typed, len(members))
            for layer in range(coded.tools.header.layers):
                begin = tile.rows(layer).start
                fill(coded.tools, tile, layer, columns, begin, len(planned))
            for name, values in columns.named.items():
                found[name][members] = values
    return found


def decoded_parts(
    coded: CodedScene, planned: Sequence[Planned], index: int, rows: Sequence[NDArray[np.int64]]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """One group of float32 columns, a part at a time: what is wide never stands as a whole.

    Parameters
    ----------
    coded, planned, rows
        As for :func:`decoded_columns`.
    index : int
        Number of the group.

    Yields
    ------
    rows : ndarray of int64, shape (n,)
        Scene rows; every row stands in one of the parts.
    values : ndarray of float32, shape (n, columns)
    """
    names = planned[index].columns
    height = max(1, PART_VALUES // len(names))
    typed = [(name, np.dtype(np.float32)) for name in names]
    for tile, layer in coded.places():
        members = rows[tile.index][tile.rows(layer)]
        for begin in range(0, len(members), height):
            part = slice(begin, min(begin + height, len(members)))
            columns = Columns.make(index, typed, part.stop - part.start)
            fill(coded.tools, tile, layer, columns, 0, len(planned), part)
            assert columns.block is not None
            yield members[part], columns.block.T
