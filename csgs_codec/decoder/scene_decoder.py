"""Decode the levels of a parsed file into tiles, tile by tile in parallel (spec section 8)."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

from csgs_codec.attributes.exact import (
    ExactKind,
    read_elements,
    read_exceptions,
    read_row_order,
)
from csgs_codec.container.chunks import Chunk
from csgs_codec.container.fields import FieldReader
from csgs_codec.decoder.chunk import decode_chunk
from csgs_codec.decoder.exact import ExactData
from csgs_codec.decoder.integers import CanonicalIntegers
from csgs_codec.decoder.parser import DataChunk, LevelData, Parser
from csgs_codec.decoder.partial import Part
from csgs_codec.errors import CorruptError, CsgsError
from csgs_codec.hyperprior.tile import Tile
from csgs_codec.numerics.mlp import single_threaded_blas

PAYLOAD_OFFSET = 8


class SceneDecoder:
    """Integers of a scene, growing level by level.

    Parameters
    ----------
    parser : Parser
        Its prelude must be complete.
    part : Part, optional
        What to decode, if not everything. Digests cannot be verified then.

    Attributes
    ----------
    part : Part or None
    exact : ExactData
    levels_decoded : int
    """

    def __init__(self, parser: Parser, part: Part | None = None) -> None:
        self._parser = parser
        self.part = part
        self._tiles: dict[int, Tile] = {}
        self._digest = b""
        self.exact = ExactData()
        self._integers = CanonicalIntegers(parser.tools, self.tile)
        self.levels_decoded = 0

    def tile(self, index: int) -> Tile:
        """State of one tile."""
        if index not in self._tiles:
            self._tiles[index] = Tile(self._parser.header, self._parser.tiles, index)
        return self._tiles[index]

    def decode_to(self, level: int, verify: bool = False) -> None:
        """Decode up to and including a level (counted from 1) that the parser has.

        Digests are a chain from the first level on: verify all levels of a file or none.

        Raises
        ------
        CorruptError
            A chunk does not decode, or with ``verify`` its integers are not those of the encoder.
        """
        assert not (verify and self.part), "a part has no digest"
        wanted = self._parser.complete[self.levels_decoded : level]
        digests = self._decode_data([c for data in wanted for c in data.data], verify)
        for data in wanted:
            exact = [self._decode_exact(chunk) for chunk in data.exact]
            if verify:
                chain = [*(digests[c.chunk.offset] for c in data.data), *exact]
                self._check_digest(chain)
            self.levels_decoded += 1
        self._check_exact(wanted)

    def _check_digest(self, chain: list[bytes]) -> None:
        self._digest = hashlib.sha256(self._digest + b"".join(chain)).digest()
        if self._digest != self._parser.levels[self.levels_decoded].digest:
            raise CorruptError(
                "decoded integers are not those of the encoder", level=self.levels_decoded + 1
            )

    def _decode_data(self, chunks: list[DataChunk], verify: bool) -> dict[int, bytes]:
        by_tile: dict[int, list[DataChunk]] = defaultdict(list)
        for chunk in chunks:
            if self._wanted(chunk.pass_index):
                by_tile[chunk.tile].append(chunk)
        digests: dict[int, bytes] = {}
        with single_threaded_blas(), ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            for found in pool.map(
                self._decode_tile, by_tile.keys(), by_tile.values(), repeat(verify)
            ):
                digests.update(found)
        return digests

    def _wanted(self, pass_index: int) -> tuple[int, ...]:
        """Groups of a pass that are decoded."""
        listed = self._parser.header.passes[pass_index].groups
        return listed if self.part is None else self.part.take(listed)

    def _decode_tile(self, index: int, chunks: list[DataChunk], verify: bool) -> dict[int, bytes]:
        """Decode a tile's chunks; with ``verify`` return their digests by chunk offset."""
        tile = self.tile(index)
        passes = self._parser.header.passes
        digests = {}
        for data in chunks:
            try:
                wanted = self._wanted(data.pass_index)
                decode_chunk(self._parser.tools, tile, passes[data.pass_index], data.fields, wanted)
            except CsgsError as error:
                raise error.located(
                    chunk="DATA", offset=data.chunk.offset, tile=index, **{"pass": data.pass_index}
                ) from None
            if verify:
                pass_ = passes[data.pass_index]
                digests[data.chunk.offset] = tile.digest(pass_.layer, pass_.groups)
        return digests

    def _decode_exact(self, chunk: Chunk) -> bytes:
        parser, manifest = self._parser, self._parser.manifest
        fields = FieldReader(chunk.payload, chunk.type, chunk.offset + PAYLOAD_OFFSET)
        count = parser.header.gaussians
        kind = fields.integer("u8", 0, len(ExactKind) - 1)
        if kind == ExactKind.COLUMN:
            name = manifest.properties[fields.integer("u16", 0, len(manifest.properties) - 1)][0]
            fields.require(name in manifest.announced, f"property {name} is not announced as exact")
            fields.require(name not in self.exact.columns, f"property {name} stands twice")
            if self.part is not None and not self.part.exact_columns:
                return b""
            self.exact.read_column(name, fields, count, manifest.dtype(name), self._integers)
        elif kind == ExactKind.ELEMENTS:
            fields.require(self.exact.elements is None, "other elements stand twice")
            if self.part is not None:
                return b""
            self.exact.elements = read_elements(fields, parser.limits)
        elif kind == ExactKind.EXCEPTIONS:
            fields.require(self.exact.exceptions is None, "exceptions stand twice")
            self.exact.exceptions = read_exceptions(fields, count, len(manifest.properties))
        else:
            fields.require(self.exact.row_order is None, "row order stands twice")
            self.exact.row_order = read_row_order(fields, count)
        return hashlib.sha256(chunk.payload).digest()

    def _check_exact(self, wanted: list[LevelData]) -> None:
        """Require what the manifest announces once every level is decoded."""
        parser = self._parser
        if not wanted or self.levels_decoded < len(parser.levels) or self.part is not None:
            return
        manifest, exact = parser.manifest, self.exact
        wanted_names = (*manifest.extras, *manifest.exact)
        missing = [name for name in wanted_names if name not in exact.columns]
        if missing:
            raise CorruptError("an exact property is missing", property=missing[0])
        if manifest.elements != (exact.elements is not None):
            raise CorruptError("other elements are missing or unannounced")
        if manifest.original_order != (exact.row_order is not None):
            raise CorruptError("row order is missing or unannounced")
        self.exact.past = None
        self._integers = CanonicalIntegers(parser.tools, self.tile)
