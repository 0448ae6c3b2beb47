"""A network for single frames, with tensors as its only words: what both exports are made of.

`Denoiser.denoise` once more, from a frame's AOVs to its denoised color, without names that are
looked up while it runs, and without files, tiles and messages. The layers and their weights are the
network's own; the tests compare both paths.
"""

from copy import deepcopy
from typing import Optional

import torch
from torch import Tensor, nn
from torch.nn import functional

from kpcn_core import features, weights
from kpcn_core.export.inputs import VARIANCE, inputs
from kpcn_core.export.operators import doubled, filtered, join, size_of
from kpcn_core.features import demodulator, exposure, finite, relative_deviation, signed_log
from kpcn_core.model.config import KERNELS
from kpcn_core.model.encoder import Encoder
from kpcn_core.model.kernels import KernelPredictor
from kpcn_core.model.network import Network
from kpcn_core.model.specialization import KernelPowers
from kpcn_core.model.unet import UNet
from kpcn_core.ops.kernels import without_mask
from kpcn_core.ops.pyramid import down_masked

Maybe = Optional[Tensor]  # noqa: UP045 (torch 2.1 compiles no other spelling)


class Trunk(nn.Module):
    """The passes of a `UNet`, by its layers; features from the coarsest to the finest scale."""

    def __init__(self, trunk: UNet) -> None:
        super().__init__()
        self.shrink, self.down = trunk.shrink, trunk.down
        self.bottom = trunk.bottom
        self.widen = nn.ModuleList(reversed(list(trunk.widen)))
        self.up = nn.ModuleList(reversed(list(trunk.up)))
        self.refine = trunk.refine if len(trunk.refine) else nn.Identity()

    def forward(self, features: Tensor) -> list[Tensor]:
        """Features [B,C0,H,W] -> of every scale, coarsest first."""
        skips = [features]
        for shrink, blend in zip(self.shrink, self.down):  # noqa: B905 (TorchScript has no strict)
            smaller = functional.relu(shrink(functional.relu(skips[-1])))
            skips.append(blend(smaller))
        found = [self.bottom(skips.pop())]
        for widen, blend in zip(self.widen, self.up):  # noqa: B905
            larger = doubled(widen(functional.relu(found[-1])))
            found.append(blend(functional.relu(larger + skips.pop())))
        found.append(self.refine(found.pop()))
        return found


class FeatureLogits(nn.Module):
    """Logits of a scale, where lambda enters the features that they are predicted from."""

    def __init__(self, network: Network, scale: int) -> None:
        super().__init__()
        self.specialization = network.specialization[scale]
        self.kernels = network.centre[scale]

    def forward(self, features: Tensor, pixels: Maybe, slope: Maybe) -> Tensor:
        """Features, those of every pixel, log(lambda) [B,1,H,W] -> logits [B,*,H,W]."""
        if slope is not None:
            features = self.specialization(features, slope.to(features.dtype))
        logits: Tensor = self.kernels(features, pixels)
        return logits


class KernelLogits(nn.Module):
    """Logits of a scale, where lambda enters the kernels."""

    def __init__(self, network: Network, scale: int, outputs: list[str]) -> None:
        super().__init__()
        kernels = network.centre[scale]
        assert isinstance(kernels, KernelPredictor)
        self.kernels = kernels
        weight, bias = network.powers_of(scale, outputs)
        self.powers = KernelPowers(weight.shape[1], len(weight))
        self.powers.load_state_dict({"powers.weight": weight, "powers.bias": bias})

    def forward(self, features: Tensor, pixels: Maybe, slope: Maybe) -> Tensor:
        """Features, those of every pixel, log(lambda) [B,1,H,W] -> logits [B,*,H,W]."""
        logits: Tensor = self.kernels(features, pixels)
        if slope is not None:
            powers = self.powers(self.kernels.unfolded(features, pixels))
            logits = logits + slope.to(logits.dtype) * powers
        return logits


