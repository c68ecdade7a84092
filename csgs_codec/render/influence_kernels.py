"""Compiled kernels: what each Gaussian does to a picture, squared; and its blending weights."""

from __future__ import annotations

import numpy as np
from numba import njit

from csgs_codec.render.kernels import (
    MAX_ALPHA,
    ONE,
    OPTIONS,
    STOP,
    TILE,
    ZERO,
    row_alpha,
    rows_touched,
)
from csgs_codec.render.lanes import (
    from_bits,
    lane_numbers,
    load,
    select,
    some,
    spread,
    store,
    to_bits,
    total,
)
from csgs_codec.render.project_kernels import (
    basis_towards,
    half_covariance,
    limits,
    rotation_of,
    to_camera,
)

MOMENTS = 10
ATTRIBUTES = 7
FOUR, HALF = np.float32(4), np.float32(0.5)
WEIGHT_ONE = np.float32(65535)


@njit(**OPTIONS)
def squared_tiles(
    begin, end, tiles_x, offsets, ids, packed, colours, background, transmittance, last, stride, out
):
    """Squared derivatives of the pixels by what is blended, for each entry of the tile lists.

    ``out`` has shape (entries, 10), summed over pixels and channels: colour (of one channel);
    opacity; then, with E the squared derivative by -sigma and d the offset from the mean,
    E dx dx, E dx dy, E dy dy, E dx^4, E dx^3 dy, E dx^2 dy^2, E dx dy^3, E dy^4. Only every
    ``stride``-th row of the picture counts.
    """
    height, width = transmittance.shape
    left = np.empty(TILE * TILE, np.float32)
    latest = np.empty(TILE * TILE, np.int32)
    behind = np.empty(3 * TILE * TILE, np.float32)
    plane = TILE * TILE
    for tile in range(begin, end):
        x0, y0 = tile % tiles_x * TILE, tile // tiles_x * TILE
        rows, columns = min(TILE, height - y0), min(TILE, width - x0)
        left[:] = ONE
        latest[:] = -1
        deepest = -1
        for r in range(rows):
            for lane in range(columns):
                at = r * TILE + lane
                left[at] = transmittance[y0 + r, x0 + lane]
                for k in range(3):
                    behind[k * plane + at] = background[k] * left[at]
                if (y0 + r) % stride == 0:
                    latest[at] = last[y0 + r, x0 + lane]
                    deepest = max(deepest, latest[at])
        centres = lane_numbers() + (np.float32(x0) + np.float32(0.5))
        top = np.float32(y0) + np.float32(0.5)
        first = offsets[tile]
        out[first + deepest + 1 : offsets[tile + 1]] = ZERO
        for place in range(deepest, -1, -1):
            j = first + place
            i = ids[j]
            dx = packed[i, 0] - centres
            red, green, blue = colours[i, 0], colours[i, 1], colours[i, 2]
            m0 = m1 = m2 = m3 = m4 = m5 = m6 = m7 = m8 = m9 = spread(ZERO)
            row, row_end = rows_touched(packed, i, top, rows)
            for r in range(row, row_end + 1):
                if (y0 + r) % stride != 0:
                    continue
                dy = packed[i, 1] - (top + np.float32(r))
                alpha, falloff, hit = row_alpha(packed, i, dx, dy)
                at = r * TILE
                hit = hit & (load(latest, at) >= np.int32(place))
                if not some(hit):
                    continue
                inverse = ONE / (ONE - alpha)
                after = load(left, at)
                before = after * inverse
                store(left, at, select(hit, before, after))
                weight = select(hit, alpha * before, ZERO)
                b0, b1, b2 = (
                    load(behind, at),
                    load(behind, plane + at),
                    load(behind, 2 * plane + at),
                )
                g0, g1, g2 = (
                    before * red - b0 * inverse,
                    before * green - b1 * inverse,
                    before * blue - b2 * inverse,
                )
                store(behind, at, b0 + weight * red)
                store(behind, plane + at, b1 + weight * green)
                store(behind, 2 * plane + at, b2 + weight * blue)
                moves = hit & (packed[i, 5] * falloff <= MAX_ALPHA)
                squared = select(moves, g0 * g0 + g1 * g1 + g2 * g2, ZERO)
                m0 = m0 + weight * weight
                m1 = m1 + squared * (falloff * falloff)
                effect = squared * (alpha * alpha)
                xx = effect * (dx * dx)
                m2 = m2 + xx
                m3 = m3 + effect * (dx * dy)
                yy = effect * (dy * dy)
                m4 = m4 + yy
                m5 = m5 + xx * (dx * dx)
                m6 = m6 + xx * (dx * dy)
                m7 = m7 + xx * (dy * dy)
                m8 = m8 + yy * (dx * dy)
                m9 = m9 + yy * (dy * dy)
            out[j, 0], out[j, 1], out[j, 2], out[j, 3] = total(m0), total(m1), total(m2), total(m3)
            out[j, 4], out[j, 5], out[j, 6], out[j, 7] = total(m4), total(m5), total(m6), total(m7)
            out[j, 8], out[j, 9] = total(m8), total(m9)


