"""The protocols of LERF-OVS and 3D-OVS on tiny data in their layouts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from csgs_codec.errors import UsageError
from csgs_codec.metrics import lerf, ovs3d
from csgs_codec.metrics.queries import cosine_maps, read_queries, resized
from csgs_codec.render import render
from csgs_codec.semantics.heads import Head
from tests.unit.test_segmentation import camera, save, two_sheets

pytest.importorskip("scipy")
pytest.importorskip("PIL")


class TestQueries:
    def test_vectors_become_unit_vectors(self, tmp_path: Path) -> None:
        arrays = {"a red mug": [3.0, 4], "sofa": [[0.0, 2]], "negatives": [[1.0, 0], [0, -5]]}
        np.savez(tmp_path / "q.npz", **{k: np.array(v) for k, v in arrays.items()})
        queries = read_queries(tmp_path / "q.npz")
        np.testing.assert_allclose(queries.stack(("sofa", "a red mug")), [[0, 1], [0.6, 0.8]])
        np.testing.assert_allclose(queries.negatives, [[1, 0], [0, -1]])
        with pytest.raises(UsageError, match="'lamp'"):
            queries.stack(("sofa", "lamp"))

    @pytest.mark.parametrize(
        "arrays",
        [
            {"a": np.ones(3), "b": np.ones(4)},
            {"a": np.ones((2, 3))},
            {"a": np.zeros(3)},
            {"a": np.array([1.0, np.nan])},
            {"a": np.float64(1)},
            {},
        ],
    )
    def test_other_arrays_are_refused(self, tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
        np.savez(tmp_path / "q.npz", **arrays)
        with pytest.raises(UsageError):
            read_queries(tmp_path / "q.npz")

    def test_cosines_of_pixels(self) -> None:
        gaussians, view = two_sheets(), camera()
        random = np.random.default_rng(0)
        features = random.normal(size=(gaussians.count, 70)).astype(np.float32)
        phrases = random.normal(size=(3, 70))
        phrases /= np.linalg.norm(phrases, axis=1, keepdims=True)
        found = cosine_maps(gaussians, features, view, phrases)
        blended = render(gaussians, view, features)[2]
        assert blended is not None
        length = np.linalg.norm(blended, axis=2, keepdims=True)
        wanted = np.where(length > 0, blended @ phrases.T / np.maximum(length, 1e-12), 0)
        np.testing.assert_allclose(found, wanted, atol=1e-6)
        assert (found[0] == 0).all() and np.abs(found[12]).max() > 0.05

    def test_reduced_features_are_decoded_by_pixel(self) -> None:
        gaussians, view = two_sheets(), camera()
        random = np.random.default_rng(0)
        decoder = Head(random.normal(size=(9, 4)), random.normal(size=9))
        features = random.normal(size=(gaussians.count, 4)).astype(np.float32)
        phrases = np.eye(9)
        blended = render(gaussians, view, features)[2]
        assert blended is not None
        wanted = decoder.logits(blended.reshape(-1, 4))
        wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
        found = cosine_maps(gaussians, features, view, phrases, decoder)
        np.testing.assert_allclose(found, wanted.reshape(16, 24, 9), atol=1e-9)
        with pytest.raises(UsageError, match="do not fit the decoder"):
            cosine_maps(gaussians, features[:, :3], view, phrases, decoder)
        with pytest.raises(UsageError, match="4 features and vectors of 9"):
            cosine_maps(gaussians, features, view, phrases)

    def test_a_view_in_another_size(self) -> None:
        view = resized(camera(), 48, 8)
        assert (view.width, view.height) == (48, 8)
        assert view.intrinsics.tolist() == [[40, 0, 24], [0, 10, 4], [0, 0, 1]]


def majority(mask: np.ndarray) -> np.ndarray:
    """As the protocol is written down: pixel by pixel."""
    height, width = mask.shape
    out = np.zeros_like(mask)
    for i in range(height):
        for j in range(width):
            rows = slice(max(0, i - 3), min(i + 4, height - 1))
            votes = mask[rows, max(0, j - 3) : min(j + 4, width - 1)]
            out[i, j] = 2 * votes.sum() > votes.size
    return out


class TestLerf:
    def labels(self, folder: Path) -> Path:
        square = [[10, 10], [29, 10], [29, 29], [10, 29]]
        far = [[60, 5], [70, 5], [70, 12], [60, 12]]
        objects = [
            {"category": "mug", "segmentation": square, "bbox": [10, 10, 29, 29]},
            {"category": "mug", "segmentation": far, "bbox": [70, 12, 60, 5]},
            {"category": "old sofa", "segmentation": [[40.9, 30], [79, 30], [79, 50], [40, 50]],
             "bbox": [40, 30, 79, 50]},
        ]  # fmt: skip
        info = {"height": 60, "width": 90, "name": "frame_00041.jpg"}
        folder.mkdir(parents=True)
        (folder / "frame_00041.json").write_text(json.dumps({"info": info, "objects": objects}))
        return folder

    def test_annotations(self, tmp_path: Path) -> None:
        (frame,) = lerf.read_labels(self.labels(tmp_path / "label" / "figurines"))
        assert (frame.name, frame.width, frame.height) == ("frame_00041", 90, 60)
        assert list(frame.objects) == ["mug", "old sofa"]
        mug = frame.objects["mug"]
        assert mug.mask.shape == (60, 90) and mug.mask.sum() == 20 * 20 + 11 * 8
        assert mug.mask[10, 10] and mug.mask[29, 29] and not mug.mask[30, 29]
        assert mug.boxes.tolist() == [[10, 10, 29, 29], [70, 12, 60, 5]]
        assert frame.objects["old sofa"].mask[30, 40]

    def test_what_is_no_annotation(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="no annotations"):
            lerf.read_labels(tmp_path)
        for text in ("[", "{}", '{"info": {"height": 1, "width": 1}, "objects": 3}'):
            (tmp_path / "frame_00001.json").write_text(text)
            with pytest.raises(UsageError, match=r"frame_00001\.json"):
                lerf.read_labels(tmp_path)

    def test_relevancy_is_the_worst_of_pairwise_softmaxes(self) -> None:
        random = np.random.default_rng(0)
        positive, negatives = random.uniform(-1, 1, (4, 5)), random.uniform(-1, 1, (4, 5, 4))
        pairs = np.exp(10 * positive)[..., None]
        wanted = (pairs / (pairs + np.exp(10 * negatives))).min(axis=-1)
        np.testing.assert_allclose(lerf.relevancy(positive, negatives), wanted)

    def test_blur_is_the_mean_of_a_mirrored_window_of_30(self) -> None:
        values = np.random.default_rng(0).random((60, 70))
        padded = np.pad(values, 15, mode="reflect")
        found = lerf.blurred(values)
        for row, column in ((0, 0), (31, 40), (59, 69)):
            window = padded[row : row + 30, column : column + 30]
            assert found[row, column] == pytest.approx(window.mean())

    def test_masks_are_stretched_cut_and_smoothed(self) -> None:
        values = np.random.default_rng(1).random((20, 31)) + np.linspace(0, 1, 31)
        spread = (values - values.min()) / (values.max() - values.min()) * 2 - 1
        np.testing.assert_array_equal(lerf.predicted_mask(values), majority(spread > 0.4))
        assert lerf.predicted_mask(values, -0.5).sum() > lerf.predicted_mask(values).sum()
        assert not lerf.predicted_mask(np.ones((9, 9))).any()

    def maps(self, mask: np.ndarray, strength: float = 0.5) -> np.ndarray:
        return np.where(mask, strength, -strength)

    def test_queries_are_scored_at_the_surest_level(self, tmp_path: Path) -> None:
        (frame,) = lerf.read_labels(self.labels(tmp_path / "x"))
        mug, sofa = (frame.objects[name].mask for name in ("mug", "old sofa"))
        negatives = np.zeros((60, 90, 4))
        right = np.stack([self.maps(mug), self.maps(sofa)], axis=2)
        wrong = np.stack([self.maps(sofa), self.maps(mug)], axis=2)
        scores = lerf.score_frame(frame, [(0.2 * wrong - 0.3, negatives), (right, negatives)])
        assert [s.level for s in scores] == [1, 1] and all(s.found for s in scores)
        assert all(s.iou > 0.6 for s in scores)
        scores = lerf.score_frame(frame, [(wrong, negatives), (0.2 * right - 0.3, negatives)])
        assert [s.level for s in scores] == [0, 0] and not any(s.found for s in scores)
        result = lerf.LerfScore((*scores, lerf.QueryScore("f", "q", 1.0, 0, True)))
        assert result.localisation == pytest.approx(1 / 3)
        assert result.miou == pytest.approx((1 + sum(s.iou for s in scores)) / 3)
        with pytest.raises(UsageError, match="negatives"):
            lerf.score_frame(frame, [(right, negatives[..., :0])])


class TestOvs:
    def scene(self, folder: Path) -> Path:
        masks = np.zeros((2, 2, 4, 6), np.uint8)
        masks[0, 0, :, :3] = masks[0, 1, :, 3:] = 255
        masks[1, 0, :2] = masks[1, 1, 2:] = 255
        masks[1, 1, 0, 0] = 255
        masks[1, 1, 3, 5] = 128
        folder.mkdir()
        (folder / "classes.txt").write_text("red bag\nbanana \n")
        for view, name in enumerate(("0", "7")):
            for place, text in enumerate(("banana", "red bag")):
                save(folder / name / f"{text}.png", masks[view, place])
        return folder

    def test_layout(self, tmp_path: Path) -> None:
        classes, views = ovs3d.read_views(self.scene(tmp_path / "segmentations"))
        assert classes == ("banana", "red bag") and [v.name for v in views] == ["0", "7"]
        assert views[0].masks[0, :, :3].all() and not views[0].masks[0, :, 3:].any()
        assert not views[1].masks[1, 3, 5]
        (tmp_path / "segmentations" / "7" / "banana.png").unlink()
        with pytest.raises(UsageError, match=r"banana\.png"):
            ovs3d.read_views(tmp_path / "segmentations")
        with pytest.raises(UsageError, match=r"classes\.txt"):
            ovs3d.read_views(tmp_path)

    def test_scores_by_hand(self, tmp_path: Path) -> None:
        _, views = ovs3d.read_views(self.scene(tmp_path / "segmentations"))
        first = np.zeros((4, 6), int)
        first[:, 4:] = 1
        second = np.zeros((4, 6), int)
        second[2:] = 1
        score = ovs3d.score_views(views, [first, second])
        np.testing.assert_allclose(score.iou, [[12 / 16, 8 / 12], [1, 11 / 13]])
        np.testing.assert_allclose(score.accuracy, [20 / 24, 22 / 24])
        assert score.miou == pytest.approx(np.mean([12 / 16, 8 / 12, 1, 11 / 13]))
        with pytest.raises(UsageError, match="label map"):
            ovs3d.score_views(views, [first, second.T])

    def test_views_have_cameras_by_name_or_number(self) -> None:
        cameras = [camera(name) for name in ("02.png", "00.png", "01.png")]
        assert ovs3d.camera_of("1", cameras).name == "01.png"
        assert ovs3d.camera_of("02", cameras).name == "02.png"
        with pytest.raises(UsageError, match="'3'"):
            ovs3d.camera_of("3", cameras)
