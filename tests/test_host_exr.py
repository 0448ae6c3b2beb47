"""EXR files that hosts write and read by themselves, against OpenEXR."""

from array import array
from pathlib import Path

import numpy as np
import OpenEXR
import pytest

from kpcn_core import host_exr
from kpcn_core.errors import UnreadableFile
from kpcn_core.host_exr import Picture
from tests.exr_files import all_channels, named, plane, save_exr, save_parts

NAMES = ("R", "G", "B", "A", "normal.X", "Z")


def picture(height: int = 10, width: int = 12) -> Picture:
    planes = named(*NAMES, height=height, width=width)
    return Picture(width, height, {n: array("f", p.tobytes()) for n, p in planes.items()}, 2.0)


def test_openexr_reads_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a.exr"
    host_exr.write(path, host_exr.encoded(picture()))
    assert OpenEXR.File(str(path)).header()["pixelAspectRatio"] == 2.0
    found = all_channels(path)
    for seed, name in enumerate(NAMES):
        np.testing.assert_array_equal(found[0, name], plane(seed))


def test_what_openexr_writes_is_read(tmp_path: Path) -> None:
    path = save_exr(
        tmp_path / "a.exr", named(*NAMES), compression=OpenEXR.NO_COMPRESSION, owner="someone",
        dataWindow=(np.array([3, 5], np.int32), np.array([14, 14], np.int32)),
    )  # fmt: skip
    found = host_exr.read(path)
    assert (found.width, found.height) == (12, 10)
    for seed, name in enumerate(NAMES):
        assert found.channels[name].tobytes() == plane(seed).tobytes()


def test_the_same_content_keeps_the_files_time(tmp_path: Path) -> None:
    path, content = tmp_path / "a.exr", host_exr.encoded(picture())
    host_exr.write(path, content)
    before = path.stat().st_mtime_ns
    host_exr.write(path, content)
    assert path.stat().st_mtime_ns == before
    assert list(tmp_path.iterdir()) == [path]


def test_other_files_are_refused(tmp_path: Path) -> None:
    half = {"R": plane(0).astype(np.float16)}
    files = (
        save_exr(tmp_path / "zip.exr", named("R")),
        save_exr(tmp_path / "half.exr", half, compression=OpenEXR.NO_COMPRESSION),
        save_parts(tmp_path / "parts.exr", {"a": named("R"), "b": named("G")}),
    )
    (tmp_path / "text.exr").write_text("no picture")
    for path in (*files, tmp_path / "text.exr"):
        with pytest.raises(UnreadableFile, match="expected"):
            host_exr.read(path)
