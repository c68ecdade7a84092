"""The bit-exact core: integers only. numba accelerates it and never changes a result."""
