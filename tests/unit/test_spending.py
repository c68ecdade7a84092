"""Bits by group, counted while decoding."""

from __future__ import annotations

import pytest

from csgs_codec import EncodeOptions, decode, encode, probe
from csgs_codec.decoder.spending import LevelSpending, count_bits
from csgs_codec.errors import CorruptError
from tests.backends import BACKENDS, use_backend
from tests.conftest import Encoded, semantic_scene

# framing, pass and tile, a length, padding; the coder's start: 32 states, never emptied below 2**16
MOST_REST_PER_CHUNK = 8 * (12 + 6 + 4 + 1) + 32 * 32


def total(level: LevelSpending) -> float:
    return sum(level.data.values()) + sum(level.model.values()) + level.exact + level.rest


def test_it_sums_to_the_file(trained: Encoded) -> None:
    info = probe(trained.data)
    levels = count_bits(trained.data)
    assert [level.level for level in levels] == [level.level for level in info.levels]
    for level, known in zip(levels, info.levels, strict=True):
        assert total(level) == pytest.approx(8 * known.bytes)
    chunks = [size for type_, _, size in info.chunks if type_ == "DATA"]
    spent = sum(sum(level.data.values()) for level in levels)
    assert 0 <= 8 * sum(chunks) - spent <= MOST_REST_PER_CHUNK * len(chunks)
    models = [size for type_, _, size in info.chunks if type_ in ("GRUP", "NETW")]
    assert sum(sum(level.model.values()) for level in levels) == 8 * sum(models)
    exact = [size for type_, _, size in info.chunks if type_ == "XDAT"]
    assert levels[-1].exact == 8 * sum(exact) and not any(one.exact for one in levels[:-1])


def test_groups_cost_what_the_encoder_says() -> None:
    result = encode(semantic_scene(2500), EncodeOptions(look=False, quality=60))
    levels = count_bits(result.data)
    assert sorted({n for one in levels for n in one.data}) == sorted(result.group_bits)
    for name, bits in result.group_bits.items():
        spent = sum(level.data.get(name, 0.0) for level in levels)
        assert spent == pytest.approx(bits, rel=0.002, abs=1)
    last = levels[-1]
    assert last.group("obj_dc") == last.data.get("obj_dc", 0) + last.model.get("obj_dc", 0)


def test_both_backends_count_the_same(small: Encoded, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for name in BACKENDS:
        use_backend(monkeypatch, name)
        found.append([level.data for level in count_bits(small.data)])
    assert [list(a) for a in found[0]] == [list(b) for b in found[1]]
    for a, b in zip(*found, strict=True):
        assert a == pytest.approx(b)


def test_only_complete_levels_count(small: Encoded) -> None:
    info = probe(small.data)
    cut = small.data[: info.levels[1].end + 5]
    assert len(count_bits(cut)) == 2 and count_bits(small.data[:20]) == []


def test_damage_is_found(small: Encoded) -> None:
    decode(small.data)
    broken = bytearray(small.data)
    broken[len(broken) // 2] ^= 1
    with pytest.raises(CorruptError):
        count_bits(bytes(broken))
