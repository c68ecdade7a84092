"""Assemble the file: prelude, passes, level table (spec section 4.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from csgs_codec.container.attachments import ATTACHMENT_CHUNK, Attachment
from csgs_codec.container.chunks import SIGNATURE, frame
from csgs_codec.container.fields import FieldWriter
from csgs_codec.container.header import DIGEST_BYTES, Header, LevelEntry, write_levels
from csgs_codec.container.kinds import LABEL_KINDS, GroupKind
from csgs_codec.container.manifest import Manifest
from csgs_codec.container.objects import OBJECT_CHUNK
from csgs_codec.decoder.parser import NO_SENTINEL
from csgs_codec.encoder.code import CodedScene, encode_chunk
from csgs_codec.encoder.compensation import CompensationLaw
from csgs_codec.levels import coverage


@dataclass
class Body:
    """The file so far, and the chain of digests."""

    parts: list[bytes]
    size: int
    digest: bytes = b""

    def add(self, type_: str, payload: bytes) -> None:
        """Append a chunk."""
        chunk = frame(type_, payload)
        self.parts.append(chunk)
        self.size += len(chunk)


def assemble(
    scene: CodedScene,
    manifest: Manifest,
    position_table_payload: bytes,
    level_ends: list[int],
    exact: list[bytes],
    law: CompensationLaw = CompensationLaw(),
    objects: bytes | None = None,
    attachments: Sequence[Attachment] = (),
) -> bytes:
    """Return the bytes of the file.

    Parameters
    ----------
    scene : CodedScene
    manifest : Manifest
    position_table_payload : bytes
        KDTB payload.
    level_ends : list of int
        Passes that each level completes, counted from the start.
    exact : list of bytes
        XDAT payloads of the exact pass.
    law : CompensationLaw
        How levels that lack Gaussians are compensated.
    objects : bytes, optional
        oBJT payload.
    attachments : sequence of Attachment
        They stand before the first data of the semantic groups, so that levels below do not pay
        for them.
    """
    header, tools = scene.tools.header, scene.tools
    blank = [LevelEntry(0, 0, 0, bytes(DIGEST_BYTES))] * len(level_ends)
    prelude = [frame("HEAD", header.write()), frame("LEVS", write_levels(blank))]
    body = Body([], len(SIGNATURE) + sum(map(len, prelude)))
    body.add("SCHM", manifest.write())
    if objects is not None:
        body.add(OBJECT_CHUNK, objects)
    body.add("TILE", tools.tiles.write())
    body.add("KDTB", position_table_payload)
    described: set[int] = set()
    levels: list[LevelEntry] = []
    chain: list[bytes] = []
    attach_at = _attachment_pass(header)
    for number, pass_ in enumerate(header.passes):
        for group in pass_.groups:
            if group not in described:
                _describe(scene, group, body)
                described.add(group)
        if number == attach_at:
            _attach(attachments, body)
        if pass_.exact:
            for payload in exact:
                body.add("XDAT", payload)
                chain.append(hashlib.sha256(payload).digest())
        else:
            for tile in scene.tiles:
                rows = tile.rows(pass_.layer)
                if rows.start < rows.stop:
                    coded = encode_chunk(scene, tile, pass_.layer, pass_.groups)
                    data = FieldWriter().put("u16", number).put("u32", tile.index).raw(coded)
                    body.add("DATA", data.finish())
                    chain.append(tile.digest(pass_.layer, pass_.groups))
        if number + 1 in level_ends:
            body.digest = hashlib.sha256(body.digest + b"".join(chain)).digest()
            chain = []
            present = coverage(header, number + 1).layers
            count = int(tools.tiles.counts[:, :present].sum())
            made = law.at(count / header.gaussians if header.gaussians else 1.0)
            levels.append(LevelEntry(body.size, number + 1, count, body.digest, made))
    if not header.passes:
        _attach(attachments, body)
        levels.append(replace(blank[0], end=body.size, digest=hashlib.sha256().digest()))
    prelude[1] = frame("LEVS", write_levels(levels))
    return b"".join([SIGNATURE, *prelude, *body.parts])


def _attachment_pass(header: Header) -> int:
    """Pass before whose data attachments stand."""
    for number, pass_ in enumerate(header.passes):
        if any(header.groups[group].kind is GroupKind.SEMANTIC for group in pass_.groups):
            return number
    return 0


def _attach(attachments: Sequence[Attachment], body: Body) -> None:
    for attachment in attachments:
        body.add(ATTACHMENT_CHUNK, attachment.write())


def _describe(scene: CodedScene, group: int, body: Body) -> None:
    """Send what a group needs before its first data."""
    tools = scene.tools
    kind = tools.header.groups[group].kind
    fields = FieldWriter().put("u8", group)
    if kind is GroupKind.POSITION:
        return
    if kind is GroupKind.POSITION_FINE:
        tools.fine_rules[group].write(fields)
    elif kind in LABEL_KINDS:
        fields.raw(tools.labels[group].write())
    else:
        fields.put("u8", tools.sentinels.get(group, NO_SENTINEL))
        fields.raw(tools.codings[group].write())
    body.add("GRUP", fields.finish())
    if group in tools.networks:
        body.add("NETW", tools.networks[group].write())
