"""From filtered images to the frame that is written: recomposed, in its own units (paper §6.1)."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from kpcn_core import features, restoration, structure
from kpcn_core.brightness import gains
from kpcn_core.errors import MissingAov, UnknownName
from kpcn_core.frame import Frame
from kpcn_core.ops import compiler, fusion
from kpcn_core.ops.workers import in_rows
from kpcn_core.prepared import Prepared
from kpcn_core.settings import OUTPUTS, Settings
from kpcn_core.transfer import fetched, tensor

LIGHT = ("color", "diffuse", "specular")  # AOVs that structure of the color is also structure of


def check_color(frame: Frame) -> None:
    """Raise MissingAov if a frame has no beauty."""
    if "color" not in frame:
        raise MissingAov(
            f"{frame.label}: no beauty to denoise; the frame has {', '.join(frame.aovs)}. "
            f"Map it with --aov color=LAYER."
        )


def check_outputs(frame: Frame, aovs: Sequence[str], split: bool) -> None:
    """Raise if an AOV cannot be denoised in a frame.

    Raises:
        UnknownName: it never can.
        MissingAov: the frame, or its encoder, lacks what that needs.
    """
    apart = split and features.is_split(frame)
    for aov in aovs:
        if aov not in OUTPUTS:
            raise UnknownName(f"AOV '{aov}' cannot be denoised. Possible: {', '.join(OUTPUTS)}.")
        if aov in ("color", "alpha") and aov in frame:
            continue
        if not (apart and aov in frame):
            raise MissingAov(
                f"{frame.label}: denoising '{aov}' needs the AOVs {aov}, diffuse and albedo; "
                f"the frame has {', '.join(frame.aovs)}."
            )


def output(
    prepared: Prepared,
    settings: Settings,
    filtered: Mapping[str, Tensor],
    frames: int = 1,
) -> Frame:
    """The frame with everything that was filtered, recomposed.

    Args:
        prepared: the frame.
        settings: what is asked for.
        filtered: component to its filtered image, with what was filtered like it.
        frames: of the window.
    """
    frame, gain = prepared.frame, prepared.gain
    filtered = _textured(prepared, filtered, frames)
    factors = gains(prepared, filtered)
    color = composed(prepared.components(filtered), factors, gain)
    share = restoration.detail(prepared, color)
    made = {"color": kept(color, prepared.aovs["color"], share)}
    shape = structure.factor(prepared, made["color"], color, frames)
    layers: dict[str, Tensor] = {}
    if settings.like or any(aov != "color" for aov in settings.aovs):
        gained = {name: image * factors.get(name, 1.0) for name, image in filtered.items()}
        layers = _layers(prepared, settings, filtered, gained)
        apart = _apart(prepared.components(gained), gain)
        if "alpha" in layers:
            apart["alpha"] = layers.pop("alpha")
        made |= {
            aov: kept(apart[aov], prepared.aovs[aov], share)
            for aov in settings.aovs
            if aov in apart
        }
    aovs = {
        aov: _shaped(made[aov], shape if aov in LIGHT else None)
        for aov in dict.fromkeys(settings.aovs)
    }
    further = {
        name: _shaped(
            kept(layer, tensor(frame.layers[name], layer.device), share),
            None if settings.like[name] == "albedo" else shape,
        )
        for name, layer in layers.items()
    }
    return frame.with_aovs(**fetched(aovs)).with_layers(**fetched(further))


def _textured(
    prepared: Prepared, filtered: Mapping[str, Tensor], frames: int
) -> Mapping[str, Tensor]:
    """Filtered images with what their albedo has lost of its texture."""
    if "albedo" not in filtered:
        return filtered
    blurred, riders = filtered["albedo"][:, :3], filtered["albedo"][:, 3:]
    share = restoration.texture(prepared, blurred, frames)
    if share is None:
        return filtered
    albedo = kept(blurred, prepared.aovs["albedo"], share)
    whole = torch.cat([albedo, riders], dim=1) if riders.shape[1] else albedo
    return {**filtered, "albedo": whole}


def _shaped(image: Tensor, shape: Tensor | None) -> Tensor:
    """What `kept` gave, which nobody else has, times its shape."""
    return image if shape is None else image.mul_(shape)


def _layers(
    prepared: Prepared,
    settings: Settings,
    filtered: Mapping[str, Tensor],
    gained: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """The further layers; those of light keep it as the color does, the others have none."""
    found = prepared.layers(gained)
    still = {name for name, model in settings.riders.items() if model == "albedo"}
    if still:
        plain = prepared.layers(filtered)
        found |= {name: plain[name] for name in still & plain.keys()}
    return found


def _apart(parts: Mapping[str, Tensor], gain: Tensor) -> dict[str, Tensor]:
    """Layers of filtered components, in the units of the frame."""
    found = {"specular": parts["specular"] / gain}
    if "irradiance" in parts:
        found["albedo"] = parts["albedo"]
        found["diffuse"] = parts["irradiance"] * features.demodulator(parts["albedo"]) / gain
    return found


def composed(parts: Mapping[str, Tensor], factors: Mapping[str, Tensor], gain: Tensor) -> Tensor:
    """`features.compose` of components that are multiplied by factors first."""
    like = parts["specular"]
    if fusion.usable(like):
        # Triton is not everywhere.
        from kpcn_core.ops import fused_compositing

        return fused_compositing.composed(parts, factors, gain, features.ALBEDO_EPSILON)
    if not compiler.usable(like):
        gained = {name: image * factors.get(name, 1.0) for name, image in parts.items()}
        return features.compose(gained, gain)
    # numba takes its time to be imported.
    from kpcn_core.ops.compositing import add_light

    scales = {name: float(factors.get(name, 1.0) / gain) for name in parts}
    images = {name: compiler.planes(image) for name, image in parts.items()}
    out = np.empty(like.shape[1:], np.float32)

    def add(first: int, last: int) -> None:
        started = False
        for name in features.LIGHT:
            if name not in images:
                continue
            demodulated = name == "irradiance"
            albedo = images["albedo" if demodulated else name]
            add_light(
                *(images[name], scales[name], albedo, demodulated, features.ALBEDO_EPSILON),
                *(started, first, last, out),
            )
            started = True

    in_rows(add, out.shape[1])
    return torch.from_numpy(out)[None]


def kept(result: Tensor, noisy: Tensor, share: Tensor | None) -> Tensor:
    """A result with its share of the input; all of it where no kernel had a usable pixel (NaN)."""
    if fusion.usable(result):
        # Triton is not everywhere.
        from kpcn_core.ops import fused_compositing

        return fused_compositing.kept(result, noisy, share)
    if share is not None and compiler.usable(result):
        return _given_back(result, noisy, share)
    if share is not None:
        given = torch.lerp(result, noisy, share)
        result = torch.where((share > 0) & noisy.isfinite(), given, result)
    return torch.where(result.isnan(), noisy, result)


def _given_back(result: Tensor, noisy: Tensor, share: Tensor) -> Tensor:
    """`kept` on a CPU, in one pass."""
    # numba takes its time to be imported.
    from kpcn_core.ops.compositing import give_back

    clean, mean, (part,) = (compiler.planes(image) for image in (result, noisy, share))
    out = np.empty(result.shape[1:], np.float32)

    def give(first: int, last: int) -> None:
        for planes in zip(clean, mean, out, strict=True):
            give_back(part, first, last, *planes)

    in_rows(give, out.shape[1])
    return torch.from_numpy(out)[None]
