"""Label maps: found, read, rendered and compared."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from csgs_codec.errors import CameraError, UnsupportedError, UsageError
from csgs_codec.metrics.masks import find_masks, masks_in, read_mask, resize_labels
from csgs_codec.metrics.segmentation import (
    compare_maps,
    confusion_matrix,
    label_map,
    score,
)
from csgs_codec.render import Camera, RenderGaussians, read_cameras
from csgs_codec.semantics.heads import Head

Image = pytest.importorskip("PIL.Image")


def camera(name: str = "a", width: int = 24, height: int = 16) -> Camera:
    lens = np.array([[20.0, 0, width / 2], [0, 20, height / 2], [0, 0, 1]])
    return Camera(name, width, height, lens, np.eye(4))


def save(path: Path, labels: np.ndarray, mode: str | None = None) -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    picture = Image.fromarray(labels)
    (picture.convert(mode) if mode else picture).save(path)


class TestScores:
    def test_iou_and_accuracy_by_hand(self) -> None:
        truth = np.array([[0, 0, 1, 1], [0, 2, 1, 1]])
        found = np.array([[0, 1, 1, 1], [0, 1, 1, 0]])
        counts = confusion_matrix(truth, found, 4)
        assert counts[0].tolist() == [2, 1, 0, 0] and counts[2].tolist() == [0, 1, 0, 0]
        result = score(counts)
        np.testing.assert_allclose(result.iou, [2 / 4, 3 / 6, 0, np.nan])
        assert result.miou == pytest.approx((0.5 + 0.5 + 0) / 3)
        assert result.accuracy == 5 / 8 and result.pixels == 8

    def test_a_class_that_only_the_prediction_shows_counts_as_zero(self) -> None:
        result = compare_maps([np.zeros((2, 2), int)], [np.array([[0, 0], [0, 1]])], 3)
        assert result.miou == pytest.approx((3 / 4 + 0) / 2)

    def test_views_count_together_by_pixels(self) -> None:
        truth = [np.array([[0, 0, 0, 1]]), np.array([[1, 1, 1, 1]])]
        found = [np.array([[0, 0, 0, 0]]), np.array([[1, 1, 1, 1]])]
        result = compare_maps(truth, found, 2)
        assert result.miou == pytest.approx((3 / 4 + 4 / 5) / 2)

    def test_ignored_pixels_do_not_count(self) -> None:
        truth, found = np.array([[0, 255, 1]]), np.array([[0, 0, 1]])
        assert score(confusion_matrix(truth, found, 2, ignore=255)).miou == 1
        with pytest.raises(UsageError, match="label 255 is none of 2 classes"):
            confusion_matrix(truth, found, 2)
        nothing = score(confusion_matrix(truth[:, 1:2], found[:, 1:2], 2, ignore=255))
        assert np.isnan(nothing.miou) and nothing.pixels == 0

    def test_sizes_must_agree(self) -> None:
        with pytest.raises(UsageError, match="pixels"):
            confusion_matrix(np.zeros((2, 3), int), np.zeros((3, 2), int), 1)


class TestMasks:
    def test_ids_survive_in_every_kind_of_grey(self, tmp_path: Path) -> None:
        small = np.arange(24 * 16, dtype=np.uint8).reshape(16, 24)
        save(tmp_path / "a.png", small)
        assert (read_mask(tmp_path / "a.png", camera()) == small).all()
        wide = np.arange(24 * 16, dtype=np.uint16).reshape(16, 24) + 1000
        save(tmp_path / "b.png", wide)
        assert (read_mask(tmp_path / "b.png", camera()) == wide).all()
        indexed = Image.fromarray(small % 3, "P")
        indexed.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
        indexed.save(tmp_path / "c.png")
        assert (read_mask(tmp_path / "c.png", camera()) == small % 3).all()

    def test_nearest_neighbour_looks_under_the_centre(self) -> None:
        labels = np.arange(6)[None, :] + 10 * np.arange(4)[:, None]
        assert resize_labels(labels, 6, 4).tolist() == labels.tolist()
        assert resize_labels(labels, 3, 2).tolist() == labels[1::2, 1::2].tolist()
        assert resize_labels(labels, 12, 8)[::2, ::2].tolist() == labels.tolist()
        assert resize_labels(labels, 2, 1).tolist() == [[21, 24]]

    def test_a_mask_of_another_size_is_fitted_to_the_camera(self, tmp_path: Path) -> None:
        save(tmp_path / "a.png", np.repeat(np.arange(12, dtype=np.uint8), 8).reshape(12, 8).T)
        read = read_mask(tmp_path / "a.png", camera())
        assert read.shape == (16, 24) and read[0].tolist() == np.repeat(np.arange(12), 2).tolist()

    def test_colours_and_rubbish_are_refused(self, tmp_path: Path) -> None:
        save(tmp_path / "a.png", np.zeros((16, 24), np.uint8), "RGB")
        with pytest.raises(UnsupportedError, match="colours"):
            read_mask(tmp_path / "a.png", camera())
        (tmp_path / "b.png").write_bytes(b"no picture")
        with pytest.raises(CameraError, match=r"b\.png"):
            read_mask(tmp_path / "b.png", camera())

    def test_transforms_name_their_label_maps(self, tmp_path: Path) -> None:
        pose = np.diag([1.0, -1, -1, 1]).tolist()
        frames = [
            {"file_path": f"images/{n}.png", "label_path": f"ids/{n}.png", "transform_matrix": pose}
            for n in ("000", "001", "002")
        ]
        file = tmp_path / "transforms.json"
        file.write_text(json.dumps({"w": 24, "h": 16, "fl_x": 20, "frames": frames}))
        for name in ("000", "002"):
            save(tmp_path / "ids" / f"{name}.png", np.zeros((16, 24), np.uint8))
        found = find_masks(file, read_cameras(file))
        assert {n: p.name for n, p in found.items()} == {"000": "000.png", "002": "002.png"}

    def test_folders_beside_a_camera_file(self, tmp_path: Path) -> None:
        views = [camera("train_0"), camera("test_1.jpg"), camera("more/test_2")]
        (tmp_path / "cameras.json").write_text("[]")
        assert find_masks(tmp_path / "cameras.json", views) == {}
        for name in ("test_1", "test_2"):
            save(tmp_path / "masks" / f"{name}.png", np.zeros((4, 4), np.uint8))
        found = find_masks(tmp_path / "cameras.json", views)
        assert sorted(found) == ["more/test_2", "test_1.jpg"]
        assert found == find_masks(tmp_path, views) == masks_in(tmp_path / "masks", views)


def two_sheets() -> RenderGaussians:
    """A wall of opaque Gaussians: the left half and the right half, nothing above row 8."""
    x, y = np.meshgrid(np.linspace(-6, 6, 49), np.linspace(0, 4, 17))
    count = x.size
    means = np.stack([x.ravel(), y.ravel(), np.full(count, 10.0)], axis=1)
    return RenderGaussians(
        means.astype(np.float32),
        np.tile(np.float32([1, 0, 0, 0]), (count, 1)),
        np.full((count, 3), 0.2, np.float32),
        np.full(count, 0.99, np.float32),
        np.zeros((count, 1, 3), np.float32),
    )


class TestRendering:
    head = Head(np.array([[0.0, 0], [1, 0], [0, 1]]), np.array([0.4, 0, 0]), ("none", "l", "r"))

    def features(self, gaussians: RenderGaussians) -> np.ndarray:
        left = gaussians.means[:, :1] < 0
        return np.concatenate([left, ~left], axis=1).astype(np.float32)

    def test_classes_appear_where_their_gaussians_are(self) -> None:
        gaussians = two_sheets()
        labels = label_map(gaussians, self.features(gaussians), self.head, camera())
        assert (labels[:6] == 0).all()
        assert (labels[9:, :10] == 1).all() and (labels[9:, 14:] == 2).all()

    def test_raw_magnitudes_are_blended_and_the_background_is_the_bias(self) -> None:
        gaussians = two_sheets()
        weak = 0.3 * self.features(gaussians)
        assert (label_map(gaussians, weak, self.head, camera()) == 0).all()
        weak[gaussians.means[:, 0] > 0] = np.nan
        assert (label_map(gaussians, 2 * weak, self.head, camera())[9:, :10] == 1).all()

    def test_the_head_must_fit(self) -> None:
        gaussians = two_sheets()
        with pytest.raises(UsageError, match="2 features, the scene has 3"):
            label_map(gaussians, np.zeros((gaussians.count, 3)), self.head, camera())
