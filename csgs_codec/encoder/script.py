"""Which groups a file has, in which order, how each is quantised, and the passes and levels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from csgs_codec.attributes.coding import GroupCoding
from csgs_codec.container.header import EXACT_PASS_LAYER, GroupDeclaration, Pass
from csgs_codec.container.kinds import GroupKind
from csgs_codec.encoder.appearance import Appearance
from csgs_codec.encoder.bounded import Bounds
from csgs_codec.encoder.classes import ClassErrors
from csgs_codec.encoder.innovation import innovations
from csgs_codec.encoder.meaning import feature_coding, judge, signal_coding
from csgs_codec.encoder.options import EncodeOptions
from csgs_codec.encoder.plan import KIND_OF_ROLE, plan_group, sensitivity_coding
from csgs_codec.encoder.prepare import ORDINARY, Prepared, sentinel_labels
from csgs_codec.errors import PlyError
from csgs_codec.limits import MAX_CHANNELS, MAX_GROUPS
from csgs_codec.scene import Scene
from csgs_codec.schema import Group, Role


@dataclass(frozen=True)
class Planned:
    """One group of the file.

    Attributes
    ----------
    kind : GroupKind
    name : str
    columns : tuple of str
    coding : GroupCoding, optional
        Quantiser of a residual-coded group.
    labels : ndarray of int64, optional
        Values of a label group, by scene row.
    silent : ndarray of bool, optional
        Rows of a residual-coded group that the sentinel group before it holds.
    signal : ndarray of float64, shape (n, 2), optional
        Values of a SENSITIVITY group that serves semantic features.
    weights : ndarray of float64, shape (n,), optional
        What a squared error of one base step of semantic features costs each Gaussian.
    angular : bool
        Whether these features are compared by angle.
    class_errors : ClassErrors, optional
        What errors of these features do to classes, where a head classifies them.
    """

    kind: GroupKind
    name: str
    columns: tuple[str, ...] = ()
    coding: GroupCoding | None = None
    labels: NDArray[np.int64] | None = None
    silent: NDArray[np.bool_] | None = None
    signal: NDArray[np.float64] | None = None
    weights: NDArray[np.float64] | None = None
    angular: bool = False
    class_errors: ClassErrors | None = None

    @property
    def declaration(self) -> GroupDeclaration:
        """The group's line in the header."""
        channels = 3 if self.kind is GroupKind.POSITION_FINE else max(len(self.columns), 1)
        if self.coding is not None:
            channels = self.coding.channels
        return GroupDeclaration(self.kind, channels, len(self.columns))


@dataclass
class Script:
    """Groups in coding order, and where levels end.

    The last layer, whose Gaussians matter least, waits until the layers before it have their
    ``early`` groups as well.

    Attributes
    ----------
    groups : list of Planned
        ``base`` groups, then ``early`` and ``late`` ones.
    base, early, late : int
    """

    groups: list[Planned]
    base: int
    early: int
    late: int

    def passes(self, layers: int, exact: bool) -> tuple[list[Pass], list[int]]:
        """Passes, and after how many of them each level ends."""
        middle, end = self.base + self.early, self.base + self.early + self.late
        base, early, late = range(self.base), range(self.base, middle), range(middle, end)
        waits = layers > 1 and self.early > 0
        first = layers - 1 if waits else layers
        levels = [[Pass(layer, tuple(base))] for layer in range(first) if base]
        if early:
            levels.append([Pass(layer, tuple(early)) for layer in range(first)])
        if waits:
            levels.append([Pass(first, (*base, *early))])
        if late:
            levels.append([Pass(layer, tuple(late)) for layer in range(layers)])
        if exact:
            levels.append([Pass(EXACT_PASS_LAYER, ())])
        ends = np.cumsum([len(level) for level in levels]).tolist()
        return [one for level in levels for one in level], ends


