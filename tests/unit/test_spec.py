"""What the specification prints is what files hold."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from csgs_codec import BITSTREAM_VERSION, Scene, encode
from csgs_codec.container.header import VERSION
from csgs_codec.hyperprior.blend import POWERS

TEXT = (Path(__file__).parents[2] / "spec" / "csgs-bitstream.md").read_text()


def test_the_worked_file_byte_by_byte() -> None:
    data = encode(Scene({name: np.zeros(0, np.float32) for name in "xyz"})).data
    section = TEXT.split("## 12. A worked file")[1].split("## 13.")[0]
    assert f"{len(data)} bytes" in section
    rows = re.findall(r"^\| (\d+) \| (`[0-9a-f]+`|\.\.\.) \|", section, re.MULTILINE)
    end = 0
    for place, shown in rows:
        if int(place) != end:
            assert end == 0 or rows[[p for p, _ in rows].index(place) - 1][1] == "..."
        if shown == "...":
            continue
        expected = bytes.fromhex(shown.strip("`"))
        end = int(place) + len(expected)
        assert data[int(place) : end] == expected, place
    assert end == len(data)


def test_version_and_printed_tables() -> None:
    assert ".".join(map(str, VERSION)) == BITSTREAM_VERSION
    assert f"| Version | {BITSTREAM_VERSION}-rc2 |" in TEXT
    assert f"`{' '.join(map(str, POWERS))}`" in TEXT
