"""Decode a file while its bytes arrive."""

from __future__ import annotations

from csgs_codec.decoder.parser import Parser
from csgs_codec.decoder.reconstruct import reconstruct
from csgs_codec.decoder.scene_decoder import SceneDecoder
from csgs_codec.limits import DEFAULT_LIMITS, Limits
from csgs_codec.scene import Scene


class StreamDecoder:
    """Feed it bytes; it hands out the scene at each level that they complete.

    Examples
    --------
    >>> stream = csgs_codec.open()                       # doctest: +SKIP
    >>> for piece in download:                           # doctest: +SKIP
    ...     for scene in stream.feed(piece):
    ...         show(scene)
    >>> stream.close()                                   # doctest: +SKIP
    """

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.parser = Parser(limits)
        self._pieces: list[bytes] = []
        self._size = 0
        self._decoder: SceneDecoder | None = None

    @property
    def level(self) -> int:
        """Levels handed out so far."""
        return self._decoder.levels_decoded if self._decoder else 0

    @property
    def done(self) -> bool:
        """Whether the last level was handed out."""
        return self.parser.finished and self.level == len(self.parser.levels)

    @property
    def bytes_needed(self) -> int:
        """Bytes missing to the end of the next level; 1 while that is not known, 0 when done."""
        if self.done:
            return 0
        if not self.parser.prelude_done:
            return 1
        return max(1, self.parser.levels[self.level].end - self._size)

    @property
    def _awaited(self) -> int:
        """Bytes below which looking at them again would be in vain."""
        if not self.parser.prelude_done:
            return self.parser.needed
        return max(self.parser.needed, self.parser.levels[self.level].end)

    @property
    def attachments(self) -> dict[str, bytes]:
        """Attached files that have arrived, by name."""
        return self.parser.read_attachments()

    def feed(self, data: bytes | bytearray | memoryview) -> list[Scene]:
        """Add bytes; return the scene at each level that they complete, often none.

        Raises
        ------
        CorruptError, UnsupportedError, LimitError
            As soon as the bytes show it.
        """
        self._pieces.append(bytes(data))
        self._size += len(data)
        if self.done or self._size < self._awaited:
            return []
        joined = b"".join(self._pieces)
        self._pieces = [joined]
        self.parser.advance(joined)
        scenes = []
        while self.level < len(self.parser.complete):
            if self._decoder is None:
                self._decoder = SceneDecoder(self.parser)
            self._decoder.decode_to(self.level + 1)
            scenes.append(reconstruct(self.parser, self._decoder))
        return scenes

    def close(self) -> None:
        """Declare that no more bytes will come.

        Raises
        ------
        TruncatedError
            The bytes so far do not end behind a level.
        CorruptError
            There are bytes behind the last level.
        """
        self.parser.advance(b"".join(self._pieces))
        self.parser.require_end(self._size)
