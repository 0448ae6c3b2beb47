"""Denoising files: what `kpcn denoise` and the worker share."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kpcn_core import exr
from kpcn_core.denoiser import DEFAULT_MEMORY, Asymmetry, Denoiser, Progress, Settings
from kpcn_core.errors import InvalidAsymmetry, KpcnError
from kpcn_core.exr_further import read_further, read_mask
from kpcn_core.frame import Frame
from kpcn_core.sequence_denoiser import SequenceDenoiser, window_reach


class Outcome(NamedTuple):
    """What came of one file: it is written, or it failed."""

    source: Path
    target: Path
    error: KpcnError | None


@dataclass(frozen=True)
class Job:
    """Files to denoise, and how.

    Attributes:
        files: each input with its output, see ``sequence.shots``.
        source: the renderer's way of writing, see ``exr.read``.
        layers: AOV name to the layer it is read from.
        aovs: which to denoise, see ``Denoiser.denoise``.
        tile: side of a tile in pixels; None derives it from max_memory.
        max_memory: bytes that the computation of one tile may take.
        overwrite: existing files may be replaced.
        window: how many frames are looked at for each, odd (paper §3.3).
        shot: all frames that a window may look at, in order; empty for the inputs themselves.
        asymmetry: lambda, 1 to 10 (paper §4).
        asymmetry_layer: a channel of the inputs, 0 to 1, that says where: lambda is asymmetry to
            its power, so that 0 is symmetric.
        extra: pattern of further layers to what they are filtered like, see ``prepared.LIKE``.
        encoder: see ``denoiser.Settings``.
    """

    files: Sequence[tuple[Path, Path]]
    source: str = "auto"
    layers: Mapping[str, str] = field(default_factory=dict)
    aovs: Sequence[str] = ("color",)
    tile: int | None = None
    max_memory: int = DEFAULT_MEMORY
    overwrite: bool = False
    window: int = 1
    shot: Sequence[Path] = ()
    asymmetry: float = 1.0
    asymmetry_layer: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)
    encoder: str = "auto"

    def run(self, denoiser: Denoiser, progress: Progress) -> Iterator[Outcome]:
        """Denoise every file, in order; a frame that fails does not stop the others.

        Args:
            denoiser: does the work.
            progress: called after each tile with (done, total); what it raises ends the job.

        Raises:
            KpcnError: in the end, if any of several files failed; of a single file, its own error.
        """
        run = JobRun(self, denoiser)
        failed = 0
        for source, target in self.files:
            try:
                run.clean(source, target, progress)
            except KpcnError as error:
                if len(self.files) == 1:
                    raise
                failed += 1
                yield Outcome(source, target, error)
            else:
                yield Outcome(source, target, None)
        if failed:
            raise KpcnError(f"{failed} of {len(self.files)} frames were not written; see above.")


class JobRun:
    """A job at work with a denoiser; keeps the features of the frames around the last one.

    Raises:
        InvalidAsymmetry, UnknownName: the job cannot be done.
    """

    def __init__(self, job: Job, denoiser: Denoiser) -> None:
        if job.asymmetry_layer is not None and job.asymmetry == 1.0:
            raise InvalidAsymmetry(
                f"The asymmetry layer '{job.asymmetry_layer}' has no effect with an asymmetry of "
                f"1. Say how conservative it shall be where the layer is 1: --asymmetry 4."
            )
        self.job = job
        self.denoiser = denoiser
        self.reach = window_reach(job.window)

    def clean(self, source: Path, target: Path, progress: Progress) -> None:
        """Denoise one file of the job."""
        job = self.job
        if self.reach:
            index = self._shot.index(source)
            result = self._sequence.denoise(index, self._asymmetry(source), progress)
        else:
            frame = self._read(source)
            settings = self._settings
            result = self.denoiser.denoise(
                frame,
                settings.aovs,
                asymmetry=self._asymmetry(source),
                like=settings.like,
                encoder=settings.encoder,
                tile=settings.tile,
                max_memory=settings.max_memory,
                progress=progress,
            )
        exr.write(target, result, job.aovs, overwrite=job.overwrite)

    @property
    def _shot(self) -> Sequence[Path]:
        return self.job.shot or [source for source, _ in self.job.files]

    @cached_property
    def _settings(self) -> Settings:
        """What the first file's layers make of the job: the patterns become names."""
        job = self.job
        frame = exr.read(job.files[0][0], job.source, job.layers)
        like = read_further(frame, job.extra)[1]
        return Settings(job.aovs, like, job.encoder, job.tile, job.max_memory)

    @cached_property
    def _sequence(self) -> SequenceDenoiser:
        return SequenceDenoiser(
            self.denoiser, self._shot, self._read, self.reach, self.reach, self._settings
        )

    def _read(self, path: Path) -> Frame:
        frame = exr.read(path, self.job.source, self.job.layers)
        return read_further(frame, self.job.extra)[0]

    def _asymmetry(self, source: Path) -> Asymmetry:
        job = self.job
        if job.asymmetry_layer is None:
            return job.asymmetry
        mask = read_mask(source, job.asymmetry_layer)
        return np.power(np.float32(job.asymmetry), mask)
