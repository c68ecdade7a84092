"""A committed file, with trained networks, decodes to pinned values on every machine.

The digests inside the file pin its integers. A failure means that the bitstream changed: either a
mistake, or a breaking change that has to be stated; then ``python -m tests.golden.make``.
"""

from __future__ import annotations

import hashlib

from csgs_codec import decode, probe
from tests.golden.make import FILE, PINNED, fingerprint


def test_golden_file_decodes_to_the_pinned_values() -> None:
    data = FILE.read_bytes()
    pinned = PINNED.read_text().split()
    assert hashlib.sha256(data).hexdigest() == pinned[0]
    levels = len(probe(data).levels)
    assert levels == len(pinned) - 1 >= 5
    for level in range(1, levels + 1):
        scene = decode(data, level=level, verify=True, compensate=False)
        assert fingerprint(scene) == pinned[level]
