"""benchmarks/semantics.py: coders, curves, and the protocols on small files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

pytest.importorskip("scipy")
pytest.importorskip("matplotlib")
pytest.importorskip("zstandard")
pytest.importorskip("PIL")

import semantics
from sem_bench import bars, coders, curve, ours, wide
from sem_bench.curve import Made, Point, Results
from sem_bench.scene import Subject

from csgs_codec import EncodeOptions, Scene, write_ply
from csgs_codec.metrics.features import compare_features
from csgs_codec.metrics.segmentation import label_map
from csgs_codec.render import RenderGaussians, read_cameras
from csgs_codec.render.auto_cameras import look_at
from csgs_codec.semantics.heads import Head, read_head
from tests.scenes import inria, smooth, with_semantics
from tests.unit.test_segmentation import save

CLASSES = 4
EYES = {"frame_00001": (0, -2, -14), "frame_00002": (12, -3, 1)}


def features(count: int = 3000) -> np.ndarray:
    return smooth(inria(count, 0).stack(("x", "y", "z")), 16, 3) + 2


class TestCoders:
    def test_fine_ones_are_near_and_coarse_ones_small(self) -> None:
        values = features()
        raw = 4 * values.size
        found = {(c.name, c.setting): c.code(values) for c in coders.baselines()}
        assert len(found) == 2 + len(coders.CODEBOOKS) + len(coders.STEPS)
        angles = {k: compare_features(values, v).angle_mean for k, (_, v) in found.items()}
        assert angles["float16 + zstd", ""] < 0.02 and angles["PCA, 8 bits + zstd", ""] < 1
        for size, decoded in found.values():
            assert 0 < size < 0.6 * raw and decoded.shape == values.shape
        steps = [found["PCA, one step + zstd", f"{s:g} rms"][0] for s in coders.STEPS]
        assert steps == sorted(steps)
        small, large = (found["k-means + zstd", f"{n} entries"] for n in coders.CODEBOOKS)
        assert len(np.unique(large[1], axis=0)) <= 256 and small[0] < large[0]
        assert angles["k-means + zstd", "256 entries"] < angles["k-means + zstd", "64 entries"]

    def test_one_step_bounds_the_error(self) -> None:
        values = features(500)
        rms = np.sqrt(np.mean((values - values.mean(axis=0)) ** 2))
        _, decoded = coders.pca_step(values, 0.5)
        _, axes = coders.principal_axes(values)
        assert np.abs((decoded - values) @ axes).max() <= 0.25 * rms * 1.001

    def test_side_information_is_counted(self) -> None:
        same = np.ones((10, 16))
        assert coders.pca_step(same, 1.0)[0] >= 4 * (16 + 256)
        assert coders.codebook(features(300), 256)[0] >= 2 * 256 * 16
        assert coders.float16(same)[1].tolist() == same.tolist()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a scene with cameras, a head, and the label maps that it renders itself."""
    place = tmp_path / "toy"
    place.mkdir()
    scene = with_semantics(inria(400, 0))
    write_ply(place / "scene.ply", scene)
    write_cameras(place / "cameras.json")
    random = np.random.default_rng(4)
    np.savez(place / "classifier.npz", weight=random.normal(size=(CLASSES, 16)))
    for camera in read_cameras(place / "cameras.json"):
        names = tuple(f"obj_dc_{i}" for i in range(16))
        head = read_head(place / "classifier.npz")
        labels = label_map(RenderGaussians.from_scene(scene), scene.stack(names), head, camera)
        save(place / "masks" / f"{camera.name}.png", labels.astype(np.uint8))
    return place


def write_cameras(path: Path) -> None:
    views = []
    for name, eye in EYES.items():
        view = look_at(np.array(eye, float), np.zeros(3), np.array([0.0, -1, 0]))
        lens = [[50.0, 0, 24], [0, 50, 20], [0, 0, 1]]
        views.append({"name": name, "W": 48, "H": 40, "K": lens, "viewmat": view.tolist()})
    path.write_text(json.dumps({"cameras": views}))


