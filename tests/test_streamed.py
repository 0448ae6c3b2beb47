"""Kernels applied as they are predicted: the same pixels as with all logits in memory."""

import pytest
import torch
from torch.testing import assert_close

from kpcn_core.denoiser import Denoiser
from kpcn_core.model import blocks
from kpcn_core.model.config import FEATURES, KERNELS, RESIDUAL, UNET
from kpcn_core.ops import fusion
from kpcn_core.settings import Settings
from tests.moving import moving_frames
from tests.networks import DEVICE, random_network

pytest.importorskip("triton", reason="Triton is not installed: pip install 'kpcn[fused]'")


# The interpreter multiplies the bits of bfloat16 as if they were integers.
BFLOAT16 = pytest.param(
    "bfloat16",
    marks=[
        pytest.mark.gpu,
        pytest.mark.skipif(DEVICE.type == "cpu", reason="needs a CUDA device"),
    ],
)
# Of the largest pixel. What torch rounds after each of its passes is rounded once here; lambda is
# rounded like the features that it multiplies, where it is painted.
CLOSE = {"float32": 1e-5, "float16": 5e-3, "bfloat16": 3e-2}


@pytest.mark.parametrize("precision", ["float32", "float16", BFLOAT16])
@pytest.mark.parametrize(
    ("trunk", "fold", "where"), [(UNET, 2, FEATURES), (UNET, 2, KERNELS), (RESIDUAL, 1, FEATURES)]
)
def test_a_window_with_layers_and_lambda_is_the_same(
    trunk: str, fold: int, where: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = random_network(trunk, fold, asymmetry=where)
    denoiser = Denoiser(network, DEVICE, precision=precision)
    frames = moving_frames(3, 20, 28)
    settings = Settings(aovs=("color", "diffuse"))

    def rendered(streams: bool) -> dict[str, torch.Tensor]:
        monkeypatch.setattr(fusion, "usable", lambda image: streams)
        monkeypatch.setattr(blocks, "usable", lambda network, image: False)
        encoded = denoiser.window([denoiser.encode(frame, settings) for frame in frames], 1)
        found = denoiser.render(encoded, settings, 3.0)
        return {name: torch.from_numpy(found[name]) for name in settings.aovs}

    expected = rendered(False)
    for name, image in rendered(True).items():
        close = CLOSE[precision]
        assert_close(image, expected[name], rtol=close, atol=close * float(expected[name].max()))
