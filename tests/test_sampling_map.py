"""Sampling maps from EXR files."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from kpcn_core.errors import InvalidPixels, MissingAov, UnreadableFile
from kpcn_core.renderers.sampling_map import read_sampling_map
from tests.exr_files import save_exr

WANTED = np.arange(12, dtype=np.float32).reshape(3, 4)
OTHER = np.full((3, 4), 100, np.float32)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.uint32])
@pytest.mark.parametrize("name", ["samples.Y", "samples", "samples.R", "budget", "Y"])
def test_the_layer_or_a_single_channel_is_read(tmp_path: Path, name: str, kind: type) -> None:
    path = save_exr(tmp_path / "map.exr", {name: WANTED.astype(kind)})
    counts = read_sampling_map(path)
    assert counts.dtype == np.uint32
    assert_array_equal(counts, WANTED)


def test_the_layer_is_found_among_others(tmp_path: Path) -> None:
    others = dict.fromkeys(("R", "G", "B", "error.Y", "samplesOld.Y"), OTHER)
    path = save_exr(tmp_path / "map.exr", {**others, "samples.Y": WANTED})
    assert_array_equal(read_sampling_map(path), WANTED)


def test_fractions_are_rounded(tmp_path: Path) -> None:
    values = np.array([[0.2, 0.6, 1.4, 7.5001]], np.float32)
    path = save_exr(tmp_path / "map.exr", {"samples.Y": values})
    assert_array_equal(read_sampling_map(path), [[0, 1, 1, 8]])


@pytest.mark.parametrize("names", [("R", "G", "B"), ("samples.R", "samples.G", "samples.B")])
def test_more_than_one_candidate_is_an_error(tmp_path: Path, names: tuple[str, ...]) -> None:
    path = save_exr(tmp_path / "map.exr", dict.fromkeys(names, WANTED))
    with pytest.raises(MissingAov, match=r"map\.exr: expected one channel of a layer 'samples'"):
        read_sampling_map(path)


@pytest.mark.parametrize("value", [-1, np.nan, np.inf, -np.inf, 1e10])
def test_what_is_no_number_of_samples_is_an_error(tmp_path: Path, value: float) -> None:
    values = WANTED.copy()
    values[1, 1] = value
    path = save_exr(tmp_path / "map.exr", {"samples.Y": values})
    with pytest.raises(InvalidPixels, match=r"map\.exr: a sampling map holds numbers from 0"):
        read_sampling_map(path)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"nowhere\.exr"):
        read_sampling_map(tmp_path / "nowhere.exr")
