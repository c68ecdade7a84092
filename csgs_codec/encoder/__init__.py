"""Encoding. torch lives only here."""

from csgs_codec.encoder.encode import EncodeResult, encode
from csgs_codec.encoder.options import EncodeOptions, Inputs

__all__ = ["EncodeOptions", "EncodeResult", "Inputs", "encode"]
