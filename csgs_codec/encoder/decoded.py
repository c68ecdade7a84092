"""What a decoder will have of the groups that are coded so far."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from csgs_codec.container.kinds import GroupKind
from csgs_codec.decoder.columns import Columns, fill
from csgs_codec.encoder.code import CodedScene
from csgs_codec.encoder.script import Planned
from csgs_codec.scene import Column, Scene


def decoded_columns(
    coded: CodedScene, planned: Sequence[Planned], scene: Scene, rows: Sequence[NDArray[np.int64]]
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
    """
    found: dict[str, Column] = {}
    for index, group in enumerate(planned):
        done = group.kind is GroupKind.POSITION or index in coded.tools.networks
        if not done or not group.columns:
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
