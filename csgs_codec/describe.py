"""What a file holds, without decoding it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass

from csgs_codec.container.kinds import GroupKind
from csgs_codec.container.objects import ObjectTable
from csgs_codec.decoder import Source, load, locate, parse
from csgs_codec.decoder.parser import Parser
from csgs_codec.errors import CsgsError, TruncatedError
from csgs_codec.levels import coverage
from csgs_codec.limits import DEFAULT_LIMITS, Limits


@dataclass(frozen=True)
class GroupInfo:
    """A group of properties."""

    name: str
    kind: str
    channels: int
    properties: tuple[str, ...]


@dataclass(frozen=True)
class LevelInfo:
    """A level: ``end`` is the size of a file cut behind it."""

    level: int
    end: int
    bytes: int
    gaussians: int
    groups: tuple[str, ...]
    complete: bool


@dataclass(frozen=True)
class TileInfo:
    """A tile: its box in the units of the PLY and its Gaussians."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    gaussians: int


@dataclass(frozen=True)
class AttachmentInfo:
    """An attached file: its name, its size and its SHA-256 in hexadecimal."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Probe:
    """Contents of a file.

    Attributes
    ----------
    size : int
        Bytes that are there.
    version : str
    gaussians : int
    layers : int
    grid_step : float
        Size of the cells of positions, in the units of the PLY.
    encoder : str
    properties : tuple of (name, dtype)
    groups, levels, tiles
    constants, extras : tuple of str
    original_order : bool
    hyperprior_bytes : int
    chunks : tuple of (type, offset, bytes)
    attachments : tuple of AttachmentInfo
    objects : ObjectTable, optional
    """

    size: int
    version: str
    gaussians: int
    layers: int
    grid_step: float
    encoder: str
    properties: tuple[tuple[str, str], ...]
    groups: tuple[GroupInfo, ...]
    levels: tuple[LevelInfo, ...]
    tiles: tuple[TileInfo, ...]
    constants: tuple[str, ...]
    extras: tuple[str, ...]
    original_order: bool
    hyperprior_bytes: int
    chunks: tuple[tuple[str, int, int], ...]
    attachments: tuple[AttachmentInfo, ...] = ()
    objects: ObjectTable | None = None

    def to_json(self) -> dict[str, object]:
        """Return a JSON-able dictionary."""
        return asdict(self)

    def bytes_by_chunk(self) -> dict[str, int]:
        """Bytes of each chunk type."""
        total: dict[str, int] = defaultdict(int)
        for type_, _, size in self.chunks:
            total[type_] += size
        return dict(total)


def probe(source: Source, limits: Limits = DEFAULT_LIMITS) -> Probe:
    """Describe a file from its header and chunks; checks CRCs, decodes nothing.

    A file that ends inside a level is described as far as it goes.

    Raises
    ------
    TruncatedError
        Not even the header is complete.
    CorruptError, UnsupportedError, LimitError
    """
    try:
        parser = parse(source, limits)
        if not parser.prelude_done:
            raise TruncatedError("file ends before its header is complete", offset=parser.offset)
    except CsgsError as error:
        raise locate(error, source) from None
    return _describe(parser, len(load(source)))


def _describe(parser: Parser, size: int) -> Probe:
    header, manifest = parser.header, parser.manifest
    groups = tuple(
        GroupInfo(
            named.name, GroupKind(declared.kind).name.lower(), declared.channels, named.columns
        )
        for named, declared in zip(manifest.groups, header.groups, strict=True)
    )
    levels, begin = [], 0
    for number, entry in enumerate(parser.levels):
        cover = coverage(header, entry.passes)
        held = max(cover.groups, default=0)
        names = [g.name for g in groups[:held]] + (["exact data"] if cover.exact else [])
        done = number < len(parser.complete)
        levels.append(
            LevelInfo(number + 1, entry.end, entry.end - begin, entry.gaussians, tuple(names), done)
        )
        begin = entry.end
    step = header.grid_step
    tiles = []
    for origin, bits, counts in zip(
        parser.tiles.origin, parser.tiles.bits, parser.tiles.counts, strict=True
    ):
        low = [o + c * step for o, c in zip(header.origin, origin.tolist(), strict=True)]
        high = [v + step * (1 << b) for v, b in zip(low, bits.tolist(), strict=True)]
        tiles.append(TileInfo(tuple(low), tuple(high), int(counts.sum())))
    return Probe(
        size=size,
        version="{}.{}".format(*header.version),
        gaussians=header.gaussians,
        layers=header.layers,
        grid_step=header.grid_step,
        encoder=manifest.encoder,
        properties=manifest.properties,
        groups=groups,
        levels=tuple(levels),
        tiles=tuple(tiles),
        constants=tuple(manifest.constants),
        extras=manifest.extras,
        original_order=manifest.original_order,
        hyperprior_bytes=sum(n for t, _, n in parser.chunks if t == "NETW"),
        chunks=tuple(parser.chunks),
        attachments=tuple(
            AttachmentInfo(one.name, one.size, one.sha256.hex()) for one in parser.attachments
        ),
        objects=parser.objects,
    )