def plan_script(
    prepared: Prepared, appearance: Appearance, options: EncodeOptions, bounds: Bounds
) -> Script:
    """Order the groups (geometry and base colour, then by priority) and choose their quantisers.

    Raises
    ------
    PlyError
        There are more groups, or a group has more columns, than the format can hold.
    """
    if not prepared.scene.count:
        return Script([], 0, 0, 0)
    planner = _Planner(prepared.scene, appearance, options, bounds)

    def groups(role: Role) -> list[Group]:
        return [group for group in prepared.groups if group.role is role]

    plan = [Planned(GroupKind.POSITION, "position", ("x", "y", "z"))]
    if appearance.sensitivity is not None:
        plan.append(planner.sensitivity())
    plan += planner.residual([*groups(Role.OPACITY), *groups(Role.SCALE)])
    if len(plan) > 1:
        plan.append(Planned(GroupKind.POSITION_FINE, "position_fine"))
    plan += planner.residual([*groups(Role.ROTATION), *groups(Role.DC), *groups(Role.FEATURE)])
    colour = planner.residual(groups(Role.SH))
    meaning = planner.labels(groups(Role.ID)) + planner.semantic(groups(Role.SEMANTIC))
    early, late = colour, meaning
    if options.priority == "semantic" and meaning:
        early, late = meaning, colour
    everything = plan + early + late
    if len(everything) > MAX_GROUPS:
        raise PlyError(f"{len(everything)} property groups; the format holds {MAX_GROUPS}")
    return Script(everything, len(plan), len(early), len(late))


class _Planner:
    def __init__(
        self, scene: Scene, appearance: Appearance, options: EncodeOptions, bounds: Bounds
    ) -> None:
        self._scene, self._appearance, self._options = scene, appearance, options
        self._bounds = bounds
        self._codings: dict[GroupKind, GroupCoding] = {}

    def sensitivity(self) -> Planned:
        coding = sensitivity_coding(self._appearance)
        self._codings[GroupKind.SENSITIVITY] = coding
        return Planned(GroupKind.SENSITIVITY, "sensitivity", coding=coding)

    def residual(self, groups: Iterable[Group]) -> list[Planned]:
        return [self._residual(group) for group in groups]

    def _residual(self, group: Group) -> Planned:
        self._check_width(group)
        kind = KIND_OF_ROLE[group.role]
        coding = plan_group(
            group, self._scene, self._appearance, self._codings, self._options.fineness
        )
        heard = np.ones(self._scene.count, np.bool_)
        coding = self._bounds.tighten(group, coding, self._scene, heard)
        self._codings[kind] = coding
        return Planned(kind, group.name, group.columns, coding)

    def labels(self, groups: Iterable[Group]) -> list[Planned]:
        planned = []
        for group in groups:
            labels = self._scene.columns[group.columns[0]].astype(np.int64)
            planned.append(Planned(GroupKind.ID, group.name, group.columns, labels=labels))
        return planned

    def semantic(self, groups: Iterable[Group]) -> list[Planned]:
        """Each semantic group, behind its sentinels and the steps of its Gaussians, if any.

        Sentinels are whole rows of 0 or -1.
        """
        planned = []
        for group in groups:
            sentinels = sentinel_labels(self._scene.blocks(group.columns))
            heard, silent = np.ones(self._scene.count, np.bool_), None
            if sentinels is not None:
                name = f"{group.name} sentinels"
                planned.append(Planned(GroupKind.SENTINEL, name, labels=sentinels))
                silent = sentinels != ORDINARY
                heard = heard if silent.all() else ~silent
            planned += self._meaning(group, heard, silent)
        return planned

    def _meaning(
        self,
        group: Group,
        heard: NDArray[np.bool_],
        silent: NDArray[np.bool_] | None,
    ) -> list[Planned]:
        self._check_width(group)
        rows = np.flatnonzero(heard)
        features = self._scene.blocks(group.columns, rows)
        meaning = judge(features, self._options.semantic_metric)
        whole = replace(meaning, octaves=np.zeros(len(heard)))
        whole.octaves[heard] = meaning.octaves
        factor = self._options.semantic_factor
        differences = innovations(self._scene, group.columns, rows, meaning.octaves)
        coding = feature_coding(features, meaning, factor, meaning.uneven, differences)
        coding = self._bounds.tighten(group, coding, self._scene, heard)
        planned = []
        if meaning.uneven:
            name, signal = f"{group.name} precision", whole.signal
            kind, precision = GroupKind.SENSITIVITY, signal_coding()
            planned.append(Planned(kind, name, coding=precision, signal=signal))
        bounded, judged = self._bounds.nearest(group.name), None
        if meaning.head is not None and not bounded:
            judged = ClassErrors.of(features, meaning.head, coding, meaning.step, factor)
            judged = judged.among(heard)
        features_ = Planned(
            GroupKind.SEMANTIC,
            group.name,
            group.columns,
            coding,
            silent=silent,
            weights=whole.cost,
            angular=meaning.angular and not bounded,
            class_errors=judged,
        )
        return [*planned, features_]

    def _check_width(self, group: Group) -> None:
        if len(group.columns) > MAX_CHANNELS:
            raise PlyError(f"group {group.name} has more than {MAX_CHANNELS} properties")
