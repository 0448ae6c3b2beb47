"""From filtered images to the frame that is written: recomposed, in its own units (paper §6.1)."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from kpcn_core import features, restoration
from kpcn_core.errors import MissingAov, UnknownName
from kpcn_core.frame import Frame, Pixels
from kpcn_core.prepared import Prepared, tensor
from kpcn_core.settings import OUTPUTS, Settings


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


def output(prepared: Prepared, settings: Settings, filtered: Mapping[str, Tensor]) -> Frame:
    """The frame with everything that was filtered, recomposed."""
    frame, gain = prepared.frame, prepared.gain
    factors = restoration.gains(prepared, filtered)
    filtered = {name: image * factors.get(name, 1.0) for name, image in filtered.items()}
    parts, layers = prepared.components(filtered), prepared.layers(filtered)
    made = {"color": features.compose(parts, gain), "specular": parts["specular"] / gain}
    if "irradiance" in parts:
        made["albedo"] = parts["albedo"]
        made["diffuse"] = parts["irradiance"] * features.demodulator(parts["albedo"]) / gain
    if "alpha" in layers:
        made["alpha"] = layers.pop("alpha")
    share = restoration.detail(prepared, made["color"])
    aovs = {aov: _kept(made[aov], frame[aov], share) for aov in settings.aovs}
    kept = {name: _kept(layer, frame.layers[name], share) for name, layer in layers.items()}
    return frame.with_aovs(**aovs).with_layers(**kept)


def _kept(result: Tensor, original: Pixels, share: Tensor | None) -> Pixels:
    """A result with its share of the input; all of it where no kernel had a usable pixel (NaN)."""
    if share is not None:
        noisy = tensor(original, result.device)
        given = torch.lerp(result, noisy, share)
        result = torch.where((share > 0) & noisy.isfinite(), given, result)
    pixels = result[0].float().cpu().numpy()
    return np.where(np.isnan(pixels), original, pixels)