class Scale(nn.Module):
    """What a network does at one scale, from features to filtered images."""

    def __init__(self, network: Network, scale: int, names: list[str]) -> None:
        super().__init__()
        config = network.config
        layout = network.layout(scale, centre=True)
        self.logits = (
            KernelLogits(network, scale, list(layout))
            if config.asymmetry == KERNELS
            else FeatureLogits(network, scale)
        )
        self.pieces = list(layout.values())
        order = list(layout)
        self.kernel_at = [order.index(name) for name in names]
        # The coarsest scale joins nothing; TorchScript wants a list with something in it.
        joins = [f"{name}.join" for name in names]
        self.join_at = [order.index(name) if name in layout else -1 for name in joins]
        self.sides = [config.kernels[name] for name in names]

    def forward(
        self,
        features: Tensor,
        pixels: Maybe,
        slope: Maybe,
        images: list[Tensor],
        coarser: list[Tensor],
    ) -> list[Tensor]:
        """Filter and join.

        Args:
            features: of the scale.
            pixels: of every pixel, at the finest.
            slope: log(lambda).
            images: with their masks.
            coarser: the results of the coarser scale.
        """
        logits = torch.split(self.logits(features, pixels, slope), self.pieces, dim=1)
        found: list[Tensor] = []
        for index, image in enumerate(images):
            one = filtered(image, logits[self.kernel_at[index]], self.sides[index])
            if len(coarser) > 0:
                one = join(one, coarser[index], logits[self.join_at[index]])
            found.append(one)
        return found


