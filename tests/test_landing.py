"""Which frames of a render are ready, as they land in any order and from any machine."""

import os
import random
from collections.abc import Iterable
from itertools import count
from pathlib import Path

import pytest

from kpcn_core.errors import Refused, UnwritableFile
from kpcn_core.host_landing import Landing, server_time

START = 1_700_000_000  # seconds; files get times of their own, so that no test waits
ticks = count(1)


class Folder:
    """A render's folder: frames land in it, and are denoised."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def landing(
        self, window: int = 1, frames: Iterable[int] | None = None, since: float = 0.0
    ) -> Landing:
        source, output = (str(self.path / f"{name}.####.exr") for name in ("noisy", "clean"))
        return Landing(source, output, window, frames, since)

    def write(self, name: str, number: int, content: bytes = b"pixels") -> None:
        path = self.path / f"{name}.{number:04d}.exr"
        path.write_bytes(content)
        now = START + next(ticks)
        os.utime(path, (now, now))

    def render(self, *numbers: int) -> None:
        for number in numbers:
            self.write("noisy", number)

    def denoise(self, numbers: Iterable[int]) -> list[int]:
        done = list(numbers)
        for number in done:
            self.write("clean", number)
        return done


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def land(folder: Folder, landing: Landing, number: int) -> list[int]:
    """Render a frame, denoise what is ready."""
    folder.render(number)
    return folder.denoise(landing.ready(number))


def test_without_a_window_each_frame_is_ready_as_it_lands(folder: Folder) -> None:
    landing = folder.landing()
    assert [land(folder, landing, number) for number in (1, 5, 3)] == [[1], [5], [3]]


def test_in_order_a_frame_is_ready_with_the_last_of_its_window_and_the_tail_with_the_last(
    folder: Folder,
) -> None:
    landing = folder.landing(window=5, frames=range(1, 7))
    found = [land(folder, landing, number) for number in range(1, 7)]
    assert found == [[], [], [1], [2], [3], [4, 5, 6]]
    assert landing.rest() == []


@pytest.mark.parametrize("seed", range(20))
def test_out_of_order_and_from_two_machines_each_frame_is_ready_once_with_its_whole_window(
    folder: Folder, seed: int
) -> None:
    frames, chance = list(range(-3, 9)), random.Random(seed)
    machines = [folder.landing(window=5, frames=frames) for _ in range(2)]
    order, done = frames[:], []
    chance.shuffle(order)
    for index, number in enumerate(order):
        found = land(folder, chance.choice(machines), number)
        landed = set(order[: index + 1])
        for one in found:
            assert {n for n in frames if abs(n - one) <= 2} <= landed
        done += found
    assert sorted(done) == frames
    assert [machine.rest() for machine in machines] == [[], []]


def test_two_that_finish_a_window_at_once_both_ask_for_it(folder: Folder) -> None:
    one, other = (folder.landing(window=3, frames=range(1, 4)) for _ in range(2))
    folder.render(1, 2, 3)
    assert one.ready(1) == [1, 2]
    assert other.ready(3) == [2, 3]


def test_a_machine_that_does_not_say_which_frame_landed_finds_all_that_are_ready(
    folder: Folder,
) -> None:
    landing = folder.landing(window=3, frames=range(1, 8))
    folder.render(1, 2, 3, 6)
    assert landing.ready() == [1, 2]
    assert landing.waits_for() == {3: [4], 6: [5, 7]}


def test_without_a_known_end_both_ends_are_left_to_the_rest(folder: Folder) -> None:
    landing = folder.landing(window=3)
    assert [land(folder, landing, number) for number in (1, 2, 3, 4)] == [[], [], [2], [3]]
    assert folder.denoise(landing.rest()) == [1, 4]
    assert landing.rest() == []


def test_after_the_render_frames_beside_a_hole_are_left(folder: Folder) -> None:
    landing = folder.landing(window=3, frames=range(1, 7))
    for number in (1, 2, 3, 5, 6):
        land(folder, landing, number)
    assert landing.waits_for() == {3: [4], 5: [4]}
    assert landing.rest() == [3, 5]


def test_without_known_frames_only_what_looks_at_those_that_landed_is_left(folder: Folder) -> None:
    folder.render(1, 2, 3, 7)
    landing = folder.landing(window=3)
    land(folder, landing, 8)
    assert landing.rest() == [7, 8]


def test_a_frame_that_landed_is_of_the_render_whatever_was_said(folder: Folder) -> None:
    assert land(folder, folder.landing(frames=[1]), 200) == [200]


def test_of_several_that_may_have_landed_those_are_ready_that_have(folder: Folder) -> None:
    folder.render(1, 2, 3, 9)
    assert folder.landing(window=3, frames=range(1, 10)).ready(2, 3, 4) == [1, 2]


def test_a_frame_that_was_announced_too_early_is_looked_at_again(folder: Folder) -> None:
    landing = folder.landing()
    assert landing.ready(1) == []
    folder.render(1)
    assert land(folder, landing, 2) == [1, 2]
    assert land(folder, landing, 3) == [3]


def test_a_render_is_whole_when_all_its_frames_landed_here(folder: Folder) -> None:
    landing = folder.landing(frames=[1, 2])
    landing.ready(1)
    assert not landing.is_whole
    landing.ready(2)
    assert landing.is_whole
    assert folder.landing().is_whole


def test_frames_on_twos_have_windows_on_twos(folder: Folder) -> None:
    landing = folder.landing(window=3, frames=[1, 3, 5])
    assert [land(folder, landing, number) for number in (1, 3, 5)] == [[], [1], [3, 5]]


def test_frames_beyond_the_render_are_not_waited_for_and_not_done(folder: Folder) -> None:
    folder.render(1, 3)
    assert land(folder, folder.landing(window=3, frames=[2]), 2) == [2]


def test_a_frame_that_is_rendered_again_is_ready_again_with_its_neighbours(folder: Folder) -> None:
    landing = folder.landing(window=3, frames=range(1, 6))
    for number in range(1, 6):
        land(folder, landing, number)
    assert land(folder, landing, 3) == [2, 3, 4]
    assert folder.landing(window=3, frames=range(1, 6)).rest() == []


def test_files_of_an_earlier_render_have_not_landed(folder: Folder) -> None:
    folder.render(1, 2, 3)
    landing = folder.landing(window=3, frames=(1, 2, 3), since=START + next(ticks))
    assert [land(folder, landing, number) for number in (1, 2, 3)] == [[], [1], [2, 3]]


def test_an_empty_file_has_not_landed(folder: Folder) -> None:
    folder.write("noisy", 1, b"")
    assert folder.landing().ready(1) == []


def test_a_frame_that_fails_is_tried_again_only_when_its_files_change(folder: Folder) -> None:
    landing = folder.landing(window=3, frames=range(1, 4))
    folder.render(1, 2, 3)
    assert landing.ready() == [1, 2, 3]
    folder.denoise([1, 3])
    assert landing.failed([1, 2, 3]) == [2]
    assert landing.ready() == landing.rest() == []
    folder.render(2)
    assert landing.failed([2]) == []  # someone had only begun to write it
    assert landing.ready(2) == [1, 2, 3]


def test_a_still_is_ready_whatever_the_frame(tmp_path: Path) -> None:
    still = tmp_path / "still_v002.exr"
    landing = Landing(str(still), str(tmp_path / "clean.exr"), frames=[37])
    assert landing.ready(37) == []
    still.write_bytes(b"pixels")
    assert landing.ready(37) == [0]
    assert landing.failed([0]) == [0]
    (tmp_path / "clean.exr").write_bytes(b"pixels")
    assert landing.failed([0]) == []


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(Refused, match="Window 2: must be an odd number"):
        Landing("a.####.exr", "b.####.exr", 2)
    with pytest.raises(Refused, match=r"b\.exr: needs a placeholder"):
        Landing("a.####.exr", "b.exr")


def test_the_time_of_a_folder_is_that_of_files_written_to_it(tmp_path: Path) -> None:
    before = server_time(tmp_path / "new")
    path = tmp_path / "new" / "file"
    path.write_bytes(b"")
    assert before <= path.stat().st_mtime <= server_time(tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == [path]
    with pytest.raises(UnwritableFile, match="cannot be written to"):
        server_time(path)
