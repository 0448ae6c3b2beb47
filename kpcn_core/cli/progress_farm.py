"""Progress as programs read it: on a farm (Open Job Description), or as plain percentages."""

from collections.abc import Callable

import click

FORMS: dict[str, Callable[[float], str]] = {
    "openjd": lambda percent: f"openjd_progress: {percent:.1f}",
    "percent": lambda percent: f"{percent:.0f}%",
}


class ReportedLines:
    """One line on stdout for each step forward, in the form that the reader expects.

    Args:
        form: one of `FORMS`.
        items: how many will be finished.
    """

    def __init__(self, form: str, items: int) -> None:
        self._line = FORMS[form]
        self._form, self._items = form, max(items, 1)
        self._finished = 0.0
        self._last = ""

    def part(self, done: int, total: int) -> None:
        """A step within the current item."""
        self._report(self._finished + done / total)

    def item(self, text: str) -> None:
        """The current item, and how far the whole is."""
        self._finished += 1
        self.note(text)
        self._report(self._finished)

    def failed(self, text: str) -> None:
        """Why the current item failed; a farm shows it beside the task."""
        self._finished += 1
        if self._form == "openjd":
            click.echo(f"openjd_fail: {' '.join(text.split())}")
        click.echo(f"Error: {text}", err=True)

    def reach(self, items: float, label: str | None = None) -> None:
        """So many items are finished by now."""
        self._finished = items
        self._report(items)

    def note(self, text: str) -> None:
        """A line; on a farm it becomes the status of the task."""
        click.echo(f"openjd_status: {text}" if self._form == "openjd" else text)

    def _report(self, finished: float) -> None:
        line = self._line(100 * min(finished / self._items, 1))
        if line != self._last:
            click.echo(line)
            self._last = line
