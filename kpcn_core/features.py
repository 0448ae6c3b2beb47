"""AOVs -> what the network sees and what its kernels filter (paper §6.1).

All tensors are float32 [B,C,H,W] on one device. Colors are divided by the frame's exposure first,
so that the network and its loss see every shot at the same brightness.
"""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

# Added to the albedo on division and on multiplication, so that black surfaces survive the round
# trip (Bako et al. 2017 use the same value).
ALBEDO_EPSILON = 0.00316
# Floor of the squared mean in a relative variance, in exposed units.
VARIANCE_EPSILON = 1e-4
MIDDLE_GREY = 0.18
EXPOSURE_BLOCK = 16
BLACK = 1e-8

COMPONENTS = ("irradiance", "specular", "emission", "albedo")
# Those whose colors an encoder of all components at once reads; albedo is a guide as well.
LIGHT = ("irradiance", "specular", "emission")

# Named planes of an encoder's input -> channels. A network that filters one component at a time
# reads it as "color", with a flag; others read the components by their names.
PLANES = {
    "color": 3,
    "color_variance": 1,
    "irradiance_flag": 1,
    "irradiance": 3,
    "irradiance_variance": 1,
    "specular": 3,
    "specular_variance": 1,
    "emission": 3,
    "albedo": 3,
    "albedo_variance": 1,
    "normal": 3,
    "normal_variance": 1,
}


@dataclass(frozen=True)
class Component:
    """One of the images that the network filters.

    Attributes:
        name: one of `COMPONENTS`.
        radiance: linear values in exposed units [B,3,H,W]; 0 where not valid.
        variance: variance of their pixel mean [B,3,H,W], or None if the source has none.
        valid: 1 where every channel is finite, else 0 [B,1,H,W].
    """

    name: str
    radiance: Tensor
    variance: Tensor | None
    valid: Tensor

    def cropped(self, rows: slice, columns: slice) -> "Component":
        """A part of the image."""
        variance = None if self.variance is None else self.variance[..., rows, columns]
        return Component(
            self.name, self.radiance[..., rows, columns], variance, self.valid[..., rows, columns]
        )


# TorchScript, which `export` compiles some of these functions with, knows no globals; hence the
# constants among the parameters.


def exposure(
    color: Tensor, block: int = EXPOSURE_BLOCK, black: float = BLACK, grey: float = MIDDLE_GREY
) -> Tensor:
    """The factor [B,1,1,1] that brings an image [B,3,H,W] to middle grey.

    The geometric mean runs over the luminance of 16x16 blocks rather than of pixels, because the
    logarithm of a noisy pixel is biased by its noise.
    """
    return block_exposure(block_luminance(color, block), black, grey)


def block_luminance(color: Tensor, block: int = EXPOSURE_BLOCK) -> Tensor:
    """Mean luminance of the blocks of an image [B,3,H,W] -> [B,1,h,w]."""
    luminance = finite(color).mean(dim=1, keepdim=True).clamp(min=0.0)
    sides = [min(block, size) for size in luminance.shape[-2:]]
    return functional.avg_pool2d(luminance, sides, ceil_mode=True)


def block_exposure(blocks: Tensor, black: float = BLACK, grey: float = MIDDLE_GREY) -> Tensor:
    """The `exposure` [B,1,1,1] of an image whose blocks have these luminances [B,1,h,w]."""
    lit = blocks > black
    logs = torch.where(lit, blocks.clamp(min=black).log(), 0.0).sum(dim=(1, 2, 3), keepdim=True)
    count = lit.sum(dim=(1, 2, 3), keepdim=True)
    mean = torch.where(count > 0, (logs / count.clamp(min=1)).exp(), grey)
    return grey / mean


def component(
    name: str,
    images: Sequence[Tensor],
    variance: Tensor | None,
    gain: Tensor | None = None,
    albedo: Tensor | None = None,
) -> Component:
    """Scale an image and its variance, and mask what is not finite.

    Args:
        name: of the component.
        images: one [B,3,H,W], and others that are subtracted from it.
        variance: of the image, likewise.
        gain: exposure factor [B,1,1,1]; None is 1.
        albedo: what the image is divided by (`demodulator`), likewise; None is 1.
    """
    image = images[0]
    for less in images[1:]:
        image = image - less
    factor = torch.ones_like(image[:, :1, :1, :1]) if gain is None else gain
    if albedo is not None:
        factor = factor / demodulator(albedo)
    scaled = image * factor
    valid = torch.isfinite(scaled).all(dim=1, keepdim=True)
    return Component(
        name,
        torch.where(valid, scaled, 0.0),
        None if variance is None else finite(variance * factor.square()),
        valid.to(scaled.dtype),
    )


