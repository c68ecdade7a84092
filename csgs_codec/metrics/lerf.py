"""LERF-OVS: open-vocabulary queries of rendered features, by LangSplat's protocol.

Layout and rules are those of LangSplat (Qin et al., CVPR 2024; ``eval/evaluate_iou_loc.py`` and
``eval/openclip_encoder.py`` of github.com/minghanqin/LangSplat), which took relevancy and
localisation from LERF (Kerr et al., ICCV 2023)::

    label/<scene>/frame_00041.json
        {"info": {"height", "width", "name"},
         "objects": [{"category", "bbox", "segmentation"}, ...]}
    label/<scene>/frame_00041.jpg

Levels are what a user of LangSplat trains three times; here, every semantic group is one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csgs_codec.errors import UnsupportedError, UsageError

F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

THRESHOLD = 0.4
_TEMPERATURE = 10.0
_WINDOW = 30
_MAJORITY = 3


@dataclass(frozen=True)
class Annotation:
    """Where a text is in a picture.

    Attributes
    ----------
    mask : ndarray of bool, shape (height, width)
        All objects of that category.
    boxes : ndarray of float64, shape (objects, 4)
        x, y of two opposite corners, in pixels.
    """

    mask: Mask
    boxes: F64


@dataclass(frozen=True)
class Frame:
    """An annotated picture; ``objects`` by category."""

    name: str
    width: int
    height: int
    objects: dict[str, Annotation]


@dataclass(frozen=True)
class QueryScore:
    """One text in one picture: IoU at the level chosen for it, and whether its peak is inside."""

    frame: str
    query: str
    iou: float
    level: int
    found: bool


@dataclass(frozen=True)
class LerfScore:
    """Scores of a scene: every pair of picture and text counts the same."""

    queries: tuple[QueryScore, ...]

    @property
    def miou(self) -> float:
        """Mean IoU."""
        return float(np.mean([query.iou for query in self.queries]))

    @property
    def localisation(self) -> float:
        """Share of the queries whose peak is inside a box."""
        return float(np.mean([query.found for query in self.queries]))


def read_labels(folder: Path) -> list[Frame]:
    """Read the annotations of a scene, ``label/<scene>``.

    Raises
    ------
    UsageError
        There are none, or they are of another form; names the file.
    UnsupportedError
        Pillow is not installed.
    """
    frames = []
    for path in sorted(folder.glob("frame_*.json")):
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            frames.append(_frame(data, path.stem))
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            said = f"no annotations of LERF-OVS: {type(error).__name__}: {error}"
            raise UsageError(said, file=str(path)) from error
    if not frames:
        raise UsageError("no annotations frame_*.json", file=str(folder))
    return frames


def _frame(data: Any, stem: str) -> Frame:
    height, width = int(data["info"]["height"]), int(data["info"]["width"])
    objects: dict[str, Annotation] = {}
    for one in data["objects"]:
        box = np.asarray(one["bbox"], np.float64).reshape(1, 4)
        mask = _polygon(one["segmentation"], width, height)
        known = objects.get(one["category"])
        if known is not None:
            box, mask = np.concatenate([known.boxes, box]), known.mask | mask
        objects[one["category"]] = Annotation(mask, box)
    name = Path(data["info"].get("name", stem)).stem
    return Frame(name, width, height, objects)


def _polygon(points: Any, width: int, height: int) -> Mask:
    """Pixels inside a polygon of whole-numbered corners, its edge included."""
    try:
        from PIL import Image, ImageDraw
    except ImportError as error:
        raise UnsupportedError("polygons need Pillow: install csgs_codec[eval]") from error
    corners = np.asarray(points, np.float64).reshape(-1, 2).astype(np.int32)
    picture = Image.new("1", (width, height))
    ImageDraw.Draw(picture).polygon([tuple(p) for p in corners.tolist()], fill=1, outline=1)
    return np.asarray(picture)


def relevancy(positive: F64, negatives: F64) -> F64:
    """Relevancy of pixels for a text, from 0 to 1.

    The smallest share that the text has, in a softmax of ten times the cosines, against one of the
    negatives.

    Parameters
    ----------
    positive : ndarray of float64, shape (height, width)
        Cosines with the text.
    negatives : ndarray of float64, shape (height, width, any)
        Cosines with the negatives.
    """
    apart = negatives.max(axis=-1) - positive
    return 1 / (1 + np.exp(_TEMPERATURE * apart))


def blurred(values: F64) -> F64:
    """Mean over 30 x 30 pixels, mirrored at the edges.

    Raises
    ------
    UnsupportedError
        scipy is not installed.
    """
    try:
        from scipy.ndimage import uniform_filter  # type: ignore[import-untyped]
    except ImportError as error:
        raise UnsupportedError("LERF-OVS needs scipy: install csgs_codec[eval]") from error
    return np.asarray(uniform_filter(values, _WINDOW, mode="mirror"))


def predicted_mask(smooth: F64, threshold: float = THRESHOLD) -> Mask:
    """Pixels that a relevancy map selects.

    The map is stretched to -1..1, what is above ``threshold`` is selected, and every pixel takes
    the majority of 7 x 7. The last row and column never vote, as in the original.

    Parameters
    ----------
    smooth : ndarray of float64, shape (height, width)
        Mean of the relevancy and of its blurred version.
    threshold : float
    """
    from_zero = smooth - smooth.min()
    stretched = 2 * from_zero / (from_zero.max() + 1e-9) - 1
    chosen = stretched > threshold
    sums = np.zeros((chosen.shape[0] + 1, chosen.shape[1] + 1), np.int64)
    sums[1:, 1:] = chosen.cumsum(axis=0).cumsum(axis=1)
    (top, bottom), (left, right) = (_reach(side) for side in chosen.shape)
    votes = sums[bottom][:, right] - sums[top][:, right] - sums[bottom][:, left]
    votes += sums[top][:, left]
    return 2 * votes > (bottom - top)[:, None] * (right - left)[None, :]


def _reach(side: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and behind-the-last neighbour that votes for each place."""
    at = np.arange(side)
    return np.maximum(at - _MAJORITY, 0), np.minimum(at + _MAJORITY + 1, max(side - 1, 1))


