"""DC and SH make up for each other's errors, whatever is coded between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("numba")
pytest.importorskip("scipy")

from csgs_codec import EncodeOptions, decode, encode
from csgs_codec.decoder import parse
from csgs_codec.encoder.encode import _Encoder
from csgs_codec.encoder.look import look_at
from csgs_codec.metrics.image import psnr
from csgs_codec.render import render
from csgs_codec.render.gaussians import RenderGaussians
from csgs_codec.scene import Scene
from tests.scenes import inria, numbered, smooth


def shiny(n: int = 2500) -> Scene:
    """A scene of large Gaussians that looks a little different from every side."""
    scene = inria(n, sh_degree=2, normals=False)
    xyz = scene.stack(("x", "y", "z"))
    columns = dict(scene.columns)
    for place, name in enumerate(numbered("f_rest_", 24)):
        columns[name] = (0.15 * smooth(xyz, 1, 100 + place)[:, 0]).astype(np.float32)
    for name in numbered("scale_", 3):
        columns[name] = columns[name] + np.float32(1.5)
    return replace(scene, columns=columns)


def with_features(scene: Scene) -> Scene:
    xyz = scene.stack(("x", "y", "z"))
    features = smooth(xyz, 8, 40).astype(np.float32)
    named = {f"semantic_{i}": features[:, i] for i in range(8)}
    named["roughness"] = smooth(xyz, 1, 41)[:, 0].astype(np.float32)
    return replace(scene, columns={**scene.columns, **named})


def error(scene: Scene, data: bytes) -> float:
    """Of pictures from where the encoder looked, in dB."""
    views = look_at(scene, EncodeOptions(), lambda share: None).views
    decoded = RenderGaussians.from_scene(decode(data))
    found = [psnr(view.picture, render(decoded, view.camera)[0]) for view in views]
    return float(np.mean(found))


def test_dc_makes_up_for_errors_of_sh(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, options = shiny(), EncodeOptions(quality=50)
    together = encode(scene, options).data
    monkeypatch.setattr(_Encoder, "_colours_go_on", lambda self, index: False)
    one_by_one = encode(scene, options).data
    assert len(together) < 1.02 * len(one_by_one)
    assert error(scene, together) > error(scene, one_by_one) + 0.2


@pytest.mark.parametrize("priority", ["rgb", "semantic"])
@pytest.mark.parametrize("make", [with_features, lambda scene: scene])
def test_what_stands_between_dc_and_sh_is_settled_too(
    priority: str, make: Callable[[Scene], Scene]
) -> None:
    scene = make(shiny(1800))
    data = encode(scene, EncodeOptions(quality=60, priority=priority)).data
    kinds = [group.kind.name for group in parse(data).header.groups]
    if make is with_features and priority == "semantic":
        assert kinds.index("DC") < kinds.index("SEMANTIC") < kinds.index("SH")
    decoded = decode(data)
    assert set(decoded.columns) == set(scene.columns)
    assert error(scene, data) > 34
