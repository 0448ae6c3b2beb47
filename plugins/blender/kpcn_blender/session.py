"""The worker of this Blender session, and what it was last heard of."""

from __future__ import annotations

import sys
from collections import deque
from threading import Lock

from kpcn_core.client import Client
from kpcn_core.client_launch import find_python, worker_command

_clients: dict[str, Client] = {}  # by device; never more than one
_lock = Lock()
lines: deque[str] = deque(maxlen=4)  # for the panel


def client(device: str) -> Client:
    """The session's worker, on a device; one on another device is ended first.

    Raises:
        WorkerFailed: nobody said which Python has kpcn.
    """
    device = device.strip() or "auto"
    with _lock:
        if device not in _clients:
            _end()
            # The running Python is Blender's own, which is none that could have kpcn.
            command = worker_command(find_python(executable="blender"))
            _clients[device] = Client("blender", device, command=command)
        return _clients[device]


def cancel() -> None:
    """Cancel all jobs; the worker is started again for the next."""
    with _lock:
        for each in _clients.values():
            each.close()


def end() -> None:
    """Cancel all jobs and end the worker."""
    with _lock:
        _end()


def tell(line: str) -> None:
    """A line for the render's log, which Blender keeps on its console, and for the panel."""
    lines.append(line)
    print(line, file=sys.stderr, flush=True)


def _end() -> None:
    while _clients:
        _clients.popitem()[1].close()
