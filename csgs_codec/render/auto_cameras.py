"""Views for a scene that comes without cameras: what a person would look at, from where they stand.

Training puts many small, opaque Gaussians where the photographs looked. Their middle is the focus.
Candidates stand around it at several distances and look at it; each is rendered very small and
scored: the picture is covered, nothing hangs in front of the lens, the focus is not hidden, what is
seen is sharp and varied. The best are taken one by one, each keeping its distance from the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from csgs_codec.errors import CameraError
from csgs_codec.render.cameras import Camera
from csgs_codec.render.gaussians import Floats, RenderGaussians
from csgs_codec.render.places import Solid, weighted_quantiles

Vector = NDArray[np.float64]
_CANDIDATES, _CANDIDATES_OF_PLACE = 200, 80
_DRAWN = 16_000
_WIDTH, _HEIGHT = 64, 48
_FIELD_OF_VIEW = math.radians(60)
_DISTANCES = (1.6, 2.4, 3.0, 3.6, 4.3)
_ELEVATION = (8.0, 70.0)
_FAR, _FILLED, _OBSTRUCTED = 3.4, 0.85, 0.3
# Pixels across a typical Gaussian. In the nearest view: below, a scene is looked at place by place.
# From as far away as a place is wide: above, places are small enough.
_RESOLVED, _AT_PLACE = 0.7, 0.6
_SURROUNDINGS, _DRAWN_NEAR = 3.0, 60_000
_ALIGNED = math.cos(math.radians(10))
_DEFAULT_UP = np.array([0.0, -1.0, 0.0])


@dataclass(frozen=True)
class _Focus:
    """Where to look: point, distance that holds a quarter of the weight, axes."""

    point: Vector
    quarter: float
    axes: NDArray[np.float64]


@dataclass(frozen=True)
class _Candidate:
    """Direction from the focus, distance, how good the view is, and what stands in its way."""

    direction: Vector
    distance: float
    coverage: float
    centre: float
    quality: float
    obstruction: float


@dataclass(frozen=True)
class _Stand:
    """Views around one focus, the best first."""

    focus: _Focus
    up: Vector
    candidates: list[_Candidate]

    def cameras(self, width: int, height: int) -> list[Camera]:
        """Cameras that take them."""
        focal = max(width, height) / 2 / math.tan(_FIELD_OF_VIEW / 2)
        intrinsics = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])
        views = [
            look_at(self.focus.point + c.distance * c.direction, self.focus.point, self.up)
            for c in self.candidates
        ]
        return [Camera("", width, height, intrinsics, view) for view in views]


def place_cameras(
    gaussians: RenderGaussians,
    count: int = 24,
    width: int = 512,
    height: int = 512,
    count_of: Callable[[int], int] | None = None,
) -> list[Camera]:
    """Choose views of a scene without any camera information; deterministic.

    A scene of which one cannot see the details from around a single place is looked at place by
    place.

    Parameters
    ----------
    gaussians : RenderGaussians
    count : int
    width, height : int
        Of the pictures that the cameras take.
    count_of : callable, optional
        From the number of places, if there are several, how many views there should be; ``count``
        by default.

    Returns
    -------
    list of Camera
        The best of a place first.

    Raises
    ------
    CameraError
        The scene shows nothing.
    """
    solid = Solid.of(gaussians)
    if not len(solid.rows):
        raise CameraError("no cameras were given and the scene shows nothing to look at")
    whole = _look_around(gaussians, solid, count, _CANDIDATES)
    cameras = whole.cameras(width, height)[:count]
    if solid.pixels(cameras) < _RESOLVED:
        places = solid.places(solid.typical_size * cameras[0].intrinsics[0, 0] / _AT_PLACE)
        stands = _look_at_places(gaussians, places, count_of(len(places)) if count_of else count)
    else:
        stands = [_unobstructed(gaussians, whole, count)]
    cameras = [camera for stand in stands for camera in stand.cameras(width, height)]
    return [replace(camera, name=f"auto_{n:03d}") for n, camera in enumerate(cameras)]


def _look_at_places(
    gaussians: RenderGaussians, places: list[NDArray[np.int64]], count: int
) -> list[_Stand]:
    """Views of places, given as rows, ``count`` in all."""
    shares = [len(share) for share in np.array_split(np.arange(count), len(places))]
    stands = []
    for rows, share in zip(places[:count], shares, strict=False):
        near = gaussians.select(_surroundings(gaussians, rows))
        near = _thin_out(near, _DRAWN_NEAR, np.random.default_rng(0))
        place = Solid.of(gaussians.select(rows))
        stand = _look_around(near, place, share, _CANDIDATES_OF_PLACE)
        stands.append(_unobstructed(near, stand, share))
    return stands


def _surroundings(gaussians: RenderGaussians, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows of a place and of what may stand between it and a camera."""
    points = gaussians.means[rows].astype(np.float64)
    centre = np.median(points, axis=0)
    reach = _SURROUNDINGS * np.quantile(np.linalg.norm(points - centre, axis=1), 0.8)
    return np.flatnonzero(np.linalg.norm(gaussians.means - centre, axis=1) <= reach)


