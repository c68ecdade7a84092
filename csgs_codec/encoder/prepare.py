"""Make a scene ready to be quantised: defects, stand-ins for infinities, what stays exact."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from csgs_codec.attributes.exact import Exceptions
from csgs_codec.attributes.transform import Blocks
from csgs_codec.container.attachments import Attachment
from csgs_codec.container.manifest import DTYPES
from csgs_codec.container.objects import ObjectTable
from csgs_codec.encoder.attach import pack_attachments
from csgs_codec.encoder.bounds import resolve
from csgs_codec.encoder.meaning import SemanticMetric
from csgs_codec.encoder.objects import describe_objects
from csgs_codec.encoder.options import EncodeOptions
from csgs_codec.errors import PlyError, UnsupportedError, UsageError
from csgs_codec.io.ply import list_rows
from csgs_codec.limits import DEFAULT_LIMITS
from csgs_codec.scene import Scene
from csgs_codec.schema import Group, Role, assign_roles, require_positions
from csgs_codec.semantics.heads import Head
from csgs_codec.statistics import find_defects, legitimate_infinity, suspicions

_OPAQUE_LOGIT = 15.0
_NO_EXTENT = -15.0
_FARTHEST = 100.0
SENTINEL_VALUES = (-1, 0)
ORDINARY = -2


@dataclass
class Prepared:
    """A scene whose quantised groups are finite.

    Attributes
    ----------
    scene : Scene
        Finite stand-ins where the original is not.
    groups : tuple of Group
        Without the extras.
    all_groups : tuple of Group
    constants : dict of str to bytes
    extras : tuple of str
    exceptions : Exceptions
        Original bits of the stand-ins, by scene row.
    original : Scene
        The same rows, unchanged.
    notes : list of str
        What a user should be told.
    attachments : tuple of Attachment
    objects : ObjectTable, optional
    """

    scene: Scene
    groups: tuple[Group, ...]
    constants: dict[str, bytes]
    extras: tuple[str, ...]
    exceptions: Exceptions
    original: Scene
    all_groups: tuple[Group, ...]
    notes: list[str] = field(default_factory=list)
    attachments: tuple[Attachment, ...] = ()
    objects: ObjectTable | None = None


def prepare(scene: Scene, options: EncodeOptions) -> Prepared:
    """Apply the NaN policy and split the properties.

    Raises
    ------
    PlyError
        The scene has no positions, or defects under ``nan='error'``.
    UnsupportedError
        Other elements are too large for decoders.
    UsageError
        A bound names a group that the scene does not have, an attachment has a bad name, or object
        names do not fit the scene.
    """
    notes: list[str] = []
    for name, column in scene.columns.items():
        if column.dtype.str[1:] not in DTYPES:
            raise PlyError(f"property type {column.dtype} is not a PLY type", property=name)
    groups = assign_roles(scene, options.semantic, options.ids)
    require_positions(scene, groups)
    resolve(options.max_error, groups)
    _check_elements(scene)
    notes += _check_metric(groups, options.semantic_metric)
    notes += suspicions(scene, groups)
    defects = [] if options.lossless else find_defects(scene, groups)
    if defects and options.nan == "error":
        worst = min(defects, key=lambda d: int(d.rows[0]))
        raise PlyError(
            f"{worst.kind} in {len(worst.rows)} rows (see --nan drop|keep)",
            property=worst.property,
            row=int(worst.rows[0]),
        )
    if defects and options.nan == "drop":
        bad = np.unique(np.concatenate([d.rows for d in defects]))
        kept = np.ones(scene.count, bool)
        kept[bad] = False
        scene = scene.select(np.flatnonzero(kept))
        notes.append(f"{len(bad)} rows with NaN, Inf or zero quaternions were dropped")
    elif defects:
        rows = len(np.unique(np.concatenate([d.rows for d in defects])))
        notes.append(f"{rows} rows with NaN, Inf or zero quaternions are kept bit for bit")
    finite, exceptions = _stand_ins(scene, groups)
    if options.lossless:
        finite = _near(finite, groups)
    constants = {
        g.columns[0]: value
        for g in groups
        if g.role in (Role.EXTRA, Role.ID)
        and (value := _constant(scene.columns[g.columns[0]])) is not None
    }
    named = [g for g in groups if g.columns[0] not in constants]
    extras = tuple(g.columns[0] for g in named if g.role is Role.EXTRA)
    coded = tuple(g for g in named if g.role is not Role.EXTRA)
    attachments = pack_attachments(options.attachments)
    objects = describe_objects(scene, groups, options, notes) if options.object_table else None
    return Prepared(
        finite, coded, constants, extras, exceptions, scene, groups, notes, attachments, objects
    )


def _check_elements(scene: Scene) -> None:
    """Refuse other elements that decoders would refuse."""
    rows, most = list_rows(scene.elements), DEFAULT_LIMITS.list_rows
    if rows > most:
        raise UnsupportedError(f"other elements have {rows} rows with lists, more than {most}")


def _check_metric(groups: tuple[Group, ...], metric: SemanticMetric) -> list[str]:
    """Notes on groups that a head does not fit; it must fit at least one."""
    if not isinstance(metric, Head):
        return []
    semantic = [group for group in groups if group.role is Role.SEMANTIC]
    others = [group.name for group in semantic if len(group.columns) != metric.width]
    if len(others) == len(semantic):
        raise UsageError(f"no semantic group has the {metric.width} columns that the head takes")
    return [f"{name} does not fit the head and is judged by angle" for name in others]


def _near(scene: Scene, groups: tuple[Group, ...]) -> Scene:
    """Bring values that are absurdly far out within reach of the lossy levels' quantisers."""
    columns = dict(scene.columns)
    lossy = [group for group in groups if group.role not in (Role.ID, Role.EXTRA)]
    for name in [name for group in lossy for name in group.columns if scene.count]:
        column = columns[name]
        low, high = np.quantile(column.astype(np.float64), [0.01, 0.99])
        reach = _FARTHEST * max(high - low, 1.0)
        columns[name] = np.clip(column, low - reach, high + reach).astype(column.dtype)
    return Scene(columns, scene.layout, scene.elements)


