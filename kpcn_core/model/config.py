"""What a network is made of; travels inside its weights file."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from kpcn_core.errors import InvalidWeights
from kpcn_core.features import COMPONENTS, PLANES

RESIDUAL, UNET = "residual", "unet"
FEATURES, KERNELS = "features", "kernels"
# What can be read of one component, and of all of them together.
COMPONENT_PLANES = (
    "color", "color_variance", "albedo", "albedo_variance", "normal", "normal_variance",
    "irradiance_flag",
)  # fmt: skip
JOINT_PLANES = tuple(
    name for name in PLANES if name not in ("color", "color_variance", "irradiance_flag")
)


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of the network; the defaults are the paper's.

    Attributes:
        trunk: "residual" (§3.1): a chain of residual blocks reads one component at one scale at a
            time, and a small network joins the scales (§3.4). "unet" (§9.1): one pass reads all
            components, has features of every scale, and predicts how to join them.
        channels: width of the layers; of a U-Net, of each scale, finest first.
        blocks: residual blocks of the trunk; of a U-Net, of its coarsest scale.
        refinement: residual blocks of a U-Net's finest scale, after all other layers of it.
        pixels: channels that a U-Net keeps of every pixel by itself, past the folded features: its
            finest kernels then also see what lies around a pixel, whatever cell it is in.
        kernels: component to the side of its predicted kernels, odd.
        neighbours: side of the kernels of all frames of a window but the centre.
        fold: 1, or 2 to fold 2x2 pixels into channels before the encoder: the same width then
            costs a quarter, and sees twice as far.
        scales: of the reconstruction, each half the resolution of the one before.
        window_blocks: residual blocks that follow the gathering of frames (§3.3).
        asymmetry: where lambda enters. "features": a specialization module changes what kernels are
            predicted from (§4.3). "kernels": it changes the kernels themselves, all but the
            albedo's, which a CPU computes anew far sooner; needs a U-Net.
        specialization: residual blocks of the specialization module, where lambda enters features.
        encoders: source-aware encoders (§3.2): name to the input planes it reads.
    """

    trunk: str = RESIDUAL
    channels: tuple[int, ...] = (100,)
    blocks: int = 24
    refinement: int = 0
    pixels: int = 0
    kernels: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(COMPONENTS, 21))
    neighbours: int = 21
    fold: int = 1
    scales: int = 3
    window_blocks: int = 3
    asymmetry: str = FEATURES
    specialization: int = 2
    encoders: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {"kpcn": COMPONENT_PLANES}
    )

    def __post_init__(self) -> None:
        sides = [*self.kernels.values(), self.neighbours]
        least = min(*sides, *self.channels, self.blocks, self.fold, self.scales)
        if least < 1 or any(side % 2 == 0 for side in sides):
            raise InvalidWeights(f"Network config: sizes must be >= 1 and kernels odd; got {self}.")
        if set(self.kernels) != set(COMPONENTS):
            raise InvalidWeights(
                f"Network config: kernels are for {', '.join(self.kernels)}; "
                f"they must be for {', '.join(COMPONENTS)}."
            )
        self._check_trunk()
        self._check_asymmetry()
        self._check_encoders()

    def _check_trunk(self) -> None:
        widths = {RESIDUAL: 1, UNET: self.scales}
        if self.trunk not in widths:
            raise InvalidWeights(
                f"Network config: no trunk is called '{self.trunk}'; there are {', '.join(widths)}."
            )
        if len(self.channels) != widths[self.trunk]:
            raise InvalidWeights(
                f"Network config: trunk '{self.trunk}' with {self.scales} scales needs "
                f"{widths[self.trunk]} numbers of channels; got {list(self.channels)}."
            )
        if self.refinement < 0 or (self.refinement and self.trunk != UNET):
            raise InvalidWeights(
                f"Network config: trunk '{self.trunk}' cannot have a refinement of "
                f"{self.refinement} blocks; a U-Net can have 0 or more."
            )
        if self.pixels < 0 or (self.pixels and self.trunk != UNET):
            raise InvalidWeights(
                f"Network config: trunk '{self.trunk}' cannot keep {self.pixels} channels of "
                f"pixels; a U-Net can keep 0 or more."
            )
        if self.trunk == RESIDUAL and len(set(self.kernels.values())) > 1:
            raise InvalidWeights(
                f"Network config: trunk 'residual' has one kernel predictor for all components; "
                f"their kernels must be equal; got {dict(self.kernels)}."
            )

    def _check_asymmetry(self) -> None:
        if self.asymmetry not in (FEATURES, KERNELS):
            raise InvalidWeights(
                f"Network config: lambda cannot enter '{self.asymmetry}'; it can enter "
                f"{FEATURES} or {KERNELS}."
            )
        if self.asymmetry == KERNELS and self.trunk != UNET:
            raise InvalidWeights(
                f"Network config: trunk '{self.trunk}' has one kernel predictor for all "
                f"components; lambda must enter {FEATURES}, not {KERNELS}."
            )

    def _check_encoders(self) -> None:
        known = {RESIDUAL: COMPONENT_PLANES, UNET: JOINT_PLANES}[self.trunk]
        if not self.encoders:
            raise InvalidWeights("Network config: it needs an encoder; it has none.")
        for encoder, planes in self.encoders.items():
            unknown = sorted(set(planes) - set(known))
            if unknown or not planes:
                raise InvalidWeights(
                    f"Network config: encoder '{encoder}' reads planes {unknown or 'none'}; "
                    f"trunk '{self.trunk}' can read {', '.join(known)}."
                )

    @property
    def alignment(self) -> int:
        """What the height and width that the network reads must be multiples of."""
        return self.fold << (self.scales - 1)

    @property
    def cells(self) -> list[int]:
        """How many pixels, along each side, share a feature: of all that `Network.encode` gives."""
        scales = [self.fold << scale for scale in range(self.scales)]
        return scales + [self.fold] * bool(self.pixels)

    def to_json(self) -> str:
        """The config as one JSON object."""
        return json.dumps(asdict(self), sort_keys=True)

    @staticmethod
    def from_json(text: str) -> "ModelConfig":
        """Read what `to_json` wrote; raises InvalidWeights for anything else."""
        try:
            values = json.loads(text)
            encoders = {name: tuple(planes) for name, planes in values.pop("encoders").items()}
            channels = tuple(values.pop("channels"))
            return ModelConfig(encoders=encoders, channels=channels, **values)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InvalidWeights(f"Network config cannot be read: {error}.") from error
