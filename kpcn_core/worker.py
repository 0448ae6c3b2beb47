"""The worker process behind every host: one device, jobs in order (docs/worker.md).

One thread listens, so that a cancel is heard while a job runs; the main thread works.
"""

import logging
import os
import signal
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, BinaryIO

from kpcn_core import __version__, protocol
from kpcn_core.errors import Cancelled, KpcnError
from kpcn_core.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    Reply,
    RpcError,
    decode,
    lines,
)
from kpcn_core.protocol import (
    CAPABILITIES,
    VERSION,
    Cancel,
    CancelTaken,
    Denoise,
    Initialize,
    Initialized,
    Inspect,
    Log,
    Nothing,
    Render,
    Shutdown,
)
from kpcn_core.protocol_errors import CANCELLED, NOT_INITIALIZED, failure, unsupported
from kpcn_core.protocol_fields import Message, read, write
from kpcn_core.worker_channel import Channel, claim_stdio
from kpcn_core.worker_queue import Task, TaskQueue

if TYPE_CHECKING:
    from kpcn_core.worker_engine import Engine

GRACE = 10.0  # seconds that a running job has to reach its next tile when the worker must end
WATCH = 1.0  # seconds between two looks at the parent process

log = logging.getLogger(__name__)


def serve() -> None:
    """Be a worker on this process's stdin and stdout until the host says so, or is gone."""
    source, sink = claim_stdio()
    if not os.isatty(source.fileno()):
        # Ctrl-C in a terminal reaches the host's children too; the host decides what it means.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    worker = Worker(Channel(sink))
    worker.show_log()
    for target, arguments in ((worker.listen, (source,)), (worker.watch, (os.getppid(),))):
        threading.Thread(target=target, args=arguments, daemon=True).start()
    worker.work()


class Worker:
    """Answers requests that `listen` hears, in `work`."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._queue = TaskQueue()
        self._engine: Engine | None = None

    def listen(self, source: BinaryIO) -> None:
        """Hear requests until shutdown or the end of the stream; then end the work."""
        for line in lines(source):
            try:
                if not self._hear(line):
                    break
            except RpcError as error:
                self._channel.reply(Reply(error.request, error=error))
        self.stop()

    def watch(self, parent: int) -> None:
        """End the work when the parent process is gone, even if someone else holds our stdin."""
        while os.getppid() == parent:
            time.sleep(WATCH)
        self.stop()

    def work(self) -> None:
        """Do jobs until there will be no more."""
        for task in iter(self._queue.take, None):
            answer = self._answer(task)
            self._queue.finish()
            self._channel.reply(answer)

    def stop(self) -> None:
        """Cancel all jobs; a running one that does not come to its next tile ends the process."""
        for task in self._queue.close():
            self._channel.reply(_cancelled(task))
        timer = threading.Timer(GRACE, os._exit, (1,))
        timer.daemon = True
        timer.start()

    def show_log(self) -> None:
        """Send the library's log to the host, and to stderr, whose end a host shows on a crash."""
        logger = logging.getLogger("kpcn_core")
        logger.setLevel(logging.INFO)
        for handler in (logging.StreamHandler(sys.stderr), _LogHandler(self._queue, self._channel)):
            logger.addHandler(handler)

    def _hear(self, line: bytes) -> bool:
        """Queue a job, or do at once what must not wait; False if it was the last request."""
        request = decode(line)
        if isinstance(request, Reply):
            raise RpcError(INVALID_REQUEST, "A reply came, but the worker asks for nothing.")
        if request.id is None:
            return True  # a notification is never answered, and none is known
        try:
            kind = protocol.request_kind(request.method)
            return self._accept(Task(request.id, read(kind, request.params)))
        except RpcError as error:
            error.request = request.id
            raise

    def _accept(self, task: Task) -> bool:
        if isinstance(task.message, Cancel):
            found, dropped = self._queue.cancel(task.message.job)
            if dropped:
                self._channel.reply(_cancelled(dropped))
            self._channel.reply(Reply(task.id, write(CancelTaken(found))))
        elif isinstance(task.message, Shutdown):
            self._channel.reply(Reply(task.id, write(Nothing())))
            return False
        else:
            self._queue.put(task)
        return True

    def _answer(self, task: Task) -> Reply:
        try:
            return Reply(task.id, write(self._perform(*task)))
        except RpcError as error:
            return Reply(task.id, error=error)
        except KpcnError as error:
            return Reply(task.id, error=failure(error))
        except Cancelled:
            return _cancelled(task)
        except Exception as error:
            # A bug of ours: the worker lives on, the traceback is kept.
            traceback.print_exc()
            text = f"{type(error).__name__}: {error}"
            return Reply(task.id, error=RpcError(INTERNAL_ERROR, text))

    def _perform(self, job: int | str, message: Message) -> Message:
        if isinstance(message, Initialize):
            return self._initialize(message)
        if self._engine is None:
            raise RpcError(NOT_INITIALIZED, "The first request must be 'initialize'.")
        if isinstance(message, Render):
            return self._engine.render(job, message, self._queue.check)
        if isinstance(message, Denoise):
            log.info("worker %d: denoise %s to %s", os.getpid(), message.input, message.output)
            return self._engine.denoise(job, message, self._queue.check)
        assert isinstance(message, Inspect)
        return self._engine.inspect(message)

    def _initialize(self, asked: Initialize) -> Initialized:
        if self._engine is not None:
            raise RpcError(INVALID_REQUEST, "The worker is initialized already.")
        if asked.version != VERSION:
            name = f"version {asked.version}"
            raise unsupported(f"Protocol {name}", [name], [f"version {VERSION}"])
        lacking = [name for name in asked.requires if name not in CAPABILITIES]
        if lacking:
            raise unsupported(", ".join(lacking[:8]), lacking, list(CAPABILITIES))
        # Imported here, after stdout is claimed: it takes seconds, and what it prints is its own.
        from kpcn_core.worker_engine import Engine

        self._engine = Engine(asked.device, self._channel.notify)
        device = str(self._engine.device)
        log.info("worker %d: kpcn %s for %s on %s", os.getpid(), __version__, asked.host, device)
        return Initialized(VERSION, __version__, os.getpid(), device, CAPABILITIES)


class _LogHandler(logging.Handler):
    """The library's log lines as messages of the running job."""

    def __init__(self, queue: TaskQueue, channel: Channel) -> None:
        super().__init__()
        self._queue, self._channel = queue, channel

    def emit(self, record: logging.LogRecord) -> None:
        if self._queue.running is not None:
            text = self.format(record)
            self._channel.notify(Log(self._queue.running, record.levelname, text))


def _cancelled(task: Task) -> Reply:
    return Reply(task.id, error=RpcError(CANCELLED, "Cancelled."))
