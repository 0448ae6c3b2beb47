"""A render hook: each frame is denoised once it can be, and the render's log says so.

    hook = Hook(client, settings, landing, print)
    hook.landed(1007)   # after the host wrote a frame; comes back when all that is ready is done
    hook.finish()       # after the render

Which frames are ready, also with windows, out of order and from several machines, is the part of
``host_landing``; that no two machines do the same frame, that of the worker. Standard library only,
Python 3.9 syntax.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from kpcn_core.client import Client
from kpcn_core.errors import KpcnError
from kpcn_core.host_frames import as_range
from kpcn_core.host_landing import Landing
from kpcn_core.host_run import Run
from kpcn_core.host_settings import Settings, make_folder


class Hook:
    """What denoises the frames of one render, in one process.

    A frame that fails is told and does not stop the render, unless it is to.

    Args:
        client: where frames are denoised; it can serve several hooks.
        settings: how.
        landing: which render, and where the results go.
        tell: called with each line for the render's log.
        strict: frames that fail stop the render: what they failed with is raised.
    """

    def __init__(
        self,
        client: Client,
        settings: Settings,
        landing: Landing,
        tell: Callable[[str], None],
        strict: bool = False,
    ) -> None:
        self._client, self._settings, self._landing = client, settings, landing
        self._say, self._strict = tell, strict
        self.failed: list[int] = []

    def landed(self, *frames: int) -> None:
        """A frame is on disk: denoise all that can be by now.

        Args:
            frames: which, or which may be; none if the host does not say.

        Raises:
            KpcnError: if strict, what frames failed with.
        """
        self._denoise(self._landing.ready(*frames))

    def finish(self, alone: bool | None = None) -> None:
        """The render has ended: denoise what is left, and say what failed.

        Args:
            alone: nobody else renders frames of it any more, so that a frame which is not there
                will not come; windows are shorter beside it. Otherwise frames that wait for others
                are left to whoever renders those. None: alone if all frames landed here.

        Raises:
            KpcnError: see `landed`.
        """
        if self._landing.is_whole if alone is None else alone:
            self._denoise(self._landing.rest())
        else:
            self._denoise(self._landing.ready())
            for frame, missing in self._landing.waits_for().items():
                self._tell(f"frame {frame} waits for {as_range(missing)}.")
        if self.failed:
            self._tell(f"not denoised: {as_range(self.failed)}.")

    def _denoise(self, frames: Sequence[int]) -> None:
        notes: list[str] = []
        try:
            if frames:
                self._run(frames, notes)
        except KpcnError as error:
            failed = self._landing.failed(frames)
            # Otherwise somebody is still writing them, who will ask for them.
            if failed:
                self.failed += failed
                # The error has those of the frames, which came as notes before.
                notes[:] = [note for note in notes if note not in str(error)]
                if self._strict:
                    raise
                notes.append(str(error))
        finally:
            for note in notes:
                self._tell(note)

    def _run(self, frames: Sequence[int], notes: list[str]) -> None:
        source, output = self._landing.source, self._landing.output
        make_folder(Path(output.text).parent)
        numbers = as_range(frames) if source.width else None
        request = self._settings.request(source.text, output.text, numbers)

        run = Run(self._client, request)
        try:
            run.finish(lambda status: notes.extend(status.notes))
        finally:
            self._tell(f"{numbers or source.text}: {run.summary}")

    def _tell(self, text: str) -> None:
        for line in text.splitlines():
            self._say(f"kpcn: {line}")
