"""The CPU rasteriser against the same maths written plainly, and against gsplat's own formulas."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from csgs_codec.errors import UnsupportedError
from csgs_codec.render import Camera, RenderGaussians, render
from csgs_codec.render import rasterise as rs
from csgs_codec.scene import Scene
from tests import scenes

# The largest difference seen between pictures is 3.4e-6.
PICTURE, GRADIENT = 5e-6, 1e-4


def camera(width: int = 70, height: int = 50) -> Camera:
    """Look at the origin from a distance of about 4, tilted, with an off-centre lens."""
    turn = np.linalg.qr(np.array([[1, 0.2, 0.1], [-0.1, 1, 0.3], [0.1, -0.2, 1]]))[0]
    turn *= np.sign(np.linalg.det(turn))
    turn = turn if turn[2, 2] > 0 else turn @ np.diag([-1.0, 1, -1])
    view = np.eye(4)
    view[:3, :3], view[:3, 3] = turn, (0.1, -0.2, 4)
    lens = np.array([[60.0, 0, width / 2 + 3], [0, 66, height / 2 - 2], [0, 0, 1]])
    return Camera("test", width, height, lens, view)


def cloud(n: int = 250, seed: int = 3, degree: int = 3) -> RenderGaussians:
    """Gaussians of all shapes in front of, beside and behind the camera."""
    random = np.random.default_rng(seed)
    means = random.normal(0, 1.2, (n, 3))
    means[::17, 2] -= 6
    logit = random.normal(0, 3, n)
    arrays = (
        means,
        random.normal(0, 2, (n, 4)),
        np.exp(random.normal(-2, 0.9, (n, 3))),
        1 / (1 + np.exp(-logit)),
        random.normal(0, 0.5, (n, (degree + 1) ** 2, 3)),
    )
    return RenderGaussians(*(np.ascontiguousarray(a, np.float32) for a in arrays))


def harmonics(direction: np.ndarray, count: int) -> np.ndarray:
    """Real spherical harmonics with the signs of 3DGS, shape (n, count)."""
    x, y, z = direction.T
    one = np.ones_like(x)
    values = [0.28209479177387814 * one]
    values += [-0.4886025119029199 * y, 0.4886025119029199 * z, -0.4886025119029199 * x]
    values += [
        1.0925484305920792 * x * y,
        -1.0925484305920792 * y * z,
        0.31539156525252005 * (3 * z * z - 1),
        -1.0925484305920792 * x * z,
        0.5462742152960396 * (x * x - y * y),
    ]
    values += [
        -0.5900435899266435 * y * (3 * x * x - y * y),
        2.890611442640554 * x * y * z,
        -0.4570457994644658 * y * (5 * z * z - 1),
        0.3731763325901154 * z * (5 * z * z - 3),
        -0.4570457994644658 * x * (5 * z * z - 1),
        1.445305721320277 * z * (x * x - y * y),
        -0.5900435899266435 * x * (x * x - 3 * y * y),
    ]
    return np.stack(values[:count], axis=1)


def plain_projection(g: RenderGaussians, view: Camera) -> tuple[np.ndarray, ...]:
    """Mean, covariance, depth and colour of every Gaussian in float64."""
    means, scales = g.means.astype(float), g.scales.astype(float)
    w, x, y, z = (g.quats / np.linalg.norm(g.quats.astype(float), axis=1, keepdims=True)).T
    rotation = np.empty((g.count, 3, 3))
    rotation[:, 0] = np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)]).T
    rotation[:, 1] = np.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)]).T
    rotation[:, 2] = np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]).T
    turn, shift = view.world_to_camera[:3, :3], view.world_to_camera[:3, 3]
    seen = means @ turn.T + shift
    depth = seen[:, 2]
    (fx, _, cx), (_, fy, cy), _ = view.intrinsics
    more_x, more_y = 0.15 * view.width / fx, 0.15 * view.height / fy
    with np.errstate(divide="ignore"):
        u = np.clip(seen[:, 0] / depth, -cx / fx - more_x, (view.width - cx) / fx + more_x)
        v = np.clip(seen[:, 1] / depth, -cy / fy - more_y, (view.height - cy) / fy + more_y)
    jacobian = np.zeros((g.count, 2, 3))
    jacobian[:, 0, 0], jacobian[:, 0, 2] = fx / depth, -fx * u / depth
    jacobian[:, 1, 1], jacobian[:, 1, 2] = fy / depth, -fy * v / depth
    axes = jacobian @ turn @ rotation * scales[:, None, :]
    covariance = axes @ axes.transpose(0, 2, 1) + 0.3 * np.eye(2)
    mean = np.stack([fx * seen[:, 0] / depth + cx, fy * seen[:, 1] / depth + cy], axis=1)
    direction = means - view.centre
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    basis = harmonics(direction, g.sh.shape[1])
    rgb = np.maximum(np.einsum("nk,nkc->nc", basis, g.sh.astype(float)) + 0.5, 0)
    return mean, covariance, depth, rgb


def gsplat_projection(g: RenderGaussians, view: Camera) -> tuple[np.ndarray, ...]:
    """The same with the formulas that gsplat tests its CUDA kernels against."""
    torch = pytest.importorskip("torch")
    formulas = pytest.importorskip("gsplat.cuda._torch_impl")

    def put(array: np.ndarray) -> object:
        return torch.as_tensor(np.asarray(array, np.float64))

    covars, _ = formulas._quat_scale_to_covar_preci(put(g.quats), put(g.scales), True, False)
    _, mean, depth, conic, _ = formulas._fully_fused_projection(
        put(g.means),
        covars,
        put(view.world_to_camera)[None],
        put(view.intrinsics)[None],
        view.width,
        view.height,
        eps2d=0.3,
        near_plane=0.01,
    )
    degree = int(np.sqrt(g.sh.shape[1])) - 1
    direction = put(g.means - view.centre)
    rgb = torch.clamp_min(formulas._spherical_harmonics(degree, direction, put(g.sh)) + 0.5, 0)
    a, b, c = conic[0].numpy().T
    inverse = np.linalg.inv(np.stack([a, b, b, c], axis=1).reshape(-1, 2, 2))
    return mean[0].numpy(), inverse, depth[0].numpy(), rgb.numpy()


def blend(
    g: RenderGaussians,
    view: Camera,
    projected: tuple[np.ndarray, ...],
    features: np.ndarray | None = None,
    background: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Every Gaussian on every pixel, in float64: picture and transmittance."""
    mean, covariance, depth, rgb = projected
    colours = rgb if features is None else np.concatenate([rgb, features], axis=1)
    y, x = np.mgrid[: view.height, : view.width] + 0.5
    image = np.zeros((view.height, view.width, colours.shape[1]))
    left = np.ones((view.height, view.width))
    done = np.zeros_like(left, dtype=bool)
    for i in np.argsort(depth.astype(np.float32), kind="stable"):
        if depth[i] < 0.01:
            continue
        conic = np.linalg.inv(covariance[i])
        dx, dy = mean[i, 0] - x, mean[i, 1] - y
        sigma = conic[0, 0] * dx * dx / 2 + conic[1, 1] * dy * dy / 2 + conic[0, 1] * dx * dy
        alpha = np.minimum(0.999, float(g.opacity[i]) * np.exp(-sigma))
        hit = (alpha >= 1 / 255) & ~done
        full = hit & (left * (1 - alpha) <= 1e-4)
        done |= full
        weight = np.where(hit & ~full, alpha * left, 0)
        image += weight[..., None] * colours[i]
        left -= weight
    return image + (left[..., None] * background if background is not None else 0), left


