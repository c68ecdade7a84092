"""What the benchmarks of speed share: the scene that is given, and medians."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def takes_scene(command: Command) -> Command:
    """An argument ``scene_file`` and an option ``--repeat``."""
    scene = click.argument(
        "scene_file",
        metavar="SCENE.ply",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
    )
    repeat = click.option("--repeat", default=5, show_default=True, help="Runs of each median.")
    return scene(repeat(command))


def median(action: Callable[[], object], repeat: int) -> float:
    """Median seconds of an action, after one run that does not count."""
    action()
    seconds = []
    for _ in range(repeat):
        begin = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)
