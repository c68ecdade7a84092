"""What the hyperprior is worth: bits of all attributes under it and under static models.

    python benchmarks/ablation.py SCENE.ply [SCENE.ply ...] >> benchmarks/RESULTS.md

Every row uses the same steps; only what the networks may see differs (and, by a little, the symbols
that are cheapest and the colours that are fitted).
``static`` is one mean and one scale per channel, sent in the file. The gain counts the bytes of the
networks themselves.
"""

from __future__ import annotations

from pathlib import Path

import click

from csgs_codec import EncodeOptions, Inputs, encode, probe, read_ply

UNPREDICTED = ("position", "position_fine")
VARIANTS = (
    ("static", Inputs(position=False, own=False, neighbours=False)),
    ("position", Inputs(own=False, neighbours=False)),
    ("position + own", Inputs(neighbours=False)),
    ("neighbours + own", Inputs(position=False)),
    ("all", Inputs()),
)


@click.command()
@click.option("--variants", default=",".join(name for name, _ in VARIANTS), show_default=True)
@click.argument("scenes", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def main(scenes: tuple[Path, ...], variants: str) -> None:
    """Print one table per scene; the first of the variants is what the others are held against."""
    chosen = [(name, inputs) for name, inputs in VARIANTS if name in variants.split(",")]
    for path in scenes:
        scene = read_ply(path)
        print(f"\n**{path.parent.name}/{path.stem}**, {scene.count:,} Gaussians, bits/Gaussian\n")
        static = 0.0
        for name, inputs in chosen:
            result = encode(scene, EncodeOptions(inputs=inputs))
            groups = {k: v for k, v in result.group_bits.items() if k not in UNPREDICTED}
            network = 8 * probe(result.data).hyperprior_bytes
            total = sum(groups.values()) + network
            if not static:
                static = total
                print(f"| inputs | {' | '.join(groups)} | networks | sum | gain | file bytes |")
                print("|---" * (len(groups) + 5) + "|")
            cells = [f"{bits / scene.count:.2f}" for bits in (*groups.values(), network, total)]
            gain = f"{100 * (1 - total / static):.1f} %"
            print(f"| {name} | {' | '.join(cells)} | {gain} | {len(result.data):,} |", flush=True)


if __name__ == "__main__":
    main()
