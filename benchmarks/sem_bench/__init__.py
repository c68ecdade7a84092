"""Parts of benchmarks/semantics.py."""
