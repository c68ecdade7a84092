"""Steps that pictures ask for."""

from __future__ import annotations

import numpy as np
import pytest

from csgs_codec.container.kinds import GroupKind
from csgs_codec.encoder.appearance import ERROR_AT_75, Appearance
from csgs_codec.encoder.sensitivity import Sensitivity
from csgs_codec.schema import assign_roles
from tests import scenes

KINDS = (
    GroupKind.POSITION,
    GroupKind.OPACITY,
    GroupKind.SCALE,
    GroupKind.ROTATION,
    GroupKind.DC,
)


def seen(share: float) -> Appearance:
    """A scene of which an error of 1 in any coordinate changes pictures by ``share``."""
    scene = scenes.inria(300, 1)
    spread = np.exp(np.random.default_rng(0).normal(size=300))
    by_kind = {kind: share * spread for kind in KINDS}
    pictures = Sensitivity(by_kind, np.ones((300, 3)), np.eye(4))
    return Appearance(scene, assign_roles(scene), pictures)


def test_steps_follow_what_pictures_show_from_near() -> None:
    near, nearer = seen(1e-6), seen(4e-6)
    for kind in (GroupKind.OPACITY, GroupKind.SCALE, GroupKind.DC, GroupKind.SH):
        coarse, fine = (a.base_step(kind, ERROR_AT_75) for a in (near, nearer))
        assert coarse is not None and fine == pytest.approx(coarse / 2)


def test_pictures_from_too_far_away_do_not_make_steps_coarser() -> None:
    far, farther = seen(1e-12), seen(1e-14)
    for kind in (GroupKind.OPACITY, GroupKind.SCALE, GroupKind.DC, GroupKind.SH):
        step = far.base_step(kind, ERROR_AT_75)
        assert step is not None and step == pytest.approx(farther.base_step(kind, ERROR_AT_75))
    step = far.base_step(GroupKind.DC, ERROR_AT_75)
    assert step is not None and 0.3 < step < 0.6
    assert far.base_step(GroupKind.DC, 4 * ERROR_AT_75) == pytest.approx(2 * step)
