"""Whatever is done to a file: an error of the codec, or what the intact file holds."""

from __future__ import annotations

from contextlib import nullcontext
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from csgs_codec import (
    CsgsError,
    EncodeOptions,
    Scene,
    TruncatedError,
    decode,
    encode,
    probe,
    truncate,
)
from csgs_codec.decoder import parse
from csgs_codec.io.ply import read_ply
from tests import scenes
from tests.fuzz.csgs import assemble, mutate_file, parts_of
from tests.fuzz.mutate import mutate_bytes
from tests.fuzz.ply import mutate_ply

MANY = settings(max_examples=60, deadline=None, derandomize=True)
SOME = settings(
    max_examples=5, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module")
def file() -> bytes:
    """Labels, semantics, attachments, other elements and a row order in a few kilobytes."""
    scene = scenes.with_labels(scenes.with_semantics(scenes.inria(9, 0, False), "goi"))
    scene = Scene(scene.columns, scene.layout, (scenes.other_element(),))
    return encode(scene, EncodeOptions(order="keep", attachments={"a": b"a"})).data


def same(first: Scene, second: Scene) -> bool:
    """Whether two scenes agree bit for bit."""
    return list(first.columns) == list(second.columns) and all(
        column.tobytes() == second.columns[name].tobytes() for name, column in first.columns.items()
    )


def test_taking_apart_and_putting_together(file: bytes) -> None:
    assert assemble(list(parts_of(file))) == file


@MANY
@given(seed=st.integers(0, 2**32))
def test_a_changed_file_is_parsed_or_refused(file: bytes, seed: int) -> None:
    data = mutate_file(Random(seed), [file])
    try:
        probe(data).to_json()
        parse(data).require_end(len(data))
    except CsgsError as error:
        assert str(error)


@MANY
@given(seed=st.integers(0, 2**32))
def test_a_changed_file_never_passes_verification_with_other_integers(
    file: bytes, seed: int
) -> None:
    data = mutate_bytes(Random(seed), file)
    try:
        found = decode(data, verify=True)
    except CsgsError:
        return
    ends = [level.end for level in probe(file).levels]
    assert len(data) in ends and same(found, decode(file, level=ends.index(len(data)) + 1))


def test_every_cut_is_truncated_or_a_level_of_the_whole_file() -> None:
    file = encode(scenes.inria(2, 0, normals=False)).data
    ends = [level.end for level in probe(file).levels]
    whole = [decode(file, level=number) for number in range(1, len(ends) + 1)]
    known: dict[int, Scene] = {}
    for size in range(len(file) + 1):
        complete = sum(end <= size for end in ends)
        with pytest.raises(TruncatedError) if size not in ends else nullcontext():
            parse(file[:size]).require_end(size)
        if complete and complete not in known:
            known[complete] = decode(file[:size], allow_truncated=True)
            assert same(known[complete], whole[complete - 1])
        elif not complete and size % 64 == 0:
            with pytest.raises(TruncatedError):
                decode(file[:size], allow_truncated=True)


@MANY
@given(first=st.integers(0, 2**14), second=st.integers(0, 2**14))
def test_cutting_twice_is_cutting_to_the_smaller(file: bytes, first: int, second: int) -> None:
    def cut(data: bytes, size: int) -> bytes | None:
        try:
            return bytes(truncate(data, size=size))
        except CsgsError:
            return None

    once = cut(file, first)
    assert once is None or cut(once, first) == once
    if once is not None:
        assert cut(once, second) == cut(file, min(first, second))


@SOME
@given(
    rows=st.integers(1, 12),
    seed=st.integers(0, 99),
    naming=st.sampled_from(["plain", "labels", "lossless"]),
)
def test_encoding_what_was_decoded_loses_nothing_more(rows: int, seed: int, naming: str) -> None:
    """Exact data, row counts and labels survive any number of passes; bytes are reproducible."""
    scene = scenes.inria(rows, 0, normals=False, seed=seed)
    if naming == "labels":
        scene = scenes.with_labels(scene, seed=seed)
    options = EncodeOptions(order="keep", lossless=naming == "lossless")
    data = encode(scene, options).data
    assert encode(scene, options).data == data
    once = decode(data, verify=True)
    twice = decode(encode(once, options).data, verify=True)
    assert once.count == twice.count == rows
    if naming == "lossless":
        assert same(once, scene) and same(twice, scene)
    if naming == "labels":
        assert np.array_equal(twice.columns["label"], scene.columns["label"])


@pytest.fixture(scope="module")
def plys(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    from csgs_codec.io.ply import write_ply

    path = tmp_path_factory.mktemp("plys") / "a.ply"
    found = []
    for scene in (scenes.decorated(3), scenes.with_labels(scenes.inria(2, 0), "uint8")):
        write_ply(path, scene)
        found.append(path.read_bytes())
    return found


@MANY
@given(seed=st.integers(0, 2**32))
def test_a_changed_ply_is_read_or_refused(
    plys: list[bytes], tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "changed.ply"
    path.write_bytes(mutate_ply(Random(seed), plys))
    try:
        scene = read_ply(path)
    except CsgsError:
        return
    assert all(len(column) == scene.count for column in scene.columns.values())
