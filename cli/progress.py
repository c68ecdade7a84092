"""A progress bar on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys

import click

_LENGTH = 1000


class Progress:
    """Shows what a command is doing.

    Parameters
    ----------
    label : str
        What stands before the bar.
    """

    def __init__(self, label: str) -> None:
        self._label = label

    def __enter__(self) -> Progress:
        self._bar = None
        if sys.stderr.isatty():
            self._bar = click.progressbar(
                length=_LENGTH, label=self._label, file=sys.stderr, item_show_func=lambda text: text
            )
            self._bar.__enter__()
        self._done = 0
        return self

    def __call__(self, text: str, share: float) -> None:
        """Show what is being done and how far it is, 0 to 1."""
        if self._bar is not None:
            self._bar.update(int(_LENGTH * share) - self._done, text)
            self._done = int(_LENGTH * share)

    def __exit__(self, *details: object) -> None:
        if self._bar is not None:
            self._bar.render_finish()