@njit(**OPTIONS)
def removal_tiles(
    begin, end, tiles_x, offsets, ids, packed, colours, transmittance, last, stride, out
):
    """What is missing when a Gaussian is left out, for each entry of the tile lists.

    ``out`` has shape (entries, 3): squared change of the pixels, summed over pixels and channels,
    on a black background; sum of blending weights; sum of alphas. Only every ``stride``-th row of
    the picture counts.
    """
    height, width = transmittance.shape
    left = np.empty(TILE * TILE, np.float32)
    latest = np.empty(TILE * TILE, np.int32)
    behind = np.empty(3 * TILE * TILE, np.float32)
    plane = TILE * TILE
    for tile in range(begin, end):
        x0, y0 = tile % tiles_x * TILE, tile // tiles_x * TILE
        rows, columns = min(TILE, height - y0), min(TILE, width - x0)
        left[:] = ONE
        behind[:] = ZERO
        latest[:] = -1
        deepest = -1
        for r in range(rows):
            for lane in range(columns):
                at = r * TILE + lane
                left[at] = transmittance[y0 + r, x0 + lane]
                if (y0 + r) % stride == 0:
                    latest[at] = last[y0 + r, x0 + lane]
                    deepest = max(deepest, latest[at])
        centres = lane_numbers() + (np.float32(x0) + np.float32(0.5))
        top = np.float32(y0) + np.float32(0.5)
        first = offsets[tile]
        out[first + deepest + 1 : offsets[tile + 1]] = ZERO
        for place in range(deepest, -1, -1):
            j = first + place
            i = ids[j]
            dx = packed[i, 0] - centres
            red, green, blue = colours[i, 0], colours[i, 1], colours[i, 2]
            change = weights = alphas = spread(ZERO)
            row, row_end = rows_touched(packed, i, top, rows)
            for r in range(row, row_end + 1):
                if (y0 + r) % stride != 0:
                    continue
                alpha, _, hit = row_alpha(packed, i, dx, packed[i, 1] - (top + np.float32(r)))
                at = r * TILE
                hit = hit & (load(latest, at) >= np.int32(place))
                if not some(hit):
                    continue
                inverse = ONE / (ONE - alpha)
                after = load(left, at)
                before = after * inverse
                store(left, at, select(hit, before, after))
                weight = select(hit, alpha * before, ZERO)
                opened = select(hit, alpha * inverse, ZERO)
                b0, b1, b2 = (
                    load(behind, at),
                    load(behind, plane + at),
                    load(behind, 2 * plane + at),
                )
                d0, d1, d2 = (
                    weight * red - opened * b0,
                    weight * green - opened * b1,
                    weight * blue - opened * b2,
                )
                store(behind, at, b0 + weight * red)
                store(behind, plane + at, b1 + weight * green)
                store(behind, 2 * plane + at, b2 + weight * blue)
                change = change + (d0 * d0 + d1 * d1 + d2 * d2)
                weights = weights + weight
                alphas = alphas + select(hit, alpha, ZERO)
            out[j, 0], out[j, 1], out[j, 2] = total(change), total(weights), total(alphas)


