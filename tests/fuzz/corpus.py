"""Small files to start from: made once by the encoder, then kept in a folder."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from csgs_codec import EncodeOptions, Scene, encode
from csgs_codec.container.objects import ObjectTable, SceneObject
from csgs_codec.io.ply import write_ply
from csgs_codec.scene import PlyLayout
from tests import scenes
from tests.conftest import semantic_scene

NUMPY_ROWS = 8


def _everything() -> tuple[Scene, EncodeOptions]:
    source = semantic_scene(20)
    names = [n for n in source.columns if not n.startswith("f_rest_")]
    layout = PlyLayout(comments=("a comment",), vertex_index=1)
    elements = (scenes.other_element("frame", 2), scenes.other_element("camera", 3))
    scene = Scene({n: source.columns[n] for n in names}, layout, elements)
    files = {"head.bin": bytes(range(60)), "licence.txt": b"free of charge"}
    table = ObjectTable("", (SceneObject(0, "floor", "#0a0b0c"), SceneObject(1, "chair")))
    return scene, EncodeOptions(nan="keep", order="keep", attachments=files, objects=table)


def _wild() -> tuple[Scene, EncodeOptions]:
    scene = scenes.inria(9, 0, normals=False)
    scene.columns["opacity"][0] = np.inf
    scene.columns["scale_0"][1:3] = (np.nan, -np.inf)
    return scene, EncodeOptions(nan="keep", max_error={"position": 1e-3, "scale": 1e-2})


def _many_tiles() -> tuple[Scene, EncodeOptions]:
    return scenes.inria(300, 0, normals=False), EncodeOptions(quality=40)


_PLAIN = EncodeOptions()
_FILES: dict[str, Callable[[], tuple[Scene, EncodeOptions]]] = {
    "everything": _everything,
    "wild": _wild,
    "larger": _many_tiles,
    "labels": lambda: (scenes.with_labels(scenes.inria(12, 0, normals=False)), _PLAIN),
    "decorated": lambda: (scenes.decorated(6), EncodeOptions(order="keep")),
    "flat": lambda: (scenes.gaussian_2d(7), EncodeOptions(quality=90)),
    "anchors": lambda: (scenes.scaffold(5, with_opacity=True), _PLAIN),
    "doubles": lambda: (scenes.utm_doubles(8), EncodeOptions(lossless=True)),
    "lossless": lambda: (
        scenes.with_labels(scenes.inria(10, 0, normals=False), "float32"),
        EncodeOptions(lossless=True, order="keep"),
    ),
    "bytes": lambda: (scenes.rgb_uchar(10), replace(_PLAIN, order="keep")),
    "none": lambda: (scenes.inria(0, 0), _PLAIN),
    "one": lambda: (scenes.inria(1, 0, normals=False), _PLAIN),
}


def _plys() -> dict[str, bytes]:
    small = scenes.with_labels(scenes.inria(5, 0, normals=False), "uint8")
    decorated = scenes.decorated(4)
    found = {"plain": small, "decorated": decorated, "doubles": scenes.utm_doubles(3)}
    found["none"] = scenes.inria(0, 0)
    for name, scene in list(found.items()):
        for mark, changes in (("text", {"text": True}), ("big", {"byte_order": ">"})):
            layout = replace(scene.layout, **changes)
            found[f"{name}_{mark}"] = Scene(scene.columns, layout, scene.elements)
    out = {}
    for name, scene in found.items():
        stream = io.BytesIO()
        write_ply(stream, scene)
        out[f"{name}.ply"] = stream.getvalue()
    return out


def _sidecars() -> dict[str, bytes]:
    random = np.random.default_rng(0)
    arrays = {
        "f4": random.random((NUMPY_ROWS, 3)).astype(np.float32),
        "f2": random.random(NUMPY_ROWS).astype(np.float16),
        "i8": np.arange(NUMPY_ROWS),
        "u1": random.integers(0, 9, (NUMPY_ROWS, 1, 2), np.uint8),
        "bool": random.random(NUMPY_ROWS) < 0.5,
    }
    out = {}
    for name, array in arrays.items():
        stream = io.BytesIO()
        np.save(stream, np.asfortranarray(array))
        out[f"{name}.npy"] = stream.getvalue()
    for name, save in (("stored", np.savez), ("deflated", np.savez_compressed)):
        stream = io.BytesIO()
        save(stream, **arrays)
        out[f"{name}.npz"] = stream.getvalue()
    head = {"weight": arrays["f4"], "bias": arrays["f4"][:, 0].copy(), "names": arrays["i8"]}
    stream = io.BytesIO()
    np.savez(stream, **head)
    out["head.npz"] = stream.getvalue()
    return out | _foreign(arrays, head)


def _foreign(arrays: dict[str, np.ndarray], head: dict[str, np.ndarray]) -> dict[str, bytes]:
    """Files of other packages."""
    import torch
    from safetensors.numpy import save

    tensors = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    out = {"head.safetensors": save(head)}
    for name, content, new in (
        ("zip.pt", {"state": tensors, "step": 3}, True),
        ("legacy.pt", {"state": tensors, "step": 3}, False),
        ("head.pt", {name: torch.from_numpy(array) for name, array in head.items()}, True),
    ):
        stream = io.BytesIO()
        torch.save(content, stream, _use_new_zipfile_serialization=new)
        out[name] = stream.getvalue()
    return out


@dataclass(frozen=True)
class Corpus:
    """Files by name, those of a kind in the order of their names."""

    files: dict[str, bytes]

    def of(self, *suffixes: str) -> list[bytes]:
        """Contents of the files with one of some suffixes."""
        return [self.files[name] for name in self.names(*suffixes)]

    def names(self, *suffixes: str) -> list[str]:
        """Names of the files with one of some suffixes."""
        return [name for name in sorted(self.files) if name.endswith(suffixes)]


def make(folder: Path) -> None:
    """Write the corpus."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, build in _FILES.items():
        (folder / f"{name}.csgs").write_bytes(encode(*build()).data)
    for name, data in (_plys() | _sidecars()).items():
        (folder / name).write_bytes(data)


def load(folder: Path) -> Corpus:
    """Read a corpus that was made."""
    return Corpus({path.name: path.read_bytes() for path in sorted(folder.iterdir())})
