"""How frames are denoised: what the denoiser, jobs and hosts agree on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from kpcn_core.frame import Pixels

DEFAULT_MODEL = "compact"
DEFAULT_MEMORY = 4 << 30
OUTPUTS = ("color", "diffuse", "specular", "albedo", "alpha")
NORMAL, HIGH = QUALITIES = ("normal", "high")

Progress = Callable[[int, int], None]  # tiles done, tiles in all
Asymmetry = float | Pixels  # a number, or a layer [H,W]


@dataclass(frozen=True)
class Settings:
    """How frames are denoised.

    Attributes:
        aovs: which of `OUTPUTS` to denoise.
        like: further layers of the frames, by name, to what they are filtered like; see
            `prepared.LIKE`. Those that sum to a component before still do after.
        encoder: which source-aware encoder (paper §3.2); "auto" takes the source's own, else the
            one that reads most of what the frame has.
        tile: side of a tile in pixels without its overlap; None derives it from max_memory.
        max_memory: bytes that the computation of one tile may take.
        quality: one of `QUALITIES`; "high" filters every frame a second time upside down, and takes
            the mean (`half_turn`).
    """

    aovs: Sequence[str] = ("color",)
    like: Mapping[str, str] = field(default_factory=dict)
    encoder: str = "auto"
    tile: int | None = None
    max_memory: int = DEFAULT_MEMORY
    quality: str = NORMAL

    @property
    def riders(self) -> dict[str, str]:
        """Everything that is filtered like something else."""
        alpha = {"alpha": "albedo"} if "alpha" in self.aovs else {}
        return {**self.like, **alpha}


DEFAULTS = Settings()
