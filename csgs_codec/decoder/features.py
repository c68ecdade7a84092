"""Semantic groups as arrays, one file for each."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from csgs_codec.container.attachments import folded
from csgs_codec.container.kinds import GroupKind
from csgs_codec.decoder.parser import Parser
from csgs_codec.errors import UnsupportedError, UsageError
from csgs_codec.scene import Scene


def semantic_groups(parser: Parser) -> dict[str, tuple[str, ...]]:
    """Columns of each semantic group of a file, by the group's name; a second one gets a number."""
    found: dict[str, tuple[str, ...]] = {}
    for declared, named in zip(parser.header.groups, parser.manifest.groups, strict=True):
        if declared.kind is GroupKind.SEMANTIC:
            name, number = named.name, 2
            while name in found:
                name, number = f"{named.name}_{number}", number + 1
            found[name] = named.columns
    return found


def feature_files(parser: Parser, target: Path) -> dict[Path, tuple[str, ...]]:
    """Say which columns go into which file.

    Parameters
    ----------
    parser : Parser
    target : Path
        A ``.npy`` file for the only semantic group, or a folder.

    Raises
    ------
    UsageError
        There is no semantic group, or one file for several.
    """
    groups = semantic_groups(parser)
    if not groups:
        raise UsageError("the file has no semantic group")
    if target.suffix.lower() == ".npy" and not target.is_dir():
        if len(groups) > 1:
            raise UsageError(f"several semantic groups ({', '.join(groups)}): give a folder")
        return {target: next(iter(groups.values()))}
    files: dict[str, tuple[str, ...]] = {}
    for name, columns in groups.items():
        stem, number = re.sub(r"[^A-Za-z0-9_-]", "_", name) or "group", 2
        place = stem
        while folded(place) in files:
            place, number = f"{stem}_{number}", number + 1
        files[folded(place)] = columns
    return {target / f"{place}.npy": columns for place, columns in files.items()}


def stack_features(scene: Scene, columns: tuple[str, ...]) -> NDArray[np.float32]:
    """Columns side by side, shape (n, len(columns)).

    Raises
    ------
    UnsupportedError
        The scene is of a level without them.
    """
    missing = [name for name in columns if name not in scene.columns]
    if missing:
        raise UnsupportedError("this level does not hold the semantic group", property=missing[0])
    out = np.empty((scene.count, len(columns)), np.float32)
    for place, name in enumerate(columns):
        out[:, place] = scene.columns[name]
    return out
