"""Selections as text, such as ``name=chair & box=0,0,0,1,1,1`` or ``!class=3``."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from csgs_codec.errors import UsageError
from csgs_codec.io.arrays import read_npy
from csgs_codec.semantics.select import (
    OPERATORS,
    All,
    Compared,
    Ids,
    Named,
    Not,
    OfClass,
    Selection,
    Term,
    Within,
)
from csgs_codec.semantics.similar import (
    DEFAULT_RELEVANCY,
    DEFAULT_THRESHOLD,
    Clicked,
    Like,
    Similar,
)

_KEYED = re.compile(r"(id|name|class|box|vector|like)\s*=(?!=)\s*(.*)", re.DOTALL)
_COMPARED = re.compile(rf"(.+?)\s*({'|'.join(OPERATORS)})\s*(\S+)")


def parse_selection(text: str) -> Selection:
    """Read terms joined by ``&``, each perhaps behind ``!`` for what it does not choose.

    ========================  =========================================================
    ``all``                   every Gaussian
    ``id=N,M@PROPERTY``       ids; the property of the object table by default
    ``name=NAME``             objects of the object table
    ``class=K``               class of the head, by number or name
    ``box=x0,y0,z0,x1,y1,z1``
    ``vector=FILE.npy@T``     cosine of at least T; 0.8 by default
    ``like=ROW@T``            cosine with the features of a row, counted from 0
    ``PROPERTY==NUMBER``      or ``!= <= >= < >``
    ========================  =========================================================

    Raises
    ------
    UsageError
        Says which term is wrong.
    """
    return Selection(tuple(_term(part.strip(), text) for part in text.split("&")))


def _term(text: str, whole: str) -> Term:
    if text.startswith("!") and not text.startswith("!="):
        return Not(_term(text[1:].strip(), whole))
    if text == "all":
        return All()
    keyed = _KEYED.fullmatch(text)
    if keyed:
        return _READERS[keyed[1]](keyed[2].strip())
    compared = _COMPARED.fullmatch(text)
    if compared:
        return Compared(compared[1], compared[2], _number(compared[3]))
    raise UsageError(f"{text!r} in {whole!r} selects nothing that is known")


def ids_term(text: str, property_: str | None = None) -> Ids:
    """Read ``N[,M...][@PROPERTY]``.

    Raises
    ------
    UsageError
    """
    listed, _, named = text.partition("@")
    try:
        ids = tuple(int(word) for word in listed.split(","))
    except ValueError:
        raise UsageError(f"{listed!r} is not a list of ids") from None
    return Ids(ids, named or property_)


def box_term(text: str) -> Within:
    """Read ``x0,y0,z0,x1,y1,z1``; the corners may be any two that are opposite.

    Raises
    ------
    UsageError
    """
    numbers = numbers_of(text, 6)
    a, b = numbers[:3], numbers[3:]
    return Within(tuple(map(min, a, b)), tuple(map(max, a, b)))


def compared_term(text: str) -> Term:
    """Read ``PROPERTY==NUMBER`` and its like.

    Raises
    ------
    UsageError
    """
    compared = _COMPARED.fullmatch(text.strip())
    if not compared:
        raise UsageError(f"{text!r} is no comparison such as label==3")
    return Compared(compared[1], compared[2], _number(compared[3]))


def vector_term(
    text: str, threshold: float | None = None, negatives: Path | None = None
) -> Similar:
    """Read ``FILE.npy[@T]``; ``negatives`` is a file with a vector in each row.

    Raises
    ------
    UsageError
        A file holds no vector, or vectors of another width.
    """
    path, _, ending = text.rpartition("@")
    if Path(text).is_file() or not path:
        path, ending = text, ""
    wanted = _number(ending) if ending else threshold
    vector = read_vectors(Path(path))
    if len(vector) != 1:
        raise UsageError(f"{len(vector)} vectors instead of one", file=path)
    if negatives is None:
        return Similar(vector[0], DEFAULT_THRESHOLD if wanted is None else wanted)
    others = read_vectors(negatives)
    if others.shape[1] != vector.shape[1]:
        said = f"vectors of {others.shape[1]} numbers, not {vector.shape[1]}"
        raise UsageError(said, file=str(negatives))
    return Similar(vector[0], DEFAULT_RELEVANCY if wanted is None else wanted, others)


def like_term(text: str, threshold: float | None = None) -> Like:
    """Read ``ROW[@T]``.

    Raises
    ------
    UsageError
    """
    row, _, ending = text.partition("@")
    if not row.strip().isdecimal():
        raise UsageError(f"{row!r} is not the number of a row")
    wanted = _number(ending) if ending else threshold
    return Like(int(row), DEFAULT_THRESHOLD if wanted is None else wanted)


def click_term(text: str, threshold: float | None = None) -> Clicked:
    """Read ``CAMERAS:VIEW:x,y``; VIEW is a name or a number from 0.

    Raises
    ------
    UsageError, CameraError, UnsupportedError
    """
    from csgs_codec.render.cameras import read_cameras

    words = text.rsplit(":", 2)
    if len(words) != 3:
        raise UsageError(f"{text!r} is not CAMERAS:VIEW:x,y")
    path, view, pixel = words
    x, y = numbers_of(pixel, 2)
    if not Path(path).exists():
        raise UsageError("there are no such cameras", file=path)
    cameras = read_cameras(path)
    named = [camera for camera in cameras if camera.name == view]
    if not named and view.isdecimal() and int(view) < len(cameras):
        named = [cameras[int(view)]]
    if not named:
        raise UsageError(f"there is no view {view!r} among {len(cameras)}", file=path)
    wanted = DEFAULT_THRESHOLD if threshold is None else threshold
    return Clicked(named[0], x, y, wanted)


def read_vectors(path: Path) -> NDArray[np.float32]:
    """Read a ``.npy`` that holds a vector or several, shape (width,) or (any, width).

    Returns
    -------
    ndarray of float32, shape (any, width)

    Raises
    ------
    UsageError
    """
    try:
        with open(path, "rb") as stream:
            array = read_npy(stream, path.stat().st_size)
    except (OSError, ValueError) as error:
        raise UsageError(f"not a readable .npy: {error}", file=str(path)) from None
    if array.dtype.kind not in "iuf" or not array.size:
        raise UsageError("the file holds no vector of numbers", file=str(path))
    if array.ndim not in (1, 2):
        raise UsageError(f"shape {array.shape} is none of vectors", file=str(path))
    return np.atleast_2d(array).astype(np.float32)


def numbers_of(text: str, count: int) -> tuple[float, ...]:
    """Read numbers between commas.

    Raises
    ------
    UsageError
    """
    words = text.split(",")
    if len(words) != count:
        raise UsageError(f"{text!r} is not {count} numbers between commas")
    return tuple(_number(word) for word in words)


def _number(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        raise UsageError(f"{word!r} is not a number") from None
    if not np.isfinite(value):
        raise UsageError(f"{word!r} is not finite")
    return value


_READERS: dict[str, Callable[[str], Term]] = {
    "id": ids_term,
    "name": Named,
    "class": OfClass,
    "box": box_term,
    "vector": vector_term,
    "like": like_term,
}
