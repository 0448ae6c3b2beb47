"""Files appear whole or not at all."""

import errno
import os
import stat
from pathlib import Path

import pytest

from kpcn_core.atomic import replaced
from kpcn_core.errors import UnwritableFile


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out.exr"


def write(path: Path, text: str, *, overwrite: bool = False) -> None:
    with replaced(path, overwrite) as temporary:
        temporary.write_text(text)


def fail(path: Path, error: BaseException) -> None:
    with replaced(path, overwrite=True) as temporary:
        temporary.write_text("half")
        raise error


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_only_when_it_is_whole(target: Path) -> None:
    with replaced(target) as temporary:
        assert temporary.parent == target.parent
        assert temporary.suffix == target.suffix
        temporary.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert names(target.parent) == ["out.exr"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_nothing_is_left_and_the_old_file_stays_when_the_body_fails(
    target: Path, error: type[BaseException]
) -> None:
    write(target, "old")
    with pytest.raises(error):
        fail(target, error())
    assert target.read_text() == "old"
    assert names(target.parent) == ["out.exr"]


def test_an_existing_file_is_replaced_only_on_request(target: Path) -> None:
    write(target, "old")
    with pytest.raises(UnwritableFile, match=r"out\.exr: exists already.*--overwrite"):
        write(target, "new")
    assert target.read_text() == "old"
    write(target, "new", overwrite=True)
    assert target.read_text() == "new"


def test_a_full_disk_is_one_clear_error(target: Path) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(UnwritableFile, match=r"out\.exr: cannot be written: No space left"):
        fail(target, full)
    assert names(target.parent) == []


def test_folders_devices_and_read_only_files_are_refused(target: Path) -> None:
    with pytest.raises(UnwritableFile, match="is a folder"):
        write(target.parent, "", overwrite=True)
    with pytest.raises(UnwritableFile, match="is a device"):
        write(Path(os.devnull), "", overwrite=True)
    write(target, "old")
    target.chmod(stat.S_IRUSR)
    with pytest.raises(UnwritableFile, match="is read-only"):
        write(target, "new", overwrite=True)
    assert target.read_text() == "old"


def test_a_file_cannot_be_a_folder(target: Path) -> None:
    write(target, "a file")
    with pytest.raises(UnwritableFile, match="cannot be written"):
        write(target / "inside.exr", "")


def test_missing_folders_are_made(target: Path) -> None:
    nested = target.parent / "a" / "b" / "out.exr"
    write(nested, "whole")
    assert nested.read_text() == "whole"


def test_a_link_is_written_through(target: Path) -> None:
    write(target, "old")
    link = target.with_name("latest.exr")
    link.symlink_to(target)
    write(link, "new", overwrite=True)
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_new_file_has_the_permissions_of_any_other(target: Path) -> None:
    write(target, "")
    plain = target.with_name("plain")
    plain.touch()
    assert target.stat().st_mode == plain.stat().st_mode
