"""The worker's tasks, in order, and which of them are to stop."""

import threading
from collections import deque
from typing import NamedTuple

from kpcn_core.errors import Cancelled
from kpcn_core.jsonrpc import INVALID_REQUEST, RpcError
from kpcn_core.protocol_fields import Message

Identity = int | str


class Task(NamedTuple):
    """A request that takes its turn."""

    id: Identity
    message: Message


class TaskQueue:
    """Filled by the thread that listens, emptied by the one that works."""

    def __init__(self) -> None:
        self._waiting: deque[Task] = deque()
        self._changed = threading.Condition()
        self._running: Identity | None = None
        self._cancelled = False
        self._closed = False

    @property
    def running(self) -> Identity | None:
        """Id of the task that is being done."""
        return self._running

    def put(self, task: Task) -> None:
        """Add a task at the end.

        Raises:
            RpcError: another unfinished task has this id, or the worker is about to end.
        """
        with self._changed:
            if task.id == self._running or any(waiting.id == task.id for waiting in self._waiting):
                raise RpcError(INVALID_REQUEST, f"Id {task.id!r} is taken by an unfinished job.")
            if self._closed:
                raise RpcError(INVALID_REQUEST, "The worker shuts down.")
            self._waiting.append(task)
            self._changed.notify()

    def take(self) -> Task | None:
        """The next task, waiting for one; None when the queue is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if not self._waiting:
                return None
            task = self._waiting.popleft()
            self._running, self._cancelled = task.id, False
            return task

    def finish(self) -> None:
        """The task taken last is done."""
        with self._changed:
            self._running = None

    def cancel(self, identity: Identity) -> tuple[bool, Task | None]:
        """Whether there is such a task; and the task itself if it was waiting: it is taken out."""
        with self._changed:
            if identity == self._running:
                self._cancelled = True
                return True, None
            task = next((task for task in self._waiting if task.id == identity), None)
            if task:
                self._waiting.remove(task)
            return task is not None, task

    def close(self) -> list[Task]:
        """Take no more tasks and stop the running one; returns those that were waiting."""
        with self._changed:
            dropped = list(self._waiting)
            self._waiting.clear()
            self._cancelled = self._closed = True
            self._changed.notify()
            return dropped

    def check(self) -> None:
        """Called by the running task now and then; raises Cancelled when it is to stop."""
        if self._cancelled:
            raise Cancelled("Cancelled.")