def _look_around(gaussians: RenderGaussians, solid: Solid, count: int, tries: int) -> _Stand:
    """More than ``count`` views of one place, ``solid``, where ``gaussians`` can be seen."""
    random = np.random.default_rng(0)
    focus = _find_focus(solid)
    drawn = _thin_out(gaussians, _DRAWN, random)
    directions = _sphere(max(tries, 4 * count))
    distances = focus.quarter * np.resize(_DISTANCES, len(directions))
    distances *= random.uniform(0.85, 1.15, len(directions))
    candidates = _score_all(drawn, focus, directions, distances)
    far = [c.coverage for c in candidates if c.distance > _FAR * focus.quarter]
    is_open = bool(np.quantile(far, 0.75) > _FILLED)
    if not is_open:
        focus, whole = _whole_object(solid, focus)
        candidates = _score_all(drawn, focus, directions, np.maximum(distances, whole))
    up, scores = _up_and_scores(candidates, focus, is_open)
    chosen = _spread_out(candidates, scores, count + max(4, count // 2))
    return _Stand(focus, up, [candidates[k] for k in chosen])


def look_at(eye: Vector, target: Vector, up: Vector) -> NDArray[np.float64]:
    """World-to-camera matrix (4, 4) of an upright camera."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, up)
    if np.linalg.norm(right) < 1e-6:
        right = np.cross(forward, np.eye(3)[int(np.argmin(np.abs(forward)))])
    right /= np.linalg.norm(right)
    view = np.eye(4)
    view[:3, :3] = right, np.cross(forward, right), forward
    view[:3, 3] = -view[:3, :3] @ eye
    return view


def _find_focus(solid: Solid) -> _Focus:
    points, weight = solid.points, solid.weights

    def middle(weights: Vector) -> Vector:
        return np.array([weighted_quantiles(points[:, k], weights, [0.5])[0] for k in range(3)])

    point = middle(weight)
    for _ in range(3):
        distance = np.linalg.norm(points - point, axis=1)
        half = weighted_quantiles(distance, weight, [0.5])[0]
        point = middle(weight * (distance <= 2 * half))
    distance = np.linalg.norm(points - point, axis=1)
    quarter, most = weighted_quantiles(distance, weight, [0.25, 0.8])
    near = distance <= min(1.5 * most, 4 * quarter)
    offsets = (points[near] - point) * np.sqrt(weight[near] / weight[near].sum())[:, None]
    axes = np.linalg.eigh(offsets.T @ offsets)[1].T
    smallest = float(np.median(solid.sizes))
    return _Focus(point, max(float(quarter), smallest), axes)


def _whole_object(solid: Solid, focus: _Focus) -> tuple[_Focus, float]:
    """Focus in the middle of an object, and the distance from which it fits into the picture."""
    points = solid.points
    low, high = np.quantile(points, [0.01, 0.99], axis=0)
    point = (low + high) / 2
    radius = float(np.quantile(np.linalg.norm(points - point, axis=1), 0.98))
    return replace(focus, point=point), radius / math.sin(_FIELD_OF_VIEW / 2)


def _thin_out(
    gaussians: RenderGaussians, most: int, random: np.random.Generator
) -> RenderGaussians:
    """At most so many Gaussians, enlarged so that they cover as much, without SH bands."""
    rows = np.flatnonzero(gaussians.opacity > 0.02)
    if len(rows) > most:
        factor = math.sqrt(len(rows) / most)
        rows = np.sort(random.choice(rows, most, replace=False))
    else:
        factor = 1.0
    g = gaussians.select(rows)
    sh = np.ascontiguousarray(g.sh[:, :1])
    return RenderGaussians(g.means, g.quats, g.scales * np.float32(factor), g.opacity, sh)


def _sphere(count: int) -> NDArray[np.float64]:
    """Directions spread evenly, shape (count, 3)."""
    height = 1 - (2 * np.arange(count) + 1) / count
    turn = math.pi * (1 + math.sqrt(5)) * np.arange(count)
    ring = np.sqrt(1 - height * height)
    return np.stack([ring * np.cos(turn), ring * np.sin(turn), height], axis=1)


def _score_all(
    gaussians: RenderGaussians, focus: _Focus, directions: Vector, distances: Vector
) -> list[_Candidate]:
    from csgs_codec.render.rasterise import in_pieces

    count = len(directions)
    found: list[_Candidate | None] = [None] * count

    def some(begin: int, end: int) -> None:
        for k in range(begin, end):
            found[k] = _score(gaussians, focus, directions[k], float(distances[k]))

    in_pieces(some, count, 8)
    return [candidate for candidate in found if candidate is not None]


def _score(
    gaussians: RenderGaussians, focus: _Focus, direction: Vector, distance: float
) -> _Candidate:
    view = look_at(focus.point + distance * direction, focus.point, focus.axes[0])
    focal = _WIDTH / 2 / math.tan(_FIELD_OF_VIEW / 2)
    lens = np.array([[focal, 0, _WIDTH / 2], [0, focal, _HEIGHT / 2], [0, 0, 1.0]])
    rgb, alpha, depth, blur = _look(gaussians, Camera("", _WIDTH, _HEIGHT, lens, view))
    inner = slice(_HEIGHT // 4, 3 * _HEIGHT // 4), slice(_WIDTH // 4, 3 * _WIDTH // 4)
    crowded = float((alpha * (depth < 0.3 * distance)).mean())
    hidden = float((alpha * (depth < 0.45 * distance))[inner].mean())
    blurred = float((blur * alpha).sum() / max(alpha.sum(), 1e-3))
    variety = min(float(rgb.std(axis=(0, 1)).mean()), 0.25) / 0.25
    obstruction = 3 * crowded + 2 * hidden
    quality = 0.5 * variety - obstruction - 5 * blurred
    centre = min(1.0, 1.3 * float(alpha[inner].mean()))
    return _Candidate(direction, distance, float(alpha.mean()), centre, quality, obstruction)


def _look(gaussians: RenderGaussians, camera: Camera) -> tuple[Floats, Floats, Floats, Floats]:
    """Colours, alpha, mean depth and mean extent (in picture widths) of a small picture."""
    from csgs_codec.render import rasterise

    projection = rasterise.project(gaussians, camera)
    extent = np.minimum(projection.radius.mean(axis=1) / 3 / camera.width, 1)
    colours = np.column_stack([projection.rgb, projection.depth, extent.astype(np.float32)])
    raster = rasterise.forward(projection, rasterise.bin_tiles(projection), colours)
    alpha = 1 - raster.transmittance
    solid: Floats = np.maximum(alpha, np.float32(1e-4))
    return raster.image[..., :3], alpha, raster.image[..., 3] / solid, raster.image[..., 4] / solid


def _up_and_scores(
    candidates: list[_Candidate], focus: _Focus, is_open: bool
) -> tuple[Vector, Vector]:
    """The scene's up direction, and scores in which views from below an open scene are out.

    A scene is open if most views from afar are filled to the edges (there is a ground and
    surroundings) and an object otherwise. An open scene is flat, and good views of it come from
    above; of an object, a coordinate axis near the mean direction of good views is up.
    """
    directions = np.array([c.direction for c in candidates])
    shown = [2 * c.coverage if is_open else c.centre for c in candidates]
    scores = np.array(shown) + np.array([c.quality for c in candidates])
    best = np.argsort(-scores)[: len(candidates) // 6]
    mean = directions[best].mean(axis=0)
    length = float(np.linalg.norm(mean))
    flat = focus.axes[0] * np.copysign(1, focus.axes[0] @ mean)
    axes = np.concatenate([np.eye(3), -np.eye(3)])
    if is_open and flat @ mean > 0.4 * length:
        along = axes @ flat
        up = axes[int(np.argmax(along))] if along.max() > _ALIGNED else flat
    elif length < 0.2:
        return _DEFAULT_UP, scores
    else:
        along = axes @ mean / length
        up = axes[int(np.argmax(along))] if along.max() > 0.8 else mean / length
    if is_open:
        elevation = np.degrees(np.arcsin(np.clip(directions @ up, -1, 1)))
        low, high = _ELEVATION
        scores = np.where((elevation > low) & (elevation < high), scores, scores - 100)
    return up, scores


def _spread_out(candidates: list[_Candidate], scores: Vector, count: int) -> list[int]:
    """Indices of good candidates that look from different sides."""
    directions = np.array([c.direction for c in candidates])
    width = 0.35 * math.sqrt(24 / max(count, 1))
    penalty = np.zeros(len(candidates))
    chosen: list[int] = []
    for _ in range(count):
        k = int(np.argmax(scores - penalty))
        chosen.append(k)
        angle = np.arccos(np.clip(directions @ directions[k], -1, 1))
        penalty += 1.2 * np.exp(-((angle / width) ** 2))
        penalty[k] = np.inf
    return chosen


def _unobstructed(gaussians: RenderGaussians, stand: _Stand, count: int) -> _Stand:
    """The first ``count`` views; those in whose way something stands only if need be.

    All Gaussians are looked at: what hides a view may be missing in the thinned-out scene.
    """
    bare = replace(gaussians, sh=np.ascontiguousarray(gaussians.sh[:, :1]))
    candidates = stand.candidates

    def blocked(some: list[_Candidate]) -> list[bool]:
        directions = np.array([c.direction for c in some])
        distances = np.array([c.distance for c in some])
        scored = _score_all(bare, stand.focus, directions, distances)
        return [c.obstruction > _OBSTRUCTED for c in scored]

    found: list[bool] = []
    while len(found) < len(candidates) and found.count(False) < count:
        lacking = count - found.count(False)
        found += blocked(candidates[len(found) : len(found) + lacking])
    order = sorted(range(len(found)), key=lambda k: found[k])
    return replace(stand, candidates=[candidates[k] for k in sorted(order[:count])])
