"""Compiled tile kernel: what a picture gains or loses if one Gaussian joins, or leaves, a set."""

from __future__ import annotations

import numpy as np
from numba import njit

from csgs_codec.render.kernels import HALF, ONE, OPTIONS, STOP, TILE, ZERO, row_alpha, rows_touched
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

_TWO = np.float32(2)
_NEVER = np.int32(1 << 30)
_PLANE = TILE * TILE


@njit(inline="always")
def _add(planes, at, weight, colours, i):
    for k in range(3):
        place = k * _PLANE + at
        store(planes, place, load(planes, place) + weight * colours[i, k])


@njit(**OPTIONS)
def _blend(begin, end, ids, packed, colours, members, x, y, live, left, ended, planes):
    """Blend the members of one tile; returns how many entries of its list can matter.

    ``live`` has a bit for each pixel that counts. ``left`` becomes the transmittance, ``ended``
    the place of the member that made a pixel opaque, and ``planes`` the colours.
    """
    lit = 0
    for r in range(TILE):
        lit += live[r] != 0
    for j in range(begin, end):
        i = ids[j]
        if not members[i]:
            continue
        dx = packed[i, 0] - x
        row, row_end = rows_touched(packed, i, y, TILE)
        for r in range(row, row_end + 1):
            if live[r] == 0:
                continue
            alpha, _, hit = row_alpha(packed, i, dx, packed[i, 1] - (y + np.float32(r)))
            hit = hit & from_bits(live[r])
            if not some(hit):
                continue
            at = r * TILE
            before = load(left, at)
            after = before * (ONE - alpha)
            opaque = hit & (after <= STOP)
            if some(opaque):
                store(ended, at, select(opaque, np.int32(j - begin), load(ended, at)))
                hit = hit & ~opaque
                live[r] &= ~to_bits(opaque)
                lit -= live[r] == 0
            store(left, at, select(hit, after, before))
            _add(planes, at, select(hit, alpha * before, ZERO), colours, i)
        if lit == 0:
            return j + 1 - begin
    return end - begin


@njit(**OPTIONS)
def flip_tiles(
    begin,
    end,
    tiles_x,
    offsets,
    ids,
    packed,
    colours,
    members,
    picture,
    stride,
    phase,
    out,
    errors,
):
    """Change of the squared error, for each entry of the tile lists, if it alone were flipped.

    A member is left out, another is blended in. ``errors`` receives the squared error of each
    tile as the members show it, on a black background. Only rows ``phase``, ``phase + stride`` ...
    of the picture count. Like the picture itself, changes end where a pixel is opaque.
    """
    height, width, _ = picture.shape
    left, ended = np.empty(_PLANE, np.float32), np.empty(_PLANE, np.int32)
    missing, behind = np.empty(3 * _PLANE, np.float32), np.empty(3 * _PLANE, np.float32)
    live = np.empty(TILE, np.uint16)
    for tile in range(begin, end):
        x0, y0 = tile % tiles_x * TILE, tile // tiles_x * TILE
        rows, columns = min(TILE, height - y0), min(TILE, width - x0)
        left[:] = ONE
        missing[:] = ZERO
        behind[:] = ZERO
        ended[:] = -1
        live[:] = np.uint16(0)
        start = (phase - y0) % stride
        for r in range(start, rows, stride):
            live[r] = np.uint16((1 << columns) - 1)
            for lane in range(columns):
                ended[r * TILE + lane] = _NEVER
        centres = lane_numbers() + (np.float32(x0) + HALF)
        top = np.float32(y0) + HALF
        first, behind_all = offsets[tile], offsets[tile + 1]
        count = _blend(first, behind_all, ids, packed, colours, members, centres, top,
                       live, left, ended, missing)  # fmt: skip
        error = ZERO
        for r in range(start, rows, stride):
            for lane in range(columns):
                for k in range(3):
                    at = k * _PLANE + r * TILE + lane
                    missing[at] -= picture[y0 + r, x0 + lane, k]
                    error += missing[at] * missing[at]
        errors[tile] = error
        out[first + count : behind_all] = ZERO
        for place in range(count - 1, -1, -1):
            i = ids[first + place]
            dx = packed[i, 0] - centres
            change = spread(ZERO)
            row, row_end = rows_touched(packed, i, top, rows)
            row += (start - row) % stride
            for r in range(row, row_end + 1, stride):
                alpha, _, hit = row_alpha(packed, i, dx, packed[i, 1] - (top + np.float32(r)))
                at = r * TILE
                hit = hit & (load(ended, at) > np.int32(place))
                if not some(hit):
                    continue
                alpha = select(hit, alpha, ZERO)
                light = load(left, at)
                if members[i]:
                    opened = alpha / (alpha - ONE)
                    light = light - light * opened
                    store(left, at, light)
                    weight = -alpha * light
                else:
                    opened = alpha
                    weight = alpha * light
                for k in range(3):
                    plane = k * _PLANE + at
                    step = weight * colours[i, k] - opened * load(behind, plane)
                    change = change + step * (step + _TWO * load(missing, plane))
                if members[i]:
                    _add(behind, at, -weight, colours, i)
            out[first + place] = total(change)