def pipeline(
    g: RenderGaussians, view: Camera, features: np.ndarray | None = None
) -> tuple[rs.Projection, rs.TileLists, np.ndarray, rs.Raster]:
    projection = rs.project(g, view)
    tiles = rs.bin_tiles(projection)
    colours = projection.rgb
    if features is not None:
        colours = np.concatenate([colours, features], axis=1, dtype=np.float32)
    return projection, tiles, colours, rs.forward(projection, tiles, colours)


@pytest.mark.parametrize("reference", [plain_projection, gsplat_projection])
@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_picture_is_that_of_the_plain_maths(
    reference: Callable[..., tuple[np.ndarray, ...]], degree: int
) -> None:
    g, view = cloud(degree=degree), camera()
    wanted, left = blend(g, view, reference(g, view))
    rgb, alpha, _ = render(g, view, use="cpu")
    assert np.abs(rgb - wanted).max() < PICTURE
    assert np.abs(alpha - (1 - left)).max() < PICTURE
    assert alpha.max() > 0.99 and rgb.dtype == alpha.dtype == np.float32


@pytest.mark.parametrize("channels", [1, 5, 16])
def test_any_number_of_channels_and_a_background(channels: int) -> None:
    g, view = cloud(), camera(33, 16)
    features = np.random.default_rng(0).normal(size=(g.count, channels)).astype(np.float32)
    background = np.array([0.3, 1, 0.1])
    wanted, _ = blend(g, view, plain_projection(g, view), features)
    coloured, _ = blend(g, view, plain_projection(g, view), background=background)
    rgb, _, blended = render(g, view, features, background, use="cpu")
    assert blended is not None and blended.shape == (16, 33, channels)
    assert np.abs(blended - wanted[..., 3:]).max() < 2 * PICTURE
    assert np.abs(rgb - coloured).max() < PICTURE


