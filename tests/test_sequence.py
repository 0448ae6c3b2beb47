"""Patterns and ranges of frames."""

import os
from pathlib import Path

import pytest

from kpcn_core.errors import MissingFrames, UnknownName, UnwritableFile
from kpcn_core.fingerprint import record
from kpcn_core.sequence import expand, numbers, pairs, shots
from kpcn_core.sequence_pattern import Pattern


@pytest.fixture
def shot(tmp_path: Path) -> Path:
    for number in (1001, 1002, 1003, 1005):
        (tmp_path / f"shot.{number}.exr").touch()
    (tmp_path / "shot.1001.exr.bak").touch()
    (tmp_path / "other.1004.exr").touch()
    (tmp_path / "beauty.exr").touch()
    return tmp_path


PLACEHOLDERS = ["####", "@@@@", "%04d", "%4d", "$F4", "${F4}", "<F4>", "<f4>"]


@pytest.mark.parametrize("placeholder", PLACEHOLDERS)
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


@pytest.mark.parametrize("frames", ["abc", "1-", "1001..1005", "1-1000000000", "1-2x0.5", "-"])
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


@pytest.mark.parametrize("placeholder", ["#", "@", "%d", "%01d", "$F", "${F}", "<F>"])
def test_a_placeholder_without_padding(tmp_path: Path, placeholder: str) -> None:
    for number in (9, 10):
        (tmp_path / f"shot.{number}.exr").touch()
    (tmp_path / "shot.0011.exr").touch()
    found = expand(str(tmp_path / f"shot.{placeholder}.exr"))
    assert [path.name for _, path in found] == ["shot.9.exr", "shot.10.exr"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s010_v002/s010_v002.####.exr", "s010_v002/s010_v002.0007.exr"),
        ("s010_v002####.exr", "s010_v0020007.exr"),
        ("v1-2_####.exr", "v1-2_0007.exr"),
        ("a#b@home.####.exr", "a#b@home.0007.exr"),
        ("shot.1001-1100####.exr", "shot.0007.exr"),
        ("####.exr", "0007.exr"),
        ("%04d_beauty.denoised.exr", "0007_beauty.denoised.exr"),
        ("$FF_$F3.exr", "$FF_007.exr"),
        ("日本 [2] (1).####.exr", "日本 [2] (1).0007.exr"),
    ],
)
def test_other_digits_and_signs_of_a_name_stay(text: str, expected: str) -> None:
    assert Pattern.parse(text).path(7) == Path(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("shot.####.##.exr", "found #### and ##"),
        ("texture.<UDIM>.exr", "UDIM"),
        ("####/beauty.exr", "not in a folder's"),
    ],
)
def test_a_pattern_that_is_not_understood_is_refused(text: str, expected: str) -> None:
    with pytest.raises(UnknownName, match=expected):
        expand(text)


@pytest.mark.parametrize("name", ["a#b.exr", "me@home.exr", "take%2.exr", "$Final.exr"])
def test_a_sign_within_a_name_is_no_placeholder(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert expand(str(tmp_path / name)) == [(0, tmp_path / name)]


@pytest.mark.parametrize("minus_five", ["-005", "-0005"])
def test_negative_frames_are_found_as_nuke_and_as_houdini_write_them(
    tmp_path: Path, minus_five: str
) -> None:
    for number in (minus_five, "0000", "0005"):
        (tmp_path / f"shot.{number}.exr").touch()
    found = expand(str(tmp_path / "shot.####.exr"))
    assert [number for number, _ in found] == [-5, 0, 5]
    assert len(expand(str(tmp_path / "shot.####.exr"), "-5-0x5")) == 2
    files = pairs(str(tmp_path / "shot.####.exr"), str(tmp_path / "clean.####.exr"), "-5")
    assert files == [(tmp_path / f"shot.{minus_five}.exr", tmp_path / "clean.-005.exr")]


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ("-3--1", [-3, -2, -1]),
        ("10-6x-2", [10, 8, 6]),
        ("1-3, 7", [1, 2, 3, 7]),
        ("5", [5]),
        ("1-9:4,2", [1, 5, 9, 2]),
    ],
)
def test_ranges(frames: str, expected: list[int]) -> None:
    assert numbers(frames) == expected


def test_another_padding_on_disk_is_pointed_to(shot: Path) -> None:
    with pytest.raises(MissingFrames, match=r"other digits\. Write .*shot\.####\.exr"):
        expand(str(shot / "shot.######.exr"))
    with pytest.raises(MissingFrames, match=r"Write shot\.####\.exr"):
        expand(str(shot / "shot.*.exr"))


