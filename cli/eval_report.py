"""What csgs-eval prints, draws and saves."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from csgs_codec.errors import OutputExistsError, UnsupportedError
from csgs_codec.io.atomic import atomic_write, check_target

if TYPE_CHECKING:
    from csgs_codec.metrics.views import Observer
    from csgs_codec.render import Camera
    from csgs_codec.render.gaussians import Floats

_AMPLIFIED = 8
_PLOTS = (".png", ".pdf", ".svg")


def print_table(report: dict[str, Any]) -> None:
    """Print the report on stdout."""
    photos = report["photos"]
    click.echo(
        f"{report['gaussians']:,} Gaussians, {report['views']} views, cameras: {report['cameras']}"
    )
    heading = f"  {'level':<7}{'bytes':>12}{'bits/Gaussian':>15}{'PSNR dB':>9}{'SSIM':>8}"
    click.echo(heading + (f"{'PSNR to photo':>15}{'SSIM':>8}" if photos else ""))
    for entry in report["levels"]:
        line = (
            f"  {entry['level'] or '-':<7}{entry['bytes']:>12,}{entry['bits_per_gaussian']:>15.2f}"
            f"{entry['psnr']:>9.2f}{entry['ssim']:>8.4f}"
        )
        if entry["photos"]:
            line += f"{entry['photos']['psnr']:>15.2f}{entry['photos']['ssim']:>8.4f}"
        click.echo(line)
    if photos:
        blank = f"  {'original':<51}"
        click.echo(f"{blank}{photos['psnr']:>15.2f}{photos['ssim']:>8.4f}")
        click.echo(f"photographs of {photos['views']} views")
    chunks = report.get("bits_per_gaussian_by_chunk")
    if chunks:
        parts = ", ".join(f"{kind} {bits:.2f}" for kind, bits in chunks.items())
        click.echo(f"bits/Gaussian by chunk, whole file: {parts}")


def check_plot(path: Path, force: bool) -> None:
    """Make sure, before any work, that a plot can be written.

    Raises
    ------
    UnsupportedError
        matplotlib is not installed, or the suffix is not one of png, pdf and svg.
    OutputExistsError
    """
    check_target(path, force)
    if path.suffix not in _PLOTS:
        raise UnsupportedError(f"plots end in {', '.join(_PLOTS)}", file=str(path))
    if find_spec("matplotlib") is None:
        raise UnsupportedError("--plot needs matplotlib: install csgs_codec[eval]")


def write_plot(path: Path, report: dict[str, Any], force: bool) -> None:
    """Draw PSNR and SSIM over bits per Gaussian."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    rate = [entry["bits_per_gaussian"] for entry in report["levels"]]
    axes.plot(rate, [e["psnr"] for e in report["levels"]], "o-", color="C0", label="PSNR")
    if report["photos"]:
        against = [e["photos"]["psnr"] for e in report["levels"]]
        axes.plot(rate, against, "s--", color="C2", label="PSNR to photographs")
        axes.axhline(report["photos"]["psnr"], color="C2", lw=0.8, ls=":")
    right = axes.twinx()
    right.plot(rate, [e["ssim"] for e in report["levels"]], "^-", color="C1", label="SSIM")
    axes.set_xlabel("bits per Gaussian of the original")
    axes.set_ylabel("PSNR of renders (dB)")
    right.set_ylabel("SSIM of renders")
    handles = [*axes.get_lines(), *right.get_lines()]
    named = [handle for handle in handles if not str(handle.get_label()).startswith("_")]
    axes.legend(handles=named, loc="lower right")
    axes.set_title(f"{Path(report['compared']).name}, {report['views']} views")
    axes.grid(alpha=0.3)
    with atomic_write(path, force) as stream:
        figure.savefig(stream, format=path.suffix[1:], dpi=120)


class ImageFolder:
    """Pictures of the comparison: original, decoded, 8 x difference around grey.

    Parameters
    ----------
    folder : Path
    force : bool
        Write although the folder holds something.

    Raises
    ------
    OutputExistsError
        The folder is not empty.
    UnsupportedError
        Pillow is not installed.
    """

    def __init__(self, folder: Path, force: bool) -> None:
        try:
            import PIL.Image
        except ImportError as error:
            raise UnsupportedError("--images needs Pillow: install csgs_codec[eval]") from error
        self._pillow = PIL.Image
        if folder.is_dir() and any(folder.iterdir()) and not force:
            raise OutputExistsError("folder is not empty (see --force)", file=str(folder))
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder

    def observer(self, prefix: str) -> Observer:
        """Return a function that saves what it is given."""
        import numpy as np

        def save(camera: Camera, wanted: Floats, picture: Floats) -> None:
            difference = np.clip(0.5 + _AMPLIFIED * (picture - wanted), 0, 1)
            sheet = np.concatenate([wanted, picture, difference], axis=1)
            name = re.sub(r"[^\w.-]", "_", camera.name)
            pixels = np.uint8(sheet * 255 + 0.5)
            self._pillow.fromarray(pixels).save(self.folder / f"{prefix}_{name}.png")

        return save
