"""Frame: one rendered image with all its AOVs, in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kpcn_core.aov import AOVS
from kpcn_core.errors import InvalidPixels, MissingAov, UnknownName
from kpcn_core.layer import Channel

Pixels = NDArray[np.float32]  # [C,H,W]


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels; x to the right, y down, as in OpenEXR. The origin may be negative."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Frame:
    """One rendered image.

    Attributes:
        aovs: AOV name to float32 pixels [C,H,W] over the data window; C as in ``aov.AOVS``.
        display: display window; None if it is the data window.
        origin: (x, y) of the data window's top-left pixel.
        source: name of the source that these AOVs came from (paper §3.2).
        path: the file it was read from; its other layers are copied from there on writing.
        metadata: header attributes that are texts or numbers.
        channels: for each AOV that `path` holds as it is, the channels of its planes there.
        layers: further layers that were asked for, by name, float32 [C,H,W].
        layer_channels: the channels of their planes in `path`.
    """

    aovs: Mapping[str, Pixels]
    display: Window | None = None
    origin: tuple[int, int] = (0, 0)
    source: str = "kpcn"
    path: Path | None = None
    metadata: Mapping[str, str | int | float] = field(default_factory=dict)
    channels: Mapping[str, tuple[Channel, ...]] = field(default_factory=dict)
    layers: Mapping[str, Pixels] = field(default_factory=dict)
    layer_channels: Mapping[str, tuple[Channel, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.aovs:
            raise MissingAov(f"{self.label}: a frame needs at least one AOV; it has none.")
        size = self.size
        for name, pixels in self.aovs.items():
            if name not in AOVS:
                raise UnknownName(f"{self.label}: unknown AOV '{name}'. Known: {', '.join(AOVS)}.")
            expected = (AOVS[name].channels, *size)
            if pixels.shape != expected or pixels.dtype != np.float32:
                raise InvalidPixels(
                    f"{self.label}: AOV '{name}' must be float32 {list(expected)}; "
                    f"it is {pixels.dtype} {list(pixels.shape)}."
                )

    def __getitem__(self, aov: str) -> Pixels:
        if aov not in self.aovs:
            raise MissingAov(
                f"{self.label}: no AOV '{aov}'. The frame has {', '.join(self.aovs)}. "
                f"Map a layer to it with --aov {aov}=LAYER."
            )
        return self.aovs[aov]

    def __contains__(self, aov: object) -> bool:
        return aov in self.aovs

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the data window."""
        height, width = next(iter(self.aovs.values())).shape[-2:]
        return height, width

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels."""
        return sum(pixels.nbytes for pixels in (*self.aovs.values(), *self.layers.values()))

    @property
    def data(self) -> Window:
        """The data window."""
        height, width = self.size
        return Window(*self.origin, width, height)

    @property
    def label(self) -> str:
        """Where an error should point to."""
        return str(self.path) if self.path else "frame"

    def with_aovs(self, **aovs: Pixels) -> "Frame":
        """The same frame with some AOVs replaced or added."""
        return replace(self, aovs={**self.aovs, **aovs})

    def with_layers(self, **layers: Pixels) -> "Frame":
        """The same frame with some further layers replaced or added."""
        return replace(self, layers={**self.layers, **layers})
