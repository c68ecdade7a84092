"""Learning semantic features of a fixed scene for the codec, after CSGaussian (WACV 2026)."""

from csgs_codec.semantics.learn.maps import ViewMap, map_view
from csgs_codec.semantics.learn.options import LearnOptions
from csgs_codec.semantics.learn.train import Learned, learn

__all__ = ["LearnOptions", "Learned", "ViewMap", "learn", "map_view"]
