"""What the worker does when it is asked to: one device, one network at a time."""

import time
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

from kpcn_core import exr, sequence, weights
from kpcn_core.denoiser import Denoiser
from kpcn_core.device import choose_device
from kpcn_core.errors import MissingFrames, NotCached
from kpcn_core.job import Job
from kpcn_core.job_run import JobRun, each, some_failed
from kpcn_core.protocol import (
    Denoise,
    Denoised,
    FrameFailed,
    FrameWritten,
    Inspect,
    Inspected,
    Progress,
    Render,
)
from kpcn_core.protocol_fields import Message
from kpcn_core.sequence_views import VIEW, views
from kpcn_core.settings import DEFAULT_MEMORY, DEFAULT_MODEL

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
        self._kept: list[JobRun] = []

    def denoise(self, job: Identity, asked: Denoise, check: Check) -> Denoised:
        """Denoise a frame or a range as `kpcn denoise` does; errors as there."""
        found = jobs(asked)
        denoiser = self._denoiser(asked.model or DEFAULT_MODEL)
        check()
        self._kept = []  # features of two jobs need not fit into memory together
        # In tiles of a given size, frames are done as the command does them, bit for bit.
        self._kept = [JobRun(one, denoiser, keep=one.tile is None) for one in found]
        return self._run(job, asked, self._kept, check)

    def render(self, job: Identity, asked: Render, check: Check) -> Denoised:
        """The same for another lambda, from what is kept of the last `denoise`.

        Raises:
            NotCached: nothing that fits is kept.
            KpcnError: as for `denoise`.
        """
        runs = [self._again(one) for one in jobs(asked)]
        return self._run(job, asked, runs, check)

    def _again(self, job: Job) -> JobRun:
        """A job like one that is kept, but for its lambda and its outputs."""
        for run in self._kept:
            if run.repeats(job):
                return run.again(job)
        raise NotCached(
            "The features of the frame are not kept: it was not denoised last by this worker, or "
            "its files or the options are others by now. Denoise it first."
        )

    def _run(self, job: Identity, asked: Denoise, runs: Sequence[JobRun], check: Check) -> Denoised:
        files = [pair for run in runs for pair in run.job.files]
        steps = _Steps(job, len(files), self._notify, check)
        failed = 0
        for outcome in chain.from_iterable(each(run, steps.tile) for run in runs):
            paths = str(outcome.source), str(outcome.target)
            if outcome.error is None:
                self._notify(FrameWritten(job, *paths, outcome.current))
            elif len(files) == 1:
                raise outcome.error
            else:
                failed += 1
                kind = type(outcome.error).__name__
                self._notify(FrameFailed(job, *paths, kind, str(outcome.error)))
            steps.frame()
        if failed:
            raise some_failed(failed, len(files))
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
            self._loaded = key, Denoiser.load(str(path), str(self.device))
        return self._loaded[1]


def jobs(asked: Denoise) -> list[Job]:
    """A job for each shot that is asked for."""
    found = sequence.shots(
        asked.input,
        asked.output,
        asked.frames,
        overwrite=asked.overwrite,
        resume=asked.resume,
        skip=frozenset(asked.skip),
    )
    masks = _masks(asked)
    memory = DEFAULT_MEMORY if asked.max_memory is None else asked.max_memory
    return [
        Job(
            shot.files,
            asked.source,
            asked.layers,
            asked.aovs,
            asked.tile,
            memory,
            asked.overwrite,
            asked.window,
            shot.frames,
            asked.asymmetry,
            asked.asymmetry_layer,
            masks,
            asked.extra,
            flow=asked.flow,
            error_map=asked.error_map,
            quality=asked.quality,
            resume=asked.resume,
        )
        for shot in found
    ]


def _masks(asked: Denoise) -> dict[Path, Path]:
    """Input to the file with its asymmetry layer: view by view, frame by frame."""
    if asked.asymmetry_input is None:
        return {}
    each_view = VIEW.search(asked.asymmetry_input)
    pairs = (
        views(asked.input, asked.asymmetry_input)
        if each_view
        else [(one, asked.asymmetry_input) for one, _ in views(asked.input, asked.output)]
    )
    found: dict[Path, Path] = {}
    for pattern, masks in pairs:
        found |= _masks_of(pattern, masks, asked.frames)
    return found


def _masks_of(pattern: str, masks: str, frames: str | None) -> dict[Path, Path]:
    inputs = dict(sequence.expand(pattern, frames))
    found = dict(sequence.expand(masks, frames))
    lacking = sorted(inputs.keys() - found.keys())
    if lacking:
        raise MissingFrames(
            f"{masks}: no asymmetry for the frames {', '.join(map(str, lacking))}; "
            f"every frame of {pattern} needs one."
        )
    return {path: found[number] for number, path in inputs.items()}


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
