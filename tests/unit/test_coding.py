"""Quantisers: charts, transforms, latents and their serialisation."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from csgs_codec.attributes import warps
from csgs_codec.attributes.coding import TRANSFORMED_KINDS, GroupCoding
from csgs_codec.attributes.steps import StepRule
from csgs_codec.attributes.transform import LinearTransform
from csgs_codec.container.fields import FieldReader
from csgs_codec.container.kinds import RESIDUAL_KINDS, GroupKind
from csgs_codec.errors import CorruptError
from tests.scenes import cloud, smooth

COLUMNS = {GroupKind.OPACITY: 1, GroupKind.SCALE: 3, GroupKind.ROTATION: 4, GroupKind.DC: 3}


def make_columns(kind: GroupKind, n: int = 200) -> np.ndarray:
    columns = smooth(cloud(n)[0], COLUMNS.get(kind, 9), seed=50)
    if kind is GroupKind.ROTATION:
        columns /= np.linalg.norm(columns, axis=1, keepdims=True)
    return columns


def make_coding(kind: GroupKind, columns: np.ndarray) -> GroupCoding:
    transform = None
    channels = {GroupKind.ROTATION: 3}.get(kind, columns.shape[1])
    if kind in TRANSFORMED_KINDS:
        transform = LinearTransform.fit([columns], np.ones(len(columns)), channels, 10)
    centre = np.linspace(-0.5, 0.5, channels).astype(np.float32)
    return GroupCoding(kind, 0.01, centre, StepRule(5, (1, -2, 3, -4, 5, -6), 6, -3, 2), transform)


@pytest.mark.parametrize("kind", sorted(RESIDUAL_KINDS), ids=lambda k: k.name)
def test_dequantise_undoes_latents(kind: GroupKind) -> None:
    """Integers in Q6 of a step of 0.01: errors stay below one step of 1/64 of that, warped."""
    columns = make_columns(kind)
    coding = make_coding(kind, columns)
    latents = coding.latents(columns)
    assert latents.shape == (len(columns), coding.channels)
    found = coding.dequantise(np.rint(latents * 64).astype(np.int32))
    if kind is GroupKind.ROTATION:
        columns = np.where(columns[:, :1] < 0, -columns, columns)
    assert np.abs(found - columns).max() < 0.002


@pytest.mark.parametrize("kind", sorted(RESIDUAL_KINDS), ids=lambda k: k.name)
def test_coding_survives_writing(kind: GroupKind) -> None:
    columns = make_columns(kind)
    coding = make_coding(kind, columns)
    fields = FieldReader(coding.write(), "GRUP")
    found = GroupCoding.read(fields, kind, coding.channels, columns.shape[1])
    fields.finish()
    assert (found.kind, found.step, found.rule) == (kind, coding.step, coding.rule)
    assert np.array_equal(found.centre, coding.centre)
    v_q6 = np.random.default_rng(51).integers(-9000, 9000, (50, coding.channels), dtype=np.int32)
    assert np.array_equal(found.dequantise(v_q6), coding.dequantise(v_q6))


@pytest.mark.parametrize(
    "change",
    [
        {"step": 0.0},
        {"step": -1.0},
        {"step": float("nan")},
        {"step": float("inf")},
        {"centre": np.array([0, np.nan, 0], np.float32)},
        {"rule": StepRule(low=-9)},
        {"rule": StepRule(high=9)},
        {"rule": StepRule(low=2, high=1)},
        {"rule": StepRule(shift=41)},
    ],
    ids=str,
)
def test_invalid_codings_are_refused(change: dict[str, object]) -> None:
    good = GroupCoding(GroupKind.SCALE, 0.5, np.zeros(3, np.float32))
    GroupCoding.read(FieldReader(good.write(), "GRUP"), GroupKind.SCALE, 3, 3)
    bad = dataclasses.replace(good, **change)
    with pytest.raises(CorruptError):
        GroupCoding.read(FieldReader(bad.write(), "GRUP"), GroupKind.SCALE, 3, 3)


@pytest.mark.parametrize(
    ("kind", "channels", "width"),
    [(GroupKind.ROTATION, 4, 4), (GroupKind.SCALE, 3, 2), (GroupKind.OPACITY, 2, 1)],
)
def test_channels_must_fit_the_kind(kind: GroupKind, channels: int, width: int) -> None:
    coding = GroupCoding(kind, 0.5, np.zeros(channels, np.float32))
    with pytest.raises(CorruptError):
        GroupCoding.read(FieldReader(coding.write(), "GRUP"), kind, channels, width)


def test_opacity_chart() -> None:
    logits = np.array([-100.0, -10, -1, 0, 1e-6, 3, 15, 88])
    warped = warps.opacity_forward(logits)
    assert (np.diff(warped) > 0).all()
    assert warps.opacity_inverse(warped) == pytest.approx(logits, rel=1e-12, abs=1e-12)
    assert warps.opacity_forward(np.array([1e-3])) == pytest.approx(1e-3, rel=1e-6)
    assert warps.opacity_forward(np.array([100.0]))[0] < 15


def quaternions(n: int = 500) -> np.ndarray:
    return np.random.default_rng(52).normal(size=(n, 4))


def angle_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Rotation angle; ``q`` and ``-q`` are the same rotation."""
    dot = np.abs((a * b).sum(axis=1)) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return 2 * np.arccos(np.minimum(dot, 1))


