"""Groups and scenes that many vectors share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from conformance.maker.coder import Coded, code
from conformance.maker.networks import Network, channels_of, draw_blend, draw_network
from conformance.maker.plan import Group, Labels, Plan, TilePlan, Transform
from conformance.maker.seeded import Seeded
from csgs_codec.attributes.steps import StepRule
from csgs_codec.container.kinds import RESIDUAL_KINDS, GroupKind
from csgs_codec.hyperprior.contexts import ContextLayout

PREFIX = {
    GroupKind.DC: "f_dc_",
    GroupKind.SH: "f_rest_",
    GroupKind.FEATURE: "f_offset_",
    GroupKind.SEMANTIC: "semantic_",
}
BY_SCALE = StepRule(30, (3, -2, 1, 1, 0, 0), 9, -6, 6)
FINE_BITS = StepRule(2500, (-2, -2, -2, 1, 0, 0), 9, 0, 8)


class Builder:
    """Collects groups; networks see what was added before.

    Parameters
    ----------
    seed : int
    """

    def __init__(self, seed: int) -> None:
        self.seed, self.seeded = seed, Seeded(seed ^ 0xC0DE)
        self.groups: list[Group] = []

    def add(self, group: Group, network: Network | None = None, **how: Any) -> Builder:
        """Add a group; residual groups get a network drawn as :meth:`network` says."""
        if group.kind in RESIDUAL_KINDS:
            group.network = network or self.network(group, **how)
        self.groups.append(group)
        return self

    def network(
        self,
        group: Group,
        *,
        octaves: int = 1,
        layer_inputs: int = 2,
        neighbours: int = 3,
        width: int = 2,
        own: tuple[int, ...] | None = None,
        own_width: int = 2,
        step_class: bool = True,
        hidden: tuple[int, ...] = (5,),
        decay: int | None = 20,
        shift: int = 8,
        scale: int = 24,
    ) -> Network:
        """Draw the network of a group that will be the next one."""
        number = len(self.groups)
        if own is None:
            own = tuple(i for i in range(1, number))[-3:]
        layout = ContextLayout(
            octaves,
            layer_inputs,
            neighbours,
            channels_of(self.seeded, number, min(width, group.channels)) if neighbours else None,
            tuple(
                channels_of(self.seeded, i, min(own_width, self.groups[i].channels)) for i in own
            ),
            step_class,
        )
        blend = None if decay is None else draw_blend(self.seeded, group.channels, decay)
        return draw_network(
            self.seeded, group.channels, layout, hidden, shift=shift, scale=scale, blend=blend
        )

    def position(self, type_: str = "f4") -> Builder:
        """Add the positions."""
        return self.add(Group(GroupKind.POSITION, 3, ("x", "y", "z"), type_))

    def fine(self, rule: StepRule = FINE_BITS) -> Builder:
        """Add fine positions."""
        return self.add(Group(GroupKind.POSITION_FINE, 3, rule=rule))

    def opacity(self, **how: Any) -> Builder:
        """Add opacities."""
        group = Group(GroupKind.OPACITY, 1, ("opacity",), step=0.25, centre=[-0.5])
        return self.add(group, **how)

    def scale(self, count: int = 3, **how: Any) -> Builder:
        """Add log scales."""
        names = tuple(f"scale_{i}" for i in range(count))
        centre = [-3.0 - i / 4 for i in range(count)]
        return self.add(Group(GroupKind.SCALE, count, names, step=0.1, centre=centre), **how)

    def rotation(self, **how: Any) -> Builder:
        """Add rotations."""
        names = ("rot_0", "rot_1", "rot_2", "rot_3")
        group = Group(GroupKind.ROTATION, 3, names, step=0.11, centre=[0.1, -0.2, 0.0])
        return self.add(replace(group, rule=BY_SCALE), **how)

    def sensitivity(self, **how: Any) -> Builder:
        """Add a group that only step rules look at."""
        return self.add(Group(GroupKind.SENSITIVITY, 2, step=0.5, centre=[0.0, 0.0]), **how)

    def transformed(
        self,
        kind: GroupKind,
        columns: int = 3,
        channels: int = 3,
        *,
        prefix: str = "",
        bits: int = 10,
        rule: StepRule | None = None,
        sentinel: int = 255,
        type_: str = "f4",
        **how: Any,
    ) -> Builder:
        """Add a transformed group with a random basis."""
        largest = 1 << bits
        basis = [
            [self.seeded.between(-largest, largest) for _ in range(columns)]
            for _ in range(channels)
        ]
        mean = [self.seeded.between(-64, 64) / 32 for _ in range(columns)]
        names = tuple(f"{prefix or PREFIX[kind]}{i}" for i in range(columns))
        centre = [self.seeded.between(-16, 16) / 16 for _ in range(channels)]
        group = Group(
            kind,
            channels,
            names,
            type_,
            step=0.07,
            centre=centre,
            sentinel=sentinel,
            rule=rule or StepRule(),
            transform=Transform(mean, basis, bits),
        )
        return self.add(group, **how)

    def ids(
        self,
        name: str = "label",
        type_: str = "i4",
        palette: list[int] | None = None,
        explicit: list[int] | None = None,
        agreement: list[list[int]] | None = None,
    ) -> Builder:
        """Add an id."""
        labels = Labels(palette or [-3, 0, 4, 100])
        labels.explicit = [5, 1, 0, 9] if explicit is None and palette is None else explicit or []
        labels.agreement = agreement or labels.agreement
        return self.add(Group(GroupKind.ID, 1, (name,), type_, labels=labels))

    def sentinel(self, palette: list[int] | None = None) -> Builder:
        """Add marks."""
        labels = Labels(palette or [-2, -1, 0], explicit=[8, 1, 1] if palette is None else [])
        return self.add(Group(GroupKind.SENTINEL, 1, labels=labels))

    def usual(self) -> Builder:
        """Add what a scene with semantics has."""
        self.position().opacity().scale().fine().rotation()
        self.transformed(GroupKind.DC, rule=BY_SCALE).ids().sentinel()
        mark = len(self.groups) - 1
        return self.transformed(GroupKind.SEMANTIC, 6, 4, sentinel=mark)

    def plan(self, tiles: list[TilePlan], **rest: Any) -> Plan:
        """Return a plan with these groups."""
        return Plan(self.seed, self.groups, tiles, **rest)


def one_tile(
    *counts: int, bits: tuple[int, int, int] = (5, 4, 6), origin: tuple[int, int, int] = (3, 2, 1)
) -> list[TilePlan]:
    """Return one tile with so many Gaussians in each layer."""
    return [TilePlan(bits, counts, origin)]


def compensated() -> dict[int, tuple[float, float, float, float]]:
    """Return what the first of several levels does to make up for missing Gaussians."""
    return {1: (0.125, 0.5, 0.25, 0.75)}


def little(seed: int = 1) -> Plan:
    """Return a small file with most of the syntax: two layers, tiles and levels, exact data."""
    return (
        Builder(seed)
        .usual()
        .plan(
            [TilePlan((4, 5, 3), (7, 9), (0, 0, 0)), TilePlan((3, 3, 3), (5, 6), (16, 0, 8))],
            rounds=(2, 3),
            levels=[1, 2],
            compensation=compensated(),
        )
    )


def layered(seed: int = 2) -> Plan:
    """Return a file of three levels in which groups arrive one after the other."""
    builder = Builder(seed).position().opacity().scale().transformed(GroupKind.DC).ids()
    return builder.plan(
        one_tile(10, 12),
        rounds=(3, 4),
        script=[(0, (0, 1, 2)), (1, (0, 1)), (0, (3, 4)), (1, (2, 3, 4))],
        levels=[1, 2, 4],
        compensation=compensated(),
    )


def plain(count: int = 12, seed: int = 3) -> Plan:
    """Return the smallest useful file: positions, opacity and an id."""
    return Builder(seed).position().opacity().ids().plan(one_tile(count))


def bare(count: int = 5, seed: int = 4) -> Plan:
    """Return a file of positions only."""
    return Builder(seed).position().plan(one_tile(count))


def coded(plan: Plan) -> Coded:
    """Code a plan."""
    return code(plan)
