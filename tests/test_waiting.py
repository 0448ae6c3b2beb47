"""On a GPU, the program runs ahead of the device: what would make it wait, and nothing else does.

Torch's device "meta" has shapes but no numbers: whatever asks for one fails, and so does what mixes
tensors of the device with tensors that were left on the CPU.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from kpcn_core import composite, prepared
from kpcn_core.denoiser import Denoiser
from kpcn_core.frame import Frame, Pixels
from kpcn_core.ops import fused, fused_combiner, fusion
from kpcn_core.settings import HIGH, Settings
from tests.moving import moving_frames
from tests.networks import ASYMMETRIC, random_network

META = torch.device("meta")
SETTINGS = Settings(aovs=("color", "diffuse", "alpha"), like={"group": "specular"})

pytest.importorskip("triton", reason="Triton is not installed: pip install 'kpcn[fused]'")


@pytest.fixture(autouse=True)
def ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Tensor]]:
    """Without the two places where a frame waits for the device: bad pixels, and the result."""
    found: list[Tensor] = []

    def fetched(images: Mapping[str, Tensor]) -> dict[str, Pixels]:
        found.extend(images.values())
        return {name: np.zeros(image.shape[1:], np.float32) for name, image in images.items()}

    monkeypatch.setattr(prepared, "_report_invalid", lambda *_: None)
    monkeypatch.setattr(composite, "fetched", fetched)
    yield found
    assert all(image.device == META and image.dtype == torch.float32 for image in found)


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> list[torch.dtype]:
    """Triton's kernels up to their launch; the precision of the features whose kernels apply."""
    found: list[torch.dtype] = []
    monkeypatch.setattr(fusion, "usable", lambda image: True)
    monkeypatch.setattr(fusion, "launch", lambda *_, **constants: None)
    monkeypatch.setattr(fused_combiner, "_launch", lambda *_: None)
    monkeypatch.setattr(fused, "_launch", lambda rows, *_: found.append(rows.dtype))
    return found


def frames(count: int) -> list[Frame]:
    """With a further layer, and all that restoration reads."""
    group, samples = np.ones((3, 21, 26), np.float32), np.full((1, 21, 26), 8.0, np.float32)
    return [
        frame.with_aovs(sample_count=samples).with_layers(group=group)
        for frame in moving_frames(count, 21, 26)
    ]


@pytest.mark.parametrize(("trunk", "fold", "asymmetry"), ASYMMETRIC)
def test_a_window_and_another_lambda_never_wait(
    trunk: str,
    fold: int,
    asymmetry: str,
    launches: list[torch.dtype],
    ends: list[Tensor],
) -> None:
    network = random_network(trunk, fold, asymmetry=asymmetry)
    denoiser = Denoiser(network, META, precision="bfloat16")
    for settings in (SETTINGS, replace(SETTINGS, quality=HIGH)):
        encoded = [denoiser.encode(frame, settings) for frame in frames(3)]
        window = denoiser.window(encoded, 1)
        for slope in (1.0, np.full((21, 26), 2.0, np.float32)):
            denoiser.render(window, settings, slope)
    assert len(ends) == 2 * 2 * 4
    assert set(launches) == {torch.bfloat16}


@pytest.mark.parametrize("streams", [False, True])
def test_a_frame_in_tiles_never_waits(
    streams: bool, launches: list[torch.dtype], ends: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fusion, "usable", lambda image: streams)
    denoiser = Denoiser(random_network(fold=2), META)
    (frame,) = frames(1)
    denoiser.denoise(frame, ("color", "alpha"), tile=16)
    assert len(ends) == 2
    assert bool(launches) == streams
