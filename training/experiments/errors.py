"""How experiments measure: the part of the noisy error that a network leaves."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import torch

from kpcn_core import exr
from kpcn_core.denoiser import Denoiser
from kpcn_core.frame import Frame
from kpcn_core.model.network import Network
from training import validation
from training.baselines import DirectNetwork
from training.experiments.scales import errors as frame_errors
from training.validation import FINAL, Sample


def left(
    network: Network | DirectNetwork, chosen: Sequence[Sample], encoder: str, device: torch.device
) -> float:
    """SMAPE of the color as a part of the noisy image's, mean over images."""
    network = network.to(device)
    found = [validation.measure(network, one, encoder, device)[FINAL] for one in chosen]
    return fmean(denoised / noisy for noisy, denoised in found)


def frames(folder: Path, scenes: Sequence[str], spp: int) -> list[tuple[Frame, torch.Tensor]]:
    """The noisy frame and the reference [1,3,H,W] of scenes: SCENE_SPP.exr, SCENE_reference.exr."""
    return [
        (
            exr.read(folder / f"{scene}_{spp}.exr"),
            torch.from_numpy(exr.read(folder / f"{scene}_reference.exr")["color"])[None],
        )
        for scene in scenes
    ]


def left_of_frames(
    network: Network,
    chosen: Sequence[tuple[Frame, torch.Tensor]],
    encoder: str,
    device: torch.device,
) -> float:
    """The same for frames from files."""
    denoiser = Denoiser(network, device)
    parts = []
    for frame, reference in chosen:
        color = torch.from_numpy(denoiser.denoise(frame, encoder=encoder)["color"])[None]
        noisy = torch.from_numpy(frame["color"])[None]
        parts.append(frame_errors(color, reference)[0] / frame_errors(noisy, reference)[0])
    return fmean(parts)
