"""Remove the Gaussians that pictures hardly miss, and let the others make up for them.

Every Gaussian is judged by the squared change of pictures if it alone were left out. Those of
little effect often stand for each other, so a few are removed at a time, and the others descend to
the pictures of the original before they are judged again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from csgs_codec.encoder.descent import Descent
from csgs_codec.encoder.look import choose_cameras
from csgs_codec.encoder.options import EncodeOptions
from csgs_codec.encoder.prepare import Prepared, prepare
from csgs_codec.encoder.surroundings import look_around
from csgs_codec.errors import CameraError, UnsupportedError
from csgs_codec.render.gaussians import RenderGaussians
from csgs_codec.scene import Scene
from csgs_codec.schema import Role

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Tell = Callable[[float], None]

MOST_ROUNDS = 8
FITTING_PASSES = 4
_ROUND_SHARE = 0.12
_LEAST_SHARE = 0.01
# A Gaussian is worth this many times the error that the file may have, for each of its Gaussians.
_WORTH = 6.0
_ERROR_OVER_PLANNED = 2.0
_MOST_NAMED = 6
_PICTURED = {Role.POSITION, Role.OPACITY, Role.SCALE, Role.ROTATION, Role.DC, Role.SH}


@dataclass(frozen=True)
class Pruned:
    """What was removed.

    Attributes
    ----------
    kept : ndarray of int64
        Rows of the scene (behind ``--nan drop``) that are left, rising.
    removed : int
    transparent : int
        How many of the removed are too transparent to be drawn.
    hidden : int
        How many of the removed lie hidden from all sides.
    unseen : int
        How many are left because no view shows them well enough to judge.
    """

    kept: I64
    removed: int
    transparent: int
    hidden: int
    unseen: int

    def counts(self) -> dict[str, int]:
        """Numbers for a report."""
        return {
            "gaussians": self.removed,
            "transparent": self.transparent,
            "hidden": self.hidden,
            "unseen_kept": self.unseen,
        }


def prune(prepared: Prepared, options: EncodeOptions, tell: Tell) -> tuple[Prepared, Pruned]:
    """Prune as the options say.

    Raises
    ------
    UnsupportedError
        No pictures can be taken.
    """
    try:
        gaussians = RenderGaussians.from_scene(prepared.scene)
        cameras = choose_cameras(gaussians, options.cameras)
    except (CameraError, UnsupportedError) as error:
        raise UnsupportedError(f"pruning needs pictures: {error.message}") from error
    seen = look_around(gaussians, cameras, options.seed)
    defective = np.zeros(gaussians.count, bool)
    defective[prepared.exceptions.row] = True
    effect = np.where(seen.unseen | defective, np.inf, seen.effect)
    descent = Descent(gaussians, seen.views, seen.weights, options.seed)
    kept = _remove(descent, effect, options, tell)
    gone = np.ones(gaussians.count, bool)
    gone[kept] = False
    found = Pruned(
        kept,
        int(gone.sum()),
        int((gone & seen.transparent).sum()),
        int((gone & seen.hidden).sum()),
        int(seen.unseen.sum()),
    )
    start = Descent(gaussians.select(kept), (), np.zeros(0), 0)
    scene = _written(prepared, kept, start, descent, ~defective[kept])
    again = prepare(scene, options)
    notes = prepared.notes + _notes(prepared, found, options)
    return replace(again, notes=notes), found


def _remove(descent: Descent, effect: F64, options: EncodeOptions, tell: Tell) -> I64:
    """Remove in rounds, then fit; returns the rows that are left."""
    count, fixed = len(effect), np.isinf(effect)
    kept = np.arange(count)
    most, wanted = _ROUND_SHARE, count
    if options.prune != "auto":
        assert options.prune is not None
        most = max(most, 1 - (1 - options.prune) ** (1 / MOST_ROUNDS))
        wanted = round(options.prune * count)
    passes = MOST_ROUNDS + FITTING_PASSES
    for number in range(MOST_ROUNDS):
        order = np.argsort(effect, kind="stable")
        order = order[: min(wanted - (count - len(kept)), math.ceil(most * len(kept)))]
        worthless = effect[order] < (_worth(options, count) if options.prune == "auto" else np.inf)
        doomed = order[worthless]
        if len(doomed) == 0 or (options.prune == "auto" and len(doomed) < _LEAST_SHARE * count):
            break
        left = np.delete(np.arange(len(kept)), doomed)
        kept = kept[left]
        descent.keep(left)
        tell(number / passes)
        effect = np.where(fixed[kept], np.inf, descent.run(1.0).removal)
    if len(kept) < count:
        for number in range(FITTING_PASSES):
            tell((MOST_ROUNDS + number) / passes)
            descent.run(1 - (number + 0.5) / FITTING_PASSES)
    return kept


def _worth(options: EncodeOptions, count: int) -> float:
    """The error of pictures that a Gaussian must spare to be worth its bits."""
    planned = options.fineness.error
    if options.psnr is not None:
        planned = 10 ** (-options.psnr / 10) / _ERROR_OVER_PLANNED
    return _WORTH * planned / count


def _written(
    prepared: Prepared, kept: I64, start: Descent, end: Descent, changed: NDArray[np.bool_]
) -> Scene:
    """The rows that are left, as the PLY had them but for what was fitted."""
    before, after = start.values, end.values
    scene = prepared.original.select(kept)
    columns = dict(scene.columns)

    def write(names: Sequence[str], values: NDArray[np.floating], is_change: bool) -> None:
        for place, name in enumerate(names):
            column = columns[name]
            value = values[:, place] + column.astype(np.float64) * is_change
            columns[name] = np.where(changed, value, column).astype(column.dtype)

    groups = {group.role: group.columns for group in prepared.groups}
    moves = {name: after[name].astype(np.float64) - before[name] for name in after}
    write(groups[Role.POSITION], moves["means"], True)
    write(groups[Role.SCALE], moves["scales"], True)
    write(groups[Role.OPACITY], moves["opacity"][:, None], True)
    write(groups[Role.ROTATION], after["quats"], False)
    write(groups[Role.DC], moves["dc"][:, 0], True)
    rest = groups.get(Role.SH, ())
    write(rest, moves["sh"].transpose(0, 2, 1).reshape(len(kept), len(rest)), True)
    return replace(scene, columns=columns)


def _notes(prepared: Prepared, pruned: Pruned, options: EncodeOptions) -> list[str]:
    """What the user should be told."""
    count = prepared.scene.count
    if not pruned.removed:
        return ["pruning does not pay here: every Gaussian is kept"]
    gone = f"pruned {pruned.removed} of {count} Gaussians ({100 * pruned.removed / count:.1f} %"
    gone += f"; {pruned.transparent} too transparent to be drawn, {pruned.hidden} hidden)"
    carried = [group for group in prepared.all_groups if group.role not in _PICTURED]
    lost = [group.name for group in carried if group.columns[0] not in prepared.constants]
    if lost:
        more = f" and {len(lost) - _MOST_NAMED} more" if len(lost) > _MOST_NAMED else ""
        gone += f"; their {', '.join(lost[:_MOST_NAMED])}{more} went with them"
    notes = [gone, "positions, extents, opacities and colours of the others are re-fitted"]
    if pruned.unseen:
        notes.append(f"{pruned.unseen} Gaussians that no view shows well enough to judge are kept")
    for group in prepared.all_groups:
        if group.role is Role.ID:
            values = prepared.original.columns[group.columns[0]]
            absent = np.setdiff1d(values, values[pruned.kept])
            if len(absent):
                notes.append(f"{group.name}: no Gaussian of {len(absent)} ids is left, such as "
                             f"{absent[0]}")  # fmt: skip
    if options.order == "keep":
        notes.append("the row order is that of the rows that are left: row numbers have changed")
    return notes
