"""AOVs -> what the network sees and what its kernels filter (paper §6.1).

All tensors are float32 [B,C,H,W] on one device. Colors are divided by the frame's exposure first,
so that the network and its loss see every shot at the same brightness.
"""

from collections.abc import Mapping
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

# Named planes of an encoder's input -> channels.
PLANES = {
    "color": 3,
    "color_variance": 1,
    "albedo": 3,
    "albedo_variance": 1,
    "normal": 3,
    "normal_variance": 1,
    "irradiance_flag": 1,
}


@dataclass(frozen=True)
class Component:
    """One of the images that the network filters.

    Attributes:
        name: "irradiance", "specular" or "albedo".
        radiance: linear values in exposed units [B,3,H,W]; 0 where not valid.
        variance: variance of their pixel mean [B,3,H,W], or None if the source has none.
        valid: 1 where every channel is finite, else 0 [B,1,H,W].
    """

    name: str
    radiance: Tensor
    variance: Tensor | None
    valid: Tensor


def exposure(color: Tensor) -> Tensor:
    """The factor [B,1,1,1] that brings an image [B,3,H,W] to middle grey.

    The geometric mean runs over the luminance of 16x16 blocks rather than of pixels, because the
    logarithm of a noisy pixel is biased by its noise.
    """
    finite = torch.where(torch.isfinite(color), color, 0.0)
    luminance = finite.mean(dim=1, keepdim=True).clamp(min=0.0)
    block = [min(EXPOSURE_BLOCK, size) for size in luminance.shape[-2:]]
    blocks = functional.avg_pool2d(luminance, block, ceil_mode=True)
    lit = blocks > BLACK
    logs = torch.where(lit, blocks.clamp(min=BLACK).log(), 0.0).sum(dim=(1, 2, 3), keepdim=True)
    count = lit.sum(dim=(1, 2, 3), keepdim=True)
    mean = torch.where(count > 0, (logs / count.clamp(min=1)).exp(), MIDDLE_GREY)
    return MIDDLE_GREY / mean


def components(aovs: Mapping[str, Tensor], gain: Tensor) -> dict[str, Component]:
    """Split a frame into the components that are filtered one by one.

    With a diffuse layer and an albedo: irradiance = diffuse / albedo, specular = color - diffuse
    (so that nothing is lost), and albedo. Without them the whole color is filtered as "specular".

    Args:
        aovs: AOV name to [B,C,H,W]; "color" is needed.
        gain: exposure factor [B,1,1,1].
    """
    color = aovs["color"]
    if "diffuse" not in aovs or "albedo" not in aovs:
        return _by_name(_component("specular", color, aovs.get("color_mse"), gain))
    diffuse, albedo = aovs["diffuse"], aovs["albedo"]
    unit = torch.ones_like(gain)
    return _by_name(
        _component("irradiance", diffuse, aovs.get("diffuse_mse"), gain / demodulator(albedo)),
        _component("specular", color - diffuse, aovs.get("specular_mse"), gain),
        _component("albedo", albedo, aovs.get("albedo_mse"), unit),
    )


def compose(filtered: Mapping[str, Tensor], gain: Tensor) -> Tensor:
    """The color [B,3,H,W] of filtered components, back in the units of the frame."""
    color = filtered["specular"]
    if "irradiance" in filtered:
        color = color + filtered["irradiance"] * demodulator(filtered["albedo"])
    return color / gain


def demodulator(albedo: Tensor) -> Tensor:
    """What a diffuse color is divided by to become irradiance."""
    return albedo.clamp(min=0.0) + ALBEDO_EPSILON


def planes(component: Component, aovs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every input plane of `PLANES` that the frame can give for one component.

    Colors and albedo as log(1+x). Variances relative to the squared mean, as their square root:
    converged pixels would otherwise all look like 0.
    """
    found = {
        "color": signed_log(component.radiance),
        "irradiance_flag": torch.full_like(
            component.valid, 1.0 if component.name == "irradiance" else 0.0
        ),
    }
    if component.variance is not None:
        found["color_variance"] = relative_deviation(component.radiance, component.variance)
    if "albedo" in aovs:
        found["albedo"] = signed_log(_finite(aovs["albedo"]))
    if "normal" in aovs:
        found["normal"] = _finite(aovs["normal"])
    for guide in ("albedo", "normal"):
        if guide in aovs and f"{guide}_mse" in aovs:
            mean, variance = _finite(aovs[guide]), _finite(aovs[f"{guide}_mse"])
            found[f"{guide}_variance"] = relative_deviation(mean, variance)
    return found


def available_planes(aovs: Mapping[str, object]) -> set[str]:
    """Names of the planes that `planes` can give for every component of such a frame."""
    split = "diffuse" in aovs and "albedo" in aovs
    needed = ("diffuse_mse", "specular_mse", "albedo_mse") if split else ("color_mse",)
    found = {"color", "irradiance_flag"}
    guides = {guide for guide in ("albedo", "normal") if guide in aovs}
    found |= guides | {f"{guide}_variance" for guide in guides if f"{guide}_mse" in aovs}
    if all(name in aovs for name in needed):
        found.add("color_variance")
    return found


def signed_log(values: Tensor) -> Tensor:
    """sign(x) log(1+|x|): log(1+x) that takes the negative values some pixel filters produce."""
    return values.sign() * values.abs().log1p()


def relative_deviation(mean: Tensor, variance: Tensor) -> Tensor:
    """Square root of the variance over the squared mean, both summed over channels; 0 to 1."""
    square = mean.square().sum(dim=1, keepdim=True) + VARIANCE_EPSILON
    ratio = variance.clamp(min=0.0).sum(dim=1, keepdim=True) / square
    return ratio.clamp(max=1.0).sqrt()


def _component(name: str, image: Tensor, variance: Tensor | None, factor: Tensor) -> Component:
    """Scale an image and its variance, and mask what is not finite."""
    scaled = image * factor
    valid = torch.isfinite(scaled).all(dim=1, keepdim=True)
    return Component(
        name,
        torch.where(valid, scaled, 0.0),
        None if variance is None else _finite(variance * factor.square()),
        valid.to(scaled.dtype),
    )


def _by_name(*found: Component) -> dict[str, Component]:
    return {component.name: component for component in found}


def _finite(values: Tensor) -> Tensor:
    return torch.where(torch.isfinite(values), values, 0.0)
