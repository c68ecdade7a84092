"""Conformance suite of the CSGS bitstream: see README.md."""
