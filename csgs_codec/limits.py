"""What a decoder agrees to allocate (spec section 11)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Upper bounds checked before anything is allocated from a count in the file.

    Attributes
    ----------
    gaussians : int
        Gaussians in a scene.
    values : int
        Gaussians times channels over all groups.
    chunk_bytes : int
        Payload of one chunk.
    inflated_bytes : int
        Any deflated block after inflation.
    attached_bytes : int
        All attachments together, inflated.
    model_integers : int
        Weights of all networks and transforms together; they can be sent for next to nothing.
    list_rows : int
        Rows with lists of other PLY elements, which are read one by one.
    memory : int, optional
        Bytes of the decoded scene: its integers and its columns. What is needed for a while besides
        is about as much again.
    """

    gaussians: int = 1 << 28
    values: int = 1 << 31
    chunk_bytes: int = 1 << 30
    inflated_bytes: int = 1 << 32
    attached_bytes: int = 1 << 30
    model_integers: int = 1 << 24
    list_rows: int = 1 << 20
    memory: int | None = None


DEFAULT_LIMITS = Limits()
TILE_CAPACITY = 1 << 16
MAX_PROPERTIES = 65536
MAX_LAYERS = 16
MAX_GROUPS = 255
MAX_CHANNELS = 1024
MAX_PASSES = 1024
MAX_ROUNDS = 8
MAX_LEVELS = 255
MAX_ATTACHMENTS = 1024
