"""What the loop leaves on disk: the image so far, a checkpoint, a log."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from kpcn_core import exr
from kpcn_core.adaptive import checkpoint, log
from kpcn_core.adaptive.checkpoint import Identity
from kpcn_core.adaptive.state import State, Step
from kpcn_core.atomic import check_writable
from kpcn_core.frame import Frame, Pixels, Window
from kpcn_core.interrupt import held_back
from kpcn_core.metrics import measure
from kpcn_core.renderers.base import PlacedRenderer


@dataclass(frozen=True)
class Record:
    """The files of a run, and what they say about it.

    Attributes:
        image: EXR with the denoised beauty, all AOVs, and the layers `noisy`, `error`, `samples`.
        guide: its name.
        settings: what else a resumed run must share, by names for a person.
        metadata: header attributes of the image.
        reference: color [3,H,W] to measure every pass against, or None.
    """

    image: Path
    guide: str
    settings: Identity
    metadata: Mapping[str, str | int | float] = field(default_factory=dict)
    reference: Pixels | None = None

    @property
    def identity(self) -> Identity:
        """All that a resumed run must share."""
        return {"guide": self.guide, **self.settings}

    @property
    def checkpoint(self) -> Path:
        """Where the checkpoint is."""
        return self.image.with_suffix(".checkpoint.safetensors")

    @property
    def log(self) -> Path:
        """Where the log is."""
        return self.image.with_suffix(".log.jsonl")

    def check_writable(self, overwrite: bool) -> None:
        """Make sure, before long work, that image and checkpoint can be written.

        Raises:
            UnwritableFile: one exists and may not be replaced, or cannot be.
        """
        for path in (self.image, self.checkpoint):
            check_writable(path, overwrite)

    def resumed(self) -> State | None:
        """Where an earlier run stopped; None if there is no checkpoint.

        Raises:
            InvalidCheckpoint: see `checkpoint.load`.
        """
        if not self.checkpoint.is_file():
            return None
        return checkpoint.load(self.checkpoint, self.identity)

    def steps(
        self, steps: Iterable[Step], renderer: PlacedRenderer, start: State | None = None
    ) -> Iterator[Step]:
        """Write everything after each step, then pass it on.

        The checkpoint comes last: whatever a kill leaves half done is done again.

        Args:
            steps: what `adaptive.run` yields.
            renderer: tells where the image lies on the film.
            start: what `adaptive.run` continues from.
        """
        if start is None:
            self.checkpoint.unlink(missing_ok=True)
        log.trim(self.log, start.passes if start else 0)
        for step in steps:
            metrics = {} if self.reference is None else self._measured(step)
            with held_back():
                self._write(step, renderer)
                log.append(self.log, log.line(step, self.guide, metrics))
                checkpoint.save(self.checkpoint, step, self.identity)
            yield step

    def _write(self, step: Step, renderer: PlacedRenderer) -> None:
        height, width = renderer.film_size
        frame: Frame = replace(
            step.denoised,
            display=Window(0, 0, width, height),
            origin=renderer.origin,
            metadata={**self.metadata, "samplesPerPixel": step.spp, "passes": step.passes},
        )
        layers = {
            "noisy": step.noisy["color"],
            "error": step.error,
            "samples": step.samples[None].astype(np.float32),
        }
        exr.write_frame(self.image, frame, overwrite=True, layers=layers)

    def _measured(self, step: Step) -> dict[str, float]:
        assert self.reference is not None
        return measure(step.denoised["color"], self.reference)
