"""Parts of ``benchmarks/rate_distortion.py``: codecs, instruments, curves, tables."""
