"""What each part of the encoder is worth: the file without it, one part at a time.

    python benchmarks/levers.py SCENE.ply CAMERAS.json [--quality 62]

writes ``LEVERS.md`` beside this file. Scenes are encoded without their semantic features. PSNR is
of the decoded file against the original over the views marked ``test``. The last column is the
bytes without the part over the bytes with it at the same PSNR; a second encoding by all parts, a
little coarser or finer, says how many bytes a dB is there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from math import exp, log
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any
from unittest.mock import patch

import click
import numpy as np
from rate_distortion import state_of_sources
from rd_bench.measure import say
from rd_bench.report import table
from rd_bench.scenes import scene_name
from rd_bench.subject import Subject

from csgs_codec import EncodeOptions, Inputs, decode, encode
from csgs_codec.encoder.layer_refinement import Refining

HERE = Path(__file__).resolve().parent
NOT_AGAIN = 1e-9
STEP_ASIDE = 3.0


@dataclass(frozen=True)
class Lever:
    """A part of the encoder, and how to do without it.

    Attributes
    ----------
    name : str
    options : dict
        Fields of the encoder's options.
    replaced : dict
        What names in modules of ``csgs_codec.encoder`` stand for meanwhile, such as
        ``{"quantise.LAMBDA": 0.0}``.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    replaced: dict[str, Any] = field(default_factory=dict)


def _effort(**changed: int) -> Any:
    return classmethod(lambda cls, count: cls(**changed))


def _no_loop(groups: Any, views: Any) -> None:
    return None


def _never(encoder: Any, index: int) -> bool:
    return False


def _even_turns(quaternions: Any, turns: Any) -> Any:
    return np.broadcast_to(np.eye(3), (len(turns), 3, 3))


_UNREFINED = Refining(0, 0.1, 1.0, 1, 1)
LEVERS = (
    Lever("pictures at all (`--fast`)", {"look": False}),
    Lever("hyperprior", {"inputs": Inputs(position=False, own=False, neighbours=False)}),
    Lever("neighbours as contexts", {"inputs": Inputs(neighbours=False)}),
    Lever("rate-distortion-optimised symbols", replaced={"quantise.LAMBDA": NOT_AGAIN}),
    Lever("rotations judged turn by turn", replaced={"appearance.rotation_metric": _even_turns}),
    Lever(
        "networks trained again on chosen symbols",
        replaced={"code.AGAIN_SHARE": NOT_AGAIN, "code.AGAIN_RATE": NOT_AGAIN},
    ),
    Lever("colours re-fitted", replaced={"encode.ClosedLoop": _no_loop}),
    Lever("DC settled with SH", replaced={"encode._Encoder._colours_go_on": _never}),
    Lever("96 views (32 instead)", replaced={"look.VIEWS": 32}),
    Lever(
        "layers refined by pictures",
        replaced={
            "layer_refinement.FIRST_LEVEL": _UNREFINED,
            "layer_refinement.LATER_LEVELS": _UNREFINED,
        },
    ),
    Lever("layers (a single one instead)", {"layer_ends": (1.0,)}),
    Lever("800 steps of training (400)", replaced={"fit.Effort.for_scene": _effort(steps=400)}),
    Lever("800 steps of training (1600)", replaced={"fit.Effort.for_scene": _effort(steps=1600)}),
    Lever("networks of width 32 (16)", replaced={"fit.Effort.for_scene": _effort(width=16)}),
    Lever("networks of width 32 (64)", replaced={"fit.Effort.for_scene": _effort(width=64)}),
)


@contextmanager
def without(lever: Lever) -> Iterator[None]:
    """Let names in the encoder's modules stand for something else."""
    with ExitStack() as stack:
        for name, value in lever.replaced.items():
            module, _, path = name.partition(".")
            target: Any = sys.modules[f"csgs_codec.encoder.{module}"]
            *owners, last = path.split(".")
            for owner in owners:
                target = getattr(target, owner)
            stack.enter_context(patch.object(target, last, value))
        yield


@dataclass(frozen=True)
class Point:
    """A file: bytes, PSNR in dB, seconds on the clock and of the processors."""

    size: int
    psnr: float
    seconds: float
    processor: float


def measure(subject: Subject, quality: float, lever: Lever) -> Point:
    """Encode without a lever, decode and look."""
    say(f"{subject.name}: {lever.name}")
    begin, begin_processor = perf_counter(), process_time()
    with without(lever):
        data = encode(subject.scene, EncodeOptions(quality=quality, **lever.options)).data
    seconds, processor = perf_counter() - begin, process_time() - begin_processor
    return Point(len(data), subject.psnr(decode(data)), seconds, processor)


def rows(subject: Subject, quality: float) -> Iterator[list[str]]:
    """One for the whole encoder, one for each lever."""
    everything = Lever("everything")
    whole = measure(subject, quality, everything)
    aside = measure(subject, quality + STEP_ASIDE, Lever("everything, finer"))
    per_db = log(aside.size / whole.size) / (aside.psnr - whole.psnr)
    for lever in (everything, *LEVERS):
        point = whole if lever is everything else measure(subject, quality, lever)
        worth = point.size * exp(per_db * (whole.psnr - point.psnr)) / whole.size
        yield [
            lever.name,
            f"{point.size:,}",
            f"{8 * point.size / subject.scene.count:.2f}",
            f"{point.psnr:.2f}",
            f"{point.seconds:.1f}",
            f"{point.processor:.1f}",
            f"{100 * (worth - 1):+.1f} %",
        ]


HEADINGS = ["without", "bytes", "bits/Gaussian", "PSNR dB", "s", "processor s", "at the same PSNR"]


@click.command()
@click.argument("scene", type=click.Path(exists=True, path_type=Path))
@click.argument("cameras", type=click.Path(exists=True, path_type=Path))
@click.option("--quality", default=62.0, show_default=True)
def main(scene: Path, cameras: Path, quality: float) -> None:
    """Write the table of one scene."""
    with TemporaryDirectory() as folder:
        found = list(rows(Subject(scene, cameras, Path(folder)), quality))
    text = f"""# What each part of the encoder is worth

See `levers.py` for what is measured; the command is

    python benchmarks/levers.py {scene_name(scene)}/scene.ply {scene_name(scene)}/cameras.json --quality {quality:g}

csgs_codec {state_of_sources()}. One run each; seconds include what compiles on first use.

{table(HEADINGS, found)}
"""  # noqa: E501
    (HERE / "LEVERS.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
