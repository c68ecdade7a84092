"""A scene as a PLY holds it: vertex columns by name, and everything else exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import overload

import numpy as np
from numpy.typing import NDArray
from plyfile import PlyElement

from csgs_codec.errors import CorruptError

Column = NDArray[np.generic]
F64 = NDArray[np.float64]

BLOCK_VALUES = 1 << 23


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

    def stack(self, names: tuple[str, ...]) -> F64:
        """Columns side by side as float64, shape (n, len(names))."""
        return self.part(slice(0, self.count), names)

    def part(self, rows: slice | NDArray[np.int64], names: tuple[str, ...]) -> F64:
        """What :meth:`stack` gives, of some rows: a slice with both ends, or numbers."""
        count = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
        out = np.empty((count, len(names)))
        for place, name in enumerate(names):
            out[:, place] = self.columns[name][rows]
        return out

    def blocks(self, names: tuple[str, ...], rows: NDArray[np.int64] | None = None) -> SceneBlocks:
        """What :meth:`stack` gives, of all or some rows, in blocks."""
        return SceneBlocks(self, names, rows)

    def select(self, rows: NDArray[np.generic] | slice) -> Scene:
        """The same scene with only some Gaussians, or in another order."""
        columns = {name: column[rows] for name, column in self.columns.items()}
        return Scene(columns, self.layout, self.elements)


@dataclass(frozen=True)
class SceneBlocks(Sequence[F64]):
    """Some columns of some rows of a scene, in arrays of at most ``BLOCK_VALUES`` values.

    Features of hundreds of columns never stand in memory as a whole: each array, float64 of shape
    (rows of the block, width), is made when it is asked for.

    Attributes
    ----------
    scene : Scene
    names : tuple of str
        At least one column.
    rows : ndarray of int64, shape (n,), optional
        Rows of the scene, in this order; all by default.
    """

    scene: Scene
    names: tuple[str, ...]
    rows: NDArray[np.int64] | None = None

    @property
    def _count(self) -> int:
        return self.scene.count if self.rows is None else len(self.rows)

    @property
    def _height(self) -> int:
        return max(1, BLOCK_VALUES // len(self.names))

    def __len__(self) -> int:
        return max(1, -(-self._count // self._height))

    @overload
    def __getitem__(self, index: int) -> F64: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[F64]: ...

    def __getitem__(self, index: int | slice) -> F64 | Sequence[F64]:
        if isinstance(index, slice):
            return [self[place] for place in range(len(self))[index]]
        begin = range(len(self))[index] * self._height
        part = slice(begin, min(begin + self._height, self._count))
        return self.scene.part(part if self.rows is None else self.rows[part], self.names)
