"""Compiled tile kernels: depth order, tile lists, blending and its gradients.

``packed`` holds one projected Gaussian per row, shape (n, 8): mean x, mean y, conic A, B, C,
opacity, half height of the part with alpha >= 1/255 in pixels, and the largest exponent of it.
Kernels release the GIL and take a range of tiles, so that threads share a picture.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from csgs_codec.render.lanes import (
    exp,
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

TILE = 16
OPTIONS = {
    "cache": True,
    "nogil": True,
    "boundscheck": False,
    "error_model": "numpy",
    "fastmath": {"contract", "nsz"},
}
MIN_ALPHA, MAX_ALPHA, STOP = np.float32(1 / 255), np.float32(0.999), np.float32(1e-4)
ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)


@njit(**OPTIONS)
def depth_order(depth, visible):
    """Visible rows by rising depth, ties by row: radix sort of the bits of positive floats."""
    keys = depth.view(np.uint32)
    count = 0
    for i in range(visible.shape[0]):
        count += visible[i]
    order, other = np.empty(count, np.int32), np.empty(count, np.int32)
    starts = np.zeros((3, 2048), np.int64)
    at = 0
    for i in range(visible.shape[0]):
        if visible[i]:
            order[at] = i
            at += 1
            for step in range(3):
                starts[step, (keys[i] >> np.uint32(11 * step)) & np.uint32(2047)] += 1
    for step in range(3):
        begin = 0
        for digit in range(2048):
            size = starts[step, digit]
            starts[step, digit] = begin
            begin += size
        for k in range(count):
            digit = (keys[order[k]] >> np.uint32(11 * step)) & np.uint32(2047)
            other[starts[step, digit]] = order[k]
            starts[step, digit] += 1
        order, other = other, order
    return order


@njit(inline="always")
def _crossing(a, b, det, q, y, side):
    return (-b * y + side * math.sqrt(max(0.0, a * q - det * y * y))) / a


@njit(**OPTIONS)
def _span(a, b, c, q, low, high):
    """Interval in x of a x^2 + 2 b x y + c y^2 <= q for low <= y <= high; empty if reversed."""
    det = a * c - b * b
    if not det > 0:
        return -1e9, 1e9
    tip = math.sqrt(q * a / det)
    if low > tip or high < -tip:
        return 1.0, 0.0
    low, high = max(low, -tip), min(high, tip)
    widest = math.sqrt(q * c / det)
    at = -b / c * widest
    right, left = widest, -widest
    if not low <= at <= high:
        right = max(_crossing(a, b, det, q, low, 1.0), _crossing(a, b, det, q, high, 1.0))
    if not low <= -at <= high:
        left = min(_crossing(a, b, det, q, low, -1.0), _crossing(a, b, det, q, high, -1.0))
    return left, right


@njit(**OPTIONS)
def list_tiles(order, packed, radius, tiles_x, tiles_y, cursor, ids, fill):
    """Walk over the tiles that Gaussians touch, in depth order.

    Counts them in ``cursor`` (one number per tile); with ``fill`` the cursors are where each tile
    goes on in ``ids``.
    """
    for k in range(order.shape[0]):
        i = order[k]
        x, y = np.float64(packed[i, 0]), np.float64(packed[i, 1])
        a, b, c = np.float64(packed[i, 2]), np.float64(packed[i, 3]), np.float64(packed[i, 4])
        q = 2.0 * packed[i, 7]
        x_first = max(0, math.floor((x - radius[i, 0]) / TILE))
        x_end = min(tiles_x, math.ceil((x + radius[i, 0]) / TILE))
        y_first = max(0, math.floor((y - radius[i, 1]) / TILE))
        y_end = min(tiles_y, math.ceil((y + radius[i, 1]) / TILE))
        for row in range(y_first, y_end):
            left, right = _span(a, b, c, q, row * TILE + 0.5 - y, row * TILE + 15.5 - y)
            if left > right:
                continue
            first = max(x_first, math.ceil((x + left - 15.5) / TILE - 1e-3))
            end = min(x_end, math.floor((x + right - 0.5) / TILE + 1e-3) + 1)
            for tile in range(row * tiles_x + first, row * tiles_x + end):
                if fill:
                    ids[cursor[tile]] = i
                cursor[tile] += 1


@njit(inline="always")
def rows_touched(packed, i, top, rows):
    """First and last row of a tile, whose first pixel centre is at y = top, that can be hit."""
    y = packed[i, 1] - top
    reach = packed[i, 6]
    return max(0, math.ceil(y - reach)), min(rows - 1, math.floor(y + reach))


@njit(inline="always")
def row_alpha(packed, i, dx, dy):
    """Opacity of a Gaussian in one row of 16 pixels.

    Returns
    -------
    alpha, falloff : lanes
        Opacity, clamped; exp(-sigma), of which opacity x falloff is alpha before the clamp.
    hit : mask
        Where the Gaussian counts.
    """
    sigma = (HALF * packed[i, 2] * dx) * dx + HALF * packed[i, 4] * dy * dy + packed[i, 3] * dy * dx
    falloff = exp(-sigma)
    alpha = packed[i, 5] * falloff
    hit = (sigma >= ZERO) & (alpha >= MIN_ALPHA)
    return select(alpha > MAX_ALPHA, MAX_ALPHA, alpha), falloff, hit


@njit(**OPTIONS)
def forward_tiles(
    begin, end, tiles_x, offsets, ids, packed, colours, background, image, transmittance, last
):
    """Blend the tiles ``begin .. end - 1``; ``last`` is a place in the tile's list, or -1."""
    height, width, channels = image.shape
    left = np.empty(TILE * TILE, np.float32)
    latest = np.empty(TILE * TILE, np.int32)
    sums = np.empty(TILE * channels * TILE, np.float32)
    live = np.empty(TILE, np.uint16)
    for tile in range(begin, end):
        x0, y0 = tile % tiles_x * TILE, tile // tiles_x * TILE
        rows, columns = min(TILE, height - y0), min(TILE, width - x0)
        left[:] = ONE
        latest[:] = -1
        sums[:] = ZERO
        live[:rows] = np.uint16((1 << columns) - 1)
        rows_left = rows
        centres = lane_numbers() + (np.float32(x0) + HALF)
        top = np.float32(y0) + HALF
        first = offsets[tile]
        for j in range(first, offsets[tile + 1]):
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
                weight = select(hit, alpha * before, ZERO)
                store(left, r * TILE, select(hit, after, before))
                store(latest, r * TILE, select(hit, np.int32(j - first), load(latest, r * TILE)))
                at = r * channels * TILE
                for k in range(channels):
                    store(sums, at, load(sums, at) + weight * colours[i, k])
                    at += TILE
            if rows_left == 0:
                break
        for r in range(rows):
            for lane in range(columns):
                rest = left[r * TILE + lane]
                transmittance[y0 + r, x0 + lane] = rest
                last[y0 + r, x0 + lane] = latest[r * TILE + lane]
                for k in range(channels):
                    image[y0 + r, x0 + lane, k] = (
                        sums[(r * channels + k) * TILE + lane] + rest * background[k]
                    )