@njit(**OPTIONS)
def squared_rows(
    begin, end, means, quats, scales, view, lens, width, height, packed, visible, moments, out
):
    """Squared derivatives by the attributes, added to ``out``, shape (n, 7).

    Position and log scale (means over their coordinates), the unit quaternion where it turns about
    each of the three axes, opacity, colour.
    """
    fx, fy = lens[0], lens[1]
    x_low, x_high, y_low, y_high = limits(lens, width, height)
    rotation, axes = np.empty((3, 3), np.float32), np.empty((3, 3), np.float32)
    px, py = np.empty(3, np.float32), np.empty(3, np.float32)
    for i in range(begin, end):
        if not visible[i]:
            continue
        x, y, z = (
            to_camera(view, means, i, 0),
            to_camera(view, means, i, 1),
            to_camera(view, means, i, 2),
        )
        inverse = ONE / z
        across = z * min(x_high, max(x_low, x * inverse))
        down = z * min(y_high, max(y_low, y * inverse))
        j00, j02 = fx * inverse, -fx * across * inverse * inverse
        j11, j12 = fy * inverse, -fy * down * inverse * inverse
        a, b, c = packed[i, 2], packed[i, 3], packed[i, 4]
        xx, xy, yy = moments[i, 2], moments[i, 3], moments[i, 4]
        # mean: gradient of sigma is conic @ d
        qxx = a * a * xx + np.float32(2) * a * b * xy + b * b * yy
        qxy = a * b * xx + (a * c + b * b) * xy + b * c * yy
        qyy = b * b * xx + np.float32(2) * b * c * xy + c * c * yy
        u2, v2 = fx * inverse, fy * inverse
        uz, vz = -fx * x * inverse * inverse, -fy * y * inverse * inverse
        shift = qxx * (u2 * u2 + uz * uz) + np.float32(2) * qxy * uz * vz
        shift += qyy * (v2 * v2 + vz * vz)
        out[i, 0] += max(ZERO, shift) / np.float32(3)
        rotation_of(quats, i, rotation)
        half_covariance(view, rotation, scales, i, axes)
        for k in range(3):
            u = j00 * axes[0, k] + j02 * axes[2, k]
            v = j11 * axes[1, k] + j12 * axes[2, k]
            px[k], py[k] = a * u + b * v, b * u + c * v
        size = ZERO
        for k in range(3):
            n, about = (k + 1) % 3, (k + 2) % 3
            size += _fourth(moments, i, px[k], py[k], px[k], py[k])
            sk, sn = scales[i, k], scales[i, n]
            if sk > ZERO and sn > ZERO:
                twist = sk / sn - sn / sk
                turn = twist * twist * _fourth(moments, i, px[k], py[k], px[n], py[n])
                out[i, 2 + about] += FOUR * turn
        out[i, 1] += size / np.float32(3)
        out[i, 5] += moments[i, 1]
        out[i, 6] += moments[i, 0]


@njit(inline="always")
def _fourth(moments, i, ax, ay, bx, by):
    """Sum of E (a . d)^2 (b . d)^2; rounding of large moments does not make it negative."""
    a0, a1, a2 = ax * ax, np.float32(2) * ax * ay, ay * ay
    b0, b1, b2 = bx * bx, np.float32(2) * bx * by, by * by
    fourth = (
        a0 * b0 * moments[i, 5]
        + (a0 * b1 + a1 * b0) * moments[i, 6]
        + (a0 * b2 + a1 * b1 + a2 * b0) * moments[i, 7]
        + (a1 * b2 + a2 * b1) * moments[i, 8]
        + a2 * b2 * moments[i, 9]
    )
    return max(ZERO, fourth)


