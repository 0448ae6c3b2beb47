"""Denoising files: what `kpcn denoise` and the worker share."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from kpcn_core import exr
from kpcn_core.denoiser import DEFAULT_MEMORY, Denoiser, Progress
from kpcn_core.errors import KpcnError


class Outcome(NamedTuple):
    """What came of one file: it is written, or it failed."""

    source: Path
    target: Path
    error: KpcnError | None


@dataclass(frozen=True)
class Job:
    """Files to denoise, and how.

    Attributes:
        files: each input with its output, see ``sequence.pairs``.
        source: the renderer's way of writing, see ``exr.read``.
        layers: AOV name to the layer it is read from.
        aovs: which to denoise, see ``Denoiser.denoise``.
        tile: side of a tile in pixels; None derives it from max_memory.
        max_memory: bytes that the computation of one tile may take.
        overwrite: existing files may be replaced.
    """

    files: Sequence[tuple[Path, Path]]
    source: str = "auto"
    layers: Mapping[str, str] = field(default_factory=dict)
    aovs: Sequence[str] = ("color",)
    tile: int | None = None
    max_memory: int = DEFAULT_MEMORY
    overwrite: bool = False

    def run(self, denoiser: Denoiser, progress: Progress) -> Iterator[Outcome]:
        """Denoise every file, in order; a frame that fails does not stop the others.

        Args:
            denoiser: does the work.
            progress: called after each tile with (done, total); what it raises ends the job.

        Raises:
            KpcnError: in the end, if any of several files failed; of a single file, its own error.
        """
        failed = 0
        for source, target in self.files:
            try:
                self._clean(source, target, denoiser, progress)
            except KpcnError as error:
                if len(self.files) == 1:
                    raise
                failed += 1
                yield Outcome(source, target, error)
            else:
                yield Outcome(source, target, None)
        if failed:
            raise KpcnError(f"{failed} of {len(self.files)} frames were not written; see above.")

    def _clean(self, source: Path, target: Path, denoiser: Denoiser, progress: Progress) -> None:
        frame = exr.read(source, self.source, self.layers)
        result = denoiser.denoise(
            frame, self.aovs, tile=self.tile, max_memory=self.max_memory, progress=progress
        )
        exr.write(target, result, self.aovs, overwrite=self.overwrite)