@njit(**OPTIONS)
def backward_tiles(
    begin,
    end,
    tiles_x,
    offsets,
    ids,
    packed,
    colours,
    background,
    transmittance,
    last,
    grad_image,
    grad_alpha,
    out,
):
    """Gradients of each entry of the tile lists.

    ``out`` has shape (entries, 6 + channels): mean x, y, conic A, B, C, opacity, colours.
    """
    height, width, channels = grad_image.shape
    left = np.empty(TILE * TILE, np.float32)
    behind = np.empty(TILE * TILE, np.float32)
    through = np.empty(TILE * TILE, np.float32)
    latest = np.empty(TILE * TILE, np.int32)
    grads = np.empty(TILE * channels * TILE, np.float32)
    grad_colour = np.empty(channels * TILE, np.float32)
    for tile in range(begin, end):
        x0, y0 = tile % tiles_x * TILE, tile // tiles_x * TILE
        rows, columns = min(TILE, height - y0), min(TILE, width - x0)
        left[:] = ONE
        behind[:] = ZERO
        through[:] = ZERO
        latest[:] = -1
        grads[:] = ZERO
        deepest = -1
        for r in range(rows):
            for lane in range(columns):
                at = r * TILE + lane
                rest = transmittance[y0 + r, x0 + lane]
                left[at] = rest
                latest[at] = last[y0 + r, x0 + lane]
                deepest = max(deepest, latest[at])
                alpha = grad_alpha[y0 + r, x0 + lane]
                for k in range(channels):
                    value = grad_image[y0 + r, x0 + lane, k]
                    grads[(r * channels + k) * TILE + lane] = value
                    alpha -= background[k] * value
                through[at] = alpha * rest
        centres = lane_numbers() + (np.float32(x0) + HALF)
        top = np.float32(y0) + HALF
        first = offsets[tile]
        out[first + deepest + 1 : offsets[tile + 1]] = ZERO
        for place in range(deepest, -1, -1):
            j = first + place
            i = ids[j]
            mean_y, a, b, c = packed[i, 1], packed[i, 2], packed[i, 3], packed[i, 4]
            dx = packed[i, 0] - centres
            grad_x = grad_y = grad_a = grad_b = grad_c = grad_opacity = spread(ZERO)
            grad_colour[:] = ZERO
            row, row_end = rows_touched(packed, i, top, rows)
            for r in range(row, row_end + 1):
                dy = mean_y - (top + np.float32(r))
                alpha, falloff, hit = row_alpha(packed, i, dx, dy)
                hit = hit & (load(latest, r * TILE) >= np.int32(place))
                if not some(hit):
                    continue
                inverse = ONE / (ONE - alpha)
                after = load(left, r * TILE)
                before = after * inverse
                store(left, r * TILE, select(hit, before, after))
                weight = select(hit, alpha * before, ZERO)
                shade = spread(ZERO)
                at = r * channels * TILE
                for k in range(channels):
                    value = load(grads, at)
                    shade = shade + value * colours[i, k]
                    store(grad_colour, k * TILE, load(grad_colour, k * TILE) + weight * value)
                    at += TILE
                hidden = load(behind, r * TILE)
                store(behind, r * TILE, hidden + shade * weight)
                grad = shade * before + (load(through, r * TILE) - hidden) * inverse
                moves = hit & (packed[i, 5] * falloff <= MAX_ALPHA)
                grad = select(moves, grad * falloff, ZERO)
                grad_opacity = grad_opacity + grad
                grad = grad * -packed[i, 5]
                grad_dx = grad * dx
                grad_a = grad_a + grad_dx * dx
                grad_b = grad_b + grad_dx * dy
                grad_c = grad_c + grad * (dy * dy)
                grad_x = grad_x + grad * (a * dx + b * dy)
                grad_y = grad_y + grad * (b * dx + c * dy)
            out[j, 0] = total(grad_x)
            out[j, 1] = total(grad_y)
            out[j, 2] = HALF * total(grad_a)
            out[j, 3] = total(grad_b)
            out[j, 4] = HALF * total(grad_c)
            out[j, 5] = total(grad_opacity)
            for k in range(channels):
                out[j, 6 + k] = total(load(grad_colour, k * TILE))


@njit(**OPTIONS)
def sum_entries(begin, end, ids, entries, out):
    """Add the entries of the Gaussians ``begin .. end - 1`` in the order of the lists."""
    for j in range(ids.shape[0]):
        i = ids[j]
        if begin <= i < end:
            for k in range(entries.shape[1]):
                out[i, k] += entries[j, k]
