"""Whole files against bounds that their own quantisers imply, in one tile and in many."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import pytest
from plyfile import PlyElement

from csgs_codec import EncodeOptions, Scene, decode, encode, probe, truncate
from csgs_codec import open as open_stream
from csgs_codec.attributes.steps import LARGEST_CLASS, STEP_Q6
from csgs_codec.container.kinds import LABEL_KINDS, GroupKind
from csgs_codec.decoder import parse
from csgs_codec.decoder.chunk import silent_rows
from csgs_codec.decoder.scene_decoder import SceneDecoder
from csgs_codec.encoder import partition
from csgs_codec.hyperprior.contexts import LayerContext
from csgs_codec.scene import PlyLayout
from tests import scenes
from tests.conftest import semantic_scene

COUNT = 1800
SEMANTIC = tuple(f"obj_dc_{i}" for i in range(16))
# Residuals are rounded to the step; the reconstruction to a 64th of the base step.
ROUNDING_Q6 = 0.51


@dataclass(frozen=True)
class File:
    """A scene, its file in any order, and its file in the order of the rows."""

    scene: Scene
    data: bytes
    kept: bytes


def full_scene() -> Scene:
    scene = semantic_scene(COUNT)
    layout = PlyLayout(
        comments=("Exported by a test", "second line"),
        obj_info=("units metres",),
        vertex_comments=("about the vertices",),
        vertex_index=1,
    )
    elements = (scenes.other_element("frame", 2), scenes.other_element("camera", 3))
    return Scene(scene.columns, layout, elements)


@pytest.fixture(scope="module", params=["one tile", "many tiles"])
def file(request: pytest.FixtureRequest) -> File:
    scene = full_scene()
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "many tiles":
            patch.setattr(partition, "TILE_TARGET", 700)
        data = encode(scene, EncodeOptions(look=False)).data
        kept = encode(scene, EncodeOptions(order="keep", look=False)).data
    assert len(probe(data).tiles) == (1 if request.param == "one tile" else 3)
    return File(scene, data, kept)


def same(a: Scene, b: Scene) -> bool:
    return list(a.columns) == list(b.columns) and all(
        a.columns[n].dtype == b.columns[n].dtype
        and a.columns[n].tobytes() == b.columns[n].tobytes()
        for n in a.columns
    )


def element_values(element: PlyElement) -> list[object]:
    rows = [[np.asarray(value).tolist() for value in row] for row in element.data]
    return [element.name, [str(p) for p in element.properties], rows]


def test_all_that_is_not_quantised_is_exact(file: File) -> None:
    scene, found = file.scene, decode(file.kept, verify=True)
    assert found.layout == scene.layout
    assert [element_values(e) for e in found.elements] == [
        element_values(e) for e in scene.elements
    ]
    assert [(n, c.dtype) for n, c in found.columns.items()] == [
        (n, c.dtype) for n, c in scene.columns.items()
    ]
    for name in ("label", "uncertainty", "nx", "ny", "nz"):
        assert found.columns[name].tobytes() == scene.columns[name].tobytes(), name
    silent = (scene.stack(SEMANTIC) == 0).all(axis=1)
    assert 0 < silent.sum() < COUNT
    back = found.stack(SEMANTIC)
    assert not back[silent].any() and back[~silent].any(axis=1).all()
    for name, row in (("opacity", 3), ("scale_1", 5)):
        column, original = found.columns[name], scene.columns[name]
        assert column[row : row + 1].tobytes() == original[row : row + 1].tobytes()
        assert np.isfinite(np.delete(column, row)).all()


def test_without_row_order_the_same_rows_come_in_another(file: File) -> None:
    found = decode(file.data)
    assert found.count == COUNT and not np.array_equal(
        found.columns["uncertainty"], file.scene.columns["uncertainty"]
    )
    for name in ("uncertainty", "label"):
        ours, theirs = found.columns[name], file.scene.columns[name]
        assert np.array_equal(np.sort(ours), np.sort(theirs))
    # every row stays whole: its unknown property identifies it
    by_ours = np.argsort(found.columns["uncertainty"])
    by_theirs = np.argsort(file.scene.columns["uncertainty"])
    kept = decode(file.kept)
    assert same(found.select(by_ours), kept.select(by_theirs))


def test_quantised_values_are_near(file: File) -> None:
    """Bounds from the steps in the file, for every value of every Gaussian.

    Symbols are chosen by rate and error, so a value may be off by up to two steps, but few are off
    by more than half a step. Values that the network leaves uncoded (scale index 0), since it is
    sure of them, may be farther off.
    """
    parser = parse(file.kept)
    decoder = SceneDecoder(parser)
    decoder.decode_to(len(parser.levels))
    header, tools = parser.header, parser.tools
    assert decoder.exact.row_order is not None
    rows_of = np.split(
        decoder.exact.row_order, np.cumsum(parser.tiles.counts.T.reshape(-1))[:-1].astype(int)
    )
    found = decode(file.kept)
    checked, beyond, values_of = set(), {}, {}
    for place, rows in enumerate(rows_of):
        layer, index = divmod(place, header.tiles)
        tile = decoder.tile(index)
        for number, declared in enumerate(header.groups):
            columns = parser.manifest.groups[number].columns
            if declared.kind is GroupKind.POSITION_FINE:
                rule = tools.fine_rules[number]
                bits = tile.step_classes(number, rule, layer).astype(float)[:, None]
                cell = header.grid_step * np.exp2(-bits)
                error = np.abs(found.stack(("x", "y", "z")) - file.scene.stack(("x", "y", "z")))
                assert (error[rows] <= 0.5 * cell + 1e-6).all()
            elif declared.kind is not GroupKind.POSITION and declared.kind not in LABEL_KINDS:
                coding = tools.codings[number]
                classes = tile.step_classes(number, coding.rule, layer).astype(int)
                heard = np.isfinite(file.scene.stack(columns)[rows]).all(axis=1)
                silent = silent_rows(tools.sentinels, tile, layer, number)
                heard &= ~silent if silent is not None else True
                wanted = coding.latents(file.scene.stack(columns)[rows][heard])
                values = tile.values(number)[tile.rows(layer)][heard]
                step_q6 = STEP_Q6[classes[heard] + LARGEST_CLASS][:, None]
                within = np.abs(values - 64.0 * wanted) <= 0.5 * step_q6 + ROUNDING_Q6
                network = tools.networks[number]
                context = LayerContext(network.layout, tile, layer, classes.astype(np.int8))
                inputs = context.inputs(slice(None))
                scale = network.predict(inputs, classes.astype(np.int8))[1][heard]
                far = np.abs(values - 64.0 * wanted) > 2.0 * step_q6 + ROUNDING_Q6
                assert not far[scale > 0].any(), declared.kind
                beyond[declared.kind] = beyond.get(declared.kind, 0) + int((~within).sum())
                values_of[declared.kind] = values_of.get(declared.kind, 0) + within.size
                expected = coding.dequantise(values)
                assert np.allclose(found.stack(columns)[rows][heard], expected, 1e-6, 1e-6)
            checked.add(declared.kind)
    for kind, count in beyond.items():
        assert count <= 0.25 * values_of[kind], kind
    assert checked >= {
        GroupKind.OPACITY,
        GroupKind.SCALE,
        GroupKind.ROTATION,
        GroupKind.DC,
        GroupKind.SH,
        GroupKind.SEMANTIC,
        GroupKind.POSITION_FINE,
    }


def test_rotations_are_unit_quaternions(file: File) -> None:
    decoded = decode(file.kept).stack(tuple(scenes.numbered("rot_", 4)))
    assert np.allclose(np.linalg.norm(decoded, axis=1), 1.0, atol=1e-6)
    assert (decoded[:, 0] >= 0).all()


def test_levels_are_files_whose_rows_accumulate(file: File) -> None:
    info = probe(file.data)
    assert len(info.levels) >= 5 and info.levels[-1].end == len(file.data)
    previous: Scene | None = None
    for level in info.levels:
        cut = bytes(truncate(file.data, level=level.level))
        assert cut == file.data[: level.end]
        alone = decode(cut, verify=True, compensate=False)
        assert alone.count == level.gaussians
        assert same(alone, decode(file.data, level=level.level, compensate=False))
        assert same(decode(cut), decode(file.data, level=level.level))
        if previous is not None:
            assert set(previous.columns) <= set(alone.columns)
            for name, column in previous.columns.items():
                now = alone.columns[name][: previous.count]
                # values of a group do not change once it is there; infinities come last
                stays = np.isfinite(now) if level is info.levels[-1] else np.ones(len(now), bool)
                assert np.array_equal(now[stays], column[stays]), name
        previous = alone
    assert previous is not None and list(previous.columns) == list(file.scene.columns)


@pytest.mark.parametrize("threads", [1, 4])
def test_threads_do_not_matter(file: File, monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    expected = decode(file.data)
    monkeypatch.setattr(os, "cpu_count", lambda: threads)
    assert same(decode(file.data, verify=True), expected)


@pytest.mark.parametrize("step", [1, 7, 1000, 10**9])
def test_stream_gives_levels_at_their_byte_counts(file: File, step: int) -> None:
    ends = [level.end for level in probe(file.data).levels]
    stream = open_stream()
    arrived = []
    for begin in range(0, len(file.data), step):
        for scene in stream.feed(file.data[begin : begin + step]):
            arrived.append((min(begin + step, len(file.data)), scene))
    stream.close()
    expected = [min(-(-end // step) * step, len(file.data)) for end in ends]
    assert [size for size, _ in arrived] == expected
    for number, (_, scene) in enumerate(arrived, 1):
        assert same(scene, decode(file.data, level=number))
