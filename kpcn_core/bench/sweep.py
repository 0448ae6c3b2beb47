"""How the time of a frame grows with one thing."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from kpcn_core.bench.ceilings import Clock
from kpcn_core.bench.run import in_turn
from kpcn_core.bench.stages import Case
from kpcn_core.denoiser import Denoiser
from kpcn_core.model.network import Network


def _pixels(case: Case, factor: int) -> Case:
    """So many times fewer on each side."""
    return replace(case, height=max(1, case.height // factor), width=max(1, case.width // factor))


def _window(case: Case, frames: int) -> Case:
    return replace(case, window=frames)


def _kernels(case: Case, side: int) -> Case:
    """All kernels of that side, of a network that is else the same; with random weights."""
    config = case.denoiser.network.config
    kernels = dict.fromkeys(config.kernels, side)
    torch.manual_seed(0)
    network = Network(replace(config, kernels=kernels, neighbours=side))
    return replace(case, denoiser=Denoiser(network, case.denoiser.device))


def _layers(case: Case, count: int) -> Case:
    return replace(case, layers=count)


# What grows, to the values that are tried, and how a case gets one of them.
SWEEPS: dict[str, tuple[Sequence[int], Callable[[Case, int], Case]]] = {
    "pixels": ((4, 2, 1), _pixels),
    "window": ((1, 3, 5, 7), _window),
    "k": ((3, 5, 11, 21), _kernels),
    "layers": ((0, 1, 4, 8), _layers),
}


def sweep(case: Case, over: str, rounds: int, clock: Clock) -> dict[str, float]:
    """Value to median seconds of a frame, tried in turn.

    Args:
        case: what all but one thing is like.
        over: of `SWEEPS`.
        rounds: see `run.measure`.
        clock: measures.
    """
    values, changed = SWEEPS[over]
    cases = [changed(case, value) for value in values]
    times = in_turn([one.denoise for one in cases], rounds, clock)
    names = (f"{one.width}x{one.height}" for one in cases) if over == "pixels" else map(str, values)
    return dict(zip(names, times, strict=True))
