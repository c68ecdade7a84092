"""What the last level keeps bit for bit: the XDAT payloads of a file."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from csgs_codec.attributes.exact import (
    Exceptions,
    write_elements,
    write_exceptions,
    write_row_order,
)
from csgs_codec.decoder.integers import CanonicalIntegers
from csgs_codec.encoder.code import CodedScene
from csgs_codec.encoder.exact_fit import ExactCoder
from csgs_codec.encoder.options import EncodeOptions
from csgs_codec.encoder.prepare import Prepared
from csgs_codec.encoder.script import Planned
from csgs_codec.io.ply import elements_to_ply_bytes

ELEMENTS, EXCEPTIONS, ROW_ORDER = "other elements", "exceptions", "row order"


@dataclass
class ExactPass:
    """Payloads of the exact pass.

    Attributes
    ----------
    payloads : list of bytes
    notes : list of str
        What a user should be told.
    bits : dict of str to float
        Bits of each group and of everything else that is kept exactly.
    """

    payloads: list[bytes] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    bits: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, payload: bytes) -> None:
        """Append a payload that counts for ``name``."""
        self.payloads.append(payload)
        self.bits[name] = self.bits.get(name, 0.0) + 8 * len(payload)


def exact_names(planned: Sequence[Planned], groups: Collection[str] | None) -> tuple[str, ...]:
    """Columns of lossy groups that the exact pass carries; of all groups if ``groups`` is None."""
    lossy = [p for p in planned if p.labels is None and (groups is None or p.name in groups)]
    return tuple(name for p in lossy for name in p.columns)


def has_exact_pass(prepared: Prepared, options: EncodeOptions) -> bool:
    """Whether anything of a scene is kept exactly."""
    scene = prepared.scene
    if not scene.count:
        return bool(scene.columns) or bool(scene.elements)
    kept = options.lossless or options.max_error or options.order == "keep"
    return bool(kept or prepared.extras or scene.elements or len(prepared.exceptions.row))


def make_exact_pass(
    prepared: Prepared,
    options: EncodeOptions,
    planned: Sequence[Planned],
    coded: CodedScene,
    order: NDArray[np.int64],
    exceptions: Exceptions,
    exact: tuple[str, ...],
) -> ExactPass:
    """Code what is kept exactly, once everything else is coded.

    Parameters
    ----------
    prepared : Prepared
    options : EncodeOptions
    planned : sequence of Planned
        Groups of the file.
    coded : CodedScene
        The decoder's integers.
    order : ndarray of int64, shape (n,)
        Scene row of each canonical row.
    exceptions : Exceptions
        By scene row.
    exact : tuple of str
        Columns of lossy groups to be kept.
    """
    made = ExactPass()
    scene = prepared.scene
    _add_columns(made, prepared, planned, coded, order, exact)
    if scene.elements:
        made.add(ELEMENTS, write_elements(elements_to_ply_bytes(scene.elements)))
    announced = scene.count and options.max_error
    if announced or (len(exceptions.row) and not options.lossless):
        payload = write_exceptions(_canonical(exceptions, order))
        made.add(EXCEPTIONS, payload)
        patched = len(exceptions.row) - len(prepared.exceptions.row)
        if patched > 0:
            made.notes.append(
                f"{patched} values that missed their bound are kept exactly: "
                f"all exceptions take {len(payload)} bytes"
            )
    if options.order == "keep" and scene.count:
        payload = write_row_order(order)
        made.add(ROW_ORDER, payload)
        cost = 8 * len(payload) / scene.count
        made.notes.append(f"row order kept: {len(payload)} bytes, {cost:.2f} bits/Gaussian")
    return made


def _add_columns(
    made: ExactPass,
    prepared: Prepared,
    planned: Sequence[Planned],
    coded: CodedScene,
    order: NDArray[np.int64],
    exact: tuple[str, ...],
) -> None:
    scene, original = prepared.scene, prepared.original
    index_of = {name: index for index, name in enumerate(scene.columns)}
    integers = CanonicalIntegers(coded.tools, lambda index: coded.tiles[index])
    coder = ExactCoder(scene.count, integers)
    for name in prepared.extras if scene.count else tuple(scene.columns):
        payload, _ = coder.column(index_of[name], original.columns[name][order])
        made.add(name, payload)
    for group, declared in enumerate(planned):
        akin = 0
        for name in declared.columns:
            if name in exact:
                column = original.columns[name][order]
                payload, modelled = coder.column(index_of[name], column, group, akin)
                akin += modelled
                made.add(declared.name, payload)


def _canonical(exceptions: Exceptions, order: NDArray[np.int64]) -> Exceptions:
    """Exceptions by canonical row, in its order."""
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    canonical = place[exceptions.row]
    by_row = np.argsort(canonical, kind="stable")
    return Exceptions(canonical[by_row], exceptions.property[by_row], exceptions.bits[by_row])
