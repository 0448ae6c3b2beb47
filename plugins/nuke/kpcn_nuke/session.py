"""The worker of this Nuke session, and the jobs that run for its nodes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import nuke

from kpcn_core.client import Client
from kpcn_core.errors import Refused
from kpcn_core.host_run import Run, Status
from kpcn_nuke.node import is_attached

PATIENCE = 0.1  # seconds between two looks at the Cancel button

_clients: dict[str, Client] = {}  # by device; never more than one
_jobs: list[NodeJob] = []


@dataclass
class NodeJob:
    """A run on behalf of a node.

    Attributes:
        node: whose.
        run: the request on its way.
        show: called on the main thread with every status that has news.
        then: called on the main thread after the end.
    """

    node: nuke.Node
    run: Run
    show: Callable[[Status], None]
    then: Callable[[], None] | None = None

    def watch(self) -> None:
        """Follow the run from a thread of ours, with Nuke's progress window."""
        task = nuke.ProgressTask("KpcnDenoise")
        for status in self.run.follow(PATIENCE):
            task.setProgress(int(100 * status.fraction))
            task.setMessage(status.line)
            if task.isCancelled():
                self.run.cancel()
            if status.written or status.notes or status.ended:
                nuke.executeInMainThread(self.take, args=(status,))

    def take(self, status: Status) -> None:
        """Show a status, on the main thread."""
        if status.ended:
            _jobs.remove(self)
        if not is_attached(self.node):
            self.run.cancel()
            return
        self.show(status)
        if status.ended and self.then:
            self.then()

    def cancel(self) -> None:
        """Stop, with what would come after it."""
        self.then = None
        self.run.cancel()


def client(device: str) -> Client:
    """The session's worker, on a device; one on another device is ended first.

    Raises:
        Refused: that one is at work.
    """
    if device not in _clients:
        if _jobs:
            raise Refused(f"Another node is being denoised, and not on '{device}'. Wait for it.")
        end()
        _clients[device] = Client("nuke", device)
    return _clients[device]


def start(job: NodeJob) -> None:
    """Have a job done: in the background where there are windows, else before this returns.

    Raises:
        Exception: in terminal mode, what the job failed with.
    """
    _jobs.append(job)
    if nuke.GUI:
        threading.Thread(target=job.watch, name="kpcn progress", daemon=True).start()
    else:
        job.run.finish(job.take)


def running(node: nuke.Node) -> NodeJob | None:
    """The job of a node, if there is one."""
    return next((job for job in _jobs if job.node == node), None)


def check_free(node: nuke.Node) -> None:
    """Raise if the node is busy.

    Raises:
        Refused: it is being denoised, or Nuke is rendering.
    """
    if running(node):
        raise Refused("This node is being denoised already. Wait, or press Cancel.")
    if nuke.executing():
        raise Refused("Nuke is rendering. Denoise before, with the node's buttons.")


def end() -> None:
    """Cancel all jobs and end the worker."""
    for job in list(_jobs):
        job.cancel()
    while _clients:
        _clients.popitem()[1].close()