def test_opaque_stacks_stop() -> None:
    """Many opaque layers: alpha is clamped and pixels end before the last layer."""
    g, view = cloud(), camera()
    g = replace(g, opacity=np.ones_like(g.opacity), scales=g.scales * 3)
    wanted, left = blend(g, view, plain_projection(g, view))
    projection, tiles, _, raster = pipeline(g, view)
    assert np.abs(raster.image - wanted).max() < PICTURE
    assert np.abs(raster.transmittance - left).max() < PICTURE
    assert raster.last.max() < np.diff(tiles.offsets).max() - 1
    assert (raster.transmittance > 1e-4).all() and projection.visible.any()


def test_tile_lists_are_in_depth_order_with_ties_by_row() -> None:
    g = cloud(400)
    g = replace(g, means=np.repeat(g.means[::2], 2, axis=0))
    projection, tiles, _, _ = pipeline(g, camera())
    assert tiles.offsets[-1] == len(tiles.ids) and len(tiles.offsets) == 5 * 4 + 1
    for begin, end in zip(tiles.offsets[:-1], tiles.offsets[1:], strict=True):
        ids = tiles.ids[begin:end]
        order = np.lexsort((ids, projection.depth[ids]))
        assert (order == np.arange(len(ids))).all()


def test_nothing_to_see() -> None:
    view = camera()
    background = np.array([0.1, 0.2, 0.3], np.float32)
    empty = cloud(0)
    behind = cloud(20)
    behind = replace(behind, means=np.tile(np.float32([0, 0, -30]), (20, 1)))
    for g in (empty, behind):
        rgb, alpha, features = render(g, view, np.ones((g.count, 2), np.float32), background)
        assert (rgb == background).all() and (alpha == 0).all()
        assert features is not None and (features == 0).all()
        projection, tiles, colours, raster = pipeline(g, view)
        assert len(tiles.ids) == 0 and (raster.last == -1).all() and not projection.visible.any()
        gradients = rs.backward(projection, tiles, colours, raster, np.ones_like(raster.image))
        through = rs.project_backward(g, view, projection, gradients)
        assert not any(a.any() for a in (gradients.opacity, through.means, through.sh))


