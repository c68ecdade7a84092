"""What Gaussians do to pictures: squared derivatives, and pictures as linear maps of colours."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from csgs_codec.render import influence_kernels, kernels, project_kernels
from csgs_codec.render.cameras import Camera
from csgs_codec.render.gaussians import Floats, RenderGaussians
from csgs_codec.render.rasterise import (
    ROWS,
    Projection,
    Raster,
    TileLists,
    in_pieces,
    lens_of,
    threads,
)

TILE = kernels.TILE
_PIECES_PER_THREAD = 12
_TILES = 8
_ENTRIES = 20_000


@dataclass(frozen=True)
class Influence:
    """Squared derivatives of one picture, summed over pixels and channels.

    Attributes
    ----------
    position, log_scale : ndarray of float32, shape (n,)
        By one coordinate (mean over the three).
    quaternion : ndarray of float32, shape (n, 3)
        By the unit quaternion where it turns about each axis of the Gaussian.
    opacity : ndarray of float32, shape (n,)
        By the opacity in 0..1.
    colour : ndarray of float32, shape (n,)
        Of one channel.
    """

    position: Floats
    log_scale: Floats
    quaternion: Floats
    opacity: Floats
    colour: Floats


def influence(
    gaussians: RenderGaussians,
    camera: Camera,
    projection: Projection,
    tiles: TileLists,
    raster: Raster,
    stride: int = 1,
) -> Influence:
    """Diagonal of ``J^T J`` of a picture, exactly (no random probes).

    Parameters
    ----------
    gaussians, camera, projection, tiles, raster
        A picture of ``projection.rgb`` on a black background, and how it came about.
    stride : int
        Only every ``stride``-th row of pixels is looked at; sums are scaled up.
    """
    moments = np.zeros((gaussians.count, influence_kernels.MOMENTS), np.float32)
    entries = np.empty((len(tiles.ids), influence_kernels.MOMENTS), np.float32)
    inputs = (
        *(tiles.tiles_x, tiles.offsets, tiles.ids, projection.packed, projection.rgb),
        *(np.zeros(3, np.float32), raster.transmittance, raster.last, stride, entries),
    )
    in_pieces(
        lambda begin, end: influence_kernels.squared_tiles(begin, end, *inputs),
        tiles.tiles_x * tiles.tiles_y,
        _PIECES_PER_THREAD,
        _TILES,
    )
    in_pieces(
        lambda begin, end: kernels.sum_entries(begin, end, tiles.ids, entries, moments),
        gaussians.count,
    )
    out = np.zeros((gaussians.count, influence_kernels.ATTRIBUTES), np.float32)
    view, lens, _ = lens_of(camera)
    arguments = (
        *(gaussians.means, gaussians.quats, gaussians.scales, view, lens),
        *(np.float32(camera.width), np.float32(camera.height)),
        *(projection.packed, projection.visible, moments, out),
    )
    in_pieces(
        lambda begin, end: influence_kernels.squared_rows(begin, end, *arguments),
        gaussians.count,
        4,
        ROWS,
    )
    out *= np.float32(stride)
    return Influence(out[:, 0], out[:, 1], out[:, 2:5], out[:, 5], out[:, 6])


@dataclass(frozen=True)
class Removal:
    """What a picture is to a Gaussian, shape (n,) each.

    Attributes
    ----------
    change : ndarray of float32
        Squared change of the picture if this one alone were left out, summed over pixels and
        channels. What lies behind the last Gaussian that a pixel blends counts as black.
    exposure : ndarray of float32
        Mean share of its light that is not blocked by what stands in front, 0 to 1.
    """

    change: Floats
    exposure: Floats


def removal(projection: Projection, tiles: TileLists, raster: Raster, stride: int = 1) -> Removal:
    """What leaving out each Gaussian does to a picture.

    Parameters
    ----------
    projection, tiles, raster
        A picture of ``projection.rgb`` on a black background.
    stride : int
        Only every ``stride``-th row of pixels is looked at; sums are scaled up.
    """
    entries = np.empty((len(tiles.ids), 3), np.float32)
    sums = np.zeros((len(projection.depth), 3), np.float32)
    inputs = (
        *(tiles.tiles_x, tiles.offsets, tiles.ids, projection.packed, projection.rgb),
        *(raster.transmittance, raster.last, stride, entries),
    )
    in_pieces(
        lambda begin, end: influence_kernels.removal_tiles(begin, end, *inputs),
        tiles.tiles_x * tiles.tiles_y,
        _PIECES_PER_THREAD,
        _TILES,
    )
    in_pieces(
        lambda begin, end: kernels.sum_entries(begin, end, tiles.ids, entries, sums), len(sums)
    )
    change, weights, alphas = sums.T
    exposure = (weights / np.maximum(alphas, 1e-9)).astype(np.float32)
    return Removal(change * np.float32(stride), exposure)


def directions(means: Floats, camera: Camera, coefficients: int) -> Floats:
    """Spherical harmonics of the directions in which a camera sees places, shape (n, K)."""
    out = np.empty((len(means), coefficients), np.float32)
    eye = lens_of(camera)[2]
    in_pieces(
        lambda begin, end: project_kernels.basis_rows(begin, end, means, eye, out),
        len(means),
        4,
        ROWS,
    )
    return out


@dataclass(frozen=True)
class BlendingWeights:
    """A picture as a linear map of the colours of its Gaussians, in rows of 16 pixels.

    Attributes
    ----------
    width, height : int
    ids, places : ndarray of int32, shape (m,)
        Gaussian, and row of 16 pixels (row by row over the picture).
    weights : ndarray of uint16, shape (16 m,)
        In units of 1 / 65535.
    pieces : tuple of int
        Edges of ranges of entries that touch disjoint pixels.
    """

    width: int
    height: int
    ids: NDArray[np.int32]
    places: NDArray[np.int32]
    weights: NDArray[np.uint16]
    pieces: tuple[int, ...]

    @classmethod
    def of(
        cls, projection: Projection, tiles: TileLists, stride: int = 1, least: float = 1 / 512
    ) -> tuple[BlendingWeights, Floats]:
        """Weights of every ``stride``-th row of pixels, those above ``least``.

        Returns
        -------
        BlendingWeights
        ndarray of float32
            What these rows show, on black, as :meth:`planes`: of all weights.
        """
        count = tiles.tiles_x * tiles.tiles_y
        workers = min(threads() if len(tiles.ids) > _ENTRIES else 1, count)
        shares = len(tiles.ids) * np.arange(workers + 1) // workers
        edges = [0, *np.searchsorted(tiles.offsets, shares[1:-1]).tolist(), count]
        width, height = projection.width, projection.height
        planes = np.zeros(3 * height * TILE * tiles.tiles_x, np.float32)
        inputs = (
            *(tiles.tiles_x, tiles.offsets, tiles.ids, projection.packed, projection.rgb),
            *(width, height, stride, np.float32(least)),
        )
        found: dict[int, tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint16]]] = {}

        def blend(k: int, room: int, shown: Floats) -> int:
            ids, places = np.empty(room, np.int32), np.empty(room, np.int32)
            weights = np.empty(TILE * room, np.uint16)
            arrays = ids, places, weights, shown
            held = influence_kernels.weight_tiles(edges[k], edges[k + 1], *inputs, *arrays)
            found[k] = ids[:held], places[:held], weights[: TILE * held]
            return int(held)

        def pieces(begin: int, end: int) -> None:
            for k in range(begin, end):
                room = int(tiles.offsets[edges[k + 1]] - tiles.offsets[edges[k]])
                held = blend(k, room, planes)
                if held > room:
                    blend(k, held, np.zeros_like(planes))

        in_pieces(pieces, workers)
        blended = [found[k] for k in range(workers)]
        ids, places, weights = (np.concatenate(arrays) for arrays in zip(*blended, strict=True))
        starts = np.cumsum([0] + [len(piece[0]) for piece in blended])
        return cls(width, height, ids, places, weights, tuple(starts.tolist())), planes

    @property
    def entries(self) -> Floats:
        """Weights from 0 to 1, shape (m, 16)."""
        rows = self.weights.reshape(-1, TILE).astype(np.float32)
        return np.asarray(rows / influence_kernels.WEIGHT_ONE)

    @property
    def tiles_x(self) -> int:
        """Rows of 16 pixels side by side."""
        return -(-self.width // TILE)

    def planes(self, picture: Floats) -> Floats:
        """A picture (height, width, 3) as three flat planes of padded rows."""
        padded = np.zeros((3, self.height, TILE * self.tiles_x), np.float32)
        padded[:, :, : self.width] = picture.transpose(2, 0, 1)
        return padded.reshape(-1)

    def forward(self, values: Floats) -> Floats:
        """Planes of the picture of ``values``, shape (n, 3)."""
        planes = np.zeros(3 * self.height * TILE * self.tiles_x, np.float32)
        values = values / influence_kernels.WEIGHT_ONE
        self._each(
            lambda begin, end, _: influence_kernels.project_weights(
                begin, end, self.ids, self.places, self.weights, values, planes
            )
        )
        return planes

    def backward(self, planes: Floats, count: int) -> Floats:
        """Transpose of :meth:`forward`, shape (count, 3)."""
        sums = np.zeros((len(self.pieces) - 1, count, 3), np.float32)
        self._each(
            lambda begin, end, piece: influence_kernels.gather_weights(
                begin, end, self.ids, self.places, self.weights, planes, sums[piece]
            )
        )
        return np.asarray(sums.sum(axis=0) / influence_kernels.WEIGHT_ONE)

    def squared(self, count: int) -> Floats:
        """Sums of squared weights, shape (count,)."""
        sums = np.zeros((len(self.pieces) - 1, count), np.float32)
        self._each(
            lambda begin, end, piece: influence_kernels.square_weights(
                begin, end, self.ids, self.weights, sums[piece]
            )
        )
        return np.asarray(sums.sum(axis=0) / influence_kernels.WEIGHT_ONE**2)

    def compact(self, count: int) -> tuple[BlendingWeights, NDArray[np.int64]]:
        """The same weights for only those Gaussians that have any, and which of them do."""
        held = np.zeros(count, np.bool_)
        held[self.ids] = True
        number = np.cumsum(held, dtype=np.int32) - 1
        return replace(self, ids=number[self.ids]), np.flatnonzero(held)

    def _each(self, work) -> None:  # type: ignore[no-untyped-def]
        def some(begin: int, end: int) -> None:
            for piece in range(begin, end):
                work(self.pieces[piece], self.pieces[piece + 1], piece)

        in_pieces(some, len(self.pieces) - 1)
