"""csgs_codec: a codec for semantic 3D Gaussian Splatting scenes.

``encode`` a :class:`Scene` (from :func:`read_ply`), ``decode`` a file, ``truncate`` it behind a
level, ``probe`` what it holds, or ``open`` a decoder that takes bytes as they arrive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from csgs_codec.errors import (
    CameraError,
    CorruptError,
    CsgsError,
    FormatError,
    LimitError,
    OutputExistsError,
    PlyError,
    SidecarError,
    TruncatedError,
    UnsupportedError,
    UsageError,
)
from csgs_codec.limits import Limits
from csgs_codec.version import __version__

if TYPE_CHECKING:
    from csgs_codec.cut import truncate
    from csgs_codec.decoder import decode, read_attachments
    from csgs_codec.decoder.stream import StreamDecoder
    from csgs_codec.decoder.stream import StreamDecoder as open
    from csgs_codec.describe import Probe, probe
    from csgs_codec.encoder import EncodeOptions, EncodeResult, Inputs, encode
    from csgs_codec.extract import select
    from csgs_codec.io.ply import read_ply, write_ply
    from csgs_codec.io.sidecars import merge_sidecar
    from csgs_codec.revise import edit
    from csgs_codec.scene import Scene

BITSTREAM_VERSION = "1.0"

_LAZY = {
    "decode": ("csgs_codec.decoder", "decode"),
    "read_attachments": ("csgs_codec.decoder", "read_attachments"),
    "StreamDecoder": ("csgs_codec.decoder.stream", "StreamDecoder"),
    "open": ("csgs_codec.decoder.stream", "StreamDecoder"),
    "encode": ("csgs_codec.encoder", "encode"),
    "EncodeOptions": ("csgs_codec.encoder", "EncodeOptions"),
    "EncodeResult": ("csgs_codec.encoder", "EncodeResult"),
    "Inputs": ("csgs_codec.encoder", "Inputs"),
    "read_ply": ("csgs_codec.io.ply", "read_ply"),
    "merge_sidecar": ("csgs_codec.io.sidecars", "merge_sidecar"),
    "write_ply": ("csgs_codec.io.ply", "write_ply"),
    "select": ("csgs_codec.extract", "select"),
    "edit": ("csgs_codec.revise", "edit"),
    "probe": ("csgs_codec.describe", "probe"),
    "Probe": ("csgs_codec.describe", "Probe"),
    "truncate": ("csgs_codec.cut", "truncate"),
    "Scene": ("csgs_codec.scene", "Scene"),
}


def __getattr__(name: str) -> Any:
    """Import on first use, so that a decoder never waits for torch."""
    if name not in _LAZY:
        raise AttributeError(f"module 'csgs_codec' has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _LAZY[name]
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


__all__ = [
    "BITSTREAM_VERSION",
    "CameraError",
    "CorruptError",
    "CsgsError",
    "EncodeOptions",
    "EncodeResult",
    "FormatError",
    "Inputs",
    "LimitError",
    "Limits",
    "OutputExistsError",
    "PlyError",
    "Probe",
    "Scene",
    "SidecarError",
    "StreamDecoder",
    "TruncatedError",
    "UnsupportedError",
    "UsageError",
    "__version__",
    "decode",
    "edit",
    "encode",
    "merge_sidecar",
    "open",
    "probe",
    "read_attachments",
    "read_ply",
    "select",
    "truncate",
    "write_ply",
]
