"""What a window takes of a device's memory while it is filtered, beside what its logits would."""

import resource
from typing import Any

import torch

from kpcn_core.bench.frames import synthetic
from kpcn_core.denoiser import Denoiser
from kpcn_core.features import COMPONENTS
from kpcn_core.settings import Settings

FLOAT = 4  # bytes


@torch.inference_mode()
def peak(denoiser: Denoiser, size: tuple[int, int], window: int, limit: int) -> dict[str, Any]:
    """Peak bytes of filtering one window, without what was there before: frames and features.

    On a CPU it is of the whole process, and tells little.

    Args:
        denoiser: filters.
        size: height and width, pixels.
        window: how many frames.
        limit: bytes that a tile may take.
    """
    settings = Settings(encoder="kpcn", max_memory=limit)
    one = denoiser.encode(synthetic(*size), settings)
    encoded = denoiser.window([one] * window, window // 2)
    before = _held(denoiser.device)
    denoiser.render(encoded, settings)
    used = _most(denoiser.device) - before
    logits = materialized(denoiser, size, window)
    return {"held": before, "peak": used, "logits": logits, "part": used / logits}


def materialized(denoiser: Denoiser, size: tuple[int, int], window: int) -> int:
    """Bytes of all logits of a window in float32, at every scale."""
    config = denoiser.network.config
    centre = sum(config.kernels[name] ** 2 for name in COMPONENTS)
    taps = centre + (window - 1) * len(COMPONENTS) * config.neighbours**2
    pixels = sum((size[0] >> scale) * (size[1] >> scale) for scale in range(config.scales))
    return FLOAT * taps * pixels


def _held(device: torch.device) -> int:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    return _most(device)


def _most(device: torch.device) -> int:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