def score_frame(
    frame: Frame, levels: Sequence[tuple[F64, F64]], threshold: float = THRESHOLD
) -> list[QueryScore]:
    """Score every text of a picture.

    Parameters
    ----------
    frame : Frame
    levels : sequence of pairs of ndarray of float64
        For each level, cosines with the texts in the order of ``frame.objects``, shape (height,
        width, texts), and with the negatives, shape (height, width, any).
    threshold : float

    Raises
    ------
    UsageError
        There are no negatives.
    """
    if not levels or any(negatives.shape[-1] == 0 for _, negatives in levels):
        raise UsageError("LERF-OVS needs vectors of negatives and at least one level")
    scores = []
    for place, (query, truth) in enumerate(frame.objects.items()):
        maps = [relevancy(cosines[..., place], negatives) for cosines, negatives in levels]
        means = [blurred(one) for one in maps]
        smooth = [0.5 * (one + mean) for one, mean in zip(maps, means, strict=True)]
        level = int(np.argmax([one.max() for one in smooth]))
        mask = predicted_mask(smooth[level], threshold)
        iou = (mask & truth.mask).sum() / max(int((mask | truth.mask).sum()), 1)
        peaks = means[int(np.argmax([one.max() for one in means]))]
        found = _inside(np.argwhere(peaks == peaks.max())[:, ::-1], truth.boxes)
        scores.append(QueryScore(frame.name, query, float(iou), level, found))
    return scores


def _inside(points: NDArray[np.int64], boxes: F64) -> bool:
    """Whether any point x, y lies in any box, its edge included."""
    corners = boxes.reshape(-1, 1, 2, 2)
    above = (points >= corners.min(axis=2)) & (points <= corners.max(axis=2))
    return bool(above.all(axis=-1).any())