def run(*words: object) -> Result:
    return CliRunner().invoke(semantics.main, [str(word) for word in words])


class TestCurve:
    def test_a_scene_is_measured_drawn_and_remembered(self, folder: Path, tmp_path: Path) -> None:
        out, cache = tmp_path / "out", tmp_path / "cache"
        words = ("--curve", folder, "--no-ours", "--output", out, "--cache", cache)
        result = run(*words)
        assert result.exit_code == 0, result.output
        found = Results.load(out / "figures" / "semantics_points.json")
        whole = found.of("toy")[curve.ORIGINAL][0]
        assert (whole.bits, whole.angle_mean, whole.argmax, whole.miou) == (512, 0, 1, 1)
        coarse, fine = (found.of("toy")["PCA, one step + zstd"][k] for k in (0, -1))
        assert coarse.bits < fine.bits and coarse.angle_mean > fine.angle_mean
        assert coarse.miou is not None and coarse.miou < fine.miou <= 1
        assert (out / "figures" / "semantics_toy.png").read_bytes()[:4] == b"\x89PNG"
        text = (out / "SEMANTICS.md").read_text()
        assert "| uncompressed | float32 | 512.00 |" in text and str(tmp_path) not in text
        (out / "SEMANTICS.md").unlink()
        assert run("--update", "--output", out).exit_code == 0
        assert (out / "SEMANTICS.md").read_text() == text
        answers = sorted((cache / "asked").iterdir())
        answers[0].write_text(answers[0].read_text().replace('"bits": ', '"bits": 9'))
        assert run(*words).exit_code == 0
        again = Results.load(out / "figures" / "semantics_points.json")
        changed = [a for a, b in zip(again.points, found.points, strict=True) if a != b]
        assert len(changed) == 1 and len(answers) == len(found.points)

    def test_ours_is_measured_with_what_it_spends(self, folder: Path, tmp_path: Path) -> None:
        subject = Subject(folder)
        options = EncodeOptions(quality=70, order="keep", look=False)
        size, decoded = ours.code(subject, options, full=False)
        scores = subject.measure(decoded)
        assert 0 < 8 * size / subject.scene.count < 150
        assert scores.features.angle_mean < 10 and scores.to_masks is not None
        light = ours.reduced(subject, full=False).columns
        assert "obj_dc_0" in light and "opacity" in light and "f_dc_0" not in light
        assert ours.reduced(subject, full=True) is subject.scene

    def test_without_head_or_masks_angles_are_left(self, folder: Path, tmp_path: Path) -> None:
        (folder / "classifier.npz").unlink()
        words = ("--curve", folder, "--no-ours", "--output", tmp_path, "--cache", tmp_path / "c")
        assert run(*words).exit_code == 0
        text = (tmp_path / "SEMANTICS.md").read_text()
        assert "| argmax |" not in text and "| magnitude error |" in text

    def test_scenes_are_replaced_one_by_one(self, tmp_path: Path) -> None:
        def made(scene: str) -> Made:
            return Made(scene, 10, "f", "c", "a")

        point = Point("a", "x", "", 1.0, 2.0, 3.0, 0.1, None, None, None)
        results = (
            Results().merged(made("a"), [point]).merged(made("b"), [replace(point, scene="b")])
        )
        newer = results.merged(made("a"), [replace(point, bits=5.0)])
        assert newer.scenes() == ["b", "a"] and newer.of("a")["x"][0].bits == 5
        newer.save(tmp_path / "p.json")
        assert Results.load(tmp_path / "p.json") == newer

    def test_what_goes_wrong(self, folder: Path, tmp_path: Path) -> None:
        assert run().exit_code == 2
        assert run("--curve", folder, "--lerf", folder).exit_code == 2
        assert run("--ovs", folder).exit_code == 2
        write_ply(folder / "scene.ply", inria(20, 0))
        failed = run("--curve", folder, "--output", tmp_path)
        assert failed.exit_code == 1 and "no semantic features" in failed.output


