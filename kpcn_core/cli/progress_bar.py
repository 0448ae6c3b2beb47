"""A progress bar on a terminal."""

import logging
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class RichBar:
    """One bar over all items, moving within an item too."""

    def __init__(self, label: str, items: int) -> None:
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._finished = 0.0
        self._task = self._progress.add_task(label, total=items)
        self.handler: logging.Handler = _ConsoleHandler(self._console)

    def part(self, done: int, total: int) -> None:
        """Move within the current item."""
        self._progress.update(self._task, completed=self._finished + done / total)

    def item(self, text: str) -> None:
        """Move to the next item and leave a line above the bar."""
        self._finished += 1
        self._progress.update(self._task, completed=self._finished)
        self.note(text)

    def failed(self, text: str) -> None:
        """Move to the next item and say why this one failed."""
        self.item(f"Error: {text}")

    def reach(self, items: float, label: str | None = None) -> None:
        """Move to an item, and say something else beside the bar, if there is."""
        self._finished = items
        self._progress.update(self._task, completed=items, description=label)

    def note(self, text: str) -> None:
        """Leave a line above the bar."""
        self._console.print(text, markup=False, highlight=False)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()


class _ConsoleHandler(logging.Handler):
    """Log lines above the bar, not through it."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(self.format(record), markup=False, highlight=False)
