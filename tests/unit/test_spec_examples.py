"""The examples of the specification are explained and decoded as it prints them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from csgs_codec import BITSTREAM_VERSION, decode, probe

EXAMPLES = Path(__file__).parents[2] / "spec" / "examples"
FILES = sorted(EXAMPLES.glob("*.csgs"))


@pytest.fixture
def explain() -> ModuleType:
    spec = importlib.util.spec_from_file_location("explain", EXAMPLES / "explain.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_three() -> None:
    assert [path.stem for path in FILES] == ["empty", "labels", "network"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_explanation(explain: ModuleType, path: Path) -> None:
    assert explain.explain(path) == path.with_suffix(".md").read_text()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_decoding(path: Path) -> None:
    assert probe(path).version == BITSTREAM_VERSION
    decode(path, verify=True)


def test_values() -> None:
    labels = decode(EXAMPLES / "labels.csgs").columns["label"]
    assert labels.tolist() == [9, 7, 9, 9, 9, 0, 9]
    text = (EXAMPLES / "README.md").read_text()
    logit = decode(EXAMPLES / "network.csgs").columns["opacity"][1]
    assert f"= {logit:.7f}" in text