def test_rotation_chart() -> None:
    turns = quaternions()
    chart = warps.rotation_forward(turns * 7.5)
    # the length is the chord |q - 1|, at most sqrt(2) for w >= 0
    unit = turns / np.linalg.norm(turns, axis=1, keepdims=True)
    unit = np.where(unit[:, :1] < 0, -unit, unit)
    chord = np.linalg.norm(unit - [1, 0, 0, 0], axis=1)
    assert np.linalg.norm(chart, axis=1) == pytest.approx(chord)
    found = warps.rotation_inverse(chart)
    assert found == pytest.approx(unit, abs=1e-12)


def test_rotation_chart_at_its_special_points() -> None:
    identity = np.array([[1.0, 0, 0, 0], [-3.0, 0, 0, 0]])
    assert not warps.rotation_forward(identity).any()
    half_turn = np.array([[0.0, 1, 0, 0], [0, 0, -1, 0]])
    chart = warps.rotation_forward(half_turn)
    assert np.linalg.norm(chart, axis=1) == pytest.approx([2**0.5] * 2)
    assert angle_between(warps.rotation_inverse(chart), half_turn) == pytest.approx(0, abs=1e-7)


def test_points_outside_the_chart_give_unit_quaternions() -> None:
    far = np.array([[2.0, 0, 0], [3.0, 4, 0], [1e9, 0, 0], [1.9, 0.1, 0.3]])
    found = warps.rotation_inverse(far)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1.0)
    assert found[1] == pytest.approx([-1, 0, 0, 0])


def test_small_chart_errors_are_small_angles() -> None:
    turns = quaternions()
    noise = np.random.default_rng(53).normal(0, 1e-3, (len(turns), 3))
    found = warps.rotation_inverse(warps.rotation_forward(turns) + noise)
    ratio = angle_between(found, turns) / np.linalg.norm(noise, axis=1)
    assert ratio.max() < 3
    assert ratio.min() > 0.5


def test_transform_inverts_and_sorts_by_energy() -> None:
    columns = smooth(cloud(400)[0], 6, 54) * np.array([9, 5, 3, 1, 0.5, 0.1]) + 4
    transform = LinearTransform.fit([columns], np.ones(400), 6, 14)
    components = transform.forward(columns)
    assert transform.inverse(components) == pytest.approx(columns, abs=1e-6)
    assert (np.diff(components.var(axis=0)) <= 1e-3).all()
    assert components.mean(axis=0) == pytest.approx(np.zeros(6), abs=1e-3)


def test_transform_keeps_most_with_few_components() -> None:
    base = smooth(cloud(400)[0], 2, 55, noise=0)
    columns = base @ np.random.default_rng(56).normal(size=(2, 24))
    transform = LinearTransform.fit([columns], np.ones(400), 2, 12)
    found = transform.inverse(transform.forward(columns))
    assert np.abs(found - columns).max() < 0.02 * np.abs(columns).max()


def test_weights_decide_what_a_transform_keeps() -> None:
    columns = np.array([[1.0, 0]] * 50 + [[-1.0, 0]] * 50 + [[0, 1.0]] * 50 + [[0, -1.0]] * 50)
    for first in (0, 1):
        weights = np.where(np.abs(columns[:, first]) > 0, 1.0, 0.01)
        basis = LinearTransform.fit([columns], weights, 1, 10).basis_q[0]
        assert abs(basis[first]) == 1024
        assert abs(basis[1 - first]) <= 1


@pytest.mark.parametrize(("rows", "columns", "bits"), [(1, 1, 0), (3, 3, 10), (30, 45, 8)])
def test_transform_survives_writing(rows: int, columns: int, bits: int) -> None:
    values = np.random.default_rng(57).normal(size=(100, columns))
    coding = GroupCoding(
        GroupKind.SH,
        1.0,
        np.zeros(rows, np.float32),
        transform=LinearTransform.fit([values], np.ones(100), rows, bits),
    )
    fields = FieldReader(coding.write(), "GRUP")
    found = GroupCoding.read(fields, GroupKind.SH, rows, columns).transform
    assert np.array_equal(found.basis_q, coding.transform.basis_q)
    assert np.array_equal(found.mean, coding.transform.mean)
    assert found.bits == bits
    for channels, width in ((rows + 1, columns), (rows, columns + 1)):
        with pytest.raises(CorruptError):
            payload = FieldReader(coding.write(), "GRUP")
            GroupCoding.read(payload, GroupKind.SH, channels, width)
