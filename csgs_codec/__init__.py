"""csgs_codec: a codec for semantic 3D Gaussian Splatting scenes."""
