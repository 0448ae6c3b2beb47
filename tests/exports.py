"""A small network with every encoder that can be exported, and frames for it."""

import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kpcn_core.denoiser import Denoiser
from kpcn_core.export.nuke_channels import Packing, packing
from kpcn_core.export.single_frame import SingleFrame
from kpcn_core.export.torchscript import NukeDenoiser, scripted
from kpcn_core.frame import Frame, Pixels
from kpcn_core.model.config import KERNELS, UNET
from kpcn_core.model.network import Network
from tests.networks import SPLIT, random_network

WITHOUT = tuple(name for name in SPLIT if not name.endswith("_variance"))
BEAUTY = (
    "specular", "specular_variance", "albedo", "albedo_variance", "normal", "normal_variance",
)  # fmt: skip
ENCODERS = {
    "kpcn": SPLIT,
    "split": WITHOUT,
    "beauty": BEAUTY,
    "generic": ("specular", "albedo", "normal"),
    "plain": ("specular",),
}


@lru_cache
def network() -> Network:
    """Folded, three scales, kernels of 3x3, random."""
    return random_network(UNET, fold=2, encoders=ENCODERS)


@lru_cache
def network_of_kernels() -> Network:
    """The same, but lambda enters the kernels."""
    return random_network(UNET, fold=2, encoders=ENCODERS, asymmetry=KERNELS)


@lru_cache
def module(encoder: str) -> NukeDenoiser:
    """The module for Nuke, not compiled."""
    return module_of(network(), encoder)


def module_of(network: Network, encoder: str) -> NukeDenoiser:
    """The same of any network."""
    frame = SingleFrame(network, encoder)
    return NukeDenoiser(frame, packing(frame.planes))


@lru_cache
def compiled(encoder: str) -> torch.jit.ScriptModule:
    """The module for Nuke."""
    return scripted(module(encoder))


def loaded(path: Path, inside: dict[str, str] | None = None) -> Any:
    """A module as a host reads it, and what else is in its file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.load(path, _extra_files=inside)  # type: ignore[no-untyped-call]


def denoiser() -> Denoiser:
    return Denoiser(network(), torch.device("cpu"))


def tensors(frame: Frame) -> dict[str, Tensor]:
    return {name: torch.from_numpy(pixels)[None] for name, pixels in frame.aovs.items()}


def packed(frame: Frame, packing: Packing, mask: Pixels | None = None) -> Tensor:
    """What Nuke would hand to the module [1,C,H,W]."""
    return packing.pack(
        tensors(frame), None if mask is None else torch.from_numpy(mask)[None, None]
    )
