"""Levels that are chosen, and compensated, by pictures of them."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("numba")

from csgs_codec import EncodeOptions, Scene, decode, encode
from csgs_codec.container.header import Compensation
from csgs_codec.decoder import parse
from csgs_codec.encoder.compensation import Compensated, CompensationLaw, fit_law
from csgs_codec.encoder.layer_refinement import LayerRefinement
from csgs_codec.encoder.views import View
from csgs_codec.render import render
from csgs_codec.render.gaussians import RenderGaussians
from tests.unit.test_prune import all_round, ball

SHARE = 0.2


def views_of(scene: Scene, cameras: int = 12) -> list[View]:
    gaussians = RenderGaussians.from_scene(scene)
    return [View(c, render(gaussians, c)[0]) for c in all_round(cameras)]


def some(scene: Scene, seed: int) -> np.ndarray:
    chosen = np.zeros(scene.count, bool)
    rows = np.random.default_rng(seed).permutation(scene.count)
    chosen[rows[: round(SHARE * scene.count)]] = True
    return chosen


def error(scene: Scene, members: np.ndarray, law: CompensationLaw, views: list[View]) -> float:
    made = law.at(float(members.mean()))
    shown = Compensated(RenderGaussians.from_scene(scene))
    level = shown.by(made, members, np.flatnonzero(members))
    return float(np.mean([(render(level, v.camera)[0] - v.picture) ** 2 for v in views]))


def test_the_law_without_pictures() -> None:
    law = CompensationLaw()
    assert law.at(1.0) == Compensation()
    made = law.at(float(np.exp(-1)))
    assert made.scale_offset == pytest.approx(law.scale_offset)
    assert made.depth_exponent == pytest.approx(1 + law.depth_exponent)


def test_a_fitted_law_shows_a_level_better() -> None:
    scene = ball()
    views, members = views_of(scene), some(scene, 1)
    level = RenderGaussians.from_scene(scene).select(np.flatnonzero(members))
    fitted = fit_law(level, SHARE, views)
    usual = CompensationLaw()
    assert error(scene, members, fitted, views) < error(scene, members, usual, views)
    assert fitted == fit_law(level, SHARE, views)


@pytest.mark.parametrize("cameras", [1, 12])
def test_refined_levels_show_more(cameras: int) -> None:
    scene = ball()
    views, members = views_of(scene, cameras), some(scene, 1)
    refinement = LayerRefinement(scene, np.arange(scene.count), views)
    nobody = np.zeros_like(members)
    refined = refinement.refine(members, nobody)
    law = refinement.law
    assert refined.sum() == members.sum()
    assert error(scene, refined, law, views) < 0.8 * error(scene, members, law, views)
    assert not (refined != LayerRefinement(scene, np.arange(scene.count), views).refine(
        members, nobody)).any()  # fmt: skip


def test_later_levels_keep_the_earlier_ones() -> None:
    scene = ball()
    refinement = LayerRefinement(scene, np.arange(scene.count), views_of(scene))
    fixed = some(scene, 1)
    refined = refinement.refine(fixed | some(scene, 2), fixed)
    assert refined[fixed].all()
    assert refined.sum() == (fixed | some(scene, 2)).sum()


def test_what_no_view_shows_stays() -> None:
    scene = ball()
    views = views_of(scene)[:1]
    columns = dict(scene.columns)
    for name, shift in zip("xyz", 3 * views[0].camera.centre, strict=True):
        columns[name] = columns[name] + np.float32(shift)
    both = Scene({n: np.concatenate([scene.columns[n], columns[n]]) for n in columns})
    members = np.concatenate([some(scene, 1), some(scene, 2)])
    refinement = LayerRefinement(both, np.arange(both.count), views)
    refined = refinement.refine(members, np.zeros_like(members))
    unseen = np.arange(both.count) >= scene.count
    assert (refined == members)[unseen].all()
    assert (refined != members).any()


def test_a_file_says_how_its_levels_are_compensated() -> None:
    scene = ball()
    fast = parse(encode(scene, EncodeOptions(look=False)).data).levels[0]
    assert fast.compensation == CompensationLaw().at(fast.gaussians / scene.count)
    data = encode(scene, EncodeOptions(cameras=all_round(2))).data
    looked = parse(data).levels[0]
    assert looked.compensation not in (fast.compensation, Compensation())
    assert decode(data, level=1).count == looked.gaussians
