"""gsplat's PNG compression; it needs CUDA, and removes Gaussians until they fill a square."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csgs_codec import Scene, read_ply
from csgs_codec.io.ply import write_ply
from csgs_codec.scene import Column
from rd_bench.peers import MissingError, stopwatch

NEEDED = ("torch", "gsplat", "imageio", "plas", "torchpq")
Floats = NDArray[np.float32]


def to_arrays(scene: Scene) -> dict[str, Floats]:
    """Arrays under gsplat's names."""

    def stack(*names: str) -> Floats:
        return np.stack([scene.columns[n].astype(np.float32) for n in names], axis=1)

    rest = sum(name.startswith("f_rest_") for name in scene.columns)
    arrays = {
        "means": stack("x", "y", "z"),
        "scales": stack(*(f"scale_{k}" for k in range(3))),
        "quats": stack(*(f"rot_{k}" for k in range(4))),
        "opacities": stack("opacity")[:, 0],
        "sh0": stack(*(f"f_dc_{k}" for k in range(3)))[:, None],
    }
    if rest:
        channels = stack(*(f"f_rest_{k}" for k in range(rest))).reshape(scene.count, 3, -1)
        arrays["shN"] = np.ascontiguousarray(channels.swapaxes(1, 2))
    return arrays


def to_scene(arrays: dict[str, Floats]) -> Scene:
    """Undo :func:`to_arrays`."""
    count = len(arrays["means"])
    groups = [("xyz", arrays["means"]), ("f_dc_", arrays["sh0"].reshape(count, -1))]
    if "shN" in arrays:
        groups.append(("f_rest_", arrays["shN"].swapaxes(1, 2).reshape(count, -1)))
    groups.append(("opacity", arrays["opacities"].reshape(count, 1)))
    groups += [("scale_", arrays["scales"]), ("rot_", arrays["quats"])]
    columns: dict[str, Column] = {}
    for name, values in groups:
        for k in range(values.shape[1]):
            column = name[k] if name == "xyz" else name + str(k) * name.endswith("_")
            columns[column] = np.ascontiguousarray(values[:, k], np.float32)
    return Scene(columns)


@dataclass(frozen=True)
class GsplatPng:
    """See :class:`rd_bench.peers.Peer`; the coded file is a folder."""

    name: str = "gsplat PNG"
    file: str = "scene"
    slow: bool = False

    def version(self) -> str:
        """Return the version."""
        for module in NEEDED:
            if find_spec(module) is None:
                raise MissingError(f"{module} is not installed")
        import torch

        if not torch.cuda.is_available():
            raise MissingError("there is no CUDA device")
        return f"gsplat {version('gsplat')} PngCompression"

    def _compression(self) -> Any:
        return import_module("gsplat.compression").PngCompression(use_sort=True, verbose=False)

    def encode(self, source: Path, target: Path) -> float:
        """Code a PLY; return the seconds it took."""
        import torch

        target.mkdir()
        with stopwatch() as seconds:
            arrays = to_arrays(read_ply(source))
            splats = {name: torch.from_numpy(a).cuda() for name, a in arrays.items()}
            self._compression().compress(str(target), splats)
        return seconds[0]

    def decode(self, source: Path, target: Path) -> None:
        """Make a PLY again."""
        splats = self._compression().decompress(str(source))
        write_ply(target, to_scene({name: a.cpu().numpy() for name, a in splats.items()}))
