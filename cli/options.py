"""Options and types of arguments that several commands have."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from csgs_codec.cli.common import ByteSize, reports_errors

Command = TypeVar("Command", bound=Callable[..., Any])

input_file = click.Path(exists=True, dir_okay=False, path_type=Path)
input_folder = click.Path(exists=True, file_okay=False, path_type=Path)
output_file = click.Path(dir_okay=False, path_type=Path)
camera_path = click.Path(exists=True, path_type=Path)


def _machine_memory() -> int | None:
    """Bytes of memory of this machine, where it tells."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print the report as JSON on stdout."
)
quality_option = click.option(
    "--quality",
    type=click.FloatRange(1, 100),
    default=75.0,
    show_default=True,
    help="Of an output .csgs, which is encoded anew.",
)
allow_empty_option = click.option(
    "--allow-empty", is_flag=True, help="Succeed although nothing is selected."
)
memory_option = click.option(
    "--max-memory",
    type=ByteSize(),
    default=_machine_memory,
    metavar="SIZE",
    help="Refuse a file whose decoded integers and columns would take more, such as 2GiB; "
    "the memory of this machine by default. Decoding needs about as much again for a while.",
)
_force_option = click.option("--force", is_flag=True, help="Replace an existing output.")
_version_option = click.version_option(package_name="csgs_codec")
_head_option = click.option(
    "--head",
    metavar="FILE|NAME",
    help="Head or decoder: an attachment or a file; the only attached one that fits by default.",
)
_group_option = click.option("--group", metavar="NAME", help="Semantic group, where several fit.")


def reads(command: Command) -> Command:
    """What every command has: its version, and errors as one line and an exit code."""
    return _version_option(reports_errors(command))


def writes(command: Command) -> Command:
    """What commands have that write files: ``--force`` as well."""
    return _force_option(reads(command))


def understands_features(command: Command) -> Command:
    """``--head`` and ``--group``: how a command takes semantic features."""
    return _head_option(_group_option(command))
