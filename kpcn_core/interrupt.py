"""Ctrl-C that waits: while files are written, while a renderer traces."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held_back() -> Iterator[None]:
    """Let Ctrl-C act only after the block: libraries in the middle of their work take it amiss.

    Outside the main thread, which alone is told of Ctrl-C, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pending = False

    def remember(*_: object) -> None:
        nonlocal pending
        pending = True

    before = signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pending:
        signal.raise_signal(signal.SIGINT)
