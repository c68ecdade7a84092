"""Which passes a file has, and where its levels end."""

from __future__ import annotations

from typing import Literal

import pytest

from csgs_codec import EncodeOptions, decode, encode, probe
from csgs_codec.container.header import EXACT_PASS_LAYER, Pass
from csgs_codec.container.kinds import GroupKind
from csgs_codec.encoder.script import Planned, Script
from csgs_codec.errors import UnsupportedError
from tests.conftest import semantic_scene


def script(base: int, early: int, late: int) -> Script:
    planned = Planned(GroupKind.OPACITY, "opacity")
    return Script([planned] * (base + early + late), base, early, late)


def test_the_last_layer_waits_for_the_early_groups_of_the_others() -> None:
    passes, ends = script(2, 1, 1).passes(layers=3, exact=True)
    assert passes == [
        Pass(0, (0, 1)),
        Pass(1, (0, 1)),
        Pass(0, (2,)),
        Pass(1, (2,)),
        Pass(2, (0, 1, 2)),
        Pass(0, (3,)),
        Pass(1, (3,)),
        Pass(2, (3,)),
        Pass(EXACT_PASS_LAYER, ()),
    ]
    assert ends == [1, 2, 4, 5, 8, 9]


@pytest.mark.parametrize(
    ("counts", "layers", "ends"),
    [
        ((2, 0, 0), 3, [1, 2, 3]),
        ((2, 0, 1), 3, [1, 2, 3, 6]),
        ((2, 1, 0), 1, [1, 2]),
        ((0, 0, 0), 1, []),
    ],
)
def test_a_level_for_each_layer_and_run(
    counts: tuple[int, int, int], layers: int, ends: list[int]
) -> None:
    passes, found = script(*counts).passes(layers, exact=False)
    assert found == ends
    for layer in range(layers):
        listed = [group for one in passes if one.layer == layer for group in one.groups]
        assert listed == list(range(sum(counts)))


@pytest.mark.parametrize(("priority", "first"), [("rgb", "f_rest_0"), ("semantic", "obj_dc_0")])
def test_coarse_levels_show_what_has_priority(
    priority: Literal["rgb", "semantic"], first: str
) -> None:
    scene = semantic_scene(200)
    data = encode(scene, EncodeOptions(look=False, priority=priority)).data
    holding = [n.level for n in probe(data).levels if first in decode(data, level=n.level).columns]
    coarse = decode(data, level=holding[0])
    other = {"rgb": "obj_dc_0", "semantic": "f_rest_0"}[priority]
    assert coarse.count < scene.count and other not in coarse.columns


def test_a_priority_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="neither"):
        EncodeOptions(priority="semantics")  # type: ignore[arg-type]
