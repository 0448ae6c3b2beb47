"""What a request of a host becomes: jobs with their files."""

from pathlib import Path

import pytest

from kpcn_core.errors import MissingFrames
from kpcn_core.protocol import Denoise
from kpcn_core.worker_engine import jobs

VIEWS = ("left", "right")


@pytest.fixture
def stereo(tmp_path: Path) -> Path:
    for view in VIEWS:
        for number in (1, 2):
            (tmp_path / f"in_{view}.{number}.exr").touch()
            (tmp_path / f"mask_{view}.{number}.exr").touch()
    (tmp_path / "mask.1.exr").touch()
    return tmp_path


def request(folder: Path, mask: str, frames: str | None = None) -> Denoise:
    return Denoise(
        str(folder / "in_%V.#.exr"),
        str(folder / "out_%V.#.exr"),
        frames,
        asymmetry=2.0,
        asymmetry_layer="A",
        asymmetry_input=str(folder / mask),
    )


def test_every_view_has_its_own_asymmetry(stereo: Path) -> None:
    found = jobs(request(stereo, "mask_%V.#.exr"))
    assert len(found) == len(VIEWS)
    for job, view in zip(found, VIEWS, strict=True):
        for number, (source, _) in enumerate(job.files, start=1):
            assert source == stereo / f"in_{view}.{number}.exr"
            assert job.masks[source] == stereo / f"mask_{view}.{number}.exr"


def test_views_may_share_an_asymmetry(stereo: Path) -> None:
    for job in jobs(request(stereo, "mask.#.exr", "1")):
        assert [job.masks[source] for source, _ in job.files] == [stereo / "mask.1.exr"]


def test_a_view_without_its_asymmetry_is_an_error(stereo: Path) -> None:
    (stereo / "mask_right.2.exr").unlink()
    with pytest.raises(MissingFrames, match=r"mask_right\.#\.exr: no asymmetry for the frames 2"):
        jobs(request(stereo, "mask_%V.#.exr"))
