"""Run a campaign.

    python -m tests.fuzz --executions 1000000 --seed 1 --out results.json

The executions are shared out over targets and back ends as :data:`SHARES` says; ``--targets`` runs
some of these shares, so that a campaign can be spread over processes. ``--only`` runs one target
alone, ``--case`` one case of it in this process.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import click

from tests.fuzz import corpus
from tests.fuzz.campaign import BACKENDS, Campaign, Result
from tests.fuzz.targets import Targets
from tests.fuzz.worker import case

SHARES: tuple[tuple[str, str, float], ...] = (
    ("decode", "numba", 0.08),
    ("decode", "checked", 0.015),
    ("partial", "numba", 0.02),
    ("partial", "numpy", 0.005),
    ("partial", "checked", 0.005),
    ("parse", "numba", 0.06),
    ("streams", "numba", 0.58),
    ("streams", "checked", 0.10),
    ("ply", "numba", 0.10),
    ("sidecars", "numba", 0.02),
    ("heads", "numba", 0.015),
)
SILENT = ("SilentSuccess",)
HANGS = ("hang",)


@click.command()
@click.option("--executions", default=10_000, help="Of all targets together.")
@click.option("--seed", default=1)
@click.option("--corpus", "folder", type=click.Path(path_type=Path), help="Made where it is not.")
@click.option("--targets", help="Shares of these targets only, between commas.")
@click.option("--only", help="TARGET or TARGET:BACKEND.")
@click.option("--first", default=0, help="Number of the first case.")
@click.option("--case", "number", type=int, help="Run this case of --only here.")
@click.option("--out", type=click.Path(path_type=Path), help="Where the results go, as JSON.")
def main(
    executions: int,
    seed: int,
    folder: Path | None,
    targets: str | None,
    only: str | None,
    first: int,
    number: int | None,
    out: Path | None,
) -> None:
    """Attack the codec."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = folder or Path(scratch, "corpus")
        if not folder.exists():
            corpus.make(folder)
        if number is not None:
            found = Targets(corpus.load(folder), Path(scratch)).named()[str(only)]
            click.echo(found(case(seed, str(only), number)))
            return
        campaign = Campaign(folder, Path(scratch), seed, lambda text: click.echo(text, err=True))
        results = []
        for target, backend, share in _shares(only, targets):
            results.append(campaign.run(target, backend, round(share * executions), first))
            if out is not None:
                out.write_text(json.dumps([one.to_json() for one in results], indent=1))
        click.echo(table(results))
        for one in results:
            for kind, (count, at, text) in one.findings.items():
                click.echo(f"{one.target} {one.backend}: {kind}, {count} times, first {at}\n{text}")
        sys.exit(any(one.findings for one in results))


def _shares(only: str | None, targets: str | None) -> list[tuple[str, str, float]]:
    if only is None:
        return [share for share in SHARES if targets is None or share[0] in targets.split(",")]
    target, _, backend = only.partition(":")
    return [(target, one, 1.0) for one in BACKENDS if one == (backend or "numba")]


def table(results: list[Result]) -> str:
    """Results as Markdown."""
    lines = [
        "| target | back end | executions | seconds | decoded | refused | crashes | hangs "
        "| silent successes | slowest, s | peak, MiB |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for one in results:
        silent, hangs = one.counted(*SILENT), one.counted(*HANGS)
        crashes = one.counted("") - silent - hangs
        decoded = one.outcomes["decoded"]
        refused = sum(n for kind, n in one.outcomes.items() if kind not in ("decoded", "finding"))
        lines.append(
            f"| {one.target} | {one.backend} | {one.executions:,} | {one.seconds:,.0f} "
            f"| {decoded:,} | {refused:,} | {crashes} | {hangs} | {silent} "
            f"| {one.slowest:.2f} | {one.peak >> 20} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
