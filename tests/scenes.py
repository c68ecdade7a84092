"""Small synthetic scenes with the property names of real exporters.

Gaussians stand in clusters and their attributes vary smoothly over space, as in trained scenes, so
that contexts and neighbours have something to predict. Every builder is deterministic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from plyfile import PlyElement

from csgs_codec.scene import Column, PlyLayout, Scene

SH_REST = {0: 0, 1: 9, 2: 24, 3: 45, 4: 72}
CLUSTERS = 8

# Columns of every multi-channel naming of design/inputs.md, by project.
SEMANTIC_NAMINGS: dict[str, tuple[str, ...]] = {
    "feature3dgs": tuple(f"semantic_{i}" for i in range(16)),
    "gaussian_grouping": tuple(f"obj_dc_{i}" for i in range(16)),
    "saga": tuple(f"f_{i}" for i in range(32)),
    "opengaussian": tuple(f"ins_feat_{c}" for c in ("r", "g", "b", "r2", "g2", "b2")),
    "goi": tuple(f"sem_{i}" for i in range(10)),
    "egolifter": tuple(f"f_extra_{i}" for i in range(6)),
    "geo": tuple(f"semantic_logit_{i}" for i in range(5)),
    "langsplat": tuple(f"clip_f_{i}" for i in range(8)),
}


def cloud(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Clustered points, shape (n, 3), and the cluster of each, shape (n,)."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(-4, 4, (CLUSTERS, 3))
    cluster = rng.integers(0, CLUSTERS, n)
    return centres[cluster] + rng.normal(0, 0.5, (n, 3)), cluster


def smooth(xyz: np.ndarray, channels: int, seed: int, noise: float = 0.1) -> np.ndarray:
    """Low-frequency fields of the position with a little noise, shape (n, channels)."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(0, 0.5, (3, channels))
    phase = rng.uniform(0, 2 * np.pi, channels)
    return np.sin(xyz @ direction + phase) + noise * rng.normal(size=(len(xyz), channels))


def _f4(names: tuple[str, ...] | list[str], values: np.ndarray) -> dict[str, Column]:
    return {name: column.astype(np.float32) for name, column in zip(names, values.T, strict=True)}


def numbered(prefix: str, count: int) -> list[str]:
    """Return ``prefix0`` to ``prefix<count-1>``."""
    return [f"{prefix}{i}" for i in range(count)]


def inria(n: int = 300, sh_degree: int = 3, normals: bool = True, seed: int = 0) -> Scene:
    """The columns of INRIA's 3DGS, in its order."""
    xyz, _ = cloud(n, seed)
    columns = _f4(["x", "y", "z"], xyz)
    if normals:
        columns |= _f4(["nx", "ny", "nz"], np.zeros((n, 3)))
    columns |= _f4(numbered("f_dc_", 3), smooth(xyz, 3, seed + 1))
    width = SH_REST[sh_degree]
    columns |= _f4(numbered("f_rest_", width), 0.2 * smooth(xyz, width, seed + 2))
    columns |= _f4(["opacity"], 3 * smooth(xyz, 1, seed + 3))
    columns |= _f4(numbered("scale_", 3), smooth(xyz, 3, seed + 4) - 4)
    turn = smooth(xyz, 4, seed + 5) + np.array([1.5, 0, 0, 0])
    columns |= _f4(numbered("rot_", 4), turn * 1.3)
    return Scene(columns)


def brush(n: int = 300, sh_degree: int = 4, seed: int = 0) -> Scene:
    """Brush: other column order, no normals, SH up to degree 4, comments."""
    source = inria(n, sh_degree, normals=False, seed=seed).columns
    order = ["x", "y", "z", *numbered("scale_", 3), "opacity", *numbered("rot_", 4)]
    order += numbered("f_dc_", 3) + numbered("f_rest_", SH_REST[sh_degree])
    comments = ("Exported from Brush", "Vertical axis: y", "SplatRenderMode: default")
    return Scene({name: source[name] for name in order}, PlyLayout(comments=comments))


def rgb_uchar(n: int = 300, seed: int = 0) -> Scene:
    """nerfstudio's point-like export: uchar colours, no spherical harmonics."""
    columns = inria(n, 0, normals=False, seed=seed).columns
    colours = smooth(np.column_stack([columns[a] for a in "xyz"]), 3, seed + 6)
    for name, field in zip(("red", "green", "blue"), colours.T, strict=True):
        columns[name] = np.clip(128 + 90 * field, 0, 255).astype(np.uint8)
    return Scene({k: v for k, v in columns.items() if not k.startswith("f_dc_")})


def gaussian_2d(n: int = 300, seed: int = 0) -> Scene:
    """2DGS: two scales."""
    columns = inria(n, 1, seed=seed).columns
    del columns["scale_2"]
    return Scene(columns)


