"""Patterns and ranges of frames."""

import os
from pathlib import Path

import pytest

from kpcn_core.errors import MissingFrames, UnknownName, UnwritableFile
from kpcn_core.sequence import expand, pairs


@pytest.fixture
def shot(tmp_path: Path) -> Path:
    for number in (1001, 1002, 1003, 1005):
        (tmp_path / f"shot.{number}.exr").touch()
    (tmp_path / "shot.1001.exr.bak").touch()
    (tmp_path / "other.1004.exr").touch()
    (tmp_path / "beauty.exr").touch()
    return tmp_path


@pytest.mark.parametrize("placeholder", ["####", "@@@@", "%04d", "$F4"])
def test_every_kind_of_placeholder_finds_all_frames_on_disk(shot: Path, placeholder: str) -> None:
    found = expand(str(shot / f"shot.{placeholder}.exr"))
    assert [number for number, _ in found] == [1001, 1002, 1003, 1005]
    assert all(path == shot / f"shot.{number}.exr" for number, path in found)


@pytest.mark.parametrize(
    ("frames", "expected"),
    [("1001-1003", [1001, 1002, 1003]), ("1001-1005x2", [1001, 1003, 1005]), ("1005", [1005])],
)
def test_a_range_selects_frames(shot: Path, frames: str, expected: list[int]) -> None:
    assert [number for number, _ in expand(str(shot / "shot.####.exr"), frames)] == expected


def test_a_range_in_the_pattern_selects_frames(shot: Path) -> None:
    assert len(expand(str(shot / "shot.1001-1003####.exr"))) == 3


def test_missing_frames_are_named(shot: Path) -> None:
    with pytest.raises(MissingFrames, match=r"3 of 7 frames are missing: 1004,1006-1007"):
        expand(str(shot / "shot.####.exr"), "1001-1007")


def test_a_name_without_a_placeholder_is_one_file(shot: Path) -> None:
    assert expand(str(shot / "beauty.exr")) == [(0, shot / "beauty.exr")]
    assert expand(str(shot / "shot.1002.exr")) == [(1002, shot / "shot.1002.exr")]


@pytest.mark.parametrize("pattern", ["none.####.exr", "none.exr", "nowhere/shot.####.exr"])
def test_a_pattern_without_files_is_an_error(shot: Path, pattern: str) -> None:
    with pytest.raises(MissingFrames, match="no such file"):
        expand(str(shot / pattern))


@pytest.mark.parametrize("frames", ["abc", "1-", "1001..1005", "1-1000000000"])
def test_a_range_that_cannot_be_understood_is_an_error(shot: Path, frames: str) -> None:
    with pytest.raises(UnknownName, match="no range of frames"):
        expand(str(shot / "shot.####.exr"), frames)


def test_a_range_needs_a_placeholder(shot: Path) -> None:
    with pytest.raises(UnknownName, match="placeholder"):
        expand(str(shot / "beauty.exr"), "1-5")


def test_targets_have_the_numbers_of_their_inputs(shot: Path) -> None:
    found = pairs(str(shot / "shot.####.exr"), str(shot / "clean.%06d.exr"), "1001-1002")
    assert found[1] == (shot / "shot.1002.exr", shot / "clean.001002.exr")


def test_many_frames_need_a_placeholder_in_the_output(shot: Path) -> None:
    with pytest.raises(UnknownName, match="4 frames need a placeholder"):
        pairs(str(shot / "shot.####.exr"), str(shot / "clean.exr"))
    assert len(pairs(str(shot / "shot.####.exr"), str(shot / "clean.exr"), "1001")) == 1


def test_existing_targets_are_found_before_any_work(shot: Path) -> None:
    (shot / "clean.1003.exr").touch()
    arguments = str(shot / "shot.####.exr"), str(shot / "clean.####.exr")
    with pytest.raises(UnwritableFile, match=r"clean\.1003\.exr: exists already"):
        pairs(*arguments)
    assert len(pairs(*arguments, overwrite=True)) == 4


def test_targets_that_are_done_are_left_out(shot: Path) -> None:
    (shot / "clean.1003.exr").touch()
    done = {str(shot / "clean.1003.exr")}
    found = pairs(str(shot / "shot.####.exr"), str(shot / "clean.####.exr"), skip=done)
    assert [target.name for _, target in found] == [
        f"clean.{number}.exr" for number in (1001, 1002, 1005)
    ]


def test_an_input_is_its_own_output_only_on_request(shot: Path) -> None:
    pattern = str(shot / "shot.####.exr")
    aside = str(shot / "." / ".." / shot.name / "shot.####.exr")
    with pytest.raises(UnwritableFile, match="would replace the input"):
        pairs(pattern, aside)
    assert len(pairs(pattern, aside, overwrite=True)) == 4


def test_the_folder_must_be_there_and_the_target_no_folder(shot: Path) -> None:
    with pytest.raises(UnwritableFile, match="does not exist"):
        pairs(str(shot / "beauty.exr"), str(shot / "nowhere" / "clean.exr"))
    (shot / "clean.exr").mkdir()
    with pytest.raises(UnwritableFile, match="it is a folder"):
        pairs(str(shot / "beauty.exr"), str(shot / "clean.exr"), overwrite=True)


def test_a_read_only_folder_is_refused(shot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The superuser may write anywhere, so permissions alone would not show it.
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UnwritableFile, match="read-only"):
        pairs(str(shot / "beauty.exr"), str(shot / "clean.exr"))
