"""What recipes of invalid files share."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable

import numpy as np

from conformance.maker.coder import Coded, code
from conformance.maker.pieces import FilePieces
from conformance.maker.plan import Plan
from conformance.maker.vector import Vector, decoding, failing
from csgs_codec.container.fields import FieldWriter
from csgs_codec.numerics.bits import BitWriter
from csgs_codec.numerics.rans import RansEncoder

KIND = "invalid"


def bad(
    id_: str,
    rule: str,
    sections: str,
    file: FilePieces | bytes,
    outcome: str = "corrupt",
    *,
    also: tuple[str, ...] = (),
    kind: str = KIND,
    note: str = "",
) -> Vector:
    """Return a vector of a file that no decoder decodes.

    Parameters
    ----------
    id_, rule, sections : str
    file : FilePieces or bytes
    outcome : str
    also : tuple of str
        Outcomes that the specification allows as well.
    kind, note : str
    """
    data = file if isinstance(file, bytes) else file.data()
    vector = Vector(id_, kind, rule, sections.split(), data, rule=rule, note=note)
    vector.runs.append(failing([outcome, *also]))
    return vector


def skippable(
    id_: str,
    rule: str,
    sections: str,
    coded: Coded,
    outcome: str = "corrupt",
    *,
    also: tuple[str, ...] = (),
    note: str = "",
) -> Vector:
    """Return a vector whose violation a decoder need not look for: then it decodes."""
    vector = Vector(
        id_, KIND, rule, sections.split(), coded.file.data(), coded.plan.seed, rule=rule, note=note
    )
    decoding(vector, coded, len(coded.file.levels), outcome=[outcome, *also, "ok"])
    return vector


def edited(plan: Plan, edit: Callable[[Coded], object]) -> FilePieces:
    """Code a plan and change its file."""
    coded = code(plan)
    edit(coded)
    return coded.file


def with_payload(plan: Plan, type_: str, payload: bytes, group: int | None = None) -> FilePieces:
    """Code a plan and replace one payload."""
    file = code(plan).file
    file.find(type_, group).payload = payload
    return file


def head(
    coded: Coded,
    *,
    groups: Iterable[tuple[int, int, int]] | None = None,
    passes: Iterable[tuple[int, Iterable[int]]] | None = None,
    **changes: float | tuple[float, ...],
) -> bytes:
    """Return a HEAD payload with any values; those of the file where none are given."""
    known = coded.header
    value = {
        "version": known.version,
        "gaussians": known.gaussians,
        "layers": known.layers,
        "tiles": known.tiles,
        "origin": known.origin,
        "grid_step": known.grid_step,
        "unit_offset": known.unit_offset,
        "unit_shift": known.unit_shift,
        "rounds": known.rounds,
        **changes,
    }
    if groups is None:
        groups = [(g.kind, g.channels, g.columns) for g in known.groups]
    if passes is None:
        passes = [(p.layer, p.groups) for p in known.passes]
    kinds, script = list(groups), [(layer, list(listed)) for layer, listed in passes]
    fields = FieldWriter().put("u16", *value["version"]).put("u64", value["gaussians"])
    fields.put("u8", value["layers"]).put("u32", value["tiles"])
    fields.put("f64", *value["origin"], value["grid_step"]).put("u32", *value["unit_offset"])
    fields.put("u8", value["unit_shift"], *value["rounds"], len(kinds))
    for kind, channels, columns in kinds:
        fields.put("u8", kind).put("u16", channels, columns)
    fields.put("u16", len(script))
    for layer, listed in script:
        fields.put("u8", layer, len(listed), *listed)
    return fields.finish()


def with_head(plan: Plan, **changes: object) -> FilePieces:
    """Code a plan and change HEAD."""
    coded = code(plan)
    coded.file.find("HEAD").payload = head(coded, **changes)  # type: ignore[arg-type]
    return coded.file


def with_data(
    plan: Plan, put: Callable[[RansEncoder, BitWriter], object], tail: bytes = b""
) -> FilePieces:
    """Code a plan of one DATA chunk and write its streams anew."""
    coded = code(plan)
    rans, bits = RansEncoder(), BitWriter()
    put(rans, bits)
    stream = rans.finish()
    payload = struct.pack("<HII", 0, 0, len(stream)) + stream + bits.finish() + tail
    coded.file.find("DATA").payload = payload
    return coded.file


def field(bits: BitWriter, value: int, width: int) -> None:
    """Append one field of plain bits."""
    bits.put(np.array([value], np.uint64), np.array([width], np.uint8))


def u8(*values: int) -> np.ndarray:
    """Return an array of bytes, as stages take it."""
    return np.array(values, np.uint8)
