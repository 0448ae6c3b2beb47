"""How well a network does on whole images of scenes that it never saw."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from kpcn_core import features
from kpcn_core.features import Component
from kpcn_core.model.network import Network
from kpcn_core.ops.kernels import apply_kernels
from training.dataset import VALIDATION_PERIOD
from training.errors import InvalidDataset
from training.losses import smape, trust
from training.views import REFERENCE, View

FINAL = "final"
CPU = torch.device("cpu")

Errors = dict[str, tuple[float, float]]  # component or FINAL -> SMAPE before and after


class Sample(NamedTuple):
    """A held-out view at one sample count."""

    view: View
    buffers: tuple[str, ...]

    @property
    def spp(self) -> int:
        """Samples per pixel of the noisy image."""
        return sum(self.view.spp[name] for name in self.buffers)


def samples(views: Iterable[View], counts: Iterable[int]) -> list[Sample]:
    """Each view at each sample count, as nearly as its buffers allow."""
    return [Sample(view, _buffers(view, count)) for view in views for count in sorted(set(counts))]


def measure(network: Network, sample: Sample, encoder: str, device: torch.device) -> Errors:
    """SMAPE of each component and of the recomposed color, noisy and denoised, exposed."""
    noisy = _aovs(sample.view, sample.buffers, device)
    clean = _aovs(sample.view, [REFERENCE], device)
    gain = features.exposure(noisy["color"])
    inputs, targets = features.components(noisy, gain), features.components(clean, gain)
    filtered = {
        name: filter_component(network, component, noisy, encoder)
        for name, component in inputs.items()
    }
    whole = features.components({"color": noisy["color"]}, gain)["specular"]
    images = {name: (inputs[name], filtered[name], target) for name, target in targets.items()}
    color = {name: clean[name] for name in ("color", "color_mse")}
    target = features.components(color, gain)["specular"]
    images[FINAL] = (whole, features.compose(filtered, gain) * gain, target)
    return {name: _errors(*compared) for name, compared in images.items()}


def summary(network: Network, chosen: Sequence[Sample], encoder: str) -> Iterator[str]:
    """Mean SMAPE before and after over the samples of each count; a line a component.

    Raises:
        InvalidDataset: there is no sample.
    """
    if not chosen:
        raise InvalidDataset(
            f"No held-out view to measure: seeds that are multiples of {VALIDATION_PERIOD} are. "
            f"Render some with `kpcn-train render`."
        )
    for spp in sorted({sample.spp for sample in chosen}):
        errors = [measure(network, one, encoder, CPU) for one in chosen if one.spp == spp]
        yield f"{spp} spp, {len(errors)} views: SMAPE noisy -> denoised"
        for name in errors[0]:
            before, after = (fmean(one[name][side] for one in errors) for side in (0, 1))
            yield f"  {name:10} {before:.4f} -> {after:.4f}"


@torch.inference_mode()
def filter_component(
    network: Network, component: Component, aovs: Mapping[str, Tensor], encoder: str
) -> Tensor:
    """A whole component [1,3,H,W] through the network's kernels."""
    planes = network.stack(features.planes(component, aovs), encoder)
    height, width = planes.shape[-2:]
    fold = network.config.fold
    padded = functional.pad(planes, [0, -width % fold, 0, -height % fold])
    logits = network(padded.contiguous(memory_format=torch.channels_last), encoder)
    return apply_kernels(component.radiance, logits[..., :height, :width], component.valid)


def _buffers(view: View, count: int) -> tuple[str, ...]:
    """The largest buffers that together take no more than count samples; at least the smallest."""
    chosen: list[str] = []
    for name in sorted(view.spp, key=lambda name: -view.spp[name]):
        if sum(view.spp[other] for other in chosen) + view.spp[name] <= count:
            chosen.append(name)
    return tuple(chosen) or (min(view.spp, key=lambda name: view.spp[name]),)


def _errors(before: Component, after: Tensor, reference: Component) -> tuple[float, float]:
    """SMAPE of a noisy and a denoised image; pixels count by how sure their reference is."""
    weight = trust(reference) * before.valid
    return (
        float(smape(before.radiance, reference.radiance, weight)),
        float(smape(after, reference.radiance, weight)),
    )


def _aovs(view: View, buffers: Iterable[str], device: torch.device) -> dict[str, Tensor]:
    arrays = view.aovs(list(buffers))
    return {name: torch.from_numpy(array)[None].to(device) for name, array in arrays.items()}
