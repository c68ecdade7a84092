"""The vectors: each function makes one or some of them from a fixed seed."""
