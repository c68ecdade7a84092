"""Files beside a PLY that hold something for each of its rows, joined to the scene by row.

``.npy``, ``.npz``, ``.pt``/``.pth`` (tensors only) and further ``.ply`` files. Nothing
is unpickled: what would run code when read is refused.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csgs_codec.errors import CsgsError, SidecarError, UnsupportedError
from csgs_codec.io.arrays import Npz, read_npy
from csgs_codec.io.checkpoints import load_checkpoint
from csgs_codec.io.ply import read_ply
from csgs_codec.limits import MAX_CHANNELS
from csgs_codec.scene import Column, Scene

SUFFIXES = (".npy", ".npz", ".pt", ".pth", ".ply")
_PLY_TYPES = ("i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8")
_NARROWED = ("i4", "u4")
_SHOWN = 20
_SAME_PLACE = 1e-4
_DEEPEST = 16

Array = NDArray[np.generic]
Chosen = tuple[str, str]


@dataclass(frozen=True)
class Merged:
    """A scene with what a sidecar adds.

    Attributes
    ----------
    scene : Scene
    notes : tuple of str
        What was done, and what was left out.
    semantic : tuple of str
        Regular expressions of the new semantic groups, for ``EncodeOptions.semantic``.
    ids : tuple of str
        Regular expressions of the new id properties, for ``EncodeOptions.ids``.
    """

    scene: Scene
    notes: tuple[str, ...] = ()
    semantic: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Joined(Merged):
    """A scene with what several sidecars add, and the files they were."""

    files: tuple[Path, ...] = ()


def join(scene: Scene, arguments: Sequence[str]) -> Joined:
    """Merge the files that ``FILE[:NAME]`` arguments name, one after another.

    Raises
    ------
    SidecarError, UnsupportedError
        See :func:`merge_sidecar`.
    """
    joined = Joined(scene)
    for argument in arguments:
        path, name = split_argument(argument)
        merged = merge_sidecar(joined.scene, path, name)
        joined = Joined(
            merged.scene,
            joined.notes + merged.notes,
            joined.semantic + merged.semantic,
            joined.ids + merged.ids,
            (*joined.files, path),
        )
    return joined


def split_argument(argument: str) -> tuple[Path, str | None]:
    """Split ``FILE[:NAME]``; a colon that belongs to the name of an existing file stays with it.

    Raises
    ------
    SidecarError
        There is no such file.
    """
    if Path(argument).is_file():
        return Path(argument), None
    for match in reversed(list(re.finditer(":", argument))):
        path, name = argument[: match.start()], argument[match.end() :]
        if path and Path(path).is_file():
            if not name:
                raise SidecarError("a name must follow the colon", file=path)
            return Path(path), name
    raise SidecarError("there is no such file", file=argument)


def merge_sidecar(scene: Scene, path: str | os.PathLike[str], name: str | None = None) -> Merged:
    """Join a sidecar to a scene, row by row.

    Parameters
    ----------
    scene : Scene
    path : path-like
    name : str, optional
        Which array of a file with several, or what to call the columns of one with a single array;
        of a PLY, a property or what the names of some begin with.

    Returns
    -------
    Merged
        A float array of shape (rows, width) becomes the semantic group ``<stem>_0 ..``, an integer
        array (rows,) an id property ``<stem>``, a float array (rows,) a property that is kept
        exactly, an integer array (rows, width) one id property for each column.

    Raises
    ------
    SidecarError
        The file cannot be read, has other rows than the scene, or holds what no PLY property can.
    UnsupportedError
        Reading it needs torch, which is not installed.
    """
    source = Path(path)
    try:
        if source.suffix.lower() == ".ply":
            return _merge_ply(scene, source, name)
        stem, array, notes = _pick(source, name, scene.count)
        return _merge_array(scene, array, _property_name(stem), [*notes])
    except (SidecarError, UnsupportedError) as error:
        raise error.located(file=str(source)) from None


def _pick(source: Path, name: str | None, count: int) -> tuple[str, Array, list[str]]:
    """One array of a file that has ``count`` rows, what to call it, and notes."""
    suffix = source.suffix.lower()
    if suffix == ".npy":
        return name or source.stem, _read_numpy(source), []
    if suffix == ".npz":
        return *_read_npz(source, name, count), []
    if suffix not in (".pt", ".pth"):
        raise SidecarError(f"{suffix or 'a file without suffix'} is none of {', '.join(SUFFIXES)}")
    arrays = _read_torch(source)
    key, stem = _choose({k: tuple(v.shape) for k, v in arrays.items()}, name, source)
    _check_shape(tuple(arrays[key].shape), count)
    return stem, *_to_numpy(arrays[key])


def _choose(shapes: Mapping[str, tuple[int, ...]], name: str | None, source: Path) -> Chosen:
    """Key of an array, and what to call it."""
    if not shapes:
        raise SidecarError("the file holds no array")
    ends = [key for key in shapes if name is not None and key.rpartition(".")[2] == name]
    if name in shapes:
        key = str(name)
    elif len(shapes) == 1 or len(ends) == 1:
        key = next(iter(shapes)) if len(shapes) == 1 else ends[0]
    else:
        listed = [f"{key} {shape}" for key, shape in list(shapes.items())[:_SHOWN]]
        more = f" and {len(shapes) - _SHOWN} more" if len(shapes) > _SHOWN else ""
        said = "several arrays; choose one with FILE:NAME" if name is None else f"no array {name!r}"
        raise SidecarError(f"{said}: {', '.join(listed)}{more}")
    return key, source.stem if len(shapes) == 1 and name is None else name or key


def _check_shape(shape: tuple[int, ...], count: int) -> None:
    """Refuse arrays that do not belong to ``count`` rows, before they are held."""
    if not shape:
        raise SidecarError("the array is a single number")
    if shape[0] != count:
        raise SidecarError(f"{shape[0]} rows, but the scene has {count}")
    if math.prod(shape[1:]) > MAX_CHANNELS:
        raise SidecarError(f"shape {shape} has more than {MAX_CHANNELS} columns")


def _read_numpy(source: Path) -> Array:
    try:
        with open(source, "rb") as stream:
            return read_npy(stream, os.fstat(stream.fileno()).st_size)
    except (OSError, ValueError) as error:
        raise SidecarError(f"not a readable .npy (pickles are refused): {error}") from None


def _read_npz(source: Path, name: str | None, count: int) -> tuple[str, Array]:
    """What to call an array, and the array."""
    try:
        with open(source, "rb") as stream:
            arrays = Npz(stream)
            headers = {key: arrays.header(key) for key in arrays}
            key, stem = _choose({k: h.shape for k, h in headers.items()}, name, source)
            _check_shape(headers[key].shape, count)
            return stem, arrays[key]
    except (OSError, ValueError) as error:
        raise SidecarError(f"not a readable .npz (pickles are refused): {error}") from None


def _read_torch(source: Path) -> dict[str, Any]:
    """All tensors of a checkpoint, by the path to each."""
    try:
        import torch
    except ModuleNotFoundError as error:
        raise UnsupportedError("reading .pt and .pth needs torch: csgs_codec[encode]") from error
    try:
        with open(source, "rb") as stream:
            loaded = load_checkpoint(stream)
    except (OSError, ValueError) as error:
        raise SidecarError(f"only tensors are read, pickled objects are refused: {error}") from None
    found: dict[str, Any] = {}

    def walk(value: Any, path: tuple[str, ...]) -> None:
        if isinstance(value, torch.Tensor):
            if not value.is_sparse and value.ndim:
                found[".".join(path) or source.stem] = value.detach()
        elif len(path) < _DEEPEST and isinstance(value, Mapping):
            for key, inner in value.items():
                walk(inner, (*path, str(key)))
        elif len(path) < _DEEPEST and isinstance(value, Sequence) and not isinstance(value, str):
            for place, inner in enumerate(value):
                walk(inner, (*path, str(place)))

    walk(loaded, ())
    return found


def _to_numpy(tensor: Any) -> tuple[Array, list[str]]:
    try:
        return tensor.numpy(), []
    except TypeError:
        if not tensor.dtype.is_floating_point:
            raise SidecarError(f"{tensor.dtype} is no type of a PLY property") from None
        return tensor.float().numpy(), [f"{tensor.dtype} is widened to float"]


def _merge_array(scene: Scene, array: Array, stem: str, notes: list[str]) -> Merged:
    _check_shape(array.shape, scene.count)
    while array.ndim > 2 and 1 in array.shape[1:]:
        array = np.squeeze(array, axis=1 + array.shape[1:].index(1))
    if array.ndim > 2 or 0 in array.shape[1:]:
        raise SidecarError(f"shape {array.shape} is neither (rows,) nor (rows, width)")
    typed = _as_ply_type(array, stem, notes)
    taken = [n for n in scene.columns if re.fullmatch(rf"{stem}(_\d+)?", n)]
    if taken:
        raise SidecarError(
            "the scene has this property already; choose another name with FILE:NAME",
            property=taken[0],
        )
    if typed.ndim == 1:
        columns = {stem: np.ascontiguousarray(typed)}
    else:
        columns = {f"{stem}_{i}": np.ascontiguousarray(c) for i, c in enumerate(typed.T)}
    joined = Scene({**scene.columns, **columns}, scene.layout, scene.elements)
    names = f"{stem}_0 .. {stem}_{len(columns) - 1}" if typed.ndim == 2 else stem
    pattern = (rf"{stem}_\d+",) if typed.ndim == 2 else (stem,)
    if typed.dtype.kind != "f":
        return Merged(joined, (*notes, f"{names} merged as ids"), ids=pattern)
    if typed.ndim == 2:
        return Merged(joined, (*notes, f"{names} merged as a semantic group"), semantic=pattern)
    return Merged(joined, (*notes, f"{names} merged as a property that is kept exactly"))


def _as_ply_type(array: Array, stem: str, notes: list[str]) -> Array:
    """The same values in a type that a PLY property can have."""
    if array.dtype.hasobject or array.dtype.kind not in "biuf":
        raise SidecarError(f"{array.dtype} is no type of a PLY property", property=stem)
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    code = native.dtype.str[1:]
    if code in _PLY_TYPES:
        return native
    if native.dtype.kind == "b":
        notes.append(f"{stem}: bool is stored as uchar")
        return native.astype(np.uint8)
    if code == "f2":
        notes.append(f"{stem}: float16 is widened to float")
        return native.astype(np.float32)
    if native.dtype.kind == "f":
        raise SidecarError(f"{array.dtype} is no type of a PLY property", property=stem)
    low, high = (int(native.min()), int(native.max())) if native.size else (0, 0)
    for narrow in _NARROWED:
        info = np.iinfo(narrow)
        if info.min <= low and high <= info.max:
            notes.append(f"{stem}: {array.dtype} is narrowed to {info.dtype}, which holds every id")
            return native.astype(narrow)
    raise SidecarError(
        f"{array.dtype} from {low} to {high} fits no integer of a PLY (32 bits)", property=stem
    )


def _merge_ply(scene: Scene, source: Path, name: str | None) -> Merged:
    try:
        other = read_ply(source)
    except CsgsError as error:
        raise SidecarError(error.message, **error.context) from None
    if other.count != scene.count:
        raise SidecarError(f"{other.count} rows, but the scene has {scene.count}")
    _check_places(scene, other)
    wanted = list(other.columns)
    if name is not None:
        exact = [name] if name in other.columns else []
        wanted = exact or [n for n in other.columns if n.startswith(name)]
        if not wanted:
            raise SidecarError(f"no property is called, or begins with, {name!r}")
    new = {n: other.columns[n] for n in wanted if n not in scene.columns}
    differing = [
        n for n in wanted if n in scene.columns and not _equal(scene.columns[n], other.columns[n])
    ]
    if name is not None and differing:
        raise SidecarError("the scene has other values of this property", property=differing[0])
    notes = []
    if differing:
        notes.append(f"{_listing(differing)} differ; the scene's own are kept")
    if other.elements:
        notes.append(f"other elements of {source.name} are left out")
    notes.append(
        f"{_listing(list(new))} merged" if new else f"{source.name} adds no property to the scene"
    )
    joined = Scene({**scene.columns, **new}, scene.layout, scene.elements)
    return Merged(joined, tuple(notes))


def _check_places(scene: Scene, other: Scene) -> None:
    """Refuse a PLY whose rows stand elsewhere: they are not the scene's rows."""
    axes = [a for a in "xyz" if a in scene.columns and a in other.columns]
    for axis in axes if scene.count else ():
        own, its = (s.columns[axis].astype(np.float64) for s in (scene, other))
        finite = np.isfinite(own) & np.isfinite(its)
        reach = _SAME_PLACE * max(float(np.ptp(own[finite])) if finite.any() else 0.0, 1e-9)
        apart = np.flatnonzero(finite & (np.abs(own - its) > reach))
        if len(apart):
            raise SidecarError(
                f"{len(apart)} rows stand elsewhere than in the scene: its rows are others",
                property=axis,
                row=int(apart[0]),
            )


def _equal(a: Column, b: Column) -> bool:
    return a.dtype == b.dtype and a.tobytes() == b.tobytes()


def _listing(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 4 else f"{names[0]} .. {names[-1]} ({len(names)})"


def _property_name(stem: str) -> str:
    """A word that may stand in a PLY header."""
    return re.sub(r"_+", "_", re.sub(r"[^A-Za-z0-9_]", "_", stem)).strip("_") or "merged"
