"""What is given to the codecs: a scene as it is, without semantics, with fewer SH bands."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from pathlib import Path

from csgs_codec import Scene, read_ply
from csgs_codec.io.ply import write_ply
from csgs_codec.schema import Role, assign_roles

NORMALS = ("nx", "ny", "nz")
COLOUR_ROLES = (Role.POSITION, Role.OPACITY, Role.SCALE, Role.ROTATION, Role.DC, Role.SH)


def scene_name(path: Path) -> str:
    """Name of a scene: its folder if the file has a general name, else the file's stem."""
    general = path.stem in ("scene", "point_cloud", "splat")
    return path.resolve().parent.name if general else path.stem


def colour_only(scene: Scene) -> Scene:
    """Drop everything that is neither geometry nor colour, as other codecs do."""
    kept = {c for g in assign_roles(scene) if g.role in COLOUR_ROLES for c in g.columns}
    kept.update(NORMALS)
    columns = {name: values for name, values in scene.columns.items() if name in kept}
    return replace(scene, columns=columns, elements=())


def sh_degree(scene: Scene) -> int:
    """Degree of the spherical harmonics."""
    rest = sum(name.startswith("f_rest_") for name in scene.columns)
    return math.isqrt(1 + rest // 3) - 1


def with_bands(scene: Scene, degree: int) -> Scene:
    """Drop the spherical harmonics above a degree."""
    have, keep = ((d + 1) ** 2 - 1 for d in (sh_degree(scene), degree))
    if keep >= have:
        return scene
    columns = {n: v for n, v in scene.columns.items() if not n.startswith("f_rest_")}
    for channel in range(3):
        for k in range(keep):
            column = scene.columns[f"f_rest_{channel * have + k}"]
            columns[f"f_rest_{channel * keep + k}"] = column
    return replace(scene, columns=columns)


def digest(scene: Scene) -> str:
    """Hash of the columns: names, types and values."""
    state = hashlib.sha256()
    for name, column in scene.columns.items():
        state.update(f"{name} {column.dtype.str}\n".encode())
        state.update(column.tobytes())
    return state.hexdigest()[:32]


def load(path: Path) -> tuple[Scene, Scene]:
    """Read a scene; return it and what is left of it without semantics."""
    scene = read_ply(path)
    return scene, colour_only(scene)


def save(path: Path, scene: Scene) -> Path:
    """Write a scene and return its path."""
    write_ply(path, scene)
    return path
