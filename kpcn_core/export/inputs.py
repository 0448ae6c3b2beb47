"""What an exported network is given: the images that an encoder needs, in a fixed order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from kpcn_core import features
from kpcn_core.errors import UnknownName
from kpcn_core.features import demodulator, finite

COLORS = 3
VARIANCE = "_variance"


@dataclass(frozen=True)
class Input:
    """One image that goes in.

    Attributes:
        name: an AOV; or a plane of `features.PLANES` that is a variance.
        channels: how many planes it has.
        aov: the AOV that it is made of, see `prepared`.
    """

    name: str
    channels: int
    aov: str


def inputs(planes: Sequence[str]) -> list[Input]:
    """What an encoder of these planes needs, in scene units; colors first, variances last.

    Variances are summed over their channels, which is all that the network sees of them.

    Raises:
        UnknownName: an encoder that reads one component at a time.
    """
    if "color" in planes:
        raise UnknownName(
            "A network whose encoders read one component at a time cannot be exported. Choose one "
            "with a U-Net, such as the one that ships."
        )
    split = features.reads_split(planes)
    light = ("diffuse", "specular", "albedo") if split else ()
    guides = [name for name in ("albedo", "normal") if name in planes and name not in light]
    return [
        *(Input(name, COLORS, name) for name in ("color", *light, *guides)),
        *(Input(name, 1, _aov(name, split)) for name in planes if name.endswith(VARIANCE)),
    ]


def prepared(aovs: Mapping[str, Tensor], wanted: Sequence[Input]) -> dict[str, Tensor]:
    """The images of a frame, by their names, from its AOVs [B,C,H,W]."""
    return {
        one.name: _summed(one, aovs) if one.name.endswith(VARIANCE) else aovs[one.aov]
        for one in wanted
    }


def _summed(wanted: Input, aovs: Mapping[str, Tensor]) -> Tensor:
    """A variance summed over its channels; that of the irradiance is over the albedo squared."""
    variance = finite(aovs[wanted.aov]).clamp(min=0.0)
    if wanted.name == "irradiance_variance":
        variance = finite(variance / demodulator(aovs["albedo"]).square())
    return variance.sum(dim=1, keepdim=True)


def _aov(variance: str, split: bool) -> str:
    component = variance.removesuffix(VARIANCE)
    whole = {"irradiance": "diffuse"} if split else {"specular": "color"}
    return f"{whole.get(component, component)}_mse"
