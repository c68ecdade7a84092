"""Scenes of every naming, from none to a few Gaussians, through the whole codec."""

from __future__ import annotations

import numpy as np
import pytest

from csgs_codec.decoder import decode
from csgs_codec.encoder import EncodeOptions, encode
from csgs_codec.schema import Role, assign_roles
from tests import scenes

# Largest error of a value at the default quality: about one quantiser step with its class.
TOLERANCE = 0.6
# Colours move further: they make up for all other errors in pictures.
TOLERANCE_OF_COLOUR = 1.0


@pytest.mark.parametrize("n", [0, 1, 2, 5, 50])
@pytest.mark.parametrize("name", scenes.SCENES)
def test_round_trip_in_the_original_order(name: str, n: int) -> None:
    scene = scenes.SCENES[name](n)
    found = decode(encode(scene, EncodeOptions(order="keep")).data, verify=True)
    assert found.count == n
    assert found.layout == scene.layout
    assert [e.name for e in found.elements] == [e.name for e in scene.elements]
    assert list(found.columns) == list(scene.columns)
    for group in assign_roles(scene):
        for column in group.columns:
            before, after = scene.columns[column], found.columns[column]
            assert after.dtype == before.dtype
            if group.role in (Role.ID, Role.EXTRA):
                assert after.tobytes() == before.tobytes()
            elif group.role is not Role.ROTATION:
                difference = np.abs(after.astype(float) - before)
                colour = group.role in (Role.DC, Role.SH)
                most = TOLERANCE_OF_COLOUR if colour else TOLERANCE
                assert difference.max(initial=0) < most


def test_defects_are_kept_bit_for_bit() -> None:
    """NaN beside zeros: the stand-in of the NaN leaves a zero quaternion, which needs its own."""
    scene = scenes.inria(1, 0)
    for name, value in zip(scenes.numbered("rot_", 4), (np.nan, 0, -0.0, 0), strict=True):
        scene.columns[name][:] = value
    scene.columns["opacity"][:] = np.inf
    scene.columns["scale_1"][:] = -np.inf
    found = decode(encode(scene, EncodeOptions(nan="keep")).data, verify=True)
    for name in (*scenes.numbered("rot_", 4), "opacity", "scale_1"):
        assert found.columns[name].tobytes() == scene.columns[name].tobytes()
