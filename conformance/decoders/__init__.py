"""Decoders behind the command line that the suite asks for."""
