"""The grammar of a file: chunks in, decoding tools and levels out (spec section 4.1).

``HEAD LEVS SCHM TILE KDTB``, then for each pass the ``GRUP`` and ``NETW`` chunks that are new and
its ``DATA`` chunks, one per tile that has Gaussians in the layer; an exact pass is ``XDAT`` chunks.
Chunks with a lower-case first letter may stand anywhere behind ``LEVS``; attachments and the object
table are read, others skipped.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from csgs_codec.attributes.coding import GroupCoding
from csgs_codec.attributes.labels import LabelCoding
from csgs_codec.attributes.positions import read_tables
from csgs_codec.attributes.steps import StepRule
from csgs_codec.container.attachments import ATTACHMENT_CHUNK, Attachment, folded
from csgs_codec.container.chunks import (
    OVERHEAD,
    SIGNATURE,
    Chunk,
    bytes_needed,
    check_signature,
    read_chunk,
)
from csgs_codec.container.fields import FieldReader
from csgs_codec.container.header import Header, LevelEntry, Tiles, read_levels
from csgs_codec.container.kinds import LABEL_KINDS, GroupKind
from csgs_codec.container.manifest import Manifest
from csgs_codec.container.objects import OBJECT_CHUNK, ObjectTable
from csgs_codec.decoder.chunk import Tools
from csgs_codec.errors import CorruptError, LimitError, TruncatedError, UnsupportedError
from csgs_codec.hyperprior.network import GroupNetwork
from csgs_codec.levels import check_script, coverage
from csgs_codec.limits import DEFAULT_LIMITS, MAX_ATTACHMENTS, Limits

NO_SENTINEL = 255
FINE_BITS_MAX = 8
LEVEL_TABLE_END = 1 << 16
_PRELUDE = ("HEAD", "LEVS", "SCHM", "TILE", "KDTB")
_KNOWN = (*_PRELUDE, "GRUP", "NETW", "DATA", "XDAT")
_LARGEST_DUE = 1 << 22
_PLACE_BYTES = 20


@dataclass(frozen=True)
class DataChunk:
    """A data chunk whose place in the script is checked, not yet decoded."""

    pass_index: int
    tile: int
    chunk: Chunk
    fields: FieldReader


@dataclass
class LevelData:
    """The chunks that one level adds."""

    data: list[DataChunk] = field(default_factory=list)
    exact: list[Chunk] = field(default_factory=list)


class Parser:
    """Turns growing bytes into checked levels.

    Attributes
    ----------
    header, levels, manifest, tiles, tools
        Set once the prelude is read.
    complete : list of LevelData
        One entry for each level that is there in full.
    needed : int
        Length below which the file cannot be parsed any further.
    attachments : list of Attachment
        Those read so far.
    objects : ObjectTable, optional
    """

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.limits = limits
        self.offset = 0
        self.needed = 0
        self.chunks: list[tuple[str, int, int]] = []
        self.complete: list[LevelData] = []
        self.attachments: list[Attachment] = []
        self.objects: ObjectTable | None = None
        self._attached_names: set[str] = set()
        self._attached_bytes = 0
        self._model_integers = 0
        self._stage = 0
        self._next = 0
        self._due: NDArray[np.int64] = np.zeros((0, 2), np.int64)
        self._current = LevelData()
        self.header: Header
        self.levels: list[LevelEntry]
        self.manifest: Manifest
        self.tiles: Tiles
        self.tools: Tools

    @property
    def prelude_done(self) -> bool:
        """Whether header, level table, schema and tiles are known."""
        return self._stage == len(_PRELUDE)

    @property
    def finished(self) -> bool:
        """Whether every level is there."""
        return self.prelude_done and len(self.complete) == len(self.levels)

    def advance(self, data: bytes | memoryview) -> None:
        """Parse as far as ``data``, the file so far from its first byte, allows.

        Raises
        ------
        TruncatedError
            Never; call :meth:`require_end` when no more bytes will come.
        CorruptError, UnsupportedError, LimitError
            As the file deserves.
        """
        try:
            if self.offset == 0:
                check_signature(data)
                self.offset = len(SIGNATURE)
            while not self.finished:
                chunk = read_chunk(data, self.offset, self.limits)
                self._accept(chunk)
        except TruncatedError:
            started = self.offset >= len(SIGNATURE)
            self.needed = bytes_needed(data, self.offset) if started else len(SIGNATURE)

    def read_attachments(self) -> dict[str, bytes]:
        """Inflate and check the attachments read so far; they are in the order of the file.

        Raises
        ------
        CorruptError
        """
        return {one.name: one.data() for one in self.attachments}

    def require_end(self, size: int) -> None:
        """Check that the file ends exactly behind a level.

        Raises
        ------
        TruncatedError
            The file ends elsewhere.
        CorruptError
            There are bytes behind the last level.
        """
        if self.finished and size > self.offset:
            raise CorruptError(
                f"{size - self.offset} bytes behind the last level", offset=self.offset
            )
        if not self.complete or size != self.levels[len(self.complete) - 1].end:
            reached = len(self.complete)
            known = f" of {len(self.levels)}" if self._stage > 1 else ""
            raise TruncatedError(
                f"file ends early: {reached}{known} levels are complete", offset=size
            )

    def _accept(self, chunk: Chunk) -> None:
        fields = FieldReader(chunk.payload, chunk.type, chunk.offset + OVERHEAD - 4)
        if not chunk.critical:
            if self._stage < 2:
                raise CorruptError("ancillary chunk before the level table", offset=chunk.offset)
            self._accept_ancillary(chunk, fields)
        elif not self.prelude_done:
            self._accept_prelude(chunk, fields)
        else:
            self._accept_body(chunk, fields)
        self.chunks.append((chunk.type, chunk.offset, chunk.end - chunk.offset))
        self.offset = chunk.end
        if self.prelude_done and not self.finished:
            self._close_level()

    def _accept_ancillary(self, chunk: Chunk, fields: FieldReader) -> None:
        """Read the ancillary chunks that are registered; others are skipped."""
        if chunk.type == ATTACHMENT_CHUNK:
            self._keep_attachment(Attachment.read(fields, chunk.offset), fields)
        elif chunk.type == OBJECT_CHUNK:
            fields.require(self.objects is None, "the object table stands twice")
            placed = _PRELUDE.index("SCHM") < self._stage < len(_PRELUDE)
            fields.require(placed, "the object table does not stand between SCHM and KDTB")
            types, count = self.manifest.types, self.header.gaussians
            try:
                self.objects = ObjectTable.read(fields, types, count)
            except CorruptError as error:
                raise error.located(chunk=chunk.type, offset=chunk.offset) from None

    def _keep_attachment(self, found: Attachment, fields: FieldReader) -> None:
        once = folded(found.name) not in self._attached_names
        fields.require(once, f"attachment {found.name!r} stands twice")
        total = self._attached_bytes + found.size
        where = {"chunk": ATTACHMENT_CHUNK, "offset": found.offset, "attachment": found.name}
        if total > self.limits.attached_bytes:
            limit = self.limits.attached_bytes
            raise LimitError(f"{total} bytes of attachments exceed the limit of {limit}", **where)
        if len(self.attachments) == MAX_ATTACHMENTS:
            raise LimitError(f"more than {MAX_ATTACHMENTS} attachments", **where)
        self._attached_names.add(folded(found.name))
        self._attached_bytes = total
        self.attachments.append(found)

    def _accept_prelude(self, chunk: Chunk, fields: FieldReader) -> None:
        expected = _PRELUDE[self._stage]
        if chunk.type != expected:
            kind = CorruptError if chunk.type in _KNOWN else UnsupportedError
            raise kind(f"{expected} chunk expected", chunk=chunk.type, offset=chunk.offset)
        if expected == "HEAD":
            self.header = Header.read(fields, self.limits)
            check_script(self.header)
        elif expected == "LEVS":
            if chunk.end > LEVEL_TABLE_END:
                raise CorruptError("level table ends too late", chunk="LEVS", offset=chunk.offset)
            self.levels = read_levels(fields, self.header)
        elif expected == "SCHM":
            self.manifest = Manifest.read(fields, self.header, self.limits)
            self._check_memory()
        elif expected == "TILE":
            self.tiles = Tiles.read(fields, self.header)
        else:
            self.tools = Tools(self.header, self.tiles, read_tables(fields))
            self._due = _due_chunks(self.header, self.tiles)
            self._check_levels()
        self._stage += 1

    def _check_memory(self) -> None:
        """Refuse a scene that would take more memory than agreed on."""
        channels = sum(group.channels for group in self.header.groups)
        columns = sum(self.manifest.dtype(name).itemsize for name, _ in self.manifest.properties)
        needed = self.header.gaussians * (_PLACE_BYTES + 4 * channels + columns)
        if self.limits.memory is not None and needed > self.limits.memory:
            raise LimitError(
                f"the decoded scene takes {needed} bytes, more than the limit of "
                f"{self.limits.memory}"
            )

    def _check_levels(self) -> None:
        """Check what the level table says about Gaussians and compensation."""
        for number, level in enumerate(self.levels):
            present = coverage(self.header, level.passes).layers
            held = int(self.tiles.counts[:, :present].sum())
            if level.gaussians != held:
                raise CorruptError("level table miscounts Gaussians", level=number + 1)
            if level.compensation.active and held == self.header.gaussians:
                raise CorruptError("compensation of a level that lacks nothing", level=number + 1)

    def _accept_body(self, chunk: Chunk, fields: FieldReader) -> None:
        if chunk.type == "GRUP":
            self._read_group(fields)
        elif chunk.type == "NETW":
            self._read_network(fields)
        elif chunk.type == "DATA":
            self._read_data(chunk, fields)
        elif chunk.type == "XDAT" and self._exact_data_may_stand():
            self._current.exact.append(chunk)
        else:
            kind = CorruptError if chunk.type in _KNOWN else UnsupportedError
            raise kind("chunk is unknown or out of place", chunk=chunk.type, offset=chunk.offset)

    def _exact_data_may_stand(self) -> bool:
        passes = self.header.passes
        level = self.levels[len(self.complete)]
        in_level = level.passes == len(passes) and not self.finished
        exact = bool(passes) and passes[-1].exact
        return exact and in_level and self._next == len(self._due)

    def _read_group(self, fields: FieldReader) -> None:
        group = fields.integer("u8", 0, len(self.header.groups) - 1)
        fields.require(not self._has_coding(group), f"group {group} is described twice")
        declared = self.header.groups[group]
        kind, tools = declared.kind, self.tools
        if kind is GroupKind.POSITION_FINE:
            fields.require(declared.channels == 3, "fine positions have 3 channels")
            tools.fine_rules[group] = StepRule.read(fields, 0, FINE_BITS_MAX)
        elif kind in LABEL_KINDS:
            fields.require(declared.channels == 1, "labels have 1 channel")
            tools.labels[group] = LabelCoding.read(fields, self.header.gaussians)
        else:
            fields.require(kind is not GroupKind.POSITION, "positions have no GRUP chunk")
            sentinel = fields.integer("u8")
            if sentinel != NO_SENTINEL:
                known = sentinel < group and sentinel in tools.labels
                fields.require(known, "sentinel group is not decoded before its group")
                tools.sentinels[group] = sentinel
            coding = GroupCoding.read(fields, kind, declared.channels, declared.columns)
            tools.codings[group] = coding
            if coding.transform is not None:
                self._spend(coding.transform.basis_q.size, fields)
        fields.finish()

    def _has_coding(self, group: int) -> bool:
        tools = self.tools
        return group in tools.fine_rules or group in tools.labels or group in tools.codings

    def _read_network(self, fields: FieldReader) -> None:
        group = fields.integer("u8", 0, len(self.header.groups) - 1)
        fields.require(group not in self.tools.networks, f"group {group} has two networks")
        fields.require(group in self.tools.codings, f"group {group} takes no network")
        declared = self.header.groups
        usable = {
            g: declared[g].channels
            for g in range(group + 1)
            if declared[g].kind is not GroupKind.POSITION
        }
        network = GroupNetwork.read(fields, group, usable)
        self._spend(sum(layer.weights.size for layer in network.mlp.layers), fields)
        self.tools.networks[group] = network

    def _spend(self, integers: int, fields: FieldReader) -> None:
        """Count integers of models; one chunk has so few that they may be there already."""
        self._model_integers += integers
        if self._model_integers > self.limits.model_integers:
            said = f"networks and transforms have more than {self.limits.model_integers} weights"
            raise LimitError(said).located(**fields.where)

    def _read_data(self, chunk: Chunk, fields: FieldReader) -> None:
        pass_index, tile = fields.integer("u16"), fields.integer("u32")
        place = [pass_index, tile]
        if self._next == len(self._due) or self._due[self._next].tolist() != place:
            raise fields.corrupt(f"data of pass {pass_index}, tile {tile} is out of place")
        for group in self.header.passes[pass_index].groups:
            fields.require(self.tools.described(group), f"group {group} is not described")
        self._current.data.append(DataChunk(pass_index, tile, chunk, fields))
        self._next += 1

    def _close_level(self) -> None:
        """Note that a level is complete when its end is reached."""
        level = self.levels[len(self.complete)]
        if self.offset < level.end:
            return
        if self.offset > level.end or self._next != int((self._due[:, 0] < level.passes).sum()):
            raise CorruptError(
                "level does not end where its passes do",
                level=len(self.complete) + 1,
                offset=self.offset,
            )
        self.complete.append(self._current)
        self._current = LevelData()


def _due_chunks(header: Header, tiles: Tiles) -> NDArray[np.int64]:
    """``(pass, tile)`` of every data chunk that the file owes, in order, shape (n, 2)."""
    owed = [int((tiles.counts[:, p.layer] > 0).sum()) for p in header.passes if not p.exact]
    if sum(owed) > _LARGEST_DUE:
        raise LimitError(f"{sum(owed)} data chunks")
    due = [np.zeros((0, 2), np.int64)]
    for number, pass_ in enumerate(header.passes):
        if not pass_.exact:
            owing = np.flatnonzero(tiles.counts[:, pass_.layer])
            due.append(np.stack([np.full(len(owing), number), owing], axis=1))
    return np.concatenate(due)
