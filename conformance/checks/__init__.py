"""What run.py consists of: calling decoders, reading PLYs, comparing."""
