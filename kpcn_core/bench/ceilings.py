"""What a device can do, measured in the same run: a product of matrices, a copy."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

SIDES = {"cpu": 1024, "cuda": 8192}  # of the matrices
COPIED = {"cpu": 1 << 28, "cuda": 1 << 32}  # bytes


@dataclass(frozen=True)
class Ceilings:
    """The roof over every stage.

    Attributes:
        flops: additions and multiplications a second.
        bandwidth: bytes a second, read and written.
    """

    flops: float
    bandwidth: float


class Clock:
    """How long something takes on a device, until it is done there.

    Args:
        device: what is waited for.
        now: seconds; on a CPU that others use, `time.process_time` tells more than wall time.
    """

    def __init__(self, device: torch.device, now: Callable[[], float]) -> None:
        self.device = device
        self._now = now

    def __call__(self, work: Callable[[], object]) -> float:
        """Seconds of one call."""
        self._wait()
        begun = self._now()
        work()
        self._wait()
        return self._now() - begun

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


@torch.inference_mode()
def ceilings(clock: Clock, dtype: torch.dtype = torch.float32, rounds: int = 10) -> Ceilings:
    """Measure them; the best of some rounds."""
    device = clock.device
    side = SIDES.get(device.type, SIDES["cpu"])
    left, right = (torch.rand(side, side, device=device).to(dtype) for _ in range(2))
    size = COPIED.get(device.type, COPIED["cpu"])
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    product = min(clock(lambda: left @ right) for _ in range(rounds))
    copy = min(clock(lambda: target.copy_(source)) for _ in range(rounds))
    return Ceilings(2 * side**3 / product, 2 * size / copy)
