"""Quantise under bounds, and keep exactly what misses them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from csgs_codec.attributes.coding import GroupCoding
from csgs_codec.attributes.exact import Exceptions
from csgs_codec.attributes.steps import StepRule
from csgs_codec.attributes.transform import Blocks, LinearTransform
from csgs_codec.decoder.parser import FINE_BITS_MAX
from csgs_codec.encoder.bounds import errors, resolve
from csgs_codec.encoder.partition import GRID_BITS
from csgs_codec.encoder.plan import Grid
from csgs_codec.encoder.prepare import Prepared
from csgs_codec.errors import CsgsError
from csgs_codec.scene import Scene
from csgs_codec.schema import Group, Role

Generic = NDArray[np.generic]
F64 = NDArray[np.float64]

# So heavy that rate never outweighs an error: every symbol is the nearest one.
NEAREST_WEIGHT = 1e12
# Other machines may round the last bit of a column elsewhere.
_MARGIN = 1.0 - 1e-4
_BASIS_BITS = 10
_SAFE_SPREADS = 4.5
_NEGLIGIBLE = 0.02
_MANY = 0.02
_MOST_STEPS = 2.0**14
_COARSE_TYPE = 0.5
_CHART_STRETCH = 2.0 * np.sqrt(2.0) * np.sqrt(3.0)


@dataclass(frozen=True)
class Bounds:
    """Bounds of a scene's groups; see :mod:`csgs_codec.encoder.bounds`.

    Attributes
    ----------
    by_name : mapping of str to float
    exact : set of str
        Groups whose bounds are so tight that it is cheaper to keep their columns exactly.
    """

    by_name: Mapping[str, float]
    exact: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, max_error: Mapping[str, float | str], prepared: Prepared) -> Bounds:
        """Bounds that concern a scene.

        Raises
        ------
        UsageError
            A bound names a group that the scene does not have.
        """
        return cls(resolve(max_error, prepared.all_groups))

    @property
    def colours(self) -> bool:
        """Whether colours have bounds, so that they must be the original's."""
        return not self.by_name.keys().isdisjoint(("dc", "sh"))

    def tighten(
        self, group: Group, coding: GroupCoding, scene: Scene, heard: NDArray[np.bool_]
    ) -> GroupCoding:
        """Refine a quantiser until its own error stays below the group's bound.

        Parameters
        ----------
        group : Group
        coding : GroupCoding
        scene : Scene
        heard : ndarray of bool, shape (n,)
            Rows that are coded.
        """
        bound = self.by_name.get(group.name)
        if bound is None or not heard.any():
            return coding
        columns = scene.blocks(group.columns, np.flatnonzero(heard))
        rule = replace(coding.rule, low=min(coding.rule.low, 0), high=min(coding.rule.high, 0))
        transform = coding.transform
        if transform is not None:
            ones = np.ones(int(heard.sum()))
            transform = LinearTransform.fit(columns, ones, len(group.columns), _BASIS_BITS)
        step = min(coding.step, _largest_step(group.role, transform, bound))
        if transform is not None:
            transform = _without_negligible(transform, columns, step)
        centre = coding.centre if transform is None else _medians(transform, columns)
        made = replace(
            coding, step=step, rule=rule, transform=transform, centre=centre.astype(np.float32)
        )
        while max(np.abs(made.latents(block)).max() for block in columns) <= _MOST_STEPS:
            if _share_missed(group.role, made, columns, bound) <= _MANY:
                return made
            made = replace(made, step=made.step / 2)
        self.exact.add(group.name)
        return coding

    def refine_grid(self, grid: Grid, scene: Scene, fine: bool) -> Grid:
        """Make cells small enough; with ``fine`` they are cut further by up to 8 bits."""
        bound = self.by_name.get("position")
        if bound is None or not scene.count:
            return grid
        xyz = scene.stack(("x", "y", "z"))
        low = np.array(grid.origin)
        wanted = _cell(bound) * (2.0**FINE_BITS_MAX if fine else 1.0)
        step = min(wanted, grid.step)
        rounding = max(float(np.spacing(np.abs(scene.columns[a]).max())) for a in "xyz")
        if (xyz - low).max() / step >= 1 << GRID_BITS or rounding > _COARSE_TYPE * bound:
            self.exact.add("position")
            return grid
        if step == grid.step:
            return grid
        cells = np.floor((xyz - low) / step)
        inside = np.clip((xyz - low) / step - cells, 0.0, np.nextafter(1.0, 0.0))
        return replace(grid, step=step, cells=cells.astype(np.int64), inside=inside)

    def refine_fine_rule(self, rule: StepRule, grid: Grid) -> StepRule:
        """Ask for at least the fine bits that the bound needs."""
        bound = self.by_name.get("position")
        if bound is None or "position" in self.exact:
            return rule
        needed = int(np.clip(np.ceil(np.log2(grid.step / _cell(bound))), 0, FINE_BITS_MAX))
        return replace(rule, low=max(rule.low, needed), high=max(rule.high, needed))

    def nearest(self, name: str) -> bool:
        """Whether every symbol of a group must be the nearest one: those of a bounded group."""
        return name in self.by_name and name not in self.exact

    def weights(
        self, name: str, weights: list[F64] | None, rows: Sequence[NDArray[np.int64]]
    ) -> list[F64] | None:
        """Weights of errors, endless where :meth:`nearest` holds."""
        if not self.nearest(name):
            return weights
        return [np.full(len(r), NEAREST_WEIGHT) for r in rows]

    def patch(
        self,
        prepared: Prepared,
        decoded: Mapping[str, Generic],
        silent: Mapping[str, NDArray[np.bool_]],
    ) -> Exceptions:
        """Exceptions of a scene, and of every value that misses its bound.

        Parameters
        ----------
        prepared : Prepared
        decoded : mapping of str to ndarray
            Columns in scene order, without exceptions.
        silent : mapping of str to ndarray of bool
            By group name, the rows that are exact without being coded.
        """
        names = list(prepared.scene.columns)
        known = prepared.exceptions
        patched = [known]
        taken = set(zip(known.row.tolist(), known.property.tolist(), strict=True))
        for group, missed in self._missed(prepared, decoded, _MARGIN):
            if group.name in silent:
                missed = missed & ~silent[group.name][:, None]
            for name, column in zip(group.columns, missed.T, strict=True):
                index = names.index(name)
                rows = np.flatnonzero(column)
                rows = rows[[(row, index) not in taken for row in rows.tolist()]]
                patched.append(
                    Exceptions(
                        rows,
                        np.full(len(rows), index, np.int64),
                        _bits(prepared.original.columns[name][rows]),
                    )
                )
        return Exceptions(
            np.concatenate([p.row for p in patched]),
            np.concatenate([p.property for p in patched]),
            np.concatenate([p.bits for p in patched]),
        )

    def verify(self, prepared: Prepared, decoded: Scene, order: NDArray[np.int64]) -> None:
        """Check the bounds on a decoded scene whose row ``i`` is row ``order[i]``.

        Raises
        ------
        CsgsError
            A bound does not hold; the file must not be used.
        """
        if not self.by_name:
            return
        bounded = [name for group, _ in self._lossy(prepared) for name in group.columns]
        columns = {name: np.empty_like(decoded.columns[name]) for name in bounded}
        for name, column in columns.items():
            column[order] = decoded.columns[name]
        for index, name in enumerate(prepared.scene.columns):
            if name not in columns:
                continue
            rows = prepared.exceptions.row[prepared.exceptions.property == index]
            if len(rows):
                columns[name][rows] = prepared.scene.columns[name][rows]
        for group, missed in self._missed(prepared, columns, 1.0):
            if missed.any():
                row = int(np.flatnonzero(missed.any(axis=1))[0])
                raise CsgsError("an error is larger than allowed", group=group.name, row=row)

    def _missed(
        self, prepared: Prepared, decoded: Mapping[str, Generic], margin: float
    ) -> Iterator[tuple[Group, NDArray[np.bool_]]]:
        """For each bounded lossy group, where its bound is missed, shape (n, columns)."""
        for group, bound in self._lossy(prepared):
            names = group.columns
            original = prepared.scene.blocks(names)
            after = Scene({name: decoded[name] for name in names}).blocks(names)
            missed = [
                ~(errors(group.role, rows, values) <= bound * margin)
                for rows, values in zip(original, after, strict=True)
            ]
            yield group, np.concatenate(missed)

    def _lossy(self, prepared: Prepared) -> Iterator[tuple[Group, float]]:
        """Groups that must keep a bound although they are quantised."""
        for group in prepared.groups:
            bound = self.by_name.get(group.name)
            if bound is not None and self.nearest(group.name) and group.role is not Role.ID:
                yield group, bound


