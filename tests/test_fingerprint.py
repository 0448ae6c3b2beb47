"""What an output was made of: noticed when it changes, kept beside it."""

import os
from pathlib import Path

import pytest

from kpcn_core.errors import UnreadableFile
from kpcn_core.fingerprint import (
    beside,
    check_unchanged,
    is_current,
    is_ours,
    made_of,
    record,
)

SETTINGS = {"network": "a1b2", "asymmetry": 2.0, "layers": {"albedo": "basecolor"}, "aovs": ("x",)}


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    source, target = tmp_path / "in.exr", tmp_path / "out.exr"
    source.write_bytes(b"noisy")
    target.write_bytes(b"clean")
    return source, target


def test_a_recorded_output_is_current_until_its_input_changes(files: tuple[Path, Path]) -> None:
    source, target = files
    assert not is_current(target, made_of([source], SETTINGS))
    record(target, made_of([source], SETTINGS))
    assert is_current(target, made_of([source], SETTINGS))
    source.write_bytes(b"rendered again")
    assert not is_current(target, made_of([source], SETTINGS))
    assert is_ours(target)


def test_an_earlier_time_of_change_counts_too(files: tuple[Path, Path]) -> None:
    """The clock of the machine that wrote it may be behind ours."""
    source, _ = files
    before = made_of([source], SETTINGS)
    os.utime(source, (1, 1))
    assert made_of([source], SETTINGS) != before


@pytest.mark.parametrize(
    "other",
    [{**SETTINGS, "asymmetry": 3.0}, {**SETTINGS, "network": "c3d4"}, {**SETTINGS, "window": 7}],
)
def test_other_settings_are_another_output(
    files: tuple[Path, Path], other: dict[str, object]
) -> None:
    assert made_of(files[:1], SETTINGS) != made_of(files[:1], other)


def test_neighbours_in_the_window_count(files: tuple[Path, Path]) -> None:
    source, other = files
    assert made_of([source, other], SETTINGS) != made_of([source], SETTINGS)


def test_an_output_that_someone_changed_is_not_ours(files: tuple[Path, Path]) -> None:
    source, target = files
    record(target, made_of([source], SETTINGS))
    target.write_bytes(b"painted by hand")
    assert not is_ours(target)
    target.unlink()
    assert not is_ours(target)
    assert not is_current(target, made_of([source], SETTINGS))


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff\xfe", b'{"made_of": 1}'])
def test_a_damaged_note_is_no_note(files: tuple[Path, Path], damage: bytes) -> None:
    source, target = files
    record(target, made_of([source], SETTINGS))
    beside(target, "json").write_bytes(damage)
    assert not is_ours(target)
    assert not is_current(target, made_of([source], SETTINGS))


def test_a_very_long_name_has_a_note(tmp_path: Path) -> None:
    target = tmp_path / f"{'é' * 120}.exr"
    target.touch()
    record(target, "made of this")
    assert is_current(target, "made of this")


def test_a_file_that_is_replaced_meanwhile_is_an_error(files: tuple[Path, Path]) -> None:
    source, _ = files
    before = made_of([source], SETTINGS)
    check_unchanged(source, before, made_of([source], SETTINGS))
    source.write_bytes(b"rendered again")
    with pytest.raises(UnreadableFile, match=r"in\.exr: .* was replaced while"):
        check_unchanged(source, before, made_of([source], SETTINGS))


def test_a_missing_input_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"none\.exr: cannot be read: No such file"):
        made_of([tmp_path / "none.exr"], SETTINGS)


def test_a_file_and_its_predecessor_are_ours_whenever_we_are_killed(
    files: tuple[Path, Path],
) -> None:
    _, target = files
    record(target, "made of that")
    new = target.with_name(".new.exr")
    new.write_bytes(b"cleaner")
    record(target, "made of this", new)
    assert is_ours(target)
    assert not is_current(target, "made of this")
    assert not is_current(target, "made of that")
    new.replace(target)
    assert is_current(target, "made of this")


def test_a_note_before_the_file_makes_no_others_file_ours(files: tuple[Path, Path]) -> None:
    _, target = files
    new = target.with_name(".new.exr")
    new.write_bytes(b"cleaner")
    record(target, "made of this", new)
    assert not is_ours(target)