class SingleFrame(nn.Module):
    """A network and one of its encoders.

    Args:
        network: with a U-Net; its layers are copied.
        encoder: one of its encoders; says what is needed, see `inputs`.

    Raises:
        UnknownName: no such encoder, or it cannot be exported.
    """

    def __init__(self, network: Network, encoder: str) -> None:
        super().__init__()
        planes = network.planes_of(encoder)
        self.inputs = [one.name for one in inputs(planes)]
        network = deepcopy(network)
        first, trunk, config = network.encoders[encoder], network.trunk, network.config
        assert isinstance(first, Encoder)
        assert isinstance(trunk, UNet)
        self.alignment, self.scales = config.alignment, config.scales
        self.split = features.reads_split(planes)
        self.names = list(features.COMPONENTS) if self.split else ["specular"]
        self.planes = list(planes)
        self.logarithmic = [*features.LIGHT, "albedo"]
        self.exposed = [name + VARIANCE for name in features.LIGHT]
        self.encoder = first
        self.trunk = Trunk(trunk)
        self.filters = nn.ModuleList(
            Scale(network, scale, self.names) for scale in reversed(range(config.scales))
        )
        self.requires_grad_(False)  # hosts need not know how to say so
        self.eval()

    @classmethod
    def load(cls, model: str, encoder: str) -> "SingleFrame":
        """By the name of a network, or the path of its file; errors as of `weights.load`."""
        network = weights.load(weights.find(model))
        # As `Denoiser` has it. The stubs lack this documented keyword.
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return cls(network, encoder)

    def forward(self, aovs: dict[str, Tensor], slope: Maybe) -> tuple[Tensor, Tensor]:
        """Denoise a frame.

        Args:
            aovs: each of `inputs`, float32 [B,C,H,W], in scene units.
            slope: log(lambda) [B,1,H,W]; None is lambda = 1.

        Returns:
            Color [B,3,H,W]; and 1 where an input was NaN or Inf, 0 elsewhere [B,1,H,W].
        """
        color = aovs["color"]
        height, width = size_of(color)
        # To the right and below, up to what the network reads; see `inference.padded`.
        grow = [0, self.beyond(width), 0, self.beyond(height)]
        gain = exposure(color)
        images = self.components(aovs, gain)
        planes = functional.pad(self.seen(images, aovs, gain), grow)
        padded = [functional.pad(images[name], grow) for name in self.names]
        steep = None if slope is None else functional.pad(slope, grow, mode="replicate")
        result: dict[str, Tensor] = {}
        for name, image in zip(self.names, self.filter(planes, padded, steep)):  # noqa: B905
            result[name] = without_mask(image)[:, :, :height, :width]
        clean = self.composed(result) / gain
        invalid = torch.zeros_like(color[:, :1])
        for name in self.names:
            invalid = torch.maximum(invalid, 1.0 - images[name][:, -1:])
        return torch.where(torch.isnan(clean), color, clean), invalid

    def beyond(self, length: int) -> int:
        """Pixels between a length and the next multiple of the alignment."""
        return (self.alignment - length % self.alignment) % self.alignment

    def components(self, aovs: dict[str, Tensor], gain: Tensor) -> dict[str, Tensor]:
        """`features.components`, each with its mask [B,4,H,W]."""
        color = aovs["color"]
        if not self.split:
            return {"specular": masked(color * gain)}
        diffuse, specular, albedo = aovs["diffuse"], aovs["specular"], aovs["albedo"]
        return {
            "irradiance": masked(diffuse * (gain / demodulator(albedo))),
            "specular": masked(specular * gain),
            "emission": masked((color - diffuse - specular) * gain),
            "albedo": masked(albedo),
        }

    def seen(self, images: dict[str, Tensor], aovs: dict[str, Tensor], gain: Tensor) -> Tensor:
        """The input planes of the encoder, see `features.joint_planes`."""
        means: dict[str, Tensor] = {}
        for name in ("albedo", "normal"):
            if name in aovs:
                means[name] = finite(aovs[name])
        for name, image in images.items():
            if name != "albedo":
                means[name] = image[:, :3]
        found: list[Tensor] = []
        for name in self.planes:
            if name in means:
                mean = means[name]
                found.append(signed_log(mean) if name in self.logarithmic else mean)
            else:
                variance = aovs[name]
                if name in self.exposed:
                    variance = variance * gain.square()
                mean = means[name[: -len("_variance")]]
                found.append(relative_deviation(mean, finite(variance)))
        return torch.cat(found, dim=1)

    def filter(self, planes: Tensor, images: list[Tensor], slope: Maybe) -> list[Tensor]:
        """The components filtered, from the coarsest scale to the finest; with their masks."""
        precision = self.encoder.first.weight.dtype
        planes = planes.to(precision).contiguous(memory_format=torch.channels_last)
        features = self.trunk(self.encoder(planes))
        own = self.of_pixels(planes)
        pyramid = [images]
        slopes: list[Maybe] = [slope]
        for _ in range(self.scales - 1):
            pyramid.append([down_masked(image) for image in pyramid[-1]])
            finer = slopes[-1]
            slopes.append(None if finer is None else functional.avg_pool2d(finer, 2))
        found: list[Tensor] = []
        for index, scale in enumerate(self.filters):
            level = self.scales - 1 - index
            pixels = own if level == 0 else None
            found = scale(features[index], pixels, slopes[level], pyramid[level], found)
        return found

    def of_pixels(self, planes: Tensor) -> Maybe:
        """What the encoder keeps of every pixel, folded."""
        found = self.encoder.of_pixels(planes)
        return found[0] if len(found) > 0 else None

    def composed(self, parts: dict[str, Tensor]) -> Tensor:
        """`features.compose`, still exposed."""
        color = parts["specular"]
        if self.split:
            color = color + parts["emission"]
            color = color + parts["irradiance"] * demodulator(parts["albedo"])
        return color


def masked(image: Tensor) -> Tensor:
    """An image with a mask of where it is finite, 0 elsewhere [B,C+1,H,W]."""
    valid = torch.isfinite(image).all(dim=1, keepdim=True)
    return torch.cat([torch.where(valid, image, 0.0), valid.to(image.dtype)], dim=1)
