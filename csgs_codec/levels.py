"""The scan script: which passes a file has, in which order, and what a prefix holds (spec 4.3)."""

from __future__ import annotations

from dataclasses import dataclass

from csgs_codec.container.header import Header
from csgs_codec.errors import CorruptError


def check_script(header: Header) -> None:
    """Check that every group of every layer is coded once, after all it depends on.

    Within a layer groups appear in increasing order, and a group of a layer only after the same
    group of the layer before; at most one exact pass closes the script.

    Raises
    ------
    CorruptError
    """
    done = [0] * header.layers
    for number, pass_ in enumerate(header.passes):
        if pass_.exact:
            if number != len(header.passes) - 1 or pass_.groups:
                raise CorruptError(
                    "an exact pass must be the last and name no groups", chunk="HEAD"
                )
            continue
        for group in pass_.groups:
            if group != done[pass_.layer]:
                raise CorruptError(f"pass {number} codes group {group} out of order", chunk="HEAD")
            if pass_.layer and done[pass_.layer - 1] <= group:
                raise CorruptError(f"pass {number} comes before the layer below", chunk="HEAD")
            done[pass_.layer] += 1
    if header.groups and any(count != len(header.groups) for count in done):
        raise CorruptError("the script does not code every group of every layer", chunk="HEAD")


@dataclass(frozen=True)
class Coverage:
    """What the first passes of a script hold.

    Attributes
    ----------
    layers : int
        Layers whose first group (the positions) is decoded.
    groups : tuple of int
        For each layer, how many groups are decoded.
    exact : bool
        Whether the exact data is there.
    """

    layers: int
    groups: tuple[int, ...]
    exact: bool


def coverage(header: Header, passes: int) -> Coverage:
    """Return what the first ``passes`` passes hold."""
    done = [0] * header.layers
    exact = False
    for pass_ in header.passes[:passes]:
        if pass_.exact:
            exact = True
        else:
            done[pass_.layer] += len(pass_.groups)
    return Coverage(sum(count > 0 for count in done), tuple(done), exact)
