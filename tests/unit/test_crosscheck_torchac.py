"""An unrelated arithmetic coder spends the same bits under the same tables.

Needs the ``crosscheck`` extra (torchac compiles C++ on first use): ``pytest -m slow``.
"""

from __future__ import annotations

import numpy as np
import pytest

from csgs_codec.numerics.rans import RansEncoder
from csgs_codec.numerics.tables import PRECISION, laplace_tables

TORCHAC_BITS = 16


@pytest.mark.slow
@pytest.mark.parametrize("scale_index", [10, 25, 40])
def test_torchac_spends_the_same_bits(scale_index: int) -> None:
    torch = pytest.importorskip("torch")
    torchac = pytest.importorskip("torchac")
    tables = laplace_tables()
    size = int(tables.sizes[scale_index])
    cdf = tables.cdf[scale_index, : size + 1].astype(np.int64)
    frequencies = np.diff(cdf) / (1 << PRECISION)
    random = np.random.default_rng(scale_index)
    symbols = random.choice(size, 100_000, p=frequencies).astype(np.uint8)

    encoder = RansEncoder()
    encoder.put(symbols, np.full(len(symbols), scale_index, np.uint8), tables)
    ours = len(encoder.finish())

    wide = torch.from_numpy(cdf << (TORCHAC_BITS - PRECISION)).to(torch.int32)
    wrapped = torch.where(wide >= 1 << 15, wide - (1 << TORCHAC_BITS), wide).to(torch.int16)
    repeated = wrapped.repeat(len(symbols), 1)
    theirs = len(
        torchac.encode_int16_normalized_cdf(repeated, torch.from_numpy(symbols.astype(np.int16)))
    )
    assert ours == pytest.approx(theirs, rel=0.002, abs=160)
