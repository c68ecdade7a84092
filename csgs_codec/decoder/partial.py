"""Which part of a file some properties need: their groups, and what those are decoded from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from csgs_codec.attributes.steps import StepRule
from csgs_codec.container.kinds import GroupKind
from csgs_codec.decoder.chunk import Tools
from csgs_codec.decoder.parser import Parser
from csgs_codec.errors import UsageError

_RULE_KINDS = (GroupKind.SCALE, GroupKind.OPACITY, GroupKind.SENSITIVITY)


@dataclass(frozen=True)
class Part:
    """What of a file is decoded.

    Attributes
    ----------
    columns : frozenset of str
        Properties that are wanted.
    groups : frozenset of int
        Groups that are decoded for them.
    exact_columns : bool
        Whether columns of the exact pass are among them.
    """

    columns: frozenset[str]
    groups: frozenset[int]
    exact_columns: bool

    def take(self, listed: tuple[int, ...]) -> tuple[int, ...]:
        """Of the groups of a pass, those up to the last one that is decoded."""
        needed = [place for place, group in enumerate(listed) if group in self.groups]
        return listed[: needed[-1] + 1] if needed else ()


def part_for(parser: Parser, columns: Iterable[str]) -> Part:
    """Find out what some properties need, at any level that the parser has.

    Positions are always decoded: they tell the rows. A group needs the groups of its contexts, its
    step rule and its sentinels; a stream is read from its beginning, so a group also needs those
    before it in its pass. Modelled columns of the exact pass may need anything.

    Raises
    ------
    UsageError
        A property is not in the file.
    """
    wanted, manifest = frozenset(columns), parser.manifest
    unknown = wanted - {name for name, _ in manifest.properties}
    if unknown:
        raise UsageError(f"the file has no property {sorted(unknown)[0]!r}")
    exact = bool(wanted & {*manifest.extras, *manifest.exact})
    everything = frozenset(range(len(manifest.groups)))
    if exact:
        return Part(wanted, everything, True)
    needed = {g for g, named in enumerate(manifest.groups) if wanted & set(named.columns)}
    needed |= {0} & everything
    fine = parser.tools.fine_rules
    if needed & {0} and wanted & set(manifest.groups[0].columns):
        needed |= set(fine)
    queue = list(needed)
    while queue:
        group = queue.pop()
        for other in _requirements(parser, group) - needed:
            needed.add(other)
            queue.append(other)
    return Part(wanted, frozenset(needed), False)


def _requirements(parser: Parser, group: int) -> set[int]:
    """Groups that must be decoded before ``group`` can be."""
    found = _inputs(parser.tools, group)
    for pass_ in parser.header.passes:
        if group in pass_.groups:
            found |= set(pass_.groups[: pass_.groups.index(group)])
    return found


def _inputs(tools: Tools, group: int) -> set[int]:
    """Groups whose integers the decoding of ``group`` looks at."""
    rule: StepRule | None = tools.fine_rules.get(group)
    found: set[int] = set()
    if group in tools.codings:
        rule = tools.codings[group].rule
    if rule is not None and not rule.constant:
        kinds = [declared.kind for declared in tools.header.groups]
        found |= {number for number, kind in enumerate(kinds) if kind in _RULE_KINDS}
    if group in tools.networks:
        found |= {channels.group for channels in tools.networks[group].layout.own}
    if group in tools.sentinels:
        found.add(tools.sentinels[group])
    return {other for other in found if other < group}
