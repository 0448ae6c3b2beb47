"""Work in a thread beside the main one: what comes next is read, what is done is written."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")


def started(work: Callable[[], Result], name: str, *, needed: bool) -> "Future[Result]":
    """Do something in a thread of its own.

    Args:
        work: what.
        name: of the thread.
        needed: the program does not end before it; otherwise it is dropped then, as a read from
            storage that does not answer must be.
    """
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name=name, daemon=not needed).start()
    return future
