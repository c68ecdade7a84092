"""The pure parts of benchmarks/rate_distortion.py."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from plyfile import PlyElement

pytest.importorskip("scipy")
pytest.importorskip("matplotlib")

import rate_distortion
from rd_bench import measure, peers, points, quality, report, scenes
from rd_bench.cache import Cache, user_cache
from rd_bench.gsplat_png import GsplatPng, to_arrays, to_scene
from rd_bench.points import OURS, Made, Point, Results, Skipped
from rd_bench.zstd16 import Zstd16, pack, unpack

from csgs_codec import Scene
from csgs_codec.io.ply import write_ply
from csgs_codec.scene import Column

CURVE = [(1000.0, 30.0), (2000.0, 36.0), (4000.0, 42.0), (8000.0, 48.0)]


def make_scene(count: int = 20, degree: int = 3, features: int = 4) -> Scene:
    random = np.random.default_rng(1)
    rest = 3 * ((degree + 1) ** 2 - 1)
    names = ["x", "y", "z", "nx", "ny", "nz", *(f"f_dc_{k}" for k in range(3))]
    names += [f"f_rest_{k}" for k in range(rest)]
    names += ["opacity", *(f"scale_{k}" for k in range(3)), *(f"rot_{k}" for k in range(4))]
    names += [f"semantic_{k}" for k in range(features)]
    columns: dict[str, Column] = {
        n: random.standard_normal(count).astype(np.float32) for n in names
    }
    columns["label"] = np.arange(count, dtype=np.int32)
    return Scene(columns)


def point(codec: str, size: int, psnr: float, **more: object) -> Point:
    kind = "full" if codec == OURS else "peer"
    base = Point("s", codec, "SH 3", kind, size, 1000, psnr)
    return replace(base, **more)  # type: ignore[arg-type]


class TestScenes:
    def test_semantics_and_ids_are_dropped_and_nothing_else(self) -> None:
        scene = make_scene()
        extra = PlyElement.describe(np.zeros(2, [("a", "f4")]), "more")
        left = scenes.colour_only(replace(scene, elements=(extra,)))
        dropped = set(scene.columns) - set(left.columns)
        assert dropped == {"label", *(f"semantic_{k}" for k in range(4))}
        assert left.elements == ()

    @pytest.mark.parametrize("degree", [0, 1, 2, 3])
    def test_bands(self, degree: int) -> None:
        scene = make_scene()
        less = scenes.with_bands(scene, degree)
        keep = (degree + 1) ** 2 - 1
        assert scenes.sh_degree(less) == degree
        for channel in range(3):
            for k in range(keep):
                was = scene.columns[f"f_rest_{15 * channel + k}"]
                assert (less.columns[f"f_rest_{keep * channel + k}"] == was).all()
        assert scenes.with_bands(less, 3) is less

    def test_digest_sees_names_types_and_values(self) -> None:
        scene = make_scene()
        seen = {scenes.digest(scene), scenes.digest(make_scene(features=3))}
        changed = dict(scene.columns)
        changed["x"] = changed["x"] + 1
        seen.add(scenes.digest(Scene(changed)))
        changed["x"] = scene.columns["x"].astype(np.float64)
        seen.add(scenes.digest(Scene(changed)))
        assert len(seen) == 4
        assert scenes.digest(make_scene()) == scenes.digest(scene)

    def test_names(self) -> None:
        assert scenes.scene_name(Path("/a/bear/scene.ply")) == "bear"
        assert scenes.scene_name(Path("/a/small/donut.ply")) == "donut"


class TestInstruments:
    def test_the_last_numbers_count(self) -> None:
        said = "{'psnr': 11.0, 'ssim': 0.1}\nMEAN {'psnr': 34.35, 'ssim': 0.9712} 12 views\n"
        assert quality.parse_said(said) == quality.Quality(34.35, 0.9712)
        assert quality.parse_said("'psnr': 3e1") == quality.Quality(30.0, None)
        with pytest.raises(ValueError, match="psnr"):
            quality.parse_said("nothing")

    def test_an_external_program(self, tmp_path: Path) -> None:
        program = tmp_path / "compare.py"
        program.write_text(
            "import sys\nassert sys.argv[4:] == ['--split', 'test']\n"
            "print({'psnr': len(open(sys.argv[2]).read()) + 0.5})\n"
        )
        for name in ("a", "b", "c"):
            (tmp_path / name).write_text("four")
        said = quality.External(program).compare(*(tmp_path / name for name in ("a", "b", "c")))
        assert said == quality.Quality(4.5, None)

    def test_means_over_pictures(self) -> None:
        black, grey = np.zeros((2, 16, 16, 3), np.float32)
        grey = grey + np.float32(0.1)
        said = quality.mean_quality([black, black], [grey, grey])
        assert said.psnr == pytest.approx(20)
        assert said.ssim is not None and said.ssim < 0.2
        assert quality.mean_quality([grey], [grey]).ssim == pytest.approx(1)
        assert quality.mean_quality([grey], [grey]).psnr == pytest.approx(120)


@dataclass
class FakeInstrument:
    name: str = "fake"
    key: str = "fake 1"
    asked: int = 0

    def compare(self, original: Path, decoded: Path, cameras: Path) -> quality.Quality:
        self.asked += 1
        return quality.Quality(30 + decoded.stat().st_size / 1e6, 0.9)


@dataclass
class FakePeer:
    name: str = "fake codec"
    file: str = "scene.fake"
    slow: bool = False
    missing: str = ""
    fails: bool = False
    encoded: list[int] = field(default_factory=list)

    def version(self) -> str:
        if self.missing:
            raise peers.MissingError(self.missing)
        return f"{self.name} 1"

    def encode(self, source: Path, target: Path) -> float:
        if self.fails:
            raise peers.FailedError("it broke")
        self.encoded.append(source.stat().st_size)
        target.write_bytes(source.read_bytes())
        return 1.5

    def decode(self, source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes())


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    folder = tmp_path / "toy"
    folder.mkdir()
    write_ply(folder / "scene.ply", make_scene())
    (folder / "cameras.json").write_text("{}")
    return folder / "scene.ply", folder / "cameras.json"


def bench(
    files: tuple[Path, Path], cache: Path, *others: FakePeer, **settings: object
) -> tuple[Results, FakeInstrument]:
    chosen = measure.Settings(**{"ours": False, **settings})  # type: ignore[arg-type]
    instrument = FakeInstrument()
    return measure.measure(*files, instrument, others, Cache(cache), chosen), instrument


class TestPeers:
    def test_missing_failing_and_slow_codecs_are_skipped_loudly(
        self, files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        others = (
            FakePeer("gone", missing="not here"),
            FakePeer("broken", fails=True),
            FakePeer("late", slow=True),
            FakePeer("fine"),
        )
        results, _ = bench(files, tmp_path / "cache", *others, bands=(3,))
        assert [p.codec for p in results.points] == ["fine"]
        whys = {s.codec: s.why for s in results.skipped}
        assert whys["gone"] == "not here"
        assert whys["broken, SH 3"] == "it broke"
        assert "--slow" in whys["late, SH 3"]
        said = capsys.readouterr().err
        text = report.all_points(results, "toy")
        for skip in results.skipped:
            assert f"{skip.codec} SKIPPED" in said
            assert f"| {skip.codec} | **skipped** |" in text

    def test_what_was_made_is_cached_by_input_and_version(
        self, files: tuple[Path, Path], tmp_path: Path
    ) -> None:
        cache = tmp_path / "cache"
        first, asked = bench(files, cache, FakePeer(slow=True), slow=True)
        again = FakePeer(slow=True)
        second, not_asked = bench(files, cache, again)
        assert asked.asked == 4 and not_asked.asked == 0 and not again.encoded
        assert [p.bytes for p in first.points] == [p.bytes for p in second.points]
        assert all("cache" in p.note and p.seconds == 1.5 for p in second.points)
        assert not any(p.note for p in first.points)
        newer = FakePeer("fake codec 2")
        bench(files, cache, newer)
        assert len(newer.encoded) == 4

    def test_a_failed_encoding_leaves_nothing_in_the_cache(
        self, files: tuple[Path, Path], tmp_path: Path
    ) -> None:
        bench(files, tmp_path / "cache", FakePeer(fails=True))
        repaired = FakePeer()
        bench(files, tmp_path / "cache", repaired)
        assert len(repaired.encoded) == 4

    def test_codecs_get_the_scene_without_semantics(
        self, files: tuple[Path, Path], tmp_path: Path
    ) -> None:
        peer = FakePeer()
        bench(files, tmp_path / "cache", peer, bands=(3, 3))
        assert len(peer.encoded) == 1
        assert peer.encoded[0] < files[0].stat().st_size - 20 * 4 * 4

    def test_splat_transform_without_npm_folder(self, tmp_path: Path) -> None:
        peer = peers.SplatTransform("SPZ v4", "scene.spz", tmp_path, ("--spz-version", "4"))
        with pytest.raises(peers.MissingError, match="not installed"):
            peer.version()

    def test_programs_that_fail_are_quoted(self) -> None:
        with pytest.raises(peers.FailedError, match="ended with 3: oh dear"):
            peers.run(sys.executable, "-c", "import sys; print('oh dear'); sys.exit(3)")

    def test_gsplat_needs_cuda_and_keeps_arrays(self) -> None:
        with pytest.raises(peers.MissingError):
            GsplatPng().version()
        scene = scenes.colour_only(make_scene())
        back = to_scene(to_arrays(scene))
        for name, column in back.columns.items():
            assert (column == scene.columns[name]).all()
        assert set(scene.columns) - set(back.columns) == {"nx", "ny", "nz"}

    @pytest.mark.parametrize("planes", [False, True])
    def test_float16(self, planes: bool, tmp_path: Path) -> None:
        scene = scenes.colour_only(make_scene())
        back = unpack(pack(scene, planes))
        for name, column in scene.columns.items():
            assert (back.columns[name] == column.astype(np.float16)).all()
        pytest.importorskip("zstandard")
        peer = Zstd16("f16", planes)
        assert peer.encode(scenes.save(tmp_path / "a.ply", scene), tmp_path / "a.zst") > 0
        peer.decode(tmp_path / "a.zst", tmp_path / "b.ply")
        assert scenes.digest(scenes.load(tmp_path / "b.ply")[0]) == scenes.digest(back)

    def test_cache_folder(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", "/x")
        assert user_cache() == Path("/x/csgs-bench")
        monkeypatch.setenv("CSGS_BENCH_CACHE", "/y")
        assert user_cache() == Path("/y")


class TestKnown:
    ENTRY = {"scene": "s", "gaussians": 9, "codec": "K", "bytes": 5, "psnr": 30, "source": "a log"}

    def test_marked_as_not_measured(self, tmp_path: Path) -> None:
        path = tmp_path / "known.json"
        path.write_text(json.dumps({"points": [self.ENTRY]}))
        (found,) = points.known_points(path, "s", 9, set())
        assert found.kind == "known" and "not measured in this run: a log" in found.note
        assert points.known_points(path, "s", 10, set()) == []
        assert points.known_points(path, "t", 9, set()) == []
        assert points.known_points(path, "s", 9, {"K"}) == []

    def test_what_lacks_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "known.json"
        path.write_text(json.dumps({"points": [{"scene": "s", "bytes": 1, "codec": "K"}]}))
        with pytest.raises(ValueError, match=r"known\.json: point 0 lacks gaussians, psnr, source"):
            points.known_points(path, "s", 9, set())

    def test_the_shipped_file(self) -> None:
        path = rate_distortion.HERE / "known_points.json"
        found = {p.codec: p for p in points.known_points(path, "bear", 148_741, set())}
        assert found["G-PCC"].bytes == 1_817_388
        assert found["SOG"].psnr == 46.66


class TestReport:
    RESULTS = Results(
        (
            *(point(OURS, int(s), p, setting=f"quality {p:g}") for s, p in CURVE),
            point(OURS, 500, 20.0, kind="level", setting="level 1 of default"),
            point(OURS, 9000, 48.0, kind="semantic", setting="default, with semantics"),
            point("SPZ v4", 4000, 30.0, setting="SH 0"),
            point("SPZ v4", 9000, 36.0, ssim=0.5, seconds=1.25),
            point("SOG", 4000, 36.0),
            point("G-PCC", 4000, 55.0, kind="known", note="not measured in this run: x"),
        ),
        (Skipped("s", "gsplat PNG", "no CUDA"),),
        (Made("s", "command", "about"),),
    )

    def test_ratio_and_bars(self) -> None:
        found = {(m.point.codec, m.point.setting): m for m in report.matches(self.RESULTS, "s")}
        assert found["SPZ v4", "SH 3"].ratio == pytest.approx(2000 / 9000)
        assert found["SPZ v4", "SH 3"].bar == 0.25 and found["SPZ v4", "SH 0"].bar is None
        assert found["G-PCC", "SH 3"].where == "above our range"
        assert report.targets(self.RESULTS, "s") == [36.0, 55.0]
        text = report.same_psnr(self.RESULTS, "s")
        assert "| SPZ v4 | SH 3 | 36.00 | 9,000 | 2,000 | 0.222 | 0.25 | met |" in text
        assert "| SOG | SH 3 | 36.00 | 4,000 | 2,000 | 0.500 | 0.40 | **missed** |" in text
        assert "| G-PCC | SH 3 | 55.00 | 4,000 | above our range |  | 0.40 |  |" in text

    def test_without_ours(self) -> None:
        others = Results(tuple(p for p in self.RESULTS.points if p.codec != OURS))
        assert all(m.ratio is None for m in report.matches(others, "s"))
        assert "ours not measured" in report.bd_table(others, "s")
        sog = Results((point("SOG", 5, 30.0, setting="SH 0"), point("X", 5, 30.0)))
        text = report.same_psnr(sog, "s")
        assert "| SOG | SH 0 | 30.00 | 5 |  |  |  |  |" in text
        assert "| SOG | default |  |  |  |  | 0.40 | **not measured** |" in text

    def test_bd_table(self) -> None:
        text = report.bd_table(self.RESULTS, "s")
        assert "| SPZ v4 | 2 | 30.00 to 36.00 | -76.4 % |" in text
        assert "| SOG | 1 |  | one point |" in text

    def test_document_and_plot(self, tmp_path: Path) -> None:
        text = report.markdown(self.RESULTS, "figures")
        assert text.startswith("# Rate and distortion\n\ns:\n\n    command\n\nabout\n")
        assert "| csgs | level 1 of default | 500 | 4.0 | 20.00 |  |  |  |" in text
        assert "| gsplat PNG | **skipped** |" in text and "](figures/rd_s.png)" in text
        assert "not measured in this run: x" in text
        report.plot(self.RESULTS, "s", tmp_path / "new" / "rd_s.png")
        assert (tmp_path / "new" / "rd_s.png").read_bytes().startswith(b"\x89PNG")

    def test_saved_and_merged(self, tmp_path: Path) -> None:
        self.RESULTS.save(tmp_path / "p.json")
        assert Results.load(tmp_path / "p.json") == self.RESULTS
        other = Results((replace(self.RESULTS.points[0], scene="t"),))
        merged = self.RESULTS.merged(other)
        assert merged.scenes() == ["s", "t"] and merged.merged(self.RESULTS).scenes() == ["t", "s"]
        assert merged.merged(other) == merged


class TestOurs:
    @pytest.fixture
    def calls(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
        made: list[tuple[str, ...]] = []

        def run(program: Path, *given: str | Path) -> str:
            words = [str(w) for w in given]
            made.append((program.name, *(w for w in words if "/" not in w)))
            source, target = Path(words[-2]), Path(words[-1])
            target.write_bytes(source.read_bytes())
            return ""

        monkeypatch.setattr(measure, "run", run)
        monkeypatch.setattr(measure.Bench, "_levels", lambda self, file: iter(()))
        return made

    def test_settings_and_semantics(
        self, files: tuple[Path, Path], tmp_path: Path, calls: list[tuple[str, ...]]
    ) -> None:
        results, _ = bench(
            files, tmp_path / "cache", ours=True, qualities=(40.0, 62.5), with_cameras=True,
            encode_args=("--seed", "1"),
        )  # fmt: skip
        kinds = [p.kind for p in results.points]
        assert kinds == ["full", "full", "default", "semantic"]
        sizes = [p.bytes for p in results.points]
        assert sizes[0] == sizes[2] < sizes[3]
        assert report.targets(results, "toy") == []
        encodes = [words for words in calls if words[0] == "csgs-encode"]
        rest = ("--seed", "1", "--cameras")
        assert encodes[1] == ("csgs-encode", "--force", "--quality", "62.5", *rest)
        assert encodes[2] == ("csgs-encode", "--force", *rest)

    def test_more_qualities_towards_bars(
        self, files: tuple[Path, Path], tmp_path: Path, calls: list[tuple[str, ...]]
    ) -> None:
        class Better(FakePeer):
            def decode(self, source: Path, target: Path) -> None:
                target.write_bytes(100 * source.read_bytes())

        peer = Better("SPZ v4")
        more = {"ours": True, "qualities": (40.0, 60.0), "bands": (3,), "closer": 1}
        bench(files, tmp_path / "cache", peer, **more)
        asked = [words[3] for words in calls if "--quality" in words]
        assert asked[:2] == ["40", "60"] and len(asked) == 3 and float(asked[2]) > 60

    def test_our_own_failure_is_noted(
        self, files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def run(*words: str | Path) -> str:
            raise peers.FailedError("csgs-encode ended with 5")

        monkeypatch.setattr(measure, "run", run)
        results, _ = bench(files, tmp_path / "cache", ours=True)
        assert results.skipped == (Skipped("toy", OURS, "csgs-encode ended with 5"),)


class TestCommand:
    def test_pairs_are_needed(self, files: tuple[Path, Path]) -> None:
        result = CliRunner().invoke(rate_distortion.main, [str(files[0])])
        assert result.exit_code == 2 and "in turn" in result.output

    def test_numbers_are_needed(self, files: tuple[Path, Path]) -> None:
        result = CliRunner().invoke(rate_distortion.main, ["--quality", "a,b", *map(str, files)])
        assert result.exit_code == 2 and "commas" in result.output

    def test_folders_of_the_machine_are_not_shown(self) -> None:
        words = ["/r/repo/benchmarks/x.py", "--compare", "/m/n/compare.py"]
        words += ["/d/bear/scene.ply", "-q"]
        assert rate_distortion.short_command(words, Path("/r/repo")) == (
            "benchmarks/x.py --compare n/compare.py bear/scene.ply -q"
        )

    def test_whole_run_without_ours(
        self, files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rate_distortion, "External", lambda path: FakeInstrument())
        monkeypatch.setattr(rate_distortion, "all_peers", lambda folder: [FakePeer()])
        words = ["--no-ours", "--output", str(tmp_path / "out"), "--cache", str(tmp_path / "c")]
        words += ["--compare", str(files[1]), *map(str, files)]
        result = CliRunner().invoke(rate_distortion.main, words)
        assert result.exit_code == 0, result.output
        text = (tmp_path / "out" / "RATE_DISTORTION.md").read_text()
        assert "## toy" in text and text.count("| fake codec | SH ") == 8
        assert (tmp_path / "out" / "figures" / "rd_toy.png").exists()
        again = CliRunner().invoke(rate_distortion.main, ["--update", *words[1:-2]])
        assert again.exit_code == 0, again.output
        assert (tmp_path / "out" / "RATE_DISTORTION.md").read_text().count("## toy") == 1
