"""`Network.planes` of a frame on a GPU, of any size, in a few passes over its pixels.

See `ops.fused_planes`, which needs Triton; `ops.fusion.usable` says where it can serve.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from kpcn_core.features import LIGHT, PLANES, VARIANCE_EPSILON, Component
from kpcn_core.features_pyramid import GUIDES
from kpcn_core.model.network import Network
from kpcn_core.ops import fused_planes
from kpcn_core.ops.fused_planes import Plane

Size = tuple[int, int]


def planes(
    network: Network, parts: Mapping[str, Component], aovs: Mapping[str, Tensor], encoder: str
) -> list[Tensor]:
    """What `convolved.read` reads: grown to whole cells, folded, in the network's precision.

    Args:
        network: whose encoder reads them.
        parts: components of the frame, see `features.components`.
        aovs: its AOVs [1,C,H,W].
        encoder: its name.
    """
    alignment = network.config.alignment
    valid = next(iter(parts.values())).valid
    height, width = valid.shape[-2:]
    size = _ceiled(height, alignment), _ceiled(width, alignment)
    if network.apart:
        return _apart(network, parts, aovs, encoder, size)
    out = _empty(network, encoder, 1, size, valid.device)
    _write(network, encoder, lambda name: _joint(name, parts, aovs), (height, width), out)
    return [out]


def _apart(
    network: Network,
    parts: Mapping[str, Component],
    aovs: Mapping[str, Tensor],
    encoder: str,
    size: Size,
) -> list[Tensor]:
    """Component by component at every scale; what guides them is the same for all."""
    read = network.planes_of(encoder)
    names = [one for guide in GUIDES for one in _read_for(guide, read)]
    here, guides = list(parts.values()), {name: aovs[name] for name in names}
    found = []
    for scale in range(network.config.scales):
        if scale:
            size = size[0] // 2, size[1] // 2
            here = [_coarser(part, size) for part in here]
            guides = {
                name: fused_planes.coarser(aov, size, variance=name.endswith("_mse"))
                for name, aov in guides.items()
            }
        out = _empty(network, encoder, len(here), size, here[0].valid.device)
        for index, part in enumerate(here):
            _of_component(network, encoder, part, guides, out[index : index + 1])
        found.append(out)
    return found


def _read_for(guide: str, read: tuple[str, ...]) -> list[str]:
    """The AOVs that an encoder reads of a guide."""
    deviates = f"{guide}_variance" in read
    return [guide] * (guide in read or deviates) + [f"{guide}_mse"] * deviates


def _coarser(part: Component, size: Size) -> Component:
    """`features_pyramid.coarser`."""
    radiance, valid = fused_planes.coarser_masked(part.radiance, size, part.valid)
    variance = part.variance
    if variance is not None:
        variance = fused_planes.coarser(variance, size, part.valid, variance=True)
    return replace(part, radiance=radiance, variance=variance, valid=valid)


def _of_component(
    network: Network, encoder: str, part: Component, guides: Mapping[str, Tensor], out: Tensor
) -> None:
    """`features.component_planes`."""
    size = part.valid.shape[-2], part.valid.shape[-1]

    def made(name: str) -> Plane:
        if name == "irradiance_flag":
            return fused_planes.one() if part.name == "irradiance" else fused_planes.nothing(1)
        if name in ("color", "color_variance"):
            return _plane(name, part.radiance, part.variance)
        return _guide(name, guides)

    _write(network, encoder, made, size, out)


def _joint(name: str, parts: Mapping[str, Component], aovs: Mapping[str, Tensor]) -> Plane:
    """One of `features.joint_planes`."""
    base = name.removesuffix("_variance")
    if base not in LIGHT:
        return _guide(name, aovs)
    if name == "emission" and name not in parts:
        return fused_planes.nothing(PLANES[name])
    return _plane(name, parts[base].radiance, parts[base].variance)


def _guide(name: str, aovs: Mapping[str, Tensor]) -> Plane:
    """One of `features.guide_planes`."""
    base = name.removesuffix("_variance")
    if name == "normal":
        return fused_planes.value(aovs[base])
    return _plane(name, aovs[base], aovs.get(f"{base}_mse"))


def _plane(name: str, mean: Tensor, variance: Tensor | None) -> Plane:
    if not name.endswith("_variance"):
        return fused_planes.logarithm(mean)
    if variance is None:
        raise KeyError(name)
    return fused_planes.deviation(mean, variance)


def _write(
    network: Network, encoder: str, made: Callable[[str], Plane], size: Size, out: Tensor
) -> None:
    every = [made(name) for name in network.planes_of(encoder)]
    fused_planes.write(every, size, VARIANCE_EPSILON, network.config.fold, out)


def _empty(network: Network, encoder: str, batch: int, size: Size, device: torch.device) -> Tensor:
    """Where the planes of so many components are written, channels last."""
    depth, fold = sum(PLANES[name] for name in network.planes_of(encoder)), network.config.fold
    return torch.empty(
        (batch, depth * fold**2, *(length // fold for length in size)),
        dtype=network.precision,
        device=device,
        memory_format=torch.channels_last,
    )


def _ceiled(length: int, alignment: int) -> int:
    return -(-length // alignment) * alignment
