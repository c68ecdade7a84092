"""Compiled projection of Gaussians to the picture, and its gradients: scalar code, a row each.

``view`` is the upper 3 x 4 of world-to-camera, ``lens`` holds fx, fy, cx, cy.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from csgs_codec.render.kernels import HALF, MIN_ALPHA, ONE, OPTIONS, ZERO

NEAR, DILATION, MARGIN, BOX = (np.float32(v) for v in (0.01, 0.3, 0.3, 3.33))
TWO, THREE, SIX, OPAQUE = (np.float32(v) for v in (2, 3, 6, 255))
TINY, FAR = np.float32(1e-24), np.float32(1e8)
# the exponent at alpha = 1/255 is widened a little, so that rounding never cuts a pixel
WIDEN, WIDEN_MORE = np.float32(1.0005), np.float32(1e-3)
C0, C1 = np.float32(0.2820947917738781), np.float32(0.48860251190292)
C2A, C2B = np.float32(1.092548430592079), np.float32(0.5462742152960395)
C2C, C2D = np.float32(0.9461746957575601), np.float32(0.3153915652525201)
C3A, C3B = np.float32(0.5900435899266435), np.float32(1.445305721320277)
C3C, C3D = np.float32(2.285228997322329), np.float32(0.4570457994644658)
C3E, C3F = np.float32(1.865881662950577), np.float32(1.119528997770346)


@njit(inline="always")
def basis_of(count, x, y, z, out):
    """Spherical harmonics of a unit direction, as gsplat orders and signs them."""
    out[0] = C0
    if count > 1:
        out[1], out[2], out[3] = -C1 * y, C1 * z, -C1 * x
    if count > 4:
        zz, xx_yy, xy = z * z, x * x - y * y, TWO * x * y
        out[4], out[5], out[6] = C2B * xy, -C2A * z * y, C2C * zz - C2D
        out[7], out[8] = -C2A * z * x, C2B * xx_yy
        if count > 9:
            c = C3D - C3C * zz
            out[9], out[10], out[11] = -C3A * (x * xy + y * xx_yy), C3B * z * xy, c * y
            out[12], out[13] = z * (C3E * zz - C3F), c * x
            out[14], out[15] = C3B * z * xx_yy, -C3A * (x * xx_yy - y * xy)


@njit(inline="always")
def _basis_slopes(count, x, y, z, out):
    """Derivatives of :func:`basis_of` by x, y and z, shape (16, 3)."""
    out[:count] = ZERO
    if count > 1:
        out[1, 1], out[2, 2], out[3, 0] = -C1, C1, -C1
    if count > 4:
        out[4, 0], out[4, 1] = TWO * C2B * y, TWO * C2B * x
        out[5, 1], out[5, 2] = -C2A * z, -C2A * y
        out[6, 2] = TWO * C2C * z
        out[7, 0], out[7, 2] = -C2A * z, -C2A * x
        out[8, 0], out[8, 1] = TWO * C2B * x, -TWO * C2B * y
    if count > 9:
        c, dc = C3D - C3C * z * z, -TWO * C3C * z
        curve = THREE * (x * x - y * y)
        out[9, 0], out[9, 1] = -C3A * SIX * x * y, -C3A * curve
        out[10, 0], out[10, 1], out[10, 2] = TWO * C3B * z * y, TWO * C3B * z * x, TWO * C3B * x * y
        out[11, 1], out[11, 2] = c, dc * y
        out[12, 2] = THREE * C3E * z * z - C3F
        out[13, 0], out[13, 2] = c, dc * x
        out[14, 0], out[14, 1] = TWO * C3B * z * x, -TWO * C3B * z * y
        out[14, 2] = C3B * (x * x - y * y)
        out[15, 0], out[15, 1] = -C3A * curve, C3A * SIX * x * y


@njit(inline="always")
def rotation_of(quats, i, out):
    """Matrix of a quaternion of any length, into ``out`` (3, 3); returns 1 / length."""
    w, x, y, z = quats[i, 0], quats[i, 1], quats[i, 2], quats[i, 3]
    scale = ONE / math.sqrt(max(w * w + x * x + y * y + z * z, TINY))
    w, x, y, z = w * scale, x * scale, y * scale, z * scale
    out[0, 0], out[0, 1], out[0, 2] = (
        ONE - TWO * (y * y + z * z),
        TWO * (x * y - w * z),
        TWO * (x * z + w * y),
    )
    out[1, 0], out[1, 1], out[1, 2] = (
        TWO * (x * y + w * z),
        ONE - TWO * (x * x + z * z),
        TWO * (y * z - w * x),
    )
    out[2, 0], out[2, 1], out[2, 2] = (
        TWO * (x * z - w * y),
        TWO * (y * z + w * x),
        ONE - TWO * (x * x + y * y),
    )
    return scale


@njit(inline="always")
def limits(lens, width, height):
    """Bounds of x/z and y/z in the Jacobian: 15 percent of the picture beyond each edge."""
    fx, fy, cx, cy = lens[0], lens[1], lens[2], lens[3]
    more_x, more_y = MARGIN * HALF * width / fx, MARGIN * HALF * height / fy
    return (
        -(cx / fx + more_x),
        (width - cx) / fx + more_x,
        -(cy / fy + more_y),
        (height - cy) / fy + more_y,
    )


@njit(inline="always")
def to_camera(view, means, i, row):
    """One coordinate of a mean in camera space."""
    x, y, z = means[i, 0], means[i, 1], means[i, 2]
    return view[row, 0] * x + view[row, 1] * y + view[row, 2] * z + view[row, 3]


@njit(inline="always")
def half_covariance(view, rotation, scales, i, out):
    """Axes of the Gaussian in camera space, into ``out`` (3, 3)."""
    for row in range(3):
        for column in range(3):
            out[row, column] = scales[i, column] * (
                view[row, 0] * rotation[0, column]
                + view[row, 1] * rotation[1, column]
                + view[row, 2] * rotation[2, column]
            )


@njit(**OPTIONS)
def project_rows(
    begin,
    end,
    means,
    quats,
    scales,
    opacity,
    sh,
    view,
    lens,
    eye,
    width,
    height,
    packed,
    depth,
    radius,
    visible,
    rgb,
    clamped,
):
    """Project the Gaussians ``begin .. end - 1``; outputs of invisible ones stay as they are."""
    fx, fy, cx, cy = lens[0], lens[1], lens[2], lens[3]
    x_low, x_high, y_low, y_high = limits(lens, width, height)
    rotation, axes = np.empty((3, 3), np.float32), np.empty((3, 3), np.float32)
    basis = np.empty(16, np.float32)
    count = sh.shape[1]
    for i in range(begin, end):
        z = to_camera(view, means, i, 2)
        if not (z >= NEAR and opacity[i] >= MIN_ALPHA):
            continue
        x, y = to_camera(view, means, i, 0), to_camera(view, means, i, 1)
        inverse = ONE / z
        across = z * min(x_high, max(x_low, x * inverse))
        down = z * min(y_high, max(y_low, y * inverse))
        j00, j02 = fx * inverse, -fx * across * inverse * inverse
        j11, j12 = fy * inverse, -fy * down * inverse * inverse
        rotation_of(quats, i, rotation)
        half_covariance(view, rotation, scales, i, axes)
        a = b = c = ZERO
        for axis in range(3):
            u = j00 * axes[0, axis] + j02 * axes[2, axis]
            v = j11 * axes[1, axis] + j12 * axes[2, axis]
            a, b, c = a + u * u, b + u * v, c + v * v
        a, c = a + DILATION, c + DILATION
        det = a * c - b * b
        if not det > ZERO:
            continue
        px, py = fx * x * inverse + cx, fy * y * inverse + cy
        limit = math.log(opacity[i] * OPAQUE)
        extent = min(BOX, math.sqrt(max(ZERO, TWO * limit)))
        rx, ry = np.ceil(extent * math.sqrt(a)), np.ceil(extent * math.sqrt(c))
        if rx <= ZERO and ry <= ZERO:
            continue
        if px + rx <= ZERO or px - rx >= width or py + ry <= ZERO or py - ry >= height:
            continue
        if not (rx < FAR and ry < FAR and abs(px) < TWO * FAR and abs(py) < TWO * FAR):
            continue
        limit = limit * WIDEN + WIDEN_MORE
        scale = ONE / det
        packed[i, 0], packed[i, 1] = px, py
        packed[i, 2], packed[i, 3], packed[i, 4] = c * scale, -b * scale, a * scale
        packed[i, 5] = opacity[i]
        packed[i, 6] = math.sqrt(TWO * limit * c)
        packed[i, 7] = limit
        depth[i] = z
        radius[i, 0], radius[i, 1] = rx, ry
        visible[i] = True
        dx, dy, dz = means[i, 0] - eye[0], means[i, 1] - eye[1], means[i, 2] - eye[2]
        scale = ONE / math.sqrt(max(dx * dx + dy * dy + dz * dz, TINY))
        basis_of(count, dx * scale, dy * scale, dz * scale, basis)
        red = green = blue = HALF
        for k in range(count):
            red += basis[k] * sh[i, k, 0]
            green += basis[k] * sh[i, k, 1]
            blue += basis[k] * sh[i, k, 2]
        rgb[i, 0], rgb[i, 1], rgb[i, 2] = max(red, ZERO), max(green, ZERO), max(blue, ZERO)
        clamped[i, 0], clamped[i, 1], clamped[i, 2] = red < ZERO, green < ZERO, blue < ZERO


@njit(**OPTIONS)
def project_backward_rows(
    begin,
    end,
    means,
    quats,
    scales,
    sh,
    view,
    lens,
    eye,
    width,
    height,
    packed,
    visible,
    clamped,
    grad_mean2d,
    grad_conic,
    grad_rgb,
    grad_means,
    grad_quats,
    grad_scales,
    grad_sh,
):
    """Gradients of the Gaussians ``begin .. end - 1``; those of invisible ones stay as they are."""
    fx, fy = lens[0], lens[1]
    x_low, x_high, y_low, y_high = limits(lens, width, height)
    rotation, axes = np.empty((3, 3), np.float32), np.empty((3, 3), np.float32)
    grad_axes, grad_rotation = np.empty((3, 3), np.float32), np.empty((3, 3), np.float32)
    basis, slopes = np.empty(16, np.float32), np.empty((16, 3), np.float32)
    count = sh.shape[1]
    for i in range(begin, end):
        if not visible[i]:
            continue
        x, y, z = (
            to_camera(view, means, i, 0),
            to_camera(view, means, i, 1),
            to_camera(view, means, i, 2),
        )
        inverse = ONE / z
        inverse2 = inverse * inverse
        across = z * min(x_high, max(x_low, x * inverse))
        down = z * min(y_high, max(y_low, y * inverse))
        j00, j02 = fx * inverse, -fx * across * inverse2
        j11, j12 = fy * inverse, -fy * down * inverse2
        scale = rotation_of(quats, i, rotation)
        half_covariance(view, rotation, scales, i, axes)
        # covariance = inverse of conic: its gradient is -conic @ grad @ conic
        a, b, c = packed[i, 2], packed[i, 3], packed[i, 4]
        ga, gb, gc = grad_conic[i, 0], HALF * grad_conic[i, 1], grad_conic[i, 2]
        t00, t01, t10, t11 = a * ga + b * gb, a * gb + b * gc, b * ga + c * gb, b * gb + c * gc
        g00, g01, g11 = -(t00 * a + t01 * b), -(t00 * b + t01 * c), -(t10 * b + t11 * c)
        v00 = v02 = v11 = v12 = ZERO
        for axis in range(3):
            u = j00 * axes[0, axis] + j02 * axes[2, axis]
            v = j11 * axes[1, axis] + j12 * axes[2, axis]
            gu, gv = TWO * (g00 * u + g01 * v), TWO * (g01 * u + g11 * v)
            v00 += gu * axes[0, axis]
            v02 += gu * axes[2, axis]
            v11 += gv * axes[1, axis]
            v12 += gv * axes[2, axis]
            p, q, r = j00 * gu, j11 * gv, j02 * gu + j12 * gv
            for row in range(3):
                grad_axes[row, axis] = view[0, row] * p + view[1, row] * q + view[2, row] * r
        gx, gy = grad_mean2d[i, 0], grad_mean2d[i, 1]
        cam_x, cam_y = fx * inverse * gx, fy * inverse * gy
        cam_z = -(fx * x * gx + fy * y * gy) * inverse2
        cam_z += (
            -fx * inverse2 * v00
            - fy * inverse2 * v11
            + TWO * inverse2 * inverse * (fx * across * v02 + fy * down * v12)
        )
        if x_low <= x * inverse <= x_high:
            cam_x -= fx * inverse2 * v02
        else:
            cam_z -= fx * inverse2 * inverse * v02 * across
        if y_low <= y * inverse <= y_high:
            cam_y -= fy * inverse2 * v12
        else:
            cam_z -= fy * inverse2 * inverse * v12 * down
        for k in range(3):
            grad_means[i, k] = view[0, k] * cam_x + view[1, k] * cam_y + view[2, k] * cam_z
            grad_scales[i, k] = (
                grad_axes[0, k] * rotation[0, k]
                + grad_axes[1, k] * rotation[1, k]
                + grad_axes[2, k] * rotation[2, k]
            )
            for row in range(3):
                grad_rotation[row, k] = grad_axes[row, k] * scales[i, k]
        _quaternion_gradient(quats, i, scale, grad_rotation, grad_quats)
        dx, dy, dz = means[i, 0] - eye[0], means[i, 1] - eye[1], means[i, 2] - eye[2]
        scale = ONE / math.sqrt(max(dx * dx + dy * dy + dz * dz, TINY))
        dx, dy, dz = dx * scale, dy * scale, dz * scale
        basis_of(count, dx, dy, dz, basis)
        _basis_slopes(count, dx, dy, dz, slopes)
        sx = sy = sz = ZERO
        for k in range(count):
            shade = ZERO
            for channel in range(3):
                grad = ZERO if clamped[i, channel] else grad_rgb[i, channel]
                grad_sh[i, k, channel] = basis[k] * grad
                shade += sh[i, k, channel] * grad
            sx, sy, sz = (
                sx + slopes[k, 0] * shade,
                sy + slopes[k, 1] * shade,
                sz + slopes[k, 2] * shade,
            )
        along = sx * dx + sy * dy + sz * dz
        grad_means[i, 0] += (sx - along * dx) * scale
        grad_means[i, 1] += (sy - along * dy) * scale
        grad_means[i, 2] += (sz - along * dz) * scale


@njit(inline="always")
def _quaternion_gradient(quats, i, scale, grad, out):
    """Through the rotation matrix and the normalisation."""
    w, x, y, z = quats[i, 0] * scale, quats[i, 1] * scale, quats[i, 2] * scale, quats[i, 3] * scale
    g01, g02, g12 = grad[0, 1] + grad[1, 0], grad[0, 2] + grad[2, 0], grad[1, 2] + grad[2, 1]
    h01, h02, h12 = grad[1, 0] - grad[0, 1], grad[0, 2] - grad[2, 0], grad[2, 1] - grad[1, 2]
    dw = TWO * (x * h12 + y * h02 + z * h01)
    dx = TWO * (y * g01 + z * g02 + w * h12 - TWO * x * (grad[1, 1] + grad[2, 2]))
    dy = TWO * (x * g01 + z * g12 + w * h02 - TWO * y * (grad[0, 0] + grad[2, 2]))
    dz = TWO * (x * g02 + y * g12 + w * h01 - TWO * z * (grad[0, 0] + grad[1, 1]))
    along = dw * w + dx * x + dy * y + dz * z
    out[i, 0], out[i, 1] = (dw - along * w) * scale, (dx - along * x) * scale
    out[i, 2], out[i, 3] = (dy - along * y) * scale, (dz - along * z) * scale


@njit(**OPTIONS)
def basis_rows(begin, end, means, eye, out):
    """Spherical harmonics of the directions from ``eye`` to the Gaussians, shape (n, K)."""
    for i in range(begin, end):
        basis_towards(means, eye, i, out[i])


@njit(inline="always")
def basis_towards(means, eye, i, out):
    """Spherical harmonics of the direction from ``eye`` to one Gaussian, shape (K,)."""
    dx, dy, dz = means[i, 0] - eye[0], means[i, 1] - eye[1], means[i, 2] - eye[2]
    scale = ONE / math.sqrt(max(dx * dx + dy * dy + dz * dz, TINY))
    basis_of(out.shape[0], dx * scale, dy * scale, dz * scale, out)
