"""Sizes and PSNRs as targets, and what an encoder looks at."""

from __future__ import annotations

import numpy as np
import pytest

from csgs_codec import EncodeOptions, decode, encode
from csgs_codec.encoder.look import VIEWS, look_at, most_views, shrunk
from csgs_codec.encoder.target import psnr_of, search, search_size
from csgs_codec.errors import CameraError, UnsupportedError
from csgs_codec.render.cameras import Camera
from csgs_codec.scene import Scene
from tests.scenes import inria


@pytest.mark.parametrize("wanted", [3.0, 20.0, 55.5, 140.0])
def test_search_finds_the_quality(wanted: float) -> None:
    tried: list[float] = []

    def make(quality: float) -> float:
        tried.append(quality)
        return 0.01 * quality**2 + 0.5 * quality

    found = search(make, lambda made: made - wanted, 1.0, lambda miss: abs(miss) < 0.1, 75.0)
    assert abs(found.miss) < 0.1
    assert found.result == make(found.quality)
    assert len(tried) <= 8


def test_search_ends_at_the_nearest() -> None:
    found = search(lambda q: q, lambda made: made - 300.0, 1.0, lambda miss: abs(miss) < 1, 75.0)
    assert found.quality == 100.0


def test_a_size_is_met_and_an_impossible_one_named() -> None:
    scene = inria(1200)
    target = int(0.8 * len(encode(scene, EncodeOptions(look=False)).data))
    result = encode(scene, EncodeOptions(look=False, size=target))
    assert 0.98 * target <= len(result.data) <= target
    assert result.quality < 75.0
    with pytest.raises(UnsupportedError, match="the nearest is"):
        encode(scene, EncodeOptions(look=False, size=100))


def test_the_largest_that_fits_is_kept() -> None:
    sizes = {100.0: 130, 60.0: 102, 50.0: 90}

    def size_of(quality: float) -> int:
        return next(size for least, size in sorted(sizes.items()) if quality <= least)

    assert search_size(lambda q: size_of(q), lambda made: made, 100, 75.0) == 90
    assert search_size(lambda q: size_of(q), lambda made: made, 10_000, 75.0) == 130
    with pytest.raises(UnsupportedError, match="the nearest is 90"):
        search_size(lambda q: size_of(q), lambda made: made, 50, 75.0)


def test_round_gaussians_do_not_ask_for_rotations() -> None:
    scene = inria(300)
    for axis in ("scale_1", "scale_2"):
        scene.columns[axis] = scene.columns["scale_0"].copy()
    assert decode(encode(scene).data).count == 300


def test_a_psnr_needs_pictures() -> None:
    with pytest.raises(UnsupportedError, match="pictures"):
        EncodeOptions(look=False, psnr=40.0)
    flat = inria(300)
    columns = {k: v for k, v in flat.columns.items() if k != "scale_2"}
    with pytest.raises(UnsupportedError, match="pictures"):
        encode(Scene(columns), EncodeOptions(psnr=40.0))


def test_contradictory_targets() -> None:
    with pytest.raises(UnsupportedError, match="contradict"):
        EncodeOptions(size=1000, psnr=40.0)


def nothing_seen() -> Camera:
    away = np.eye(4)
    away[2, 3] = -1e6
    return Camera("away", 64, 64, np.array([[50.0, 0, 32], [0, 50, 32], [0, 0, 1]]), away)


def test_cameras_that_see_nothing() -> None:
    options = EncodeOptions(cameras=(nothing_seen(),))
    with pytest.raises(CameraError, match=r"see 0\.0 %"):
        look_at(inria(300), options, lambda share: None)


def test_scenes_that_cannot_be_rendered_are_guessed_at() -> None:
    columns = {k: v for k, v in inria(300).columns.items() if k != "scale_2"}
    look = look_at(Scene(columns), EncodeOptions(), lambda share: None)
    assert not look.views and look.sensitivity is None
    assert "2DGS" in look.notes[0]
    with pytest.raises(UnsupportedError, match="2DGS"):
        look_at(Scene(columns), EncodeOptions(cameras=(nothing_seen(),)), lambda share: None)


def test_pictures_are_kept_well_by_default() -> None:
    scene = inria(2500)
    looked = encode(scene, EncodeOptions())
    views = look_at(scene, EncodeOptions(), lambda share: None).views
    assert "sensitivity" in looked.group_bits
    assert psnr_of(decode(looked.data), views) > 38.0


def test_far_away_scenes_are_guessed_at() -> None:
    scene = inria(300)
    scene.columns["x"] = scene.columns["x"].astype(np.float64) + 4.5e6
    look = look_at(scene, EncodeOptions(), lambda share: None)
    assert not look.views and "too large" in look.notes[0]


def test_encoding_leaves_floats_as_they_were() -> None:
    encode(inria(2000, 0), EncodeOptions(look=False))
    assert np.float32(1e-30) * np.float32(1e-12) > 0, "subnormal numbers are flushed"


def test_large_pictures_are_shrunk() -> None:
    large = Camera(
        "l", 2000, 1000, np.array([[900.0, 0, 1000], [0, 900, 500], [0, 0, 1]]), np.eye(4)
    )
    small = shrunk(large, 512)
    assert small.width * small.height <= 1.01 * 512**2
    assert small.intrinsics[0, 2] == pytest.approx(small.width / 2)
    assert shrunk(small, 4096) is small


def test_large_scenes_are_looked_at_less_often() -> None:
    counts = [1, 20_000, 150_000, 300_000, 600_000, 10_000_000]
    views = [most_views(count) for count in counts]
    assert views[:3] == [VIEWS] * 3 and views == sorted(views, reverse=True)
    assert VIEWS > views[3] > views[4] >= views[5] == VIEWS // 2
