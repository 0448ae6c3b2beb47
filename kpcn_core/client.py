"""What hosts import: start a worker, send it jobs, take their events (docs/worker.md).

Standard library only, Python 3.9 syntax. Nothing here waits for the worker but iterating over a
job and `Job.result`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from kpcn_core import protocol
from kpcn_core.client_job import Done, Event, Failed, Job, R, Restarted
from kpcn_core.client_launch import find_python, worker_command, worker_environment
from kpcn_core.client_process import WorkerProcess
from kpcn_core.errors import Cancelled, KpcnError, WorkerFailed
from kpcn_core.jsonrpc import Reply, Request, RpcError, decode, encode
from kpcn_core.protocol import (
    VERSION,
    Cancel,
    Denoise,
    Denoised,
    FrameWritten,
    Initialize,
    Initialized,
    Inspect,
    Inspected,
    Shutdown,
)
from kpcn_core.protocol_errors import exception
from kpcn_core.protocol_fields import Message, read, write

__all__ = ["Client", "Done", "Event", "Failed", "Job", "Restarted"]

GRACE = 1.5  # seconds between asking a job to stop and killing the worker


class Client:
    """One worker at a time, started when it is first needed. Safe to use from any thread.

    A worker that crashes is started again, with its unfinished jobs; a job during which that
    happens twice fails.

    Args:
        host: who asks, for the worker's log.
        device: "auto", "cpu", "cuda:1" …
        requires: capabilities without which there is no use, see ``protocol.CAPABILITIES``.
        command: the worker's command line; None finds the Python that has kpcn.
        environment: the host's variables, which are cleaned for the worker.
        grace: seconds between asking a job to stop and killing the worker.

    Example:
        >>> client = Client("nuke")
        >>> job = client.denoise(Denoise("noisy.####.exr", "clean.####.exr"))
        >>> for event in job:  # or job.poll() from a timer
        ...     print(event)
    """

    def __init__(
        self,
        host: str = "",
        device: str = "auto",
        requires: Sequence[str] = (),
        *,
        command: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
        grace: float = GRACE,
    ) -> None:
        self._hello = Initialize(VERSION, host, device, tuple(requires))
        self._command = command
        self._environment = dict(os.environ if environment is None else environment)
        self._grace = grace
        self._lock = threading.RLock()
        self._ids = count(1)
        self._jobs: dict[int, Job[Any]] = {}  # unfinished, in order
        self._process: WorkerProcess | None = None
        self._hello_id = 0
        self._worker: Initialized | None = None

    @property
    def worker(self) -> Initialized | None:
        """Who the worker is; None until it has said so."""
        return self._worker

    def start(self) -> None:
        """Start the worker before it is needed.

        Raises:
            WorkerFailed: there is no Python with kpcn, or it cannot be started.
        """
        with self._lock:
            if self._process is None:
                self._launch()

    def denoise(self, message: Denoise) -> Job[Denoised]:
        """Denoise a frame or a range, or `Render` it again; paths should be absolute.

        Raises:
            WorkerFailed: see `start`.
        """
        return self._submit(message, Denoised)

    def inspect(self, message: Inspect) -> Job[Inspected]:
        """Find out what a file holds; errors as `denoise`."""
        return self._submit(message, Inspected)

    def close(self, timeout: float = 2.0) -> None:
        """Cancel all jobs and end the worker; kills it if it needs longer than `timeout` seconds.

        The client can be used again afterwards.
        """
        with self._lock:
            process, self._process, self._worker = self._process, None, None
            self._fail_all(Cancelled("The client was closed."))
        if process:
            process.send(_line(Shutdown(), next(self._ids)))
            process.close()
            if not process.wait(timeout):
                process.kill()

    def _submit(self, message: Message, kind: type[R]) -> Job[R]:
        with self._lock:
            identity = next(self._ids)
            line = _line(message, identity)
            self.start()
            assert self._process is not None
            job = Job(message, kind, lambda: self._cancel(identity))
            self._jobs[identity] = job
            self._process.send(line)
            return job

    def _launch(self) -> None:
        """Start a process, and send it the unfinished jobs."""
        command = self._command or worker_command(find_python(self._environment))
        environment = worker_environment(self._environment)
        self._process = WorkerProcess(command, environment, self._heard, self._ended)
        self._hello_id = next(self._ids)
        self._process.send(_line(self._hello, self._hello_id))
        for identity, job in self._jobs.items():
            self._process.send(_line(job.message, identity))

    def _cancel(self, identity: int) -> None:
        with self._lock:
            job = self._jobs.get(identity)
            if job is None or job.cancelling:
                return
            job.cancelling = True
            process = self._process
            assert process is not None
            process.send(_line(Cancel(identity), next(self._ids)))
            timer = threading.Timer(self._grace, self._kill_if_busy, (process, identity))
            timer.daemon = True
            timer.start()

    def _kill_if_busy(self, process: WorkerProcess, identity: int) -> None:
        with self._lock:
            if identity in self._jobs and process is self._process:
                process.kill()

    def _heard(self, process: WorkerProcess, line: bytes) -> None:
        """Pass on what the worker says; what is no message is kept for the story of its end."""
        with self._lock:
            if process is not self._process:
                return
            try:
                message = decode(line)
                if isinstance(message, Reply):
                    self._answered(process, message)
                else:
                    self._notified(message)
            except RpcError:
                process.note(line)

    def _notified(self, request: Request) -> None:
        kind = protocol.NOTIFICATIONS.get(request.method)
        if kind is None:
            return  # of a newer worker
        event: Any = read(kind, request.params, tolerant=True)
        job = self._jobs.get(event.job)
        if job is None:
            return
        if isinstance(event, FrameWritten) and isinstance(job.message, Denoise):
            # Should the worker crash, the next one starts after this frame.
            job.message = replace(job.message, skip=(*job.message.skip, event.output))
        job.put(event)

    def _answered(self, process: WorkerProcess, reply: Reply) -> None:
        if reply.id == self._hello_id:
            self._greeted(process, reply)
            return
        job = self._jobs.pop(reply.id, None) if isinstance(reply.id, int) else None
        if job is None:
            return  # to a cancel
        if reply.error is not None:
            job.put(Failed(exception(reply.error)))
            return
        try:
            job.put(Done(read(job.kind, reply.result, tolerant=True)))
        except RpcError as error:
            job.put(Failed(WorkerFailed(f"The worker's answer is not understood: {error}")))

    def _greeted(self, process: WorkerProcess, reply: Reply) -> None:
        if reply.error is None:
            self._worker = read(Initialized, reply.result, tolerant=True)
            return
        self._process = None
        process.close()
        self._fail_all(exception(reply.error))

    def _ended(self, process: WorkerProcess) -> None:
        """Go on in a new worker with the jobs that are left, unless one brings it down again."""
        with self._lock:
            if process is not self._process:
                return
            self._process = self._worker = None
            self._settle(process.story())
            if self._jobs:
                try:
                    self._launch()
                except KpcnError as error:
                    self._fail_all(error)

    def _settle(self, story: str) -> None:
        """Jobs run in order, so that the first one was running when the worker ended."""
        first = next(iter(self._jobs), None)
        for identity, job in list(self._jobs.items()):
            if job.cancelling:
                self._end(identity, Cancelled("Cancelled."))
            elif identity == first and job.crashed:
                self._end(identity, WorkerFailed(story))
            elif identity == first:
                job.crashed = True
                job.put(Restarted(story))

    def _fail_all(self, error: Exception) -> None:
        for identity in list(self._jobs):
            self._end(identity, error)

    def _end(self, identity: int, error: Exception) -> None:
        self._jobs.pop(identity).put(Failed(error))


def _request(message: Message, identity: int) -> Request:
    return Request(protocol.method_of(message), write(message), identity)


def _line(message: Message, identity: int) -> bytes:
    try:
        return encode(_request(message, identity))
    except RpcError as error:
        raise WorkerFailed(error.message) from error
