"""Pixels to a device and back: the same bits, through memory that it reads by itself."""

import numpy as np
import pytest
import torch

from kpcn_core import transfer
from tests.moving import moving_frames
from tests.networks import DEVICE

CPU = torch.device("cpu")
ON_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def test_on_a_cpu_nothing_is_copied() -> None:
    (frame,) = moving_frames(1, 6, 7)
    assert transfer.staged(frame, CPU) is frame
    image = transfer.tensor(frame["color"], CPU)
    assert np.shares_memory(image.numpy(), frame["color"])
    assert np.shares_memory(transfer.fetched({"color": image})["color"], frame["color"])


def test_pixels_come_back_as_they_went() -> None:
    (frame,) = moving_frames(1, 6, 7)
    frame = frame.with_layers(turned=np.swapaxes(frame["color"], 1, 2))
    there = transfer.staged(frame, DEVICE)
    found = transfer.fetched({name: transfer.tensor(there[name], DEVICE) for name in frame.aovs})
    for name, pixels in frame.aovs.items():
        np.testing.assert_array_equal(found[name], pixels)
    np.testing.assert_array_equal(there.layers["turned"], frame.layers["turned"])


@pytest.mark.gpu
@ON_GPU
def test_a_gpu_fetches_staged_frames_and_results_by_itself() -> None:
    (frame,) = moving_frames(1, 6, 7)
    staged = transfer.staged(frame, DEVICE)["color"]
    assert torch.from_numpy(staged).is_pinned()
    found = transfer.fetched({"color": transfer.tensor(staged, DEVICE)})["color"]
    assert torch.from_numpy(found).is_pinned()
