"""Denoising beside the render: a thread that is told of frames as they land. Without bpy."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import Optional

from kpcn_core.errors import Cancelled, KpcnError
from kpcn_core.host_hook import Hook

Step = Optional[int]  # a frame that landed; None at the end


class Follower:
    """Runs the hooks of one render, so that the next frame is rendered meanwhile.

    Blender's own data must not be touched from here.

    Args:
        hooks: one for each sequence of the render.
        alone: see ``Hook.finish``.
        cancel: has the running job end as cancelled.
    """

    def __init__(self, hooks: Sequence[Hook], alone: bool, cancel: Callable[[], None]) -> None:
        self._hooks, self._alone, self._stop = hooks, alone, cancel
        self._steps: queue.SimpleQueue[Step] = queue.SimpleQueue()
        self._cancelled = False
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="kpcn render", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether there is something to come yet."""
        return self._thread.is_alive()

    def landed(self, frame: int) -> None:
        """A frame is on disk; comes back at once."""
        self._steps.put(frame)

    def end(self) -> None:
        """The render has ended; comes back at once."""
        self._steps.put(None)

    def cancel(self) -> None:
        """Give up what is not done yet."""
        self._cancelled = True
        self._steps.put(None)
        self._stop()

    def wait(self) -> None:
        """Come back when all is done."""
        self._thread.join()

    def _run(self) -> None:
        try:
            for frame in iter(self._steps.get, None):
                self._each(lambda hook, frame=frame: hook.landed(frame))  # type: ignore[misc]
            self._each(lambda hook: hook.finish(self._alone))
        except (KpcnError, Cancelled) as error:
            self.error = error

    def _each(self, act: Callable[[Hook], None]) -> None:
        for hook in self._hooks:
            if self._cancelled:
                raise Cancelled("Cancelled.")
            act(hook)
