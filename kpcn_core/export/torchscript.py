"""TorchScript for Nuke's Inference node: one tensor in, one out, attributes as knobs."""

import json
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor, nn

from kpcn_core.export.nuke_channels import Packing
from kpcn_core.export.single_frame import Maybe, SingleFrame
from kpcn_core.model.specialization import MAX_ASYMMETRY

ABOUT = "kpcn.json"  # what the file says of itself, beside the code and the weights


class NukeDenoiser(nn.Module):
    """The denoiser as Nuke's Inference node wants it.

    Args:
        frame: the network.
        packing: what its channels carry.

    Attributes:
        asymmetry: λ, 1 to 10; a knob of this name sets it.
        use_mask: 1: λ applies where the mask is 1, not where it is 0; between, λ to its power.
    """

    def __init__(self, frame: SingleFrame, packing: Packing) -> None:
        super().__init__()
        self.asymmetry = 1.0
        self.use_mask = 0
        self.highest = MAX_ASYMMETRY
        self.frame = frame
        self.names = [one.name for one in packing.inputs]
        self.sizes = [one.channels for one in packing.inputs]

    def forward(self, x: Tensor) -> Tensor:
        """Packed images [1,C,H,W], of any size -> color and a mask [1,4,H,W].

        The mask is 1 where the input was NaN or Inf, and the color there comes from around it.
        """
        images: dict[str, Tensor] = {}
        pieces = torch.split(x.float(), self.sizes, dim=1)
        for name, piece in zip(self.names, pieces):  # noqa: B905 (TorchScript has no strict)
            images[name] = piece
        slope: Maybe = None
        if self.asymmetry > 1.0:
            steepest = math.log(min(self.asymmetry, self.highest))
            slope = torch.full_like(images["color"][:, :1], steepest)
            if self.use_mask != 0 and "mask" in images:
                slope = slope * torch.nan_to_num(images["mask"]).clamp(0.0, 1.0)
        color, invalid = self.frame(images, slope)
        return torch.cat([color, invalid], dim=1).to(x.dtype).contiguous()


def halved(module: NukeDenoiser) -> NukeDenoiser:
    """A copy with float16 layers; images, softmax and sums stay float32."""
    return deepcopy(module).half()


def scripted(module: NukeDenoiser) -> torch.jit.ScriptModule:
    """The module compiled: any size, any device, any precision that its layers are brought to."""
    with _quiet():
        found = torch.jit.script(module.eval())
    assert isinstance(found, torch.jit.ScriptModule)
    return found


def save(path: Path, module: NukeDenoiser, about: Mapping[str, object]) -> None:
    """Write a module with what a person or a program wants to know of it."""
    text = json.dumps(about, indent=2) + "\n"
    with _quiet():
        torch.jit.save(scripted(module), path, _extra_files={ABOUT: text})


@contextmanager
def _quiet() -> Iterator[None]:
    """Torch says that TorchScript is deprecated; Nuke reads nothing else."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*torch.jit.*deprecated", DeprecationWarning)
        yield
