"""A job at work: files in, files out, and what is kept between them."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import cached_property, partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from kpcn_core import __version__, exr, fingerprint, weights
from kpcn_core.background import started
from kpcn_core.claims import Turn, is_claimed, turns
from kpcn_core.denoiser import Denoiser
from kpcn_core.device_memory import explained
from kpcn_core.error_map import DEFAULT_METRIC
from kpcn_core.errors import InvalidAsymmetry, KpcnError, UnreadableFile
from kpcn_core.exr_file import decoded_size, several_threads
from kpcn_core.exr_further import read_further, read_mask
from kpcn_core.frame import Frame
from kpcn_core.job import Job, Outcome
from kpcn_core.optical_flow import with_flow
from kpcn_core.read_ahead import ReadAhead
from kpcn_core.sequence_denoiser import SequenceDenoiser
from kpcn_core.sequence_window import FrameCache, window_reach
from kpcn_core.settings import NORMAL, Asymmetry, Progress, Settings
from kpcn_core.transfer import staged

ERROR = "error"  # name of the layer
LOOK = 8  # files: how far ahead one is looked for that nobody has claimed


def run(job: Job, denoiser: Denoiser, progress: Progress) -> Iterator[Outcome]:
    """Denoise every file, in order; a frame that fails does not stop the others.

    While a frame is denoised, the next one is read and the last one written, where memory allows.

    Args:
        job: what to do.
        denoiser: does the work.
        progress: called after each tile with (done, total), counted from the last outcome; what it
            raises ends the job.

    Raises:
        KpcnError: in the end, if any of several files failed; of a single file, its own error.
    """
    failed = 0
    for outcome in each(JobRun(job, denoiser), progress, behind=True):
        if outcome.error and len(job.files) == 1:
            raise outcome.error
        failed += outcome.error is not None
        yield outcome
    if failed:
        raise some_failed(failed, len(job.files))


def each(run: "JobRun", progress: Progress, behind: bool = False) -> Iterator[Outcome]:
    """Do a job, and tell what came of every file, in their order.

    Args:
        run: the job.
        progress: see `run`.
        behind: write a frame while the next one is denoised; its outcome comes that much later.
    """
    writing: deque[_Writing] = deque()
    with several_threads(torch.get_num_threads()):
        try:
            for turn in run.turns():
                write, error = _denoised(run, turn, _beyond(progress, len(writing)))
                while writing:
                    yield writing.popleft().outcome()
                if write is None:
                    yield Outcome(turn.source, turn.target, error, turn.done)
                    continue
                if behind and run.may_overlap:
                    name = f"write {turn.target.name}"
                    write = partial(_claimed, turn.claim.pop_all(), write)
                    writing.append(_Writing(turn, started(write, name, needed=True).result))
                else:
                    yield _Writing(turn, partial(_claimed, turn.claim, write)).outcome()
                write = None  # it holds the frame
            while writing:
                yield writing.popleft().outcome()
        finally:
            for one in writing:  # that were not waited for: something else ends the job
                one.outcome()


def _denoised(
    run: "JobRun", turn: Turn, progress: Progress
) -> tuple[Callable[[], None] | None, KpcnError | None]:
    """What writes a denoised file, if it is not there already; or why there is none."""
    try:
        return (None if turn.done else run.denoised(turn, progress)), None
    except KpcnError as error:
        return None, error.with_traceback(None)  # it would keep the frame in memory


def _beyond(progress: Progress, frames: int) -> Progress:
    """Progress of a frame that so many others come before, which have no outcome yet."""
    return lambda done, total: progress(done + frames * total, total)


def _claimed(claim: ExitStack, write: Callable[[], None]) -> None:
    """Write a file, and end its claim: others may wait for it while this machine waits for them."""
    with claim:
        write()


class _Writing(NamedTuple):
    """A file that is being written, or is when it is waited for."""

    turn: Turn
    written: Callable[[], None]

    def outcome(self) -> Outcome:
        """Wait, and say what came of it."""
        error = None
        try:
            self.written()
        except KpcnError as found:
            error = found.with_traceback(None)
        return Outcome(self.turn.source, self.turn.target, error)


def some_failed(failed: int, files: int) -> KpcnError:
    """The error at the end of a job of several files."""
    return KpcnError(f"{failed} of {files} frames were not written; see above.")


class JobRun:
    """A job at work with a denoiser; keeps the features of the frames around the last one.

    Args:
        job: what to do.
        denoiser: does the work.
        keep: keep the features of single frames too, for another lambda.

    Raises:
        InvalidAsymmetry, UnknownName: the job cannot be done.
        UnwritableFile: see `Job.check_in_place`.
    """

    def __init__(self, job: Job, denoiser: Denoiser, keep: bool = False) -> None:
        if job.asymmetry_layer is not None and job.asymmetry == 1.0:
            raise InvalidAsymmetry(
                f"The asymmetry layer '{job.asymmetry_layer}' has no effect with an asymmetry of "
                f"1. Say how conservative it shall be where the layer is 1: --asymmetry 4."
            )
        job.check_in_place()
        if job.error_map:
            denoiser.check_predicts(DEFAULT_METRIC)
        self.job = job
        self.denoiser = denoiser
        self.keep = keep
        self.reach = window_reach(job.window)
        self._has_room = False
        self._read = ReadAhead(self._read_file, self._following, self._fits)

    def turns(self) -> Iterator[Turn]:
        """The files in the order in which they are done."""
        if self.job.resume:
            return turns(self.job.files, self.made_of)
        return (Turn(*pair, "", done=False, claim=ExitStack()) for pair in self.job.files)

    def made_of(self, source: Path) -> str:
        """The fingerprint of everything that an output depends on."""
        return fingerprint.made_of(self.job.read_for(source), self._identity)

    def denoised(self, turn: Turn, progress: Progress) -> Callable[[], None]:
        """Denoise one file of the job; what is returned writes it."""
        with explained(turn.source, self.denoiser.device):
            inputs = self.job.read_for(turn.source)
            before = fingerprint.made_of(inputs, {})
            result = self.denoise(turn.source, progress)
            # What is not denoised is copied from the file as it is by now.
            fingerprint.check_unchanged(turn.source, before, fingerprint.made_of(inputs, {}))
        return partial(self._write, turn, result)

    @property
    def may_overlap(self) -> bool:
        """Whether the last frame may be written while the next one is denoised."""
        in_place = self.job.overwrite and self.job.replaced
        return self._has_room and len(self.job.files) > 1 and not in_place

    def _write(self, turn: Turn, result: Frame) -> None:
        job = self.job
        note = partial(fingerprint.record, turn.target, turn.made_of) if job.resume else None
        with explained(turn.source, self.denoiser.device):
            exr.write(
                turn.target, result, job.aovs, self._may_replace(turn.target), note,
                job.only_denoised,
            )  # fmt: skip
        if job.resume and not fingerprint.is_current(turn.target, turn.made_of):
            # Where a file's time changes with its name, as on some shares.
            fingerprint.record(turn.target, turn.made_of)

    def _may_replace(self, target: Path) -> bool:
        """Whether a file that is there by now may be written over."""
        return self.job.overwrite or (self.job.resume and fingerprint.is_ours(target))

    def denoise(self, source: Path, progress: Progress) -> Frame:
        """One denoised frame of the job, with its layer `error` if that is asked for."""
        noisy, denoised = self._denoised(source, self._asymmetry(source), progress)
        if not self.job.error_map:
            return denoised
        error = self.denoiser.predict_error(noisy, denoised, DEFAULT_METRIC, self._settings)
        return denoised.with_layers(**{ERROR: error})

    def _denoised(
        self, source: Path, asymmetry: Asymmetry, progress: Progress
    ) -> tuple[Frame, Frame]:
        """One frame of the job, noisy and denoised."""
        if self.reach or self.keep:
            index = self.job.place(source)
            clean = self.sequence.denoise(index, asymmetry, progress)
            kept = self.sequence.encoded(index)
            return kept.frames[kept.centre].prepared.frame, clean
        frame, settings = self._read(source), self._settings
        return frame, self.denoiser.denoise(
            frame,
            settings.aovs,
            asymmetry=asymmetry,
            like=settings.like,
            encoder=settings.encoder,
            tile=settings.tile,
            max_memory=settings.max_memory,
            quality=settings.quality,
            progress=progress,
        )

    @cached_property
    def _settings(self) -> Settings:
        """The job's patterns of further layers become names."""
        job = self.job
        like = read_further(self._readable(), job.extra)[1] if job.extra else {}
        return Settings(job.aovs, like, job.encoder, job.tile, job.max_memory, job.quality)

    def _readable(self) -> Frame:
        """The first input that can be read."""
        *others, last = [source for source, _ in self.job.files]
        for source in others:
            with suppress(UnreadableFile):
                return exr.read(source, self.job.source, self.job.layers)
        return exr.read(last, self.job.source, self.job.layers)

    def repeats(self, job: Job) -> bool:
        """Whether another job differs only in lambda and outputs, and its frames are kept.

        An error map is an output; so is what else lies in a file.
        """
        mine, theirs = (
            replace(one, files=(), overwrite=False, resume=False, asymmetry=1.0,
                    asymmetry_layer=None, masks={}, error_map=False, only_denoised=False)
            for one in (self.job, job)
        )  # fmt: skip
        return mine == theirs and all(
            self.job.has(source) and self.sequence.keeps(self.job.place(source))
            for source, _ in job.files
        )

    def again(self, job: Job) -> "JobRun":
        """Another job that `repeats` this one, with what this one keeps."""
        run = JobRun(job, self.denoiser, keep=True)
        run.__dict__["sequence"] = self.sequence
        return run

    @cached_property
    def sequence(self) -> SequenceDenoiser:
        """The shot, window by window."""
        read = self._read_moving if self.job.flow and self.reach else self._read
        return SequenceDenoiser(
            self.denoiser, self.job.frames, read, self.reach, self.reach, self._settings
        )

    @cached_property
    def _identity(self) -> dict[str, object]:
        """What changes the pixels, beside the inputs."""
        job = self.job
        return {
            "version": __version__,
            "network": self.denoiser.digest,
            "source": job.source,
            "layers": dict(job.layers),
            "aovs": list(job.aovs),
            "window": job.window,
            "asymmetry": job.asymmetry,
            "asymmetry_layer": job.asymmetry_layer,
            "extra": dict(job.extra),
            "encoder": job.encoder,
            "flow": job.flow,
            **({"error_map": self._predictor} if job.error_map else {}),
            **({"only_denoised": True} if job.only_denoised else {}),
            **({"quality": job.quality} if job.quality != NORMAL else {}),
        }

    @property
    def _predictor(self) -> str:
        assert self.denoiser.errors is not None
        return weights.digest(self.denoiser.errors.predictor.state_dict())

    def _read_moving(self, path: Path) -> Frame:
        """A frame, with estimated motion to frames that can be read, where it has none."""
        index = self.job.place(path)
        numbers = range(max(0, index - 1), min(index + 2, len(self.job.frames)))
        found = dict(zip(numbers, self._plain.of(numbers), strict=True))
        frame = found[index]
        if isinstance(frame, KpcnError):
            raise frame
        near = (found.get(number) for number in (index - 1, index + 1))
        # The window ends at one that failed, and says why.
        before, after = (None if isinstance(one, KpcnError) else one for one in near)
        return with_flow(frame, before, after)

    @cached_property
    def _plain(self) -> FrameCache[Frame | KpcnError]:
        return FrameCache(lambda index: self._try(self.job.frames[index]))

    def _try(self, path: Path) -> Frame | KpcnError:
        try:
            return self._read(path)
        except KpcnError as error:
            return error

    def _read_file(self, path: Path) -> Frame:
        frame = exr.read(path, self.job.source, self.job.layers)
        return staged(read_further(frame, self.job.extra)[0], self.denoiser.device)

    def _following(self, path: Path) -> Path | None:
        """The file that will probably be read after another one."""
        later = self._order.get(path)
        for _ in range(LOOK):
            if later is None or self.reach or not self.job.resume or self._is_free(later):
                return later
            later = self._order.get(later)
        return None

    def _is_free(self, source: Path) -> bool:
        """Whether nobody has denoised, or claimed, a file."""
        target = self._targets[source]
        return not is_claimed(target) and not fingerprint.is_ours(target)

    def _fits(self, frame: Frame) -> bool:
        """Whether the next frame can be read, and the last one written, beside this one."""
        assert frame.path is not None
        # What is read and what is written each lie there twice: the file's channels, and ours.
        size = 2 * (decoded_size(frame.path) + frame.nbytes)
        self._has_room = self.denoiser.leaves(frame, self._settings, self.job.window, size)
        return self._has_room

    @cached_property
    def _order(self) -> dict[Path, Path]:
        """Each file that is read to the one after it."""
        if not self.reach:
            return dict(pairwise(self._targets))
        near = {path for source in self._targets for path in self.job.read_for(source)}
        return dict(pairwise(path for path in self.job.frames if path in near))

    @cached_property
    def _targets(self) -> dict[Path, Path]:
        return dict(self.job.files)

    def _asymmetry(self, source: Path) -> Asymmetry:
        job = self.job
        if job.asymmetry_layer is None:
            return job.asymmetry
        mask = read_mask(job.masks.get(source, source), job.asymmetry_layer)
        return np.power(np.float32(job.asymmetry), mask)