def components(
    aovs: Mapping[str, Tensor],
    gain: Tensor,
    split: bool = True,
    make: Callable[..., Component] = component,
) -> dict[str, Component]:
    """Split a frame into the components that are filtered each by kernels of its own.

    With a diffuse layer and an albedo: irradiance = diffuse / albedo, specular, albedo, and
    emission = color - diffuse - specular: light that comes straight from a lamp or the sky, without
    noise but at edges. Without a specular layer, specular = color - diffuse. So nothing is lost.
    Without a split, the whole color is filtered as "specular".

    Args:
        aovs: AOV name to [B,C,H,W]; "color" is needed.
        gain: exposure factor [B,1,1,1].
        split: False to leave the color whole.
        make: does what `component` does.
    """
    color = aovs["color"]
    if not split or not is_split(aovs):
        return _by_name(make("specular", [color], aovs.get("color_mse"), gain))
    diffuse, albedo = aovs["diffuse"], aovs["albedo"]
    specular = [aovs["specular"]] if "specular" in aovs else [color, diffuse]
    found = [
        make("irradiance", [diffuse], aovs.get("diffuse_mse"), gain, albedo),
        make("specular", specular, aovs.get("specular_mse"), gain),
        make("albedo", [albedo], aovs.get("albedo_mse")),
    ]
    if "specular" in aovs:
        # Nobody estimates its variance; but for edges it has none.
        known = torch.zeros_like(color) if "specular_mse" in aovs else None
        found.append(make("emission", [color, diffuse, *specular], known, gain))
    return _by_name(*found)


def is_split(aovs: Container[str]) -> bool:
    """Whether a frame has what it takes to filter diffuse light by itself."""
    return "diffuse" in aovs and "albedo" in aovs


def compose(filtered: Mapping[str, Tensor], gain: Tensor) -> Tensor:
    """The color [B,3,H,W] of filtered components, back in the units of the frame."""
    color = filtered["specular"]
    if "emission" in filtered:
        color = color + filtered["emission"]
    if "irradiance" in filtered:
        color = color + filtered["irradiance"] * demodulator(filtered["albedo"])
    return color / gain


def demodulator(albedo: Tensor, epsilon: float = ALBEDO_EPSILON) -> Tensor:
    """What a diffuse color is divided by to become irradiance."""
    return albedo.clamp(min=0.0) + epsilon


def component_planes(component: Component, aovs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every input plane that the frame can give for one component by itself."""
    flag = 1.0 if component.name == "irradiance" else 0.0
    found = {
        "color": signed_log(component.radiance),
        "irradiance_flag": torch.full_like(component.valid, flag),
    }
    if component.variance is not None:
        found["color_variance"] = relative_deviation(component.radiance, component.variance)
    return found | guide_planes(aovs)


def joint_planes(parts: Mapping[str, Component], aovs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every input plane that the frame can give for all components together."""
    found = guide_planes(aovs)
    for name in LIGHT:
        if name not in parts:
            continue
        part = parts[name]
        found[name] = signed_log(part.radiance)
        if part.variance is not None and f"{name}_variance" in PLANES:
            found[f"{name}_variance"] = relative_deviation(part.radiance, part.variance)
    if "irradiance" in parts and "emission" not in parts:
        found["emission"] = torch.zeros_like(found["irradiance"])
    return found


def guide_planes(aovs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The input planes of what guides the filter without being filtered.

    Albedo as log(1+x). Variances relative to the squared mean, as their square root: converged
    pixels would otherwise all look like 0.
    """
    found = {}
    if "albedo" in aovs:
        found["albedo"] = signed_log(finite(aovs["albedo"]))
    if "normal" in aovs:
        found["normal"] = finite(aovs["normal"])
    for guide in ("albedo", "normal"):
        if guide in aovs and f"{guide}_mse" in aovs:
            mean, variance = finite(aovs[guide]), finite(aovs[f"{guide}_mse"])
            found[f"{guide}_variance"] = relative_deviation(mean, variance)
    return found


def reads_split(planes: Container[str]) -> bool:
    """Whether an encoder of these planes reads diffuse light by itself."""
    return "irradiance" in planes or "irradiance_flag" in planes


def available_planes(aovs: Container[str], split: bool) -> set[str]:
    """Names of the planes that a frame with these AOVs can give, split or whole."""
    guides = {guide for guide in ("albedo", "normal") if guide in aovs}
    guides |= {f"{guide}_variance" for guide in set(guides) if f"{guide}_mse" in aovs}
    if not (split and is_split(aovs)):
        color = {"color", "specular", "irradiance_flag"}
        variance = {"color_variance", "specular_variance"} if "color_mse" in aovs else set()
        return guides | color | variance
    found = guides | {"color", "irradiance_flag", *LIGHT}
    if "diffuse_mse" in aovs:
        found.add("irradiance_variance")
    if "specular_mse" in aovs:
        found.add("specular_variance")
    if all(f"{name}_mse" in aovs for name in ("diffuse", "specular", "albedo")):
        found.add("color_variance")
    return found


def signed_log(values: Tensor) -> Tensor:
    """sign(x) log(1+|x|): log(1+x) that takes the negative values some pixel filters produce."""
    return values.sign() * values.abs().log1p()


def relative_deviation(mean: Tensor, variance: Tensor, epsilon: float = VARIANCE_EPSILON) -> Tensor:
    """Square root of the variance over the squared mean, both summed over channels; 0 to 1."""
    square = mean.square().sum(dim=1, keepdim=True) + epsilon
    ratio = variance.clamp(min=0.0).sum(dim=1, keepdim=True) / square
    return ratio.clamp(max=1.0).sqrt()


def _by_name(*found: Component) -> dict[str, Component]:
    return {component.name: component for component in found}


def finite(values: Tensor) -> Tensor:
    """Values with 0 where they are NaN or Inf."""
    return torch.where(torch.isfinite(values), values, 0.0)
