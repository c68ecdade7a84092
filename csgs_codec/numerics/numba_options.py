"""How every kernel is compiled: to be kept on disk, and to run while other threads do."""

from __future__ import annotations

OPTIONS = {"cache": True, "nogil": True, "boundscheck": False}
