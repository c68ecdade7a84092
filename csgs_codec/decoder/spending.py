"""What the bits of a file are spent on: counted group by group while decoding."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from csgs_codec.container.chunks import OVERHEAD
from csgs_codec.decoder import Source, load, locate, parse
from csgs_codec.decoder.chunk import decode_chunk
from csgs_codec.decoder.parser import Parser
from csgs_codec.decoder.scene_decoder import PAYLOAD_OFFSET
from csgs_codec.errors import CsgsError
from csgs_codec.hyperprior.tile import Tile
from csgs_codec.limits import DEFAULT_LIMITS, Limits
from csgs_codec.numerics.bits import BitReader
from csgs_codec.numerics.mlp import single_threaded_blas
from csgs_codec.numerics.rans import RansDecoder

_WORD = 16


@dataclass
class LevelSpending:
    """Bits that one level adds to a file; together they are all bits of the level.

    Attributes
    ----------
    level : int
        From 1.
    data : dict of str to float
        Bits of the values of each group. Of an arithmetic-coded group it is what its symbols took
        out of the coder, so that groups of one stream can be told apart to fractions of a bit.
    model : dict of str to float
        Bits of the chunks that describe a group: its quantiser and its network.
    exact : float
        Bits of exact data.
    rest : float
        Headers, framing, tables of positions, what the coder's start and padding take.
    """

    level: int
    data: dict[str, float] = field(default_factory=dict)
    model: dict[str, float] = field(default_factory=dict)
    exact: float = 0.0
    rest: float = 0.0

    def group(self, name: str) -> float:
        """Bits of a group with its description."""
        return self.data.get(name, 0.0) + self.model.get(name, 0.0)


def count_bits(source: Source, limits: Limits = DEFAULT_LIMITS) -> list[LevelSpending]:
    """Count the bits of every complete level of a file by group; decodes its integers.

    Parameters
    ----------
    source : path or bytes-like
    limits : Limits

    Returns
    -------
    list of LevelSpending

    Raises
    ------
    CorruptError, UnsupportedError, LimitError
        See :func:`csgs_codec.decode`.
    """
    try:
        parser = parse(source, limits)
        return _count(parser, load(source)) if parser.prelude_done else []
    except CsgsError as error:
        raise locate(error, source) from None


def _count(parser: Parser, data: memoryview) -> list[LevelSpending]:
    names = [named.name for named in parser.manifest.groups]
    tiles: dict[int, Tile] = {}
    levels, begin = [], 0
    for number, held in enumerate(parser.complete):
        end = parser.levels[number].end
        spent: dict[str, float] = defaultdict(float)
        with single_threaded_blas():
            for chunk in held.data:
                if chunk.tile not in tiles:
                    tiles[chunk.tile] = Tile(parser.header, parser.tiles, chunk.tile)
                meter = _Meter(names, spent)
                pass_ = parser.header.passes[chunk.pass_index]
                decode_chunk(parser.tools, tiles[chunk.tile], pass_, chunk.fields, observe=meter)
        level = LevelSpending(number + 1, dict(spent))
        for type_, offset, size in parser.chunks:
            if begin <= offset < end and type_ in ("GRUP", "NETW"):
                name = names[data[offset + PAYLOAD_OFFSET]]
                level.model[name] = level.model.get(name, 0.0) + 8 * size
        level.exact = 8.0 * sum(len(chunk.payload) + OVERHEAD for chunk in held.exact)
        counted = sum(level.data.values()) + sum(level.model.values()) + level.exact
        level.rest = 8.0 * (end - begin) - counted
        levels.append(level)
        begin = end
    return levels


class _Meter:
    """Adds up what is taken out of the streams of one chunk; called before and behind a group."""

    def __init__(self, names: list[str], spent: dict[str, float]) -> None:
        self._names, self._spent = names, spent
        self._inside = False

    def __call__(self, group: int, rans: RansDecoder, bits: BitReader) -> None:
        # a state of s holds log2(s) bits that symbols have not taken out yet
        taken = _WORD * rans.at - float(np.log2(rans.states).sum()) + bits.at
        self._inside = not self._inside
        self._spent[self._names[group]] += -taken if self._inside else taken