def test_gaps_are_a_warning_with_a_list(shot: Path, caplog: pytest.LogCaptureFixture) -> None:
    expand(str(shot / "shot.####.exr"))
    assert "missing between 1001 and 1005: 1004" in caplog.text
    caplog.clear()
    expand(str(shot / "shot.####.exr"), "1001-1003")
    assert not caplog.text


def names(files: list[Path]) -> list[str]:
    return [path.name.split(".")[1] for path in files]


def test_a_shot_ends_at_a_gap_and_knows_the_neighbours_of_what_is_asked_for(shot: Path) -> None:
    found = shots(str(shot / "shot.####.exr"), str(shot / "clean.####.exr"), "1002,1005")
    assert [names([source for source, _ in part.files]) for part in found] == [["1002"], ["1005"]]
    assert [names(part.frames) for part in found] == [["1001", "1002", "1003"], ["1005"]]


def test_a_sequence_on_twos_is_one_shot(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(1, 10, 2):
        (tmp_path / f"shot.{number:04d}.exr").touch()
    found = shots(str(tmp_path / "shot.####.exr"), str(tmp_path / "clean.####.exr"))
    assert [len(part.frames) for part in found] == [5]
    assert not caplog.text


@pytest.fixture
def stereo(tmp_path: Path) -> Path:
    for view in ("left", "right"):
        (tmp_path / view).mkdir()
        for number in (1, 2):
            (tmp_path / view / f"s_{view}.{number:04d}.exr").touch()
    (tmp_path / "left" / "s_right.0001.exr").touch()
    return tmp_path


def test_each_view_is_a_shot_of_its_own(stereo: Path) -> None:
    output = stereo / "clean_%V.####.exr"
    found = shots(str(stereo / "%V" / "s_%V.%04d.exr"), str(output), "1-2")
    targets = [[target.name for _, target in part.files] for part in found]
    assert targets == [
        ["clean_left.0001.exr", "clean_left.0002.exr"],
        ["clean_right.0001.exr", "clean_right.0002.exr"],
    ]
    assert all(len(part.frames) == 2 for part in found)


def test_views_by_one_letter(tmp_path: Path) -> None:
    for name in ("s_l.1.exr", "s_r.1.exr", "s_left.1.exr"):
        (tmp_path / name).touch()
    files = pairs(str(tmp_path / "s_%v.#.exr"), str(tmp_path / "c_%v.#.exr"))
    assert [target.name for _, target in files] == ["c_l.1.exr", "c_r.1.exr"]


@pytest.mark.parametrize("output", ["clean.####.exr", "clean_%v.####.exr"])
def test_input_and_output_have_the_same_view(stereo: Path, output: str) -> None:
    with pytest.raises(UnknownName, match="placeholder for the view"):
        shots(str(stereo / "%V" / "s_%V.%04d.exr"), str(stereo / output))


def test_views_that_are_not_there(stereo: Path) -> None:
    with pytest.raises(MissingFrames, match="in any view"):
        shots(str(stereo / "%V" / "none_%V.####.exr"), str(stereo / "%V" / "clean.####.exr"))


def test_ten_thousand_frames_are_listed_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 10_001):
        (tmp_path / f"shot.{number:04d}.exr").touch()
    asked: list[Path] = []
    exists = Path.exists

    def counted(path: Path) -> bool:
        asked.append(path)
        return exists(path)

    monkeypatch.setattr(Path, "exists", counted)
    files = pairs(str(tmp_path / "shot.####.exr"), str(tmp_path / "clean.####.exr"))
    assert len(files) == 10_000
    assert files[-1][1].name == "clean.10000.exr"
    assert len(asked) < 10


def test_resuming_replaces_what_is_ours_and_nothing_else(shot: Path) -> None:
    arguments = str(shot / "shot.####.exr"), str(shot / "clean.####.exr")
    for number in (1001, 1002):
        (shot / f"clean.{number}.exr").touch()
        record(shot / f"clean.{number}.exr", "made of something")
    assert len(shots(*arguments, resume=True)) == 2
    (shot / "clean.1002.exr").write_text("painted by hand")
    with pytest.raises(UnwritableFile, match=r"clean\.1002\.exr: exists already, and was not"):
        shots(*arguments, resume=True)
    assert len(shots(*arguments, resume=True, overwrite=True)) == 2


def test_what_is_replaced_cannot_be_resumed(shot: Path) -> None:
    pattern = str(shot / "shot.####.exr")
    with pytest.raises(UnwritableFile, match="cannot be resumed"):
        shots(pattern, pattern, resume=True, overwrite=True)
