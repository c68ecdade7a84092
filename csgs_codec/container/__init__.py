"""Syntax of the file: chunk framing, the header and the level table. No numerics."""