def test_gradients_against_finite_differences() -> None:
    """Of a random linear function of picture and alpha, by the plain maths in float64."""
    g, view = cloud(40), camera(40, 30)
    g = replace(g, opacity=np.clip(g.opacity, 0.05, 0.9))
    random = np.random.default_rng(1)
    by_image = random.normal(size=(30, 40, 5)).astype(np.float32)
    by_alpha = random.normal(size=(30, 40)).astype(np.float32)
    features = random.normal(size=(g.count, 2)).astype(np.float32)
    background = random.normal(size=5).astype(np.float32)
    projection, tiles, colours, _ = pipeline(g, view, features)
    raster = rs.forward(projection, tiles, colours, background)
    gradients = rs.backward(projection, tiles, colours, raster, by_image, by_alpha, background)
    through = rs.project_backward(g, view, projection, gradients)

    def loss(values: dict[str, np.ndarray]) -> float:
        moved = RenderGaussians(**{name: values[name] for name in vars(g)})
        image, left = blend(
            moved, view, plain_projection(moved, view), values["features"], background
        )
        return float((by_image * image).sum() + (by_alpha * (1 - left)).sum())

    found = {
        **vars(through),
        "opacity": gradients.opacity,
        "features": gradients.colours[:, 3:],
    }
    values = {name: a.astype(float) for name, a in vars(g).items()}
    values["features"] = features.astype(float)
    for name, gradient in found.items():
        direction = random.normal(size=gradient.shape)
        if name in ("scales", "means"):
            direction *= 0.1
        step = 1e-6
        up = loss({**values, name: values[name] + step * direction})
        down = loss({**values, name: values[name] - step * direction})
        wanted = (up - down) / (2 * step)
        terms = np.abs(gradient * direction).sum()
        assert abs((gradient * direction).sum() - wanted) < GRADIENT * terms, name


def test_gradients_do_not_depend_on_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    g, view = cloud(), camera()
    results = []
    for workers in (1, 2, 5):
        monkeypatch.setattr(rs, "threads", lambda workers=workers: workers)
        projection, tiles, colours, raster = pipeline(g, view)
        gradients = rs.backward(projection, tiles, colours, raster, np.ones_like(raster.image))
        through = rs.project_backward(g, view, projection, gradients)
        results.append(b"".join(a.tobytes() for a in (*vars(gradients).values(), through.means)))
        results[-1] += raster.image.tobytes() + tiles.ids.tobytes()
    assert results[0] == results[1] == results[2]


def test_scene_columns_become_gaussians() -> None:
    scene = scenes.inria(20, 2)
    columns = scene.columns
    columns["opacity"][0], columns["scale_1"][1] = np.inf, -np.inf
    columns["opacity"][2], columns["f_rest_3"][3], columns["scale_0"][4] = np.nan, np.inf, 1000
    columns["opacity"][5] = -np.inf
    g = RenderGaussians.from_scene(scene)
    assert g.sh.shape == (20, 9, 3)
    assert g.sh[7, 3, 1] == columns["f_rest_10"][7] and g.sh[7, 0, 2] == columns["f_dc_2"][7]
    assert g.opacity[0] == 1 and g.scales[1, 1] == 0 and g.opacity[1] > 0
    assert (g.opacity[2:6] == 0).all() and (g.sh[3] == 0).all() and np.isfinite(g.scales).all()
    assert np.allclose(g.scales[6:, 2], np.exp(columns["scale_2"][6:]))
    coarse = Scene({k: v for k, v in columns.items() if not k.startswith("f_rest")})
    assert RenderGaussians.from_scene(coarse).sh.shape == (20, 1, 3)


@pytest.mark.parametrize(
    ("scene", "said"),
    [
        (scenes.gaussian_2d(9), "2DGS"),
        (scenes.scaffold(9), "Scaffold"),
        (scenes.inria(9, 4), "degree 3"),
        (scenes.rgb_uchar(9), "colours"),
        *(
            (Scene({k: v for k, v in scenes.inria(9, 0).columns.items() if k != name}), said)
            for name, said in (
                ("opacity", "opacity"),
                ("rot_2", "rotations"),
                ("scale_0", "scales"),
                ("x", "positions"),
            )
        ),
    ],
)
def test_scenes_that_cannot_be_rendered_say_why(scene: Scene, said: str) -> None:
    with pytest.raises(UnsupportedError, match=said):
        RenderGaussians.from_scene(scene)


def test_the_cpu_path_never_imports_torch() -> None:
    code = (
        "import sys\nimport csgs_codec.render as r\n"
        "assert not {'torch', 'numba'} & set(sys.modules)\n"
        "from tests.unit.test_render import camera, cloud\n"
        "r.render(cloud(9), camera(), use='cpu')\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
