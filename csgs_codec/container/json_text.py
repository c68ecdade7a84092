"""JSON texts of chunks (spec section 3.1)."""

from __future__ import annotations

import json
from typing import Any


def parse_json(text: bytes) -> Any:
    """Parse a JSON text.

    Raises
    ------
    ValueError
        It is not UTF-8 or not JSON; words for numbers that are not finite are not JSON.
    RecursionError
        It is nested too deep.
    """
    return json.loads(text.decode("utf-8"), parse_constant=_no_number)


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is not a JSON number")