class TestWide:
    def test_wide_features_are_measured_beside_the_curves(
        self, folder: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        (out / "figures").mkdir(parents=True)
        made = Made("other", 10, "f", "c", "a")
        point = Point("other", curve.ORIGINAL, "", 1.0, 2.0, 3.0, 0.1, None, None, None)
        Results().merged(made, [point]).save(out / "figures" / "semantics_points.json")
        result = run("--wide", folder, "--width", 40, "--output", out)
        assert result.exit_code == 0, result.output
        found = Results.load(out / "figures" / "semantics_points.json")
        assert found.scenes() == ["other"] and len(found.wide) == 4
        coarse, _, fine, classes = found.wide
        assert coarse.bits < fine.bits and coarse.angle_mean > fine.angle_mean
        assert classes.argmax is not None and classes.argmax > 0.9
        for one in found.wide:
            assert (one.scene, one.width, one.gaussians) == ("toy", 40, 400)
            assert one.peak > one.imported > 0 and one.columns > 4 * 40 * 400
        assert "## Wide features" in (out / "SEMANTICS.md").read_text()

    def test_the_head_fits_the_wider_features(self, folder: Path) -> None:
        subject = Subject(folder)
        scene, head = wide.expanded(subject, 64, 0.0)
        assert head is not None and subject.head is not None
        features = scene.stack(tuple(f"semantic_{i}" for i in range(64)))
        assert (head.labels(features) == subject.head.labels(subject.features)).mean() > 0.99
        assert "obj_dc_0" not in scene.columns and "opacity" in scene.columns


class TestVocabulary:
    """A scene whose features are two unit vectors: one on each side of the plane x = 0."""

    def scene(self, folder: Path) -> Scene:
        scene = inria(600, 0)
        scene.columns["opacity"][:] = 5
        left = scene.columns["x"] < 0
        for channel in range(4):
            values = np.where(left, channel == 0, channel == 1).astype(np.float32)
            scene.columns[f"semantic_{channel}"] = 3 * values
        write_ply(folder / "scene.ply", scene)
        write_cameras(folder / "cameras.json")
        vectors = {"left thing": np.eye(4)[0], "right thing": np.eye(4)[1]}
        np.savez(folder / "queries.npz", negatives=np.eye(4)[2:], **vectors)
        return scene

    def sides(self, folder: Path, scene: Scene) -> dict[str, np.ndarray]:
        """Return for each view 0 nothing, 1 left, 2 right."""
        head = Head(np.array([[0.0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]]), np.array([1e-6, 0, 0]))
        names = tuple(f"semantic_{i}" for i in range(4))
        gaussians = RenderGaussians.from_scene(scene)
        return {
            c.name: label_map(gaussians, scene.stack(names), head, c)
            for c in read_cameras(folder / "cameras.json")
        }

    def test_lerf(self, tmp_path: Path) -> None:
        scene = self.scene(tmp_path)
        labels = tmp_path / "label" / "toy"
        labels.mkdir(parents=True)
        (tmp_path / "toy").mkdir()
        for name, side in self.sides(tmp_path, scene).items():
            objects = []
            for text, kind in (("left thing", 1), ("right thing", 2)):
                y, x = np.nonzero(side == kind)
                box = [int(v) for v in (x.min(), y.min(), x.max(), y.max())]
                a, b, c, d = box
                polygon = [[a, b], [c, b], [c, d], [a, d]]
                objects.append({"category": text, "bbox": box, "segmentation": polygon})
            info = {"height": 40, "width": 48, "name": f"{name}.jpg"}
            (labels / f"{name}.json").write_text(json.dumps({"info": info, "objects": objects}))
        words = ("--lerf", tmp_path, "--scene", "toy", "--cameras", tmp_path / "cameras.json")
        result = run(*words, "--queries", tmp_path / "queries.npz", tmp_path / "scene.ply")
        assert result.exit_code == 0, result.output
        cells = [cell.strip() for cell in result.output.splitlines()[-1].split("|")]
        assert cells[1] == "scene.ply" and cells[5] == "4 queries"
        assert 0.2 < float(cells[3]) < 1 and float(cells[4]) >= 0.75
        assert run(*words[:2], *words[4:], "--queries", tmp_path / "queries.npz").exit_code == 2

    def test_ovs(self, tmp_path: Path) -> None:
        scene = self.scene(tmp_path)
        root = tmp_path / "segmentations"
        root.mkdir()
        (root / "classes.txt").write_text("right thing\nleft thing\n")
        for number, side in enumerate(self.sides(tmp_path, scene).values()):
            # where there is nothing, all cosines are 0 and the first class wins
            save(root / str(number) / "left thing.png", np.uint8(255 * (side != 2)))
            save(root / str(number) / "right thing.png", np.uint8(255 * (side == 2)))
        words = ("--ovs", tmp_path, "--cameras", tmp_path / "cameras.json")
        np.savez(tmp_path / "wide.npz", **{k: np.eye(6)[j] for j, k in
                 enumerate(("left thing", "right thing"))})  # fmt: skip
        np.savez(tmp_path / "decoder.npz", weight=np.eye(6)[:, :4])
        for more in (
            ("--queries", tmp_path / "queries.npz"),
            ("--queries", tmp_path / "wide.npz", "--decoder", tmp_path / "decoder.npz"),
        ):
            result = run(*words, *more, tmp_path / "scene.ply")
            assert result.exit_code == 0, result.output
            cells = [cell.strip() for cell in result.output.splitlines()[-1].split("|")]
            assert float(cells[3]) > 0.97 and float(cells[4]) > 0.97 and cells[5] == "2 views"
        failed = run(*words, "--queries", tmp_path / "wide.npz", tmp_path / "scene.ply")
        assert failed.exit_code == 1 and "no semantic group has 6 features" in failed.output


class TestBars:
    def point(self, coder: str, bits: float, **known: float) -> Point:
        values = {"angle_mean": 9.0, "argmax": 0.9, "miou": 0.5} | known
        return Point(
            "tabletop", coder, "", bits, values["angle_mean"], 0.0, 0.0, values["argmax"],
            values["miou"], None,
        )  # fmt: skip

    def test_curves_are_read_between_points(self) -> None:
        curve_ = [self.point("x", b, angle_mean=a, miou=m) for b, a, m in
                  ((2.0, 8.0, 0.5), (6.0, 2.0, 0.9), (4.0, 4.0, 0.6))]  # fmt: skip
        assert bars.bits_at_angle(curve_, 4.0) == pytest.approx(4.0)
        assert bars.bits_at_angle(curve_, 32**0.5) == pytest.approx(3.0)
        assert bars.bits_at_miou(curve_, 0.4) == 2.0
        assert bars.bits_at_miou(curve_, 0.75) == pytest.approx(5.0)
        assert bars.bits_at_miou(curve_, 0.95) is None

    def test_met_and_missed(self) -> None:
        points = (
            self.point(curve.ORIGINAL, 512, miou=0.97),
            self.point(ours.OURS, 3.0, argmax=0.999, miou=0.97),
            self.point(ours.FOR_THE_HEAD, 1.0, argmax=0.996, miou=0.966),
            self.point(ours.FOR_THE_HEAD, 0.5, argmax=0.996, miou=0.96),
            self.point("PCA, 8 bits + zstd", 5.0, miou=0.9695),
        )
        made = Made("tabletop", 10, "f", "c", "a", ids=0.3)
        found = list(bars.bars(Results(points, (made,))))
        assert [bar.met for bar in found] == [True, False, False]
        assert found[0].measured.startswith("1.00 bits")
        assert "| **missed** |" in bars.bars_section(Results(points, (made,)))
        assert bars.bars_section(Results()) == ""
