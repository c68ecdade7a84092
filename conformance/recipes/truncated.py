"""Files that end early: at every kind of place, and exactly behind levels."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from conformance.maker.coder import Coded, code
from conformance.maker.vector import Vector, decoding, failing
from conformance.recipes import exact
from conformance.recipes.shapes import Builder, layered, one_tile

KIND = "truncated"


def vectors() -> Iterator[Vector]:
    """Return these vectors."""
    coded = code(layered(600))
    yield from _cuts(coded, "layered", _places(coded))
    builder = Builder(601).position().opacity()
    plan = builder.plan(
        one_tile(5),
        levels=[1, 2],
        script=[(0, (0, 1))],
        exact=exact.together(exact.deflated(["a", "b"], 1), exact.row_order(1)),
        extras={"a": "u1", "b": "f4"},
        original_order=True,
    )
    coded = code(plan)
    ends = coded.file.ends()
    yield from _cuts(
        coded,
        "exact",
        {"level-1": ends[0], "one-column": ends[0] + 20, "last-minus-1": ends[1] - 1},
    )


def _places(coded: Coded) -> dict[str, int]:
    """Places to cut at, by name."""
    ends = coded.file.ends()
    data = coded.file.data()
    starts = {}
    at = 8
    for piece in coded.file.pieces:
        starts.setdefault(piece.type.decode(), at)
        at += 12 + struct.unpack_from("<I", data, at + 4)[0]
    places = {"nothing": 0, "signature": 5, "behind-signature": 8, "type": 10, "length": 14}
    places |= {
        "head": starts["HEAD"] + 30,
        "head-crc": starts["LEVS"] - 2,
        "behind-head": starts["LEVS"],
    }
    places |= {
        "levs": starts["LEVS"] + 40,
        "behind-levs": starts["SCHM"],
        "schm": starts["SCHM"] + 99,
    }
    places |= {
        "tile": starts["TILE"] + 9,
        "kdtb": starts["KDTB"] + 24,
        "behind-kdtb": starts["GRUP"],
    }
    places |= {
        "grup": starts["GRUP"] + 20,
        "netw": starts["NETW"] + 100,
        "data-header": starts["DATA"] + 6,
    }
    places |= {"data": starts["DATA"] + 60}
    for number, end in enumerate(ends):
        last = number + 1 == len(ends)
        places |= {f"level-{number + 1}-minus-1": end - 1, f"level-{number + 1}": end}
        if not last:
            places |= {f"level-{number + 1}-plus-1": end + 1, f"level-{number + 1}-header": end + 8}
            places |= {f"level-{number + 1}-middle": (end + ends[number + 1]) // 2}
    return places


def _cuts(coded: Coded, base: str, places: dict[str, int]) -> Iterator[Vector]:
    ends, whole = coded.file.ends(), coded.file.data()
    for name, size in places.items():
        reached = sum(end <= size for end in ends)
        exactly = size in ends
        what = f"level {reached}" if reached else "nothing"
        vector = Vector(
            f"{base}-{name}",
            KIND,
            f"Cut at byte {size} ({name}): {what} is complete",
            ["3.4", "8.2"],
            whole[:size],
            coded.plan.seed,
            feed=[1, 7, 4096],
        )
        active = reached in coded.plan.compensation
        if exactly:
            decoding(vector, coded, reached, compensate=active)
        elif reached:
            decoding(vector, coded, reached, compensate=active, outcome="truncated")
            decoding(
                vector, coded, reached, outcome=["ok", "truncated"], exit=[0], allow_truncated=True
            )
        else:
            vector.runs.append(failing(["truncated"]))
            vector.runs.append(failing(["truncated"], allow_truncated=True))
        if reached:
            decoding(vector, coded, 1, level=1)
        if reached and reached < len(ends):
            decoding(
                vector,
                coded,
                reached,
                compensate=active,
                outcome="truncated",
                level=reached + 1,
                or_nothing=True,
            )
        elif reached < len(ends):
            vector.runs.append(failing(["truncated"], level=reached + 1))
        else:
            vector.runs.append(failing(["unsupported"], level=reached + 1))
        yield vector
