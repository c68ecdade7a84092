"""A scene as a PLY holds it: vertex columns by name, and everything else exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from plyfile import PlyElement

from csgs_codec.errors import CorruptError

Column = NDArray[np.generic]


@dataclass(frozen=True)
class PlyLayout:
    """What a PLY file says besides its data.

    Attributes
    ----------
    text : bool
        Whether the file is ASCII.
    byte_order : str
        ``<`` or ``>``.
    comments, obj_info : tuple of str
        Lines of the file header.
    vertex_comments : tuple of str
        Comments of the vertex element.
    vertex_index : int
        Place of the vertex element among the elements.
    """

    text: bool = False
    byte_order: str = "<"
    comments: tuple[str, ...] = ()
    obj_info: tuple[str, ...] = ()
    vertex_comments: tuple[str, ...] = ()
    vertex_index: int = 0

    def to_json(self) -> dict[str, object]:
        """Return a JSON-able dictionary."""
        return {
            "text": self.text,
            "byte_order": self.byte_order,
            "comments": list(self.comments),
            "obj_info": list(self.obj_info),
            "vertex_comments": list(self.vertex_comments),
            "vertex_index": self.vertex_index,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> PlyLayout:
        """Undo :meth:`to_json`.

        Raises
        ------
        CorruptError
            An entry is missing or of the wrong type.
        """

        def lines(key: str) -> tuple[str, ...]:
            value = data.get(key)
            if not isinstance(value, list) or not all(_is_header_line(v) for v in value):
                raise CorruptError(f"layout entry {key!r} is not a list of lines")
            return tuple(value)

        text, order, index = data.get("text"), data.get("byte_order"), data.get("vertex_index")
        if not isinstance(text, bool) or order not in ("<", ">"):
            raise CorruptError("layout entry 'text' or 'byte_order' is invalid")
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index <= 255:
            raise CorruptError("layout entry 'vertex_index' is invalid")
        return cls(
            text, str(order), lines("comments"), lines("obj_info"), lines("vertex_comments"), index
        )


def _is_header_line(value: object) -> bool:
    return isinstance(value, str) and "\n" not in value and "\r" not in value and value.isascii()


@dataclass
class Scene:
    """Gaussians with all that their PLY carries.

    Attributes
    ----------
    columns : dict of str to ndarray, shape (n,)
        Vertex properties in file order, in native byte order and their own dtype.
    layout : PlyLayout
    elements : tuple of plyfile.PlyElement
        The other elements, in file order.
    """

    columns: dict[str, Column]
    layout: PlyLayout = field(default_factory=PlyLayout)
    elements: tuple[PlyElement, ...] = ()

    @property
    def count(self) -> int:
        """Number of Gaussians."""
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def stack(self, names: tuple[str, ...]) -> NDArray[np.float64]:
        """Columns side by side as float64, shape (n, len(names))."""
        out = np.empty((self.count, len(names)))
        for place, name in enumerate(names):
            out[:, place] = self.columns[name]
        return out

    def select(self, rows: NDArray[np.generic] | slice) -> Scene:
        """The same scene with only some Gaussians, or in another order."""
        columns = {name: column[rows] for name, column in self.columns.items()}
        return Scene(columns, self.layout, self.elements)
