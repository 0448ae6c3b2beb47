"""What a person sets on a host's panel, and the request to the worker that it amounts to.

Shared by Nuke, Houdini and Blender. Standard library only, Python 3.9 syntax.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kpcn_core.errors import Refused, UnwritableFile
from kpcn_core.protocol import Denoise

# A test keeps these equal to what the worker knows, which hosts cannot import.
SOURCES = (
    "auto", "renderman", "kpcn", "mitsuba", "cycles", "cycles-4", "luxcore", "arnold", "vray",
    "vray-max", "redshift", "moonray", "karma", "generic",
)  # fmt: skip
UNITS = ("pixels", "screen", "clip", "width")
WINDOWS = (1, 3, 5, 7)
HIGHEST_ASYMMETRY = 10.0
QUALITIES = ("normal", "high")
AS_THE_SOURCE = "as the source"


@dataclass(frozen=True)
class Motion:
    """Which layers hold motion, and how they are to be read.

    Attributes:
        forward: layer with the motion to the next frame; empty: the source's own.
        backward: to the previous one, likewise.
        units: one of `UNITS`, see docs/formats.md; or `AS_THE_SOURCE`.
        scale: factors of x and y, in these units.
        flip: whether the layer counts x to the left, y upwards.
    """

    forward: str = ""
    backward: str = ""
    units: str = AS_THE_SOURCE
    scale: tuple[float, float] = (1.0, 1.0)
    flip: tuple[bool, bool] = (False, False)

    def layers(self) -> dict[str, str]:
        """AOV to layer, or to a layer with its convention.

        Raises:
            Refused: a convention is given that would have no effect.
        """
        named = {"forward": self.forward.strip(), "backward": self.backward.strip()}
        named = {aov: layer for aov, layer in named.items() if layer}
        if self.units == AS_THE_SOURCE:
            if self.scale != (1.0, 1.0) or any(self.flip):
                raise Refused("Motion: scale and flip need units. Choose them beside the layer.")
            return named
        if not named:
            raise Refused(
                f"Motion: '{self.units}' has no effect without a layer. Name the motion layer, or "
                f"choose '{AS_THE_SOURCE}'."
            )
        return {aov: self._convention(layer) for aov, layer in named.items()}

    def _convention(self, layer: str) -> str:
        x, y = (
            -scale if flipped else scale
            for scale, flipped in ((self.scale[0], self.flip[0]), (self.scale[1], self.flip[1]))
        )
        return (
            f'{{ layer = {json.dumps(layer)}, units = "{self.units}", '
            f"scale = [{float(x)!r}, {float(y)!r}] }}"
        )


@dataclass(frozen=True)
class Mask:
    """Files that say where the asymmetry applies.

    Attributes:
        pattern: a path with a placeholder for the frame.
        channel: from 0 (symmetric) to 1 (as asymmetric as set).
    """

    pattern: str
    channel: str


@dataclass(frozen=True)
class Settings:
    """A panel's values.

    Attributes:
        source: one of `SOURCES`, or a toml file that describes another.
        layers: AOV to the layer that it is read from; empty ones are found.
        motion: which layers hold motion.
        aovs: which AOVs to denoise.
        model: a network's name or file; empty for the default.
        window: how many frames are looked at for each frame.
        flow: estimate the motion that a window needs where the files have none.
        asymmetry: λ, 1 to 10.
        asymmetry_layer: a channel of the render from 0 to 1 that says where; empty for everywhere.
        extra: pattern of further layers to component.
        error_map: write the predicted error.
        quality: one of `QUALITIES`.
        overwrite: replace files that are not ours, too.
    """

    source: str = "auto"
    layers: Mapping[str, str] = field(default_factory=dict)
    motion: Motion = field(default_factory=Motion)
    aovs: tuple[str, ...] = ("color",)
    model: str = ""
    window: int = 1
    flow: bool = False
    asymmetry: float = 1.0
    asymmetry_layer: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)
    error_map: bool = False
    quality: str = QUALITIES[0]
    overwrite: bool = False

    def all_layers(self) -> dict[str, str]:
        """AOV to layer, motion included, without those that are to be found.

        Raises:
            Refused: see ``Motion.layers``.
        """
        named = {aov: layer.strip() for aov, layer in self.layers.items() if layer.strip()}
        return {**named, **self.motion.layers()}

    def request(
        self, source: str, output: str, frames: str | None = None, mask: Mask | None = None
    ) -> Denoise:
        """The message that has all this done.

        Args:
            source: the input's path or pattern, absolute.
            output: likewise; must not be the input.
            frames: a range such as 1001-1100; None for all on disk.
            mask: where the asymmetry applies, instead of `asymmetry_layer`. At an asymmetry of 1
                there is nothing to apply.

        Raises:
            Refused: a value cannot be meant.
        """
        if Path(source) == Path(output):
            raise Refused(f"{output}: is the input. Name another output.")
        if not 1.0 <= self.asymmetry <= HIGHEST_ASYMMETRY:
            raise Refused(f"Asymmetry {self.asymmetry:g}: must be 1 to {HIGHEST_ASYMMETRY:g}.")
        if self.window < 1 or self.window % 2 == 0:
            raise Refused(f"Window {self.window}: must be an odd number of frames.")
        channel = mask.channel if mask else self.asymmetry_layer.strip()
        is_asymmetric = self.asymmetry != 1.0
        return Denoise(
            source,
            output,
            frames=frames,
            source=self.source,
            layers=self.all_layers(),
            aovs=self.aovs,
            model=self.model.strip() or None,
            overwrite=self.overwrite,
            resume=True,
            window=self.window,
            flow=self.flow,
            asymmetry=self.asymmetry,
            asymmetry_layer=channel or None if is_asymmetric else None,
            asymmetry_input=mask.pattern if mask and is_asymmetric else None,
            extra=self.extra,
            error_map=self.error_map,
            quality=self.quality,
        )


def names(text: str) -> tuple[str, ...]:
    """Names separated by commas, spaces or lines."""
    return tuple(re.split(r"[,\s]+", text.strip())) if text.strip() else ()


def assignments(text: str, what: str) -> dict[str, str]:
    """`NAME=VALUE` separated by commas or lines, as "lg_*=diffuse, fog=specular".

    Args:
        text: what was typed.
        what: the field, for the error.

    Raises:
        Refused: a part of it is something else.
    """
    found = {}
    for part in filter(None, (part.strip() for part in re.split(r"[,\n]", text))):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if not name or not value:
            raise Refused(f"{what}: '{part}' must be NAME=VALUE, for example lg_*=diffuse.")
        found[name] = value
    return found


def default_output(source: str) -> str:
    """Where to write if nobody says: the same name, in a folder `denoised` beside the input."""
    path = Path(source)
    return (path.parent / "denoised" / path.name).as_posix()


def make_folder(folder: Path) -> None:
    """Make the folder of an output.

    Raises:
        UnwritableFile: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnwritableFile(
            f"{folder}: cannot be made: {error.strerror}. Name another output."
        ) from error
