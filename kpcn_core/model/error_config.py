"""What an error predictor is made of; travels inside its weights file."""

import json
from dataclasses import asdict, dataclass

from kpcn_core.errors import InvalidWeights

# What it can predict (paper §5), and how large that typically is: the unit of its outputs.
TYPICAL = {"smape": 0.05, "mrse": 0.03, "dssim": 0.1, "ms_dssim": 0.03}
GUIDING_METRICS = tuple(TYPICAL)


@dataclass(frozen=True)
class ErrorConfig:
    """Sizes of an error predictor.

    Attributes:
        metrics: what it predicts, a plane each. The paper trains a network for each metric, which
            is one of these with one metric; several share everything but the last layer.
        channels: width of every layer.
        blocks: residual blocks; the paper has six.
        fold: 1, or 2 to fold 2x2 pixels into channels, as the denoiser's config has it.
        deviation: whether it also reads how noisy the input says it is; the paper's does not.
    """

    metrics: tuple[str, ...] = GUIDING_METRICS
    channels: int = 32
    blocks: int = 6
    fold: int = 1
    deviation: bool = False

    def __post_init__(self) -> None:
        unknown = sorted(set(self.metrics) - set(GUIDING_METRICS))
        if unknown or not self.metrics or len(set(self.metrics)) < len(self.metrics):
            raise InvalidWeights(
                f"Predictor config: metrics {', '.join(unknown or self.metrics) or 'none'}; "
                f"there can be each of {', '.join(GUIDING_METRICS)} once."
            )
        if min(self.channels, self.blocks, self.fold) < 1:
            raise InvalidWeights(f"Predictor config: sizes must be >= 1; got {self}.")

    def to_json(self) -> str:
        """The config as one JSON object."""
        return json.dumps(asdict(self), sort_keys=True)

    @staticmethod
    def from_json(text: str) -> "ErrorConfig":
        """Read what `to_json` wrote; raises InvalidWeights for anything else."""
        try:
            values = json.loads(text)
            return ErrorConfig(metrics=tuple(values.pop("metrics")), **values)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InvalidWeights(f"Predictor config cannot be read: {error}.") from error
