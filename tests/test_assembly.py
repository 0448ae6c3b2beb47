"""All modules of the paper together: scales, windows and asymmetry at once."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from kpcn_core import features
from kpcn_core.features import Component
from kpcn_core.features_pyramid import Scale, scales
from kpcn_core.model.multiscale import ScaleCompositor, denoise_scales
from kpcn_core.model.specialization import Specialization, log_asymmetry
from kpcn_core.model.temporal import TemporalFeatures, WindowKernels, filter_frames
from kpcn_core.ops.pyramid import down, down_motion
from kpcn_core.ops.trajectory import trajectories
from tests.networks import random_network

SIZE = (13, 18)
CENTRE = 1


class Assembly:
    """The network of the paper, with random weights, for windows of at most five frames."""

    def __init__(self) -> None:
        torch.manual_seed(3)
        self.single = random_network()
        channels = self.single.config.channels
        self.temporal = TemporalFeatures(channels, 2, 2)
        self.kernels = WindowKernels(channels, 5, 1, 2, 2)
        self.specialization = Specialization(channels)
        self.compositor = ScaleCompositor(channels=8)
        for part in (self.temporal, self.kernels, self.specialization, self.compositor):
            for value in part.parameters():
                nn.init.normal_(value, std=0.3)

    @torch.no_grad()
    def denoise(self, frames: Sequence[Component], steps: list[Tensor], asymmetry: float) -> Tensor:
        """The centre frame of a window whose pixels move by the same steps to and fro."""
        back = [-step for step in steps]
        motion = trajectories(steps, back, CENTRE)
        guides = {"albedo": torch.full((1, 3, *SIZE), 0.5), "normal": torch.zeros(1, 3, *SIZE)}
        slope = log_asymmetry(asymmetry, frames[0].radiance)
        pyramids = [scales(frame, guides) for frame in frames]
        levels = []
        for window in zip(*pyramids, strict=True):
            levels.append((window, motion, slope))
            motion, slope = [down_motion(vectors) for vectors in motion], down(slope)
        return denoise_scales(levels, self._denoise_scale, self.compositor)

    def _denoise_scale(self, scale: tuple[tuple[Scale, ...], list[Tensor], Tensor]) -> Tensor:
        window, motion, slope = scale
        spatial = [self._encode(*frame) for frame in window]
        context = self.specialization(self.temporal(spatial, motion, CENTRE), slope)
        parts = [component for component, _ in window]
        return filter_frames(
            context,
            self.kernels,
            [part.radiance for part in parts],
            motion,
            [part.valid for part in parts],
            CENTRE,
        )

    def _encode(self, component: Component, guides: dict[str, Tensor]) -> Tensor:
        planes = self.single.stack(features.planes(component, guides), "generic")
        spatial: Tensor = self.single.spatial(self.single.encoders["generic"](planes))
        return spatial


def window(frames: int, make: str = "noise") -> list[Component]:
    generator = torch.Generator().manual_seed(8)
    images = [torch.rand(1, 3, *SIZE, generator=generator) for _ in range(frames)]
    if make == "constant":
        images = [torch.full_like(image, 0.4) for image in images]
    return [Component("specular", image, None, torch.ones(1, 1, *SIZE)) for image in images]


def steps(frames: int) -> list[Tensor]:
    return [torch.tensor([1.6, -0.7]).view(1, 2, 1, 1).expand(1, 2, *SIZE)] * frames


@pytest.mark.parametrize("frames", [2, 4])
def test_constant_windows_stay_constant_through_everything(frames: int) -> None:
    constant = window(frames, "constant")
    denoised = Assembly().denoise(constant, steps(frames), asymmetry=4.0)
    assert_close(denoised, constant[0].radiance)


def test_asymmetry_acts_together_with_windows_and_scales() -> None:
    noisy, assembly = window(3), Assembly()
    results = [assembly.denoise(noisy, steps(3), asymmetry) for asymmetry in (1.0, 3.0, 10.0)]
    assert all(result.isfinite().all() for result in results)
    change = [(result - results[0]).norm() for result in results]
    assert change == sorted(change)
    assert change[1] > 0


def test_pixels_that_are_not_finite_reach_nothing() -> None:
    frames, assembly = window(3, "constant"), Assembly()
    for index, frame in enumerate(frames):
        frame.valid[..., 5 + index, 4] = 0
        frame.radiance[..., 5 + index, 4] = 0  # as features.components leaves it
    assert_close(assembly.denoise(frames, steps(3), 2.0), torch.full((1, 3, *SIZE), 0.4))
