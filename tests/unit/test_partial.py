"""Decoding some properties gives what decoding everything gives, and decodes less."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from csgs_codec import EncodeOptions, Scene, TruncatedError, UsageError, decode, encode, probe
from csgs_codec.decoder import decode_columns, parse
from csgs_codec.decoder import scene_decoder as decoder_module
from csgs_codec.decoder.partial import part_for
from tests.conftest import Encoded, semantic_scene


def same(part: Scene, full: Scene, names: list[str]) -> bool:
    held = [name for name in names if name in full.columns]
    return [n for n in part.columns if n in names] == held and all(
        part.columns[name].tobytes() == full.columns[name].tobytes() for name in held
    )


def test_every_property_alone_at_every_level(trained: Encoded) -> None:
    names = list(trained.scene.columns)
    for level in probe(trained.data).levels:
        full = decode(trained.data, level=level.level)
        for name in names:
            part = decode_columns(parse(trained.data), [name], level.level)
            assert same(part, full, [name]), (level.level, name)


@pytest.mark.parametrize("changes", [{"lossless": True}, {"priority": "semantic"}])
def test_files_of_other_kinds(changes: dict[str, Any]) -> None:
    scene = semantic_scene(200)
    data = encode(scene, EncodeOptions(look=False, order="keep", **changes)).data
    full = decode(data)
    for names in (["label"], ["x", "z"], ["obj_dc_3", "uncertainty"], ["opacity"], ["nx"]):
        assert same(decode_columns(parse(data), names), full, names), names


def test_only_what_is_needed_is_decoded(trained: Encoded, monkeypatch: pytest.MonkeyPatch) -> None:
    parser = parse(trained.data)
    names = [group.name for group in parser.manifest.groups]

    def groups_of(*columns: str) -> set[str]:
        return {names[g] for g in part_for(parser, columns).groups}

    assert groups_of() == groups_of("nx") == {"position"}
    assert groups_of("label") == {"position", "label"}
    for columns in (("x", "y", "z"), ("opacity",), ("f_dc_0",)):
        assert "sh" not in groups_of(*columns) and "position" in groups_of(*columns)
    assert "obj_dc" not in groups_of("f_rest_0")
    assert groups_of("uncertainty") == set(names)
    decoded: list[tuple[int, ...]] = []

    def spy(tools: Any, tile: Any, pass_: Any, fields: Any, groups: tuple[int, ...]) -> None:
        decoded.append(groups)
        original(tools, tile, pass_, fields, groups)

    original = decoder_module.decode_chunk
    monkeypatch.setattr(decoder_module, "decode_chunk", spy)
    decode_columns(parse(trained.data), ["label"])
    assert {names[g] for groups in decoded for g in groups} == {"position", "label"}
    assert len(decoded) == 2 * parser.header.layers * parser.header.tiles


def test_scales_are_compensated_with_their_positions(trained: Encoded) -> None:
    full = decode(trained.data, level=1)
    part = decode_columns(parse(trained.data), ["scale_0", "opacity"], 1)
    assert same(part, full, ["x", "y", "z", "opacity", "scale_0"])
    bare = decode_columns(parse(trained.data), ["scale_0"], 1, compensate=False)
    assert list(bare.columns) == ["scale_0"]
    assert not np.array_equal(bare.columns["scale_0"], full.columns["scale_0"])


def test_what_is_not_there(trained: Encoded) -> None:
    with pytest.raises(UsageError, match="nothing"):
        decode_columns(parse(trained.data), ["x", "nothing"])
    cut = trained.data[: probe(trained.data).levels[1].end]
    assert decode_columns(parse(cut), ["label"]).columns == {}
    with pytest.raises(TruncatedError):
        decode_columns(parse(cut), ["x"], 3)
    with pytest.raises(TruncatedError):
        decode_columns(parse(trained.data[:100]), ["x"])
    empty = encode(semantic_scene(30).select(slice(0))).data
    assert len(decode_columns(parse(empty), ["x"]).columns["x"]) == 0
