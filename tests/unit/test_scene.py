"""Scenes: columns, counts, selections."""

from __future__ import annotations

import json

import numpy as np
import pytest

from csgs_codec.scene import PlyLayout, Scene
from tests import scenes


def test_count() -> None:
    assert Scene({}).count == 0
    assert scenes.inria(0).count == 0
    assert scenes.inria(7).count == 7


def test_stack_follows_the_names_and_keeps_doubles() -> None:
    scene = scenes.utm_doubles(4)
    found = scene.stack(("y", "x"))
    assert found.dtype == np.float64
    assert found.shape == (4, 2)
    assert found[:, 0].tobytes() == scene.columns["y"].tobytes()
    assert scene.stack(()).shape == (4, 0)


@pytest.mark.parametrize(
    "rows",
    [slice(2, 5), np.array([5, 1, 1]), np.arange(6) % 2 == 0, np.zeros(0, np.int64)],
    ids=["slice", "indices", "mask", "nothing"],
)
def test_select(rows: slice | np.ndarray) -> None:
    scene = scenes.with_labels(scenes.decorated(6), "uint8")
    found = scene.select(rows)
    assert list(found.columns) == list(scene.columns)
    for name, column in scene.columns.items():
        assert found.columns[name].dtype == column.dtype
        assert found.columns[name].tobytes() == column[rows].tobytes()
    assert found.layout is scene.layout
    assert found.elements is scene.elements


def test_layout_survives_a_json_document() -> None:
    for layout in (PlyLayout(), scenes.decorated(1).layout, PlyLayout(True, ">", ("", " a "))):
        assert PlyLayout.from_json(json.loads(json.dumps(layout.to_json()))) == layout
