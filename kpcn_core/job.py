"""Denoising files: what `kpcn denoise` and the worker are asked to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from kpcn_core.errors import KpcnError, UnwritableFile
from kpcn_core.sequence_window import window_reach
from kpcn_core.settings import DEFAULT_MEMORY, NORMAL


class Outcome(NamedTuple):
    """What came of one file: it is written, or was there already and current, or it failed."""

    source: Path
    target: Path
    error: KpcnError | None
    current: bool = False


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
        masks: input to the file that has that channel, where it is not the input itself.
        extra: pattern of further layers to what they are filtered like, see ``prepared.LIKE``.
        encoder: see ``denoiser.Settings``.
        flow: estimate the motion of frames that have none, see ``optical_flow``.
        error_map: also write the layer `error`, the SMAPE that is left by prediction (paper §5).
        only_denoised: leave out what else the inputs hold, see ``exr.write``.
        quality: one of ``settings.QUALITIES``.
        resume: outputs that were made of the same stay; what outputs are made of is noted beside
            them, and other machines that do the same take other frames.
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
    masks: Mapping[Path, Path] = field(default_factory=dict)
    extra: Mapping[str, str] = field(default_factory=dict)
    encoder: str = "auto"
    flow: bool = False
    error_map: bool = False
    only_denoised: bool = False
    quality: str = NORMAL
    resume: bool = False

    @property
    def frames(self) -> Sequence[Path]:
        """All frames that a window may look at, in order."""
        return self.shot or [source for source, _ in self.files]

    @cached_property
    def _places(self) -> dict[Path, int]:
        return {path: index for index, path in enumerate(self.frames)}

    def has(self, source: Path) -> bool:
        """Whether a file is one of `frames`."""
        return source in self._places

    def place(self, source: Path) -> int:
        """Which of `frames` a file is."""
        return self._places[source]

    def check_in_place(self) -> None:
        """Raise if outputs are inputs, and what they replace would be missed.

        Raises:
            UnwritableFile: they lack the other layers; or a window would see frames that were
                replaced before it came to them, as this is not the whole shot in order.
        """
        if self.only_denoised and (self.overwrite or self.resume) and self.replaced:
            raise UnwritableFile(
                f"{self.replaced[0]}: would replace an input by a file without its other layers: "
                f"they would be lost. Leave out --only-denoised, or name another output."
            )
        if not self.overwrite or window_reach(self.window) == 0:
            return
        if [source for source, _ in self.files] != list(self.frames) and self.replaced:
            raise UnwritableFile(
                f"{self.replaced[0]}: would replace a frame that windows of other frames read. In "
                f"place, a window needs the whole shot in one run. Leave out --frames, use "
                f"--window 1, or name another output."
            )

    @cached_property
    def replaced(self) -> Sequence[Path]:
        """The outputs that are inputs too."""
        there = [target for _, target in self.files if target.exists()]
        read = {path.resolve() for path in self.frames} if there else set()
        return [target for target in there if target.resolve() in read]

    def read_for(self, source: Path) -> list[Path]:
        """Every file that the output of an input depends on."""
        reach, frames = window_reach(self.window), self.frames
        index = self.place(source)
        around = frames[max(0, index - reach) : index + reach + 1]
        return [*around, *([self.masks[source]] if source in self.masks else [])]
