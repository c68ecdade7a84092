"""CPU rasteriser in stages: project, list tiles, blend; and the gradients of each stage.

The maths is that of gsplat 1.5.3: EWA splatting, 0.3 pixels of dilation, contributions below 1/255
skipped, alpha clamped to 0.999, a pixel done before its transmittance would reach 1e-4, depth order
by camera z with ties by row.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from csgs_codec.render import kernels, project_kernels
from csgs_codec.render.cameras import Camera
from csgs_codec.render.gaussians import Floats, RenderGaussians

TILE = kernels.TILE
_PIECES_PER_THREAD = 12
_TILES = 8
ROWS = 4096
_inside = threading.local()


@dataclass(frozen=True)
class Projection:
    """Gaussians in one picture; rows of invisible ones are zero.

    Attributes
    ----------
    width, height : int
    packed : ndarray of float32, shape (n, 8)
        Mean x, y, conic A, B, C, opacity, half height in pixels of the part with alpha >= 1/255,
        largest exponent of that part.
    depth : ndarray of float32, shape (n,)
        Camera z.
    radius : ndarray of float32, shape (n, 2)
        Half width and half height of the box, whole pixels.
    visible : ndarray of bool, shape (n,)
    rgb : ndarray of float32, shape (n, 3)
        Colour seen from the camera, at least 0.
    clamped : ndarray of bool, shape (n, 3)
        Where the colour was below 0.
    """

    width: int
    height: int
    packed: Floats
    depth: Floats
    radius: Floats
    visible: NDArray[np.bool_]
    rgb: Floats
    clamped: NDArray[np.bool_]

    @property
    def mean2d(self) -> Floats:
        """Centres in pixels, shape (n, 2)."""
        return self.packed[:, :2]

    @property
    def conic(self) -> Floats:
        """Inverse covariance A, B, C in A x^2 + 2 B x y + C y^2, shape (n, 3)."""
        return self.packed[:, 2:5]

    @property
    def opacity(self) -> Floats:
        """Shape (n,)."""
        return self.packed[:, 5]


@dataclass(frozen=True)
class TileLists:
    """Which Gaussians each tile of 16 x 16 pixels blends, nearest first.

    Attributes
    ----------
    tiles_x, tiles_y : int
    offsets : ndarray of int64, shape (tiles + 1,)
        Tile ``t`` (row by row) has the entries ``offsets[t] .. offsets[t + 1] - 1``.
    ids : ndarray of int32
        Rows of the Gaussians.
    """

    tiles_x: int
    tiles_y: int
    offsets: NDArray[np.int64]
    ids: NDArray[np.int32]


@dataclass(frozen=True)
class Raster:
    """A picture.

    Attributes
    ----------
    image : ndarray of float32, shape (height, width, channels)
    transmittance : ndarray of float32, shape (height, width)
        What is left for the background.
    last : ndarray of int32, shape (height, width)
        Place in the tile's list of the last Gaussian that counted, -1 without any.
    """

    image: Floats
    transmittance: Floats
    last: NDArray[np.int32]


@dataclass(frozen=True)
class RasterGradients:
    """Gradients by what was blended: shapes (n, 2), (n, 3), (n,) and (n, channels), float32."""

    mean2d: Floats
    conic: Floats
    opacity: Floats
    colours: Floats


@dataclass(frozen=True)
class GaussianGradients:
    """Gradients by the arrays of :class:`RenderGaussians` but opacity, in their shapes."""

    means: Floats
    quats: Floats
    scales: Floats
    sh: Floats


def threads() -> int:
    """Number of threads that kernels share their work among."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def in_pieces(
    work: Callable[[int, int], object], count: int, per_thread: int = 1, least: int = 1
) -> None:
    """Call ``work(begin, end)`` on pieces of ``range(count)``, in parallel.

    Inside such a piece everything is serial, so that small pictures can be rendered side by side.

    Parameters
    ----------
    work : callable
        Releases the GIL and writes to disjoint places.
    count : int
    per_thread : int
        Pieces for each thread: more of them balance uneven work.
    least : int
        Fewer items than this are not worth a piece of their own.
    """
    workers = threads()
    pieces = min(count // least, workers * per_thread)
    if workers == 1 or pieces <= 1 or getattr(_inside, "piece", False):
        work(0, count)
        return
    edges = [count * k // pieces for k in range(pieces + 1)]

    def piece(begin: int, end: int) -> None:
        _inside.piece = True
        work(begin, end)

    for _ in _pool(workers).map(piece, edges[:-1], edges[1:]):
        pass


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers)


def project(gaussians: RenderGaussians, camera: Camera) -> Projection:
    """Project Gaussians and evaluate their colours for one camera."""
    n = gaussians.count
    out = Projection(
        camera.width,
        camera.height,
        np.zeros((n, 8), np.float32),
        np.zeros(n, np.float32),
        np.zeros((n, 2), np.float32),
        np.zeros(n, np.bool_),
        np.zeros((n, 3), np.float32),
        np.zeros((n, 3), np.bool_),
    )
    view, lens, eye = lens_of(camera)
    size = np.float32(camera.width), np.float32(camera.height)
    g = gaussians
    inputs = (g.means, g.quats, g.scales, g.opacity, g.sh, view, lens, eye, *size)
    outputs = (out.packed, out.depth, out.radius, out.visible, out.rgb, out.clamped)
    in_pieces(
        lambda begin, end: project_kernels.project_rows(begin, end, *inputs, *outputs), n, 4, ROWS
    )
    return out


def bin_tiles(projection: Projection) -> TileLists:
    """Sort by depth and list for each tile the Gaussians that touch it.

    A Gaussian is listed where its alpha may reach 1/255, so the picture does not depend on tiles.
    """
    tiles_x, tiles_y = -(-projection.width // TILE), -(-projection.height // TILE)
    order = kernels.depth_order(projection.depth, projection.visible)
    alone = getattr(_inside, "piece", False) or len(order) < ROWS
    parts = 1 if alone else threads()
    edges = [len(order) * k // parts for k in range(parts + 1)]
    cursors = np.zeros((parts, tiles_x * tiles_y), np.int64)

    def walk(ids: NDArray[np.int32], fill: bool) -> None:
        def part(begin: int, end: int) -> None:
            for k in range(begin, end):
                kernels.list_tiles(
                    order[edges[k] : edges[k + 1]],
                    projection.packed,
                    projection.radius,
                    tiles_x,
                    tiles_y,
                    cursors[k],
                    ids,
                    fill,
                )

        in_pieces(part, parts)

    walk(np.empty(0, np.int32), False)
    ends = np.cumsum(cursors.T.ravel()).reshape(-1, parts).T
    cursors = np.ascontiguousarray(ends - cursors)
    offsets = np.append(cursors[0], ends[-1, -1])
    ids = np.empty(offsets[-1], np.int32)
    walk(ids, True)
    return TileLists(tiles_x, tiles_y, offsets, ids)


def forward(
    projection: Projection, tiles: TileLists, colours: Floats, background: Floats | None = None
) -> Raster:
    """Blend colours, or any features, front to back.

    Parameters
    ----------
    projection : Projection
    tiles : TileLists
    colours : ndarray of float32, shape (n, channels)
    background : ndarray of float32, shape (channels,), optional
        Zero by default.

    Returns
    -------
    Raster
    """
    shape = projection.height, projection.width
    channels = colours.shape[1]
    colours, background = _checked(projection, colours, background)
    out = Raster(
        np.empty((*shape, channels), np.float32),
        np.empty(shape, np.float32),
        np.empty(shape, np.int32),
    )
    inputs = (tiles.tiles_x, tiles.offsets, tiles.ids, projection.packed, colours, background)
    outputs = (out.image, out.transmittance, out.last)
    in_pieces(
        lambda begin, end: kernels.forward_tiles(begin, end, *inputs, *outputs),
        tiles.tiles_x * tiles.tiles_y,
        _PIECES_PER_THREAD,
        _TILES,
    )
    return out


def backward(
    projection: Projection,
    tiles: TileLists,
    colours: Floats,
    raster: Raster,
    grad_image: Floats,
    grad_alpha: Floats | None = None,
    background: Floats | None = None,
) -> RasterGradients:
    """Gradients of :func:`forward`; the same numbers however many threads run.

    Parameters
    ----------
    projection, tiles, colours, background
        As given to :func:`forward`.
    raster : Raster
        What it returned.
    grad_image : ndarray of float32, shape (height, width, channels)
        Gradient of the loss by the picture.
    grad_alpha : ndarray of float32, shape (height, width), optional
        Gradient of the loss by alpha = 1 - transmittance.

    Returns
    -------
    RasterGradients
    """
    n, channels = colours.shape
    colours, background = _checked(projection, colours, background)
    if grad_alpha is None:
        grad_alpha = np.zeros_like(raster.transmittance)
    entries = np.empty((len(tiles.ids), 6 + channels), np.float32)
    arguments = (
        tiles.tiles_x,
        tiles.offsets,
        tiles.ids,
        projection.packed,
        colours,
        background,
        raster.transmittance,
        raster.last,
        np.ascontiguousarray(grad_image, np.float32),
        np.ascontiguousarray(grad_alpha, np.float32),
        entries,
    )
    in_pieces(
        lambda begin, end: kernels.backward_tiles(begin, end, *arguments),
        tiles.tiles_x * tiles.tiles_y,
        _PIECES_PER_THREAD,
        _TILES,
    )
    sums = np.zeros((n, 6 + channels), np.float32)
    in_pieces(lambda begin, end: kernels.sum_entries(begin, end, tiles.ids, entries, sums), n)
    mean2d, conic, opacity, by_colours = np.split(sums, (2, 5, 6), axis=1)
    return RasterGradients(mean2d, conic, opacity[:, 0], by_colours)


def project_backward(
    gaussians: RenderGaussians,
    camera: Camera,
    projection: Projection,
    gradients: RasterGradients,
) -> GaussianGradients:
    """Gradients through :func:`project`.

    Parameters
    ----------
    gaussians, camera
        As given to :func:`project`.
    projection : Projection
        What it returned.
    gradients : RasterGradients
        Of :func:`backward` where the first three channels are ``projection.rgb``.

    Returns
    -------
    GaussianGradients
        The gradient by opacity is ``gradients.opacity``.
    """
    g = gaussians
    out = GaussianGradients(*(np.zeros_like(a) for a in (g.means, g.quats, g.scales, g.sh)))
    view, lens, eye = lens_of(camera)
    size = np.float32(camera.width), np.float32(camera.height)
    arguments = (
        *(g.means, g.quats, g.scales, g.sh, view, lens, eye, *size),
        *(projection.packed, projection.visible, projection.clamped),
        *(gradients.mean2d, gradients.conic, gradients.colours),
        *(out.means, out.quats, out.scales, out.sh),
    )
    in_pieces(
        lambda begin, end: project_kernels.project_backward_rows(begin, end, *arguments),
        g.count,
        4,
        ROWS,
    )
    return out


def _checked(
    projection: Projection, colours: Floats, background: Floats | None
) -> tuple[Floats, Floats]:
    """Colours and background as the kernels need them."""
    n, channels = colours.shape
    if n != len(projection.depth):
        raise ValueError(f"{n} rows of colours for {len(projection.depth)} Gaussians")
    if background is None:
        background = np.zeros(channels, np.float32)
    if np.shape(background) != (channels,):
        raise ValueError(f"background of shape {np.shape(background)} for {channels} channels")
    return (
        np.ascontiguousarray(colours, np.float32),
        np.ascontiguousarray(background, np.float32),
    )


def lens_of(camera: Camera) -> tuple[Floats, Floats, Floats]:
    """World to camera (3, 4); fx, fy, cx, cy; position: all float32."""
    k = camera.intrinsics
    lens = np.array([k[0, 0], k[1, 1], k[0, 2], k[1, 2]], np.float32)
    return (
        np.ascontiguousarray(camera.world_to_camera[:3], np.float32),
        lens,
        camera.centre.astype(np.float32),
    )