def _constant(column: NDArray[np.generic]) -> bytes | None:
    """Bytes of the only value of a column, or None."""
    raw = np.ascontiguousarray(column, column.dtype.newbyteorder("<")).view(np.uint8)
    rows = raw.reshape(len(column), column.dtype.itemsize)
    if not len(rows) or (rows != rows[0]).any():
        return None
    return rows[0].tobytes()


def _stand_ins(scene: Scene, groups: tuple[Group, ...]) -> tuple[Scene, Exceptions]:
    """Replace what is not finite; remember its bits."""
    columns = dict(scene.columns)
    names = list(columns)
    rows, properties, bits = [], [], []

    def note(name: str, bad: NDArray[np.bool_]) -> None:
        where = np.flatnonzero(bad)
        raw = np.zeros((len(where), 8), np.uint8)
        original = scene.columns[name][where]
        little = np.ascontiguousarray(original, original.dtype.newbyteorder("<"))
        size = original.dtype.itemsize
        raw[:, :size] = little.view(np.uint8).reshape(len(where), size)
        rows.append(where)
        properties.append(np.full(len(where), names.index(name)))
        bits.append(raw.reshape(-1).view("<u8").astype(np.uint64))

    for group in groups:
        if group.role in (Role.ID, Role.EXTRA):
            continue
        for name in group.columns:
            column = columns[name]
            bad = ~np.isfinite(column)
            if bad.any():
                note(name, bad)
                fixed = column.copy()
                meaning = legitimate_infinity(group.role, column)
                good = column[~bad]
                fixed[bad] = np.median(good.astype(np.float64)) if len(good) else 0
                fixed[meaning] = _OPAQUE_LOGIT if group.role is Role.OPACITY else _NO_EXTENT
                columns[name] = fixed
        if group.role is Role.ROTATION:
            zero = np.ones(scene.count, bool)
            for name in group.columns:
                zero &= columns[name] == 0
            if zero.any():
                for name in group.columns:
                    note(name, zero & np.isfinite(scene.columns[name]))
                columns[group.columns[0]] = np.where(zero, 1, columns[group.columns[0]]).astype(
                    columns[group.columns[0]].dtype
                )
    if not rows:
        nothing = np.zeros(0, np.int64)
        return scene, Exceptions(nothing, nothing, np.zeros(0, np.uint64))
    exceptions = Exceptions(np.concatenate(rows), np.concatenate(properties), np.concatenate(bits))
    return Scene(columns, scene.layout, scene.elements), exceptions


def sentinel_labels(blocks: Blocks) -> NDArray[np.int64] | None:
    """Label of each row: -2 normal, or the sentinel value (-1 or 0) that fills the whole row.

    Rows come in blocks of shape (rows, columns). Returns None when no row is a sentinel.
    """
    parts = []
    for values in blocks:
        part = np.full(len(values), ORDINARY, np.int64)
        for sentinel in SENTINEL_VALUES:
            part[(values == sentinel).all(axis=1)] = sentinel
        parts.append(part)
    labels = np.concatenate(parts)
    return labels if (labels != ORDINARY).any() else None
