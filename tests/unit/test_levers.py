"""What benchmarks/levers.py does without is there, and comes back."""

from __future__ import annotations

import sys
from typing import Any

import pytest

pytest.importorskip("scipy")

import levers


def looked_up(name: str) -> Any:
    module, *path = name.split(".")
    found: Any = sys.modules[f"csgs_codec.encoder.{module}"]
    for part in path:
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("lever", [one for one in levers.LEVERS if one.replaced])
def test_parts_are_replaced_and_come_back(lever: levers.Lever) -> None:
    before = {name: looked_up(name) for name in lever.replaced}
    with levers.without(lever):
        for name, value in before.items():
            assert looked_up(name) != value
    assert {name: looked_up(name) for name in before} == before


def test_options_are_those_of_the_encoder() -> None:
    for lever in levers.LEVERS:
        levers.EncodeOptions(quality=62.0, **lever.options)
        assert lever.options or lever.replaced
