"""Every input that once did worse than raise an error of the codec, on both back ends."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random

import numpy as np
import pytest

from csgs_codec import Scene
from tests.fuzz import targets
from tests.fuzz.campaign import HANG_SECONDS
from tests.fuzz.corpus import NUMPY_ROWS

FOLDER = Path(__file__).parents[1] / "fuzz_regressions"
FILES = sorted(FOLDER.iterdir())
ROWS = Scene({axis: np.arange(NUMPY_ROWS, dtype=np.float32) for axis in "xyz"})


def outcomes(name: str, data: bytes, folder: Path) -> list[str]:
    """Whatever reads files of this kind."""
    suffix = name.rpartition(".")[2]
    if suffix == "csgs":
        actions = [lambda: targets.parse_all(data)]
        actions += [lambda read=read: read(Random(0), data) for read in targets.PARTIAL]
        return [targets.decode_everywhere(data, True, {}), *map(targets.outcome_of, actions)]
    if suffix == "ply":
        return [targets.outcome_of(lambda: targets.reread_ply(data, folder))]
    return [
        targets.outcome_of(lambda: targets.merge_bytes(ROWS, suffix, data, folder)),
        targets.outcome_of(lambda: targets.head_from_bytes(name, data)),
    ]


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_refused_or_read_in_time(path: Path, backend: str, tmp_path: Path) -> None:
    if path.suffix in (".pt", ".pth"):
        pytest.importorskip("torch")
    begin = time.process_time()
    with targets.only(backend):
        assert outcomes(path.name, path.read_bytes(), tmp_path)
    assert time.process_time() - begin < HANG_SECONDS
