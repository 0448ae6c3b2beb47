"""What a network is made of; travels inside its weights file."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from kpcn_core.errors import InvalidWeights
from kpcn_core.features import PLANES

EVERY_PLANE = tuple(PLANES)
WITHOUT_VARIANCE = tuple(name for name in PLANES if not name.endswith("_variance"))


@dataclass(frozen=True)
class ModelConfig:
    """Size of the single-frame network (paper §3.1, Fig. 2); the defaults are the paper's.

    Attributes:
        channels: width of every layer.
        blocks: residual blocks of the feature extractor.
        kernel: side of the predicted kernels, odd.
        fold: 1, or 2 to fold 2x2 pixels into channels before the encoder: the same width then
            costs a quarter, and sees twice as far.
        encoders: source-aware encoders (§3.2): name to the input planes it reads.
    """

    channels: int = 100
    blocks: int = 24
    kernel: int = 21
    fold: int = 1
    encoders: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {"kpcn": EVERY_PLANE, "generic": WITHOUT_VARIANCE}
    )

    def __post_init__(self) -> None:
        if self.kernel % 2 == 0 or min(self.channels, self.blocks, self.kernel, self.fold) < 1:
            raise InvalidWeights(f"Network config: sizes must be >= 1 and kernel odd; got {self}.")
        for encoder, planes in self.encoders.items():
            unknown = sorted(set(planes) - set(PLANES))
            if unknown or not planes:
                raise InvalidWeights(
                    f"Network config: encoder '{encoder}' reads planes {unknown or 'none'}; "
                    f"known planes are {', '.join(PLANES)}."
                )

    def to_json(self) -> str:
        """The config as one JSON object."""
        return json.dumps(asdict(self), sort_keys=True)

    @staticmethod
    def from_json(text: str) -> "ModelConfig":
        """Read what `to_json` wrote; raises InvalidWeights for anything else."""
        try:
            values = json.loads(text)
            encoders = {name: tuple(planes) for name, planes in values.pop("encoders").items()}
            return ModelConfig(encoders=encoders, **values)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InvalidWeights(f"Network config cannot be read: {error}.") from error
