"""The semantic part of csgs-eval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from csgs_codec.cli.common import say

from csgs_codec.errors import UsageError

if TYPE_CHECKING:
    from csgs_codec.decoder.spending import LevelSpending
    from csgs_codec.describe import Probe
    from csgs_codec.metrics.matching import Matching
    from csgs_codec.metrics.segmentation import SegmentationScore
    from csgs_codec.metrics.semantics import GroupScore, SemanticReference
    from csgs_codec.render import Camera, RenderGaussians
    from csgs_codec.scene import Scene
    from csgs_codec.semantics.heads import Head

_ROUNDING = 2.0**-22


def semantic_reference(
    scene: Scene,
    gaussians: RenderGaussians,
    cameras: Sequence[Camera],
    camera_file: Path | None,
    head_file: Path | None,
    compared: Path,
    mask_folder: Path | None,
    ignore: int | None,
) -> SemanticReference:
    """Gather heads and true label maps, and render those of the original."""
    from csgs_codec.metrics.masks import find_masks, masks_in
    from csgs_codec.metrics.semantics import SemanticReference

    heads = find_heads(head_file, compared)
    masks: dict[str, Path] = {}
    if mask_folder is not None:
        if heads is None:
            raise UsageError("--masks needs a head that turns features into classes: --head")
        masks = masks_in(mask_folder, cameras)
        if not masks:
            raise UsageError("no PNG is named after a view", file=str(mask_folder))
    elif heads is not None and camera_file is not None:
        masks = find_masks(camera_file, cameras)
    reference = SemanticReference(scene, gaussians, cameras, heads, masks, ignore)
    if head_file is not None and not reference.heads:
        raise UsageError("no semantic group has the width of the head", file=str(head_file))
    if masks:
        folder = next(iter(masks.values())).parent
        say(f"label maps of {len(masks)} of {len(cameras)} views: {folder}")
    return reference


def find_heads(head_file: Path | None, compared: Path) -> Head | Mapping[str, Head] | None:
    """Return the head to judge by: the one that was named, else the first one in the file."""
    from csgs_codec.errors import UnsupportedError, UsageError
    from csgs_codec.semantics.heads import HEAD_SUFFIXES, head_from_bytes, read_head

    if head_file is not None:
        return read_head(head_file)
    with compared.open("rb") as stream:
        if stream.read(3) == b"ply":
            return None
    from csgs_codec.decoder import read_attachments

    for name, data in read_attachments(compared).items():
        if Path(name).suffix.lower() in HEAD_SUFFIXES:
            try:
                head = head_from_bytes(name, data)
            except (UsageError, UnsupportedError):
                continue
            say(f"classes are those of the attached {name}")
            return head
    return None


def match(
    original: Scene, compared: Scene, file: Path, info: Probe | None, level: int | None
) -> Matching | None:
    """Pair rows of a level, or of a PLY, with those of the original; None if nothing tells how."""
    import numpy as np

    from csgs_codec.decoder.row_order import original_rows
    from csgs_codec.metrics.matching import Matching, in_same_order, match_rows

    axes = ("x", "y", "z")
    before, after = original.stack(axes), compared.stack(axes)
    if info is None:
        return Matching.same_order(original.count) if in_same_order(before, after) else None
    rows = original_rows(file) if info.gaussians == original.count else None
    if rows is not None:
        every = np.arange(compared.count)
        known = every if level == len(info.levels) else rows[: compared.count]
        return Matching(known, every, compared.count, "row order of the file")
    largest = max((abs(v) for tile in info.tiles for v in (*tile.low, *tile.high)), default=0.0)
    return match_rows(before, after, info.grid_step / 2 + _ROUNDING * largest)


def reference_json(reference: SemanticReference) -> dict[str, Any]:
    """What is known of the original, by group."""
    scores = reference.original_scores()
    return {
        group.name: {
            "features": len(group.columns),
            "classes": reference.heads[group.name].classes if group.name in scores else None,
            "masked_views": reference.masked_views,
            **_segmentation(scores.get(group.name), "masks"),
        }
        for group in reference.groups
    }


def level_json(
    scores: Mapping[str, GroupScore], matching: Matching, bits: Mapping[str, float]
) -> dict[str, Any]:
    """Scores of one level, by group; ``bits`` are those of each group per Gaussian."""
    return {
        name: {
            "bits_per_gaussian": bits.get(name),
            "matched_rows": len(matching.decoded),
            "decoded_rows": matching.rows,
            "matched_by": matching.rule,
            **asdict(score.features),
            "seen": asdict(score.seen),
            **_segmentation(score.to_original, "original"),
            **_segmentation(score.to_masks, "masks"),
        }
        for name, score in scores.items()
    }


def _segmentation(score: SegmentationScore | None, against: str) -> dict[str, float]:
    if score is None:
        return {}
    return {f"miou_to_{against}": score.miou, f"accuracy_to_{against}": score.accuracy}


def spending_json(levels: Sequence[LevelSpending], count: int) -> list[dict[str, Any]]:
    """Bits per Gaussian that each level adds."""
    most = max(count, 1)
    return [
        {
            "level": one.level,
            "groups": {n: one.group(n) / most for n in {**one.data, **one.model}},
            "models": {n: bits / most for n, bits in one.model.items()},
            "exact_data": one.exact / most,
            "headers_and_framing": one.rest / most,
        }
        for one in levels
    ]


def spent_until(spending: Sequence[Mapping[str, Any]], level: int | None) -> dict[str, float]:
    """Bits per Gaussian of each group up to a level."""
    total: dict[str, float] = {}
    for one in spending:
        if level is not None and one["level"] <= level:
            for name, bits in one["groups"].items():
                total[name] = total.get(name, 0.0) + bits
    return total


def print_spending(spending: Sequence[Mapping[str, Any]]) -> None:
    """Print bits per Gaussian by group and level."""
    names = list(dict.fromkeys(name for one in spending for name in one["groups"]))
    rows = {name: [one["groups"].get(name, 0.0) for one in spending] for name in names}
    rows["exact data"] = [one["exact_data"] for one in spending]
    rows["headers, framing"] = [one["headers_and_framing"] for one in spending]
    heading = "".join(f"{'level ' + str(one['level']):>10}" for one in spending)
    click.echo(f"bits/Gaussian by group, added by each level\n  {'':<18}{heading}{'all':>10}")
    for name, bits in rows.items():
        if any(bits):
            line = "".join(f"{value:>10.2f}" for value in [*bits, sum(bits)])
            click.echo(f"  {name:<18}{line}")


def print_semantics(report: Mapping[str, Any]) -> None:
    """Print a table for each semantic group that a level holds."""
    for name, known in report["semantics"].items():
        entries = [(e, e["semantics"][name]) for e in report["levels"] if name in e["semantics"]]
        said = f"semantics of {name}, {known['features']} features"
        if "miou_to_masks" in known:
            said += (
                f"; original: mIoU {known['miou_to_masks']:.4f}, "
                f"accuracy {known['accuracy_to_masks']:.4f} over {known['masked_views']} views"
            )
        click.echo(said if entries else f"{said}: in no level, or rows cannot be paired")
        if entries:
            click.echo(
                f"  {'level':<7}{'bits/G.':>9}{'rows':>8}{'angle':>8}{'95 %':>8}{'max':>8}"
                f"{'seen':>8}{'argmax':>8}{'mIoU':>8}{'accuracy':>10}{'mIoU to original':>18}"
            )
        for entry, score in entries:
            share = score["matched_rows"] / max(score["decoded_rows"], 1)
            click.echo(
                f"  {entry['level'] or '-':<7}{_number(score['bits_per_gaussian'], 9, 2)}"
                f"{100 * share:>7.0f}%{score['angle_mean']:>8.2f}{score['angle_p95']:>8.2f}"
                f"{score['angle_max']:>8.2f}{score['seen']['angle_mean']:>8.2f}"
                f"{_number(score['argmax_agreement'], 8, 4)}"
                f"{_number(score.get('miou_to_masks'), 8, 4)}"
                f"{_number(score.get('accuracy_to_masks'), 10, 4)}"
                f"{_number(score.get('miou_to_original'), 18, 4)}"
            )
    if any(report["semantics"]):
        click.echo(
            "angles in degrees, over the rows that can be paired with rows of the original; "
            "seen: mean weighted by what the views show"
        )


def _number(value: float | None, width: int, digits: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:>{width}.{digits}f}"
