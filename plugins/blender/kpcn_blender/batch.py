"""Requests one after the other, as one job to whoever shows it. Without bpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kpcn_core.client import Client
from kpcn_core.errors import Cancelled, KpcnError
from kpcn_core.host_run import Run, Status
from kpcn_core.protocol import Denoise


class Batch:
    """One that fails does not stop the others; what went wrong is told at the end.

    Args:
        client: where to send them.
        requests: at least one.

    Raises:
        WorkerFailed: see ``Client.start``.
    """

    def __init__(self, client: Client, requests: Sequence[Denoise]) -> None:
        self._client, self._waiting = client, list(requests)
        self._total = len(self._waiting)
        self._errors: list[Exception] = []
        self._run = Run(client, self._waiting.pop(0))

    def cancel(self) -> None:
        """Ask for the end; comes back at once."""
        self._waiting.clear()
        self._run.cancel()

    def step(self, wait: float = 0.0) -> Status:
        """What is new, as ``Run.step`` says it."""
        status = self._run.step(wait)
        done = self._total - len(self._waiting) - 1
        status = replace(status, fraction=(done + status.fraction) / self._total)
        if not status.ended:
            return status
        if status.error:
            self._errors.append(status.error)
        if self._waiting and not isinstance(status.error, Cancelled):
            self._run = Run(self._client, self._waiting.pop(0))
            return replace(status, ended=False, error=None)
        return replace(status, error=_joined(self._errors))


def _joined(errors: Sequence[Exception]) -> Exception | None:
    if len(errors) < 2:
        return errors[0] if errors else None
    return next(
        (error for error in errors if isinstance(error, Cancelled)),
        KpcnError("\n".join(map(str, errors))),
    )