@njit(**OPTIONS)
def weight_tiles(
    begin,
    end,
    tiles_x,
    offsets,
    ids,
    packed,
    colours,
    width,
    height,
    stride,
    least,
    row_ids,
    places,
    weights,
    planes,
):
    """Blend every ``stride``-th row of pixels, and write down with which weights.

    Writes, for rows of 16 pixels, the Gaussian, the place of the row (``y * tiles_x + tile``) and
    the 16 weights in units of 1 / WEIGHT_ONE; rows without a weight of ``least`` are left out.
    Returns their number; those that do not fit are only counted. Adds to ``planes`` the picture of
    ``colours``, shape (n, 3), as three flat planes of padded rows.
    """
    size = planes.shape[0] // 3
    left = np.empty(TILE * TILE, np.float32)
    live = np.empty(TILE, np.uint16)
    at = 0
    for tile in range(begin, end):
        x0, y0 = tile % tiles_x * TILE, tile // tiles_x * TILE
        rows, columns = min(TILE, height - y0), min(TILE, width - x0)
        left[:] = ONE
        live[:] = 0
        rows_left = 0
        for r in range(rows):
            if (y0 + r) % stride == 0:
                live[r] = np.uint16((1 << columns) - 1)
                rows_left += 1
        centres = lane_numbers() + (np.float32(x0) + HALF)
        top = np.float32(y0) + HALF
        for j in range(offsets[tile], offsets[tile + 1]):
            if rows_left == 0:
                break
            i = ids[j]
            dx = packed[i, 0] - centres
            row, row_end = rows_touched(packed, i, top, rows)
            for r in range(row, row_end + 1):
                if live[r] == 0:
                    continue
                alpha, _, hit = row_alpha(packed, i, dx, packed[i, 1] - (top + np.float32(r)))
                hit = hit & from_bits(live[r])
                if not some(hit):
                    continue
                before = load(left, r * TILE)
                after = before * (ONE - alpha)
                opaque = hit & (after <= STOP)
                if some(opaque):
                    hit = hit & ~opaque
                    live[r] &= ~to_bits(opaque)
                    rows_left -= live[r] == 0
                store(left, r * TILE, select(hit, after, before))
                weight = select(hit, alpha * before, ZERO)
                place = (y0 + r) * tiles_x + tile % tiles_x
                for k in range(3):
                    pixel = k * size + place * TILE
                    store(planes, pixel, load(planes, pixel) + weight * colours[i, k])
                if not some(weight >= least):
                    continue
                if at < row_ids.shape[0]:
                    row_ids[at] = i
                    places[at] = place
                    store(weights, at * TILE, weight * WEIGHT_ONE + HALF)
                at += 1
    return at


@njit(**OPTIONS)
def project_weights(begin, end, row_ids, places, weights, values, planes):
    """Add what ``values``, shape (n, 3), give to pictures, three flat planes of padded rows."""
    size = planes.shape[0] // 3
    for j in range(begin, end):
        i = row_ids[j]
        weight = load(weights, j * TILE)
        for k in range(3):
            at = k * size + places[j] * TILE
            store(planes, at, load(planes, at) + weight * values[i, k])


@njit(**OPTIONS)
def gather_weights(begin, end, row_ids, places, weights, planes, out):
    """Add the weighted sums of pictures over each Gaussian to ``out``, shape (n, 3)."""
    size = planes.shape[0] // 3
    for j in range(begin, end):
        i = row_ids[j]
        weight = load(weights, j * TILE)
        for k in range(3):
            out[i, k] += total(weight * load(planes, k * size + places[j] * TILE))


@njit(**OPTIONS)
def square_weights(begin, end, row_ids, weights, out):
    """Add the sums of squared weights of each Gaussian to ``out``, shape (n,)."""
    for j in range(begin, end):
        weight = load(weights, j * TILE)
        out[row_ids[j]] += total(weight * weight)


@njit(**OPTIONS)
def shade_rows(begin, end, rows, means, eye, sh, clamped, out):
    """Colours, shape (m, 3), in which some of the Gaussians are seen; 0 where they are clamped.

    SH coefficients are of shape (n, K, 3).
    """
    basis = np.empty(sh.shape[1], np.float32)
    for j in range(begin, end):
        i = rows[j]
        basis_towards(means, eye, i, basis)
        for k in range(3):
            out[j, k] = ZERO
        for b in range(len(basis)):
            for k in range(3):
                out[j, k] += basis[b] * sh[i, b, k]
        for k in range(3):
            if clamped[j, k]:
                out[j, k] = ZERO


@njit(**OPTIONS)
def unshade_rows(begin, end, rows, means, eye, values, clamped, out):
    """Transpose of :func:`shade_rows`, added to ``out``, shape (n, K, 3)."""
    basis = np.empty(out.shape[1], np.float32)
    for j in range(begin, end):
        i = rows[j]
        basis_towards(means, eye, i, basis)
        for k in range(3):
            value = ZERO if clamped[j, k] else values[j, k]
            if value != ZERO:
                for b in range(len(basis)):
                    out[i, b, k] += basis[b] * value


@njit(**OPTIONS)
def square_basis_rows(begin, end, rows, means, eye, values, out):
    """Add the squared spherical harmonics times ``values``, shape (m,), to ``out``, (n, K)."""
    basis = np.empty(out.shape[1], np.float32)
    for j in range(begin, end):
        i = rows[j]
        basis_towards(means, eye, i, basis)
        for b in range(len(basis)):
            out[i, b] += basis[b] * basis[b] * values[j]
