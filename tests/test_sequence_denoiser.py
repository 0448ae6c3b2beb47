"""Shots: windows that slide over files, what is kept of them, and what cannot be used."""

import logging
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from kpcn_core import exr
from kpcn_core.denoiser import Denoiser
from kpcn_core.errors import UnknownName, UnreadableFile
from kpcn_core.frame import Frame
from kpcn_core.sequence_denoiser import SequenceDenoiser
from kpcn_core.sequence_window import window_reach
from tests.moving import moving_frames
from tests.networks import DEVICE, random_network

FRAMES = 5


@pytest.fixture(scope="module")
def denoiser() -> Denoiser:
    return Denoiser(random_network(), DEVICE, precision="float32")


class Shot:
    """Files of moving frames, and how often each was read."""

    def __init__(self, folder: Path) -> None:
        self.paths = [folder / f"noisy.{number:04d}.exr" for number in range(FRAMES)]
        self.reads: list[int] = []
        for path, frame in zip(self.paths, moving_frames(FRAMES, 12, 15), strict=True):
            exr.write_frame(path, frame)

    def read(self, path: Path) -> Frame:
        self.reads.append(self.paths.index(path))
        return exr.read(path)

    def break_off(self, index: int) -> None:
        """Leave only the beginning of a file, as a disk that is full does."""
        content = self.paths[index].read_bytes()
        self.paths[index].write_bytes(content[: len(content) // 2])


@pytest.fixture
def shot(tmp_path: Path) -> Shot:
    return Shot(tmp_path)


def window_of(denoiser: Denoiser, shot: Shot, frames: range, centre: int) -> Frame:
    """A frame denoised with others, without anything that slides."""
    encoded = [denoiser.encode(exr.read(shot.paths[frame])) for frame in frames]
    return denoiser.render(denoiser.window(encoded, centre - frames[0]))


@pytest.mark.parametrize(("before", "after"), [(1, 1), (2, 0), (0, 2)])
def test_every_frame_has_its_window_shortened_at_the_ends(
    denoiser: Denoiser, shot: Shot, before: int, after: int
) -> None:
    sequence = SequenceDenoiser(denoiser, shot.paths, shot.read, before, after)
    for frame in (0, 2, 4):
        around = range(max(0, frame - before), min(frame + after + 1, FRAMES))
        expected = window_of(denoiser, shot, around, frame)
        assert_allclose(sequence.denoise(frame)["color"], expected["color"], rtol=1e-6)


def test_each_frame_is_read_once_however_many_windows_look_at_it(
    denoiser: Denoiser, shot: Shot
) -> None:
    sequence = SequenceDenoiser(denoiser, shot.paths, shot.read, 1, 1)
    for frame in range(FRAMES):
        sequence.denoise(frame)
    assert shot.reads == list(range(FRAMES))


def test_another_lambda_reads_and_encodes_nothing_again(
    denoiser: Denoiser, shot: Shot, monkeypatch: pytest.MonkeyPatch
) -> None:
    sequence = SequenceDenoiser(denoiser, shot.paths, shot.read, 1, 1)
    symmetric = sequence.denoise(2)
    shot.reads.clear()
    for part in ("encode", "window", "neighbour_logits"):
        monkeypatch.setattr(type(denoiser.network), part, None)  # whoever calls it fails
    careful = sequence.denoise(2, asymmetry=8.0)
    assert not shot.reads
    assert np.abs(careful["color"] - symmetric["color"]).max() > 1e-3
    assert_array_equal(sequence.denoise(2)["color"], symmetric["color"])


def test_what_is_kept_of_a_frame_is_old_when_one_of_its_files_changes(
    denoiser: Denoiser, shot: Shot
) -> None:
    sequence = SequenceDenoiser(denoiser, shot.paths, shot.read, 1, 1)
    assert not sequence.keeps(1)
    sequence.denoise(1)
    assert sequence.keeps(1)
    assert not sequence.keeps(2)
    shot.break_off(3)
    assert sequence.keeps(1)
    shot.break_off(2)
    assert not sequence.keeps(1)


def test_a_window_ends_with_a_warning_at_a_frame_that_is_broken(
    denoiser: Denoiser, shot: Shot, caplog: pytest.LogCaptureFixture
) -> None:
    expected = window_of(denoiser, shot, range(1, 3), 2)
    shot.break_off(3)  # frame 4 lies beyond it, and is not reached either
    sequence = SequenceDenoiser(denoiser, shot.paths, shot.read, 1, 2)
    with caplog.at_level(logging.WARNING):
        assert_allclose(sequence.denoise(2)["color"], expected["color"], rtol=1e-6)
    assert f"{shot.paths[2]}: its window ends at a frame that cannot be used" in caplog.text
    assert str(shot.paths[3]) in caplog.text
    with pytest.raises(UnreadableFile, match=shot.paths[3].name):
        sequence.denoise(3)
    assert np.isfinite(sequence.denoise(4)["color"]).all()


def test_a_window_ends_with_a_warning_where_other_layers_begin(
    denoiser: Denoiser, shot: Shot, caplog: pytest.LogCaptureFixture
) -> None:
    expected = window_of(denoiser, shot, range(3), 2)
    plain = exr.read(shot.paths[3])
    kept = ("color", "albedo", "normal", "forward", "backward")
    frame = Frame({aov: plain[aov] for aov in kept})
    exr.write_frame(shot.paths[3], frame, overwrite=True)
    sequence = SequenceDenoiser(denoiser, shot.paths, shot.read, 2, 2)
    with caplog.at_level(logging.WARNING):
        assert_allclose(sequence.denoise(2)["color"], expected["color"], rtol=1e-6)
    assert "its window ends at a frame with other layers" in caplog.text


def test_a_window_has_an_odd_number_of_frames() -> None:
    assert [window_reach(frames) for frames in (1, 3, 7)] == [0, 1, 3]
    for frames in (0, 2, -1):
        with pytest.raises(UnknownName, match=f"odd number of frames.*got {frames}"):
            window_reach(frames)
