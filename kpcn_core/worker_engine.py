"""What the worker does when it is asked to: one device, one network at a time."""

import time
from collections.abc import Callable
from pathlib import Path

from kpcn_core import exr, sequence, weights
from kpcn_core.denoiser import DEFAULT_MEMORY, DEFAULT_MODEL, Denoiser
from kpcn_core.device import choose_device
from kpcn_core.job import Job
from kpcn_core.protocol import (
    Denoise,
    Denoised,
    FrameFailed,
    FrameWritten,
    Inspect,
    Inspected,
    Progress,
)
from kpcn_core.protocol_fields import Message

INTERVAL = 0.05  # seconds between two messages about the tiles of a frame

Identity = int | str
Notify = Callable[[Message], None]
Check = Callable[[], None]  # raises Cancelled when the job is to stop


class Engine:
    """Denoises and inspects files.

    Args:
        device: see ``device.choose_device``, for its errors too.
        notify: where events go.
    """

    def __init__(self, device: str, notify: Notify) -> None:
        self.device = choose_device(device)
        self._notify = notify
        self._loaded: tuple[tuple[Path, int], Denoiser] | None = None

    def denoise(self, job: Identity, asked: Denoise, check: Check) -> Denoised:
        """Denoise a frame or a range as `kpcn denoise` does; errors as there."""
        files = sequence.pairs(
            asked.input,
            asked.output,
            asked.frames,
            overwrite=asked.overwrite,
            skip=frozenset(asked.skip),
        )
        work = Job(
            files,
            asked.source,
            asked.layers,
            asked.aovs,
            asked.tile,
            DEFAULT_MEMORY if asked.max_memory is None else asked.max_memory,
            asked.overwrite,
        )
        denoiser = self._denoiser(asked.model or DEFAULT_MODEL)
        check()
        steps = _Steps(job, len(files), self._notify, check)
        for outcome in work.run(denoiser, steps.tile):
            paths = str(outcome.source), str(outcome.target)
            if outcome.error:
                kind = type(outcome.error).__name__
                self._notify(FrameFailed(job, *paths, kind, str(outcome.error)))
            else:
                self._notify(FrameWritten(job, *paths))
            steps.frame()
        return Denoised((*asked.skip, *(str(target) for _, target in files)))

    def inspect(self, asked: Inspect) -> Inspected:
        """What a file holds and how it is read; errors as ``exr.contents``."""
        inside = exr.contents(Path(asked.input), asked.source, asked.layers)
        display = inside.display
        return Inspected(
            source=inside.source.name,
            reason=inside.reason,
            display=(display.x, display.y, display.width, display.height),
            layers=tuple(layer.name or "+".join(layer.channels) for layer in inside.layers),
            aovs={aov: str(found.recipe) for aov, found in inside.aovs.items()},
        )

    def _denoiser(self, model: str) -> Denoiser:
        """The network, loaded again only when it is another one or its file has changed."""
        path = weights.find(model)
        key = path, path.stat().st_mtime_ns if path.is_file() else 0
        if self._loaded is None or self._loaded[0] != key:
            self._loaded = None  # two networks need not fit into memory together
            self._loaded = key, Denoiser(weights.load(path), self.device)
        return self._loaded[1]


class _Steps:
    """Counts frames and tiles of a job, and says so, but not too often."""

    def __init__(self, job: Identity, frames: int, notify: Notify, check: Check) -> None:
        self._job, self._frames = job, frames
        self._notify, self._check = notify, check
        self._done = 0
        self._last = float("-inf")

    def tile(self, done: int, total: int) -> None:
        self._check()
        now = time.monotonic()
        if now - self._last >= INTERVAL:
            self._last = now
            self._notify(Progress(self._job, self._done, self._frames, done, total))

    def frame(self) -> None:
        self._done += 1
        self._notify(Progress(self._job, self._done, self._frames))
        if self._done < self._frames:
            self._check()