def _cell(bound: float) -> float:
    """Edge of a cell whose corners are within the bound from its middle."""
    return 2.0 * bound * _MARGIN / np.sqrt(3.0)


def _largest_step(role: Role, transform: LinearTransform | None, bound: float) -> float:
    """Step whose rounding cannot miss the bound, or misses it very rarely."""
    if role is Role.SCALE:
        return float(2.0 * np.log1p(bound)) * _MARGIN
    if role is Role.OPACITY:
        return 8.0 * bound * _MARGIN
    if role is Role.ROTATION:
        return float(2.0 * np.radians(bound) / _CHART_STRETCH) * _MARGIN
    if transform is None:
        return 2.0 * bound * _MARGIN
    basis = transform.basis_q / float(1 << transform.bits)
    sure = 2.0 * bound / float(np.abs(basis).sum(axis=0).max())
    likely = np.sqrt(12.0) * bound / (_SAFE_SPREADS * float(np.sqrt((basis**2).sum(axis=0)).max()))
    return float(max(sure, likely)) * _MARGIN


def _without_negligible(whole: LinearTransform, columns: Blocks, step: float) -> LinearTransform:
    """Drop the last components that never reach a small part of a step."""
    largest = np.max([np.abs(whole.forward(block)).max(axis=0) for block in columns], axis=0)
    kept = max(1, int(np.flatnonzero(largest > _NEGLIGIBLE * step).max(initial=0)) + 1)
    return whole.first(kept)


def _medians(transform: LinearTransform, columns: Blocks) -> F64:
    """Median of each component, of as many components at once as fill a block."""
    at_once = max(1, transform.mean.size // len(columns))
    parts = [slice(k, k + at_once) for k in range(0, transform.components, at_once)]
    found = []
    for part in parts:
        values = np.concatenate([transform.forward(block)[:, part].copy() for block in columns])
        found.append(np.median(values, axis=0))
    return np.concatenate(found)


def _share_missed(role: Role, coding: GroupCoding, columns: Blocks, bound: float) -> float:
    """Share of rows that miss the bound by rounding alone."""
    missed = []
    for block in columns:
        q6 = np.clip(np.rint(coding.latents(block)) * 64.0, -(2.0**29), 2.0**29)
        decoded = coding.dequantise(q6.astype(np.int32))
        missed.append((~(errors(role, block, decoded) <= bound)).any(axis=1))
    return float(np.concatenate(missed).mean())


def _bits(values: Generic) -> NDArray[np.uint64]:
    """Bits of values, zero-extended."""
    little = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    return little.view(f"<u{values.dtype.itemsize}").astype(np.uint64)
