"""Whatever the scene and the bounds, the decoded file keeps them."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from csgs_codec import EncodeOptions, Scene, decode, encode
from csgs_codec.encoder.bounds import errors, parse_bound
from csgs_codec.schema import assign_roles
from tests import scenes

BOUND = st.floats(-7.0, 1.0).map(lambda exponent: 10.0**exponent)
NAMES = ("position", "rotation", "scale", "opacity", "dc", "sh", "obj_dc")


def scene_of(rows: int, seed: int, wild: bool) -> Scene:
    scene = scenes.with_semantics(scenes.inria(rows, 1, seed=seed), seed=seed + 1)
    if wild:
        rng = np.random.default_rng(seed)
        for name in scene.columns:
            column = scene.columns[name].copy()
            rows_hit = rng.integers(0, rows, 2)
            column[rows_hit] *= np.float32(10.0 ** rng.integers(-3, 4))
            scene.columns[name] = column
        scene.columns["opacity"][0] = np.inf
        scene.columns["obj_dc_0"][1] = np.nan
    return scene


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.integers(2, 120),
    st.integers(0, 1000),
    st.booleans(),
    st.dictionaries(st.sampled_from(NAMES), BOUND, min_size=1),
    st.sampled_from([30.0, 75.0, 95.0]),
)
def test_bounds_hold(
    rows: int, seed: int, wild: bool, bounds: dict[str, float], quality: float
) -> None:
    scene = scene_of(rows, seed, wild)
    options = EncodeOptions(max_error=bounds, quality=quality, nan="keep", order="keep")
    decoded = decode(encode(scene, options).data)
    for group in assign_roles(scene):
        if group.name not in bounds:
            continue
        original, found = scene.stack(group.columns), decoded.stack(group.columns)
        finite = np.isfinite(original).all(axis=1)
        for name in group.columns:
            bits = scene.columns[name][~finite].tobytes()
            if len(group.columns) == 1:
                assert decoded.columns[name][~finite].tobytes() == bits
        error = errors(group.role, original[finite], found[finite])
        assert (error <= parse_bound(group.name, bounds[group.name])).all(), group.name
