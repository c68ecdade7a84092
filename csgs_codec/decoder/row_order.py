"""The row order of the original, from a file that keeps it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from csgs_codec.attributes.exact import ExactKind, read_row_order
from csgs_codec.container.fields import FieldReader
from csgs_codec.decoder import Source, locate, parse
from csgs_codec.decoder.scene_decoder import PAYLOAD_OFFSET
from csgs_codec.errors import CsgsError
from csgs_codec.limits import DEFAULT_LIMITS, Limits


def original_rows(source: Source, limits: Limits = DEFAULT_LIMITS) -> NDArray[np.int64] | None:
    """Rows of the original that the rows of a level below the last are; decodes nothing else.

    Parameters
    ----------
    source : path or bytes-like
    limits : Limits

    Returns
    -------
    ndarray of int64, shape (gaussians,), or None
        A level of ``n`` Gaussians holds the first ``n``. None if the file does not keep the order,
        or ends before it says it.

    Raises
    ------
    CorruptError, UnsupportedError, LimitError
    """
    try:
        parser = parse(source, limits)
        for chunk in parser.complete[-1].exact if parser.finished else ():
            fields = FieldReader(chunk.payload, chunk.type, chunk.offset + PAYLOAD_OFFSET)
            if fields.integer("u8", 0, len(ExactKind) - 1) == ExactKind.ROW_ORDER:
                return read_row_order(fields, parser.header.gaussians).astype(np.int64)
    except CsgsError as error:
        raise locate(error, source) from None
    return None