def mip_filter(n: int = 300, seed: int = 0) -> Scene:
    """mip-splatting: ``filter_3D`` in the last column."""
    scene = inria(n, 1, seed=seed)
    xyz = scene.stack(("x", "y", "z"))
    scene.columns |= _f4(["filter_3D"], np.abs(smooth(xyz, 1, seed + 7)))
    return scene


def scaffold(n: int = 200, with_opacity: bool = False, seed: int = 0) -> Scene:
    """Scaffold-GS anchors: offsets, features, six scales, no colour."""
    xyz, _ = cloud(n, seed)
    columns = _f4(["x", "y", "z"], xyz) | _f4(["nx", "ny", "nz"], np.zeros((n, 3)))
    columns |= _f4(numbered("f_offset_", 30), smooth(xyz, 30, seed + 1))
    columns |= _f4(numbered("f_anchor_feat_", 32), smooth(xyz, 32, seed + 2))
    if with_opacity:
        columns |= _f4(["opacity"], smooth(xyz, 1, seed + 3))
    columns |= _f4(numbered("scale_", 6), smooth(xyz, 6, seed + 4) - 3)
    columns |= _f4(numbered("rot_", 4), np.tile([1.0, 0, 0, 0], (n, 1)))
    return Scene(columns)


def utm_doubles(n: int = 300, seed: int = 0) -> Scene:
    """Positions in doubles, in UTM metres: float32 would lose centimetres."""
    scene = inria(n, 0, normals=False, seed=seed)
    for axis, offset in zip("xyz", (691_607.123, 5_334_760.456, 520.25), strict=True):
        scene.columns[axis] = scene.columns[axis].astype(np.float64) + offset
    return scene


def with_semantics(scene: Scene, naming: str = "gaussian_grouping", seed: int = 11) -> Scene:
    """Append the feature columns of one of :data:`SEMANTIC_NAMINGS`."""
    names = SEMANTIC_NAMINGS[naming]
    xyz = scene.stack(("x", "y", "z"))
    xyz = xyz - (xyz.mean(axis=0) if scene.count else 0)
    columns = dict(scene.columns) | _f4(names, smooth(xyz, len(names), seed))
    return Scene(columns, scene.layout, scene.elements)


def with_labels(
    scene: Scene, dtype: str = "int32", name: str = "label", seed: int = 12, classes: int = 6
) -> Scene:
    """Append spatially coherent labels; floats hold whole numbers."""
    xyz = scene.stack(("x", "y", "z"))
    xyz = xyz - (xyz.mean(axis=0) if scene.count else 0)
    labels = np.rint((smooth(xyz, 1, seed, noise=0.02)[:, 0] + 1) / 2 * (classes - 1))
    columns = dict(scene.columns) | {name: np.clip(labels, 0, classes - 1).astype(dtype)}
    return Scene(columns, scene.layout, scene.elements)


def other_element(name: str = "camera", rows: int = 3) -> PlyElement:
    """An element besides the vertices, with a scalar and a list property."""
    data = np.empty(rows, [("focal", "f4"), ("indices", object)])
    data["focal"] = np.arange(rows) + 0.5
    for row in range(rows):
        data["indices"][row] = np.arange(row, dtype="i4")
    return PlyElement.describe(data, name, len_types={"indices": "u1"}, val_types={"indices": "i4"})


def decorated(n: int = 50, seed: int = 0) -> Scene:
    """Comments, obj_info and elements on both sides of the vertices."""
    layout = PlyLayout(
        comments=("Exported by a test", "second line"),
        obj_info=("units metres",),
        vertex_comments=("about the vertices",),
        vertex_index=1,
    )
    elements = (other_element("frame", 2), other_element("camera", 3))
    return Scene(inria(n, 0, seed=seed).columns, layout, elements)


SCENES: Mapping[str, Callable[[int], Scene]] = {
    "inria_sh0": lambda n: inria(n, 0),
    "inria_sh1": lambda n: inria(n, 1),
    "inria_sh2": lambda n: inria(n, 2, normals=False),
    "inria_sh3": lambda n: inria(n, 3),
    "inria_sh4": lambda n: inria(n, 4, normals=False),
    "brush": brush,
    "rgb_uchar": rgb_uchar,
    "2dgs": gaussian_2d,
    "mip_filter": mip_filter,
    "scaffold": scaffold,
    "scaffold_opacity": lambda n: scaffold(n, with_opacity=True),
    "utm_doubles": utm_doubles,
    "decorated": decorated,
    "label_uint8": lambda n: with_labels(inria(n, 0), "uint8", "semantic_class"),
    "label_int32": lambda n: with_labels(inria(n, 0), "int32"),
    "label_float": lambda n: with_labels(inria(n, 0), "float32"),
    **{
        f"semantic_{naming}": lambda n, naming=naming: with_semantics(inria(n, 0), naming)
        for naming in SEMANTIC_NAMINGS
    },
}
