"""How well a network does on whole images of scenes that it never saw."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor

from kpcn_core import features, inference
from kpcn_core.features import Component
from kpcn_core.metrics import display
from kpcn_core.model.network import Network
from kpcn_core.model.reconstruction import Image
from kpcn_core.ops.trajectory import trajectories
from training.baselines import DirectNetwork
from training.batches import Shot, nearest_buffers
from training.dataset import VALIDATION_PERIOD
from training.errors import InvalidDataset
from training.losses import smape, trust
from training.mixture import reader
from training.views import MOTION, REFERENCE, View

FINAL = "final"
CPU = torch.device("cpu")

Errors = dict[str, tuple[float, float]]  # component or FINAL -> SMAPE before and after


class Sample(NamedTuple):
    """A held-out view at one sample count, with so many frames before and, or not, after it."""

    view: View
    buffers: tuple[str, ...]
    reach: int = 0
    future: bool = True
    data: str = ""

    @property
    def label(self) -> str:
        """For people, and for the keys of logs; with the data set, where there are several."""
        label = f"{self.data}-{self.spp}spp" if self.data else f"{self.spp}spp"
        if not self.reach:
            return label
        window = f"window{2 * self.reach + 1}" if self.future else f"past{self.reach}"
        return f"{label}-{window}"

    @property
    def given(self) -> frozenset[str]:
        """The AOVs of the noisy image."""
        return self.view.given(self.buffers)

    @property
    def spp(self) -> int:
        """Samples per pixel of the noisy image."""
        return sum(self.view.spp[name] for name in self.buffers)


def samples(
    views: Iterable[View],
    counts: Iterable[int],
    reach: int = 0,
    future: bool = True,
    data: str = "",
) -> list[Sample]:
    """Each view at each sample count, as nearly as its buffers allow."""
    return [
        Sample(view, _buffers(view, count), reach, future, data)
        for view in views
        for count in sorted(set(counts))
    ]


@torch.inference_mode()
def measure(
    network: Network | DirectNetwork, sample: Sample, encoder: str, device: torch.device
) -> Errors:
    """SMAPE of each component and of the recomposed color, noisy and denoised, exposed."""
    found = _compared(network, sample, encoder, device)
    return {name: _errors(*compared) for name, compared in found.items()}


@torch.inference_mode()
def picture(
    network: Network | DirectNetwork, sample: Sample, encoder: str, device: torch.device
) -> Tensor:
    """The noisy, the denoised and the clean color side by side, as a screen shows it [3,H,3W]."""
    noisy, denoised, clean = _compared(network, sample, encoder, device)[FINAL]
    images = (noisy.radiance, denoised.nan_to_num(), clean.radiance)
    return display(torch.cat(images, dim=-1))[0].cpu()


def _compared(
    network: Network | DirectNetwork, sample: Sample, encoder: str, device: torch.device
) -> dict[str, tuple[Component, Tensor, Component]]:
    """Each component, and the color, noisy, denoised and clean, exposed."""
    view = sample.view
    noisy = _aovs(view, sample.buffers, device)
    clean = _aovs(view, [REFERENCE], device)
    gain = features.exposure(noisy["color"])
    split = features.reads_split(network.planes_of(encoder))
    frames, centre, motion = _window(sample, noisy, device)
    window = [Shot(features.components(aovs, gain, split), aovs) for aovs in frames]
    denoise = network if isinstance(network, DirectNetwork) else partial(_filtered, network)
    # As at inference, in single precision, whatever training computes in.
    with torch.autocast(device.type, enabled=False):
        filtered = denoise(window, motion, centre, encoder)
    targets = features.components(clean, gain, split)
    found = {
        name: (window[centre].parts[name], filtered[name], target)
        for name, target in targets.items()
    }
    whole, target = (features.components(aovs, gain, split=False) for aovs in (noisy, clean))
    color = features.compose(filtered, gain) * gain
    found[FINAL] = (whole["specular"], color, target["specular"])
    return found


def _filtered(
    network: Network, window: Sequence[Shot], motion: Sequence[Tensor], centre: int, encoder: str
) -> dict[str, Tensor]:
    """The components of the centre frame by kernels; arguments as of `DirectNetwork`."""
    encoded = [inference.encode(network, shot.parts, shot.aovs, encoder) for shot in window]
    images = [
        {name: Image(part.radiance, part.valid) for name, part in shot.parts.items()}
        for shot in window
    ]
    contexts = inference.gather(network, encoded, motion, centre)
    others = inference.around(network, contexts, images, motion, centre)
    return inference.render(network, contexts, inference.layers(network, images[centre]), others)


def _window(
    sample: Sample, noisy: dict[str, Tensor], device: torch.device
) -> tuple[list[dict[str, Tensor]], int, list[Tensor]]:
    """The frames around a view, the index of its own, and the motion to each."""
    view, reach = sample.view, sample.reach
    if not reach:
        return [noisy], 0, [torch.zeros_like(noisy["color"][:, :2])]
    frames, vectors = [], []
    for offset in range(-reach, reach * sample.future + 1):
        names = nearest_buffers(view.around[offset], sample.spp) if offset else []
        frames.append(_aovs(view, names, device, offset) if offset else noisy)
        vectors.append(
            [torch.from_numpy(view.motion(aov, offset=offset))[None].to(device) for aov in MOTION]
        )
    forward, backward = zip(*vectors, strict=True)
    return frames, reach, trajectories(forward, backward, reach)


def summary(
    network: Network | DirectNetwork, chosen: Sequence[Sample], encoder: str = ""
) -> Iterator[str]:
    """Mean SMAPE before and after over the samples of each count; a line a component.

    Args:
        network: what denoises.
        chosen: the images.
        encoder: which one reads them; default the first that can.

    Raises:
        InvalidDataset: there is no sample, or the encoder reads what they do not give.
    """
    if not chosen:
        raise InvalidDataset(
            f"No held-out view to measure: seeds that are multiples of {VALIDATION_PERIOD} are. "
            f"Render some with `kpcn-train render`."
        )
    for label in dict.fromkeys(sample.label for sample in chosen):
        errors = [
            measure(network, one, encoder_of(network, one, encoder), CPU)
            for one in chosen
            if one.label == label
        ]
        yield f"{label}, {len(errors)} views: SMAPE noisy -> denoised"
        for name in errors[0]:
            before, after = (fmean(one[name][side] for one in errors) for side in (0, 1))
            yield f"  {name:10} {before:.4f} -> {after:.4f}"


def encoder_of(network: Network | DirectNetwork, sample: Sample, wanted: str = "") -> str:
    """The encoder of a network to read an image with: the one that is wanted, or one that can.

    Raises:
        InvalidDataset: it cannot.
    """
    known = network.config.encoders
    asked = {wanted: known[wanted]} if wanted in known else known
    found = reader(asked, sample.given)
    if found is None or wanted not in ("", found):
        raise InvalidDataset(
            f"{sample.view.path}: has {', '.join(sorted(sample.given))}, from which "
            f"encoder '{wanted or ', '.join(known)}' of this network cannot read all it needs. "
            f"Its encoders: {', '.join(known)}."
        )
    return found


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


def _aovs(
    view: View, buffers: Iterable[str], device: torch.device, offset: int = 0
) -> dict[str, Tensor]:
    arrays = view.aovs(list(buffers), offset=offset)
    return {name: torch.from_numpy(array)[None].to(device) for name, array in arrays.items()}
