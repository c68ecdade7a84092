"""The aTCH chunk: a file that travels with the scene (spec section 13.1)."""

from __future__ import annotations

import hashlib
import unicodedata
import zlib
from dataclasses import dataclass

from csgs_codec.container.fields import FieldReader, FieldWriter
from csgs_codec.container.inflate import inflate
from csgs_codec.errors import CorruptError

ATTACHMENT_CHUNK = "aTCH"
SHA256_BYTES = 32
LONGEST_NAME = 255
_FORBIDDEN = frozenset('<>:"/\\|?*')
_INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$", "clock$"]
    + [f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"]
)


@dataclass(frozen=True)
class Attachment:
    """One attached file, not yet inflated.

    Attributes
    ----------
    name : str
        A plain base name, safe to create in any folder.
    sha256 : bytes
    size : int
        Bytes of the file.
    deflated : bytes-like
    offset : int
        Where its chunk begins, for messages.
    """

    name: str
    sha256: bytes
    size: int
    deflated: bytes | memoryview
    offset: int = 0

    @classmethod
    def of(cls, name: str, data: bytes) -> Attachment:
        """Deflate the bytes of a file."""
        return cls(name, hashlib.sha256(data).digest(), len(data), zlib.compress(data, 9))

    def data(self) -> bytes:
        """Inflate.

        Raises
        ------
        CorruptError
            The block is damaged, or does not hold the bytes whose hash is announced.
        """
        where = {"chunk": ATTACHMENT_CHUNK, "offset": self.offset, "attachment": self.name}
        try:
            data = inflate(self.deflated, self.size)
        except CorruptError as error:
            raise error.located(**where) from None
        if hashlib.sha256(data).digest() != self.sha256:
            raise CorruptError("attachment does not have the SHA-256 it announces", **where)
        return data

    def write(self) -> bytes:
        """Serialise."""
        name = self.name.encode()
        fields = FieldWriter().put("u16", len(name)).raw(name).raw(self.sha256)
        return fields.put("u64", self.size).raw(bytes(self.deflated)).finish()

    @classmethod
    def read(cls, fields: FieldReader, offset: int) -> Attachment:
        """Parse; nothing is inflated.

        Raises
        ------
        CorruptError
            The name is no plain base name, or a field reaches too far.
        """
        raw = bytes(fields.raw(fields.integer("u16")))
        try:
            name = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise fields.corrupt(f"name of an attachment is not UTF-8: {error}") from None
        wrong = name_fault(name)
        fields.require(wrong is None, f"attachment {name!r}: {wrong}")
        sha256 = bytes(fields.raw(SHA256_BYTES))
        size = fields.integer("u64")
        return cls(name, sha256, size, fields.raw(fields.remaining), offset)


def name_fault(name: str) -> str | None:
    """Say why a name is no plain base name on every system, or None if it is one."""
    if not name:
        return "the name is empty"
    if len(name.encode("utf-8", "replace")) > LONGEST_NAME:
        return f"the name has more than {LONGEST_NAME} bytes"
    bad = sorted(_FORBIDDEN.intersection(name))
    if bad:
        return f"the name holds {bad[0]!r}"
    if any(unicodedata.category(c) in _INVISIBLE for c in name):
        return "the name holds a control character"
    if name.strip(". ") == "" or name[-1] in ". " or name[0] == " ":
        return "the name is made of dots, begins with a space or ends with a dot or space"
    if name.split(".")[0].rstrip(" ").casefold() in _DEVICES:
        return "the name is that of a device"
    return None


def folded(name: str) -> str:
    """Return what two names share that a system takes for the same."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
