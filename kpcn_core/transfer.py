"""Pixels between the machine and the device that computes.

A GPU copies to and from pinned memory by itself, while the program goes on; from other memory only
while the program waits. Frames that are read ahead are brought there by the thread that reads them.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from kpcn_core.frame import Frame, Pixels


def staged(frame: Frame, device: torch.device) -> Frame:
    """The same frame in memory from which a device can fetch it while others work."""
    if device.type != "cuda":
        return frame
    with torch.cuda.device(device):
        aovs = {name: _pinned(pixels) for name, pixels in frame.aovs.items()}
        layers = {name: _pinned(pixels) for name, pixels in frame.layers.items()}
    return replace(frame, aovs=aovs, layers=layers)


def tensor(pixels: Pixels, device: torch.device) -> Tensor:
    """Pixels [C,H,W] as a batch of one on the device.

    On a GPU they arrive later, in the order of its work, and must not change until then.
    """
    return torch.from_numpy(np.ascontiguousarray(pixels))[None].to(device, non_blocking=True)


def fetched(images: Mapping[str, Tensor]) -> dict[str, Pixels]:
    """Images [1,C,H,W] of a device as pixels [C,H,W]; the program waits once for all of them."""
    if not any(image.device.type == "cuda" for image in images.values()):
        return {name: image[0].numpy() for name, image in images.items()}
    found = {}
    for name, image in images.items():
        found[name] = torch.empty(image.shape[1:], dtype=image.dtype, pin_memory=True)
        found[name].copy_(image[0], non_blocking=True)
    for device in {image.device for image in images.values()}:
        torch.cuda.current_stream(device).synchronize()
    return {name: pixels.numpy() for name, pixels in found.items()}


def _pinned(pixels: Pixels) -> Pixels:
    source = torch.from_numpy(np.ascontiguousarray(pixels))
    found: Pixels = torch.empty_like(source, pin_memory=True).copy_(source).numpy()
    return found
