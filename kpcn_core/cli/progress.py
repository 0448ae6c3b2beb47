"""How long work is shown: a bar on a terminal, a plain line a step elsewhere.

A program that reads the lines names their form in the environment: `KPCN_PROGRESS`.
"""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import click

from kpcn_core.cli.progress_farm import FORMS, ReportedLines

FORM = "KPCN_PROGRESS"


class Bar(Protocol):
    """Progress over a number of items."""

    def part(self, done: int, total: int) -> None:
        """`done` of `total` parts of the current item are finished."""

    def item(self, text: str) -> None:
        """The current item is finished; `text` says what came of it."""

    def failed(self, text: str) -> None:
        """The current item failed; `text` says why."""

    def reach(self, items: float, label: str | None = None) -> None:
        """So many items are finished by now; `label`, if any, replaces the bar's own."""

    def note(self, text: str) -> None:
        """Say something that finishes no item."""


class _Lines:
    """Items as lines."""

    def part(self, done: int, total: int) -> None:
        """Lines are for whole items."""

    def item(self, text: str) -> None:
        """One line on stdout."""
        click.echo(text)

    def failed(self, text: str) -> None:
        """One line on stderr."""
        click.echo(f"Error: {text}", err=True)

    def reach(self, items: float, label: str | None = None) -> None:
        """Lines are for what is finished."""

    def note(self, text: str) -> None:
        """One line on stdout."""
        click.echo(text)


@contextmanager
def progress(label: str, items: int, form: str = "") -> Iterator[Bar]:
    """Show progress over some items; warnings of the library go to stderr above the bar.

    Args:
        label: what is being done.
        items: how many will be finished.
        form: for a program that reads the lines, one of ``progress_farm.FORMS``; else the
            environment's.
    """
    form = form or os.environ.get(FORM, "")
    if form in FORMS:
        with _warnings(logging.StreamHandler()):
            yield ReportedLines(form, items)
        return
    if not sys.stderr.isatty():
        with _warnings(logging.StreamHandler()):
            yield _Lines()
        return
    # Imported here: it takes a tenth of a second.
    from kpcn_core.cli.progress_bar import RichBar

    with RichBar(label, items) as bar, _warnings(bar.handler):
        yield bar


@contextmanager
def _warnings(handler: logging.Handler) -> Iterator[None]:
    logger = logging.getLogger("kpcn_core")
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
