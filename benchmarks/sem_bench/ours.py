"""Our codec on features: the one place that says with which options."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from csgs_codec import EncodeOptions, Scene, decode, encode
from csgs_codec.decoder.spending import count_bits
from csgs_codec.errors import CsgsError
from csgs_codec.schema import Role
from csgs_codec.semantics.heads import Head
from sem_bench.coders import F64
from sem_bench.scene import Subject

OURS = "csgs_codec"
FOR_THE_HEAD = "csgs_codec, for the head"
_ID = "label"
_LIGHT = {Role.POSITION, Role.SCALE, Role.OPACITY, Role.SEMANTIC, Role.ID}


def settings(head: Head | None, full: bool) -> Iterator[tuple[str, str, EncodeOptions]]:
    """Coder, label and options of the points of our curves: by angle, and for a head."""
    common = EncodeOptions(order="keep", look=full)
    for quality in (40.0, 50.0, 60.0, 70.0, 80.0, 81.0, 90.0):
        chosen = replace(common, semantic_quality=quality)
        yield OURS, f"quality {quality:g}", chosen
    for quality in (45.0, 50.0, 55.0, 60.0, 65.0, 70.0, 75.0) if head is not None else ():
        chosen = replace(common, semantic_quality=quality, semantic_metric=head)
        yield FOR_THE_HEAD, f"quality {quality:g}", chosen


def reduced(subject: Subject, full: bool) -> Scene:
    """The scene that is encoded: all of it, or only what features are foretold from.

    Without scales the grid of positions would be far coarser than in a whole file, and features
    would cost more.
    """
    if full:
        return subject.scene
    kept = {name for g in subject.groups if g.role in _LIGHT for name in g.columns}
    return Scene({n: c for n, c in subject.scene.columns.items() if n in kept})


def code(subject: Subject, options: EncodeOptions, full: bool) -> tuple[float, F64]:
    """Bytes of the semantic group (values, quantiser and network) and what is decoded of it."""
    data = encode(reduced(subject, full), options).data
    size = bits_of(data, subject.group.name) / 8
    return size, np.asarray(decode(data).stack(subject.group.columns))


def id_bits(subject: Subject) -> float | None:
    """Bits per Gaussian of the scene's ids (``labels.npy``), None without; checked to be lossless.

    Features are left out.
    """
    file = subject.folder / "labels.npy"
    if not file.is_file():
        return None
    labels = np.load(file)
    shown = reduced(subject, full=False)
    columns = {n: c for n, c in shown.columns.items() if n not in subject.group.columns}
    scene = Scene({**columns, _ID: labels.astype(np.int32)})
    data = encode(scene, EncodeOptions(order="keep", look=False, ids=(_ID,))).data
    if not np.array_equal(decode(data).columns[_ID], labels):
        raise CsgsError("ids changed", file=str(file))
    return bits_of(data, _ID) / scene.count


def bits_of(data: bytes, group: str) -> float:
    """Bits of a semantic group in a file: values, quantiser, network, sentinels, precision."""
    return sum(
        level.group(name)
        for level in count_bits(data)
        for name in {*level.data, *level.model}
        if name == group or name.startswith(f"{group} ")
    )
