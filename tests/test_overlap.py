"""The next frame is read, and the last one written, while one is denoised; nothing else changes."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import pytest
import torch

from kpcn_core import claims, exr, exr_file, fingerprint, job_run
from kpcn_core.claims import is_claimed
from kpcn_core.denoiser import Denoiser
from kpcn_core.errors import Cancelled, UnreadableFile, UnwritableFile
from kpcn_core.frame import Frame
from kpcn_core.job import Job, Outcome
from kpcn_core.job_run import JobRun, each, run
from kpcn_core.read_ahead import ReadAhead
from kpcn_core.settings import Settings
from tests.moving import moving_frames
from tests.networks import random_network

FRAMES = 4


@pytest.fixture(scope="module")
def denoiser() -> Denoiser:
    return Denoiser(random_network(), torch.device("cpu"))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    for number, frame in enumerate(moving_frames(FRAMES, 12, 15)):
        exr.write_frame(tmp_path / f"noisy.{number}.exr", frame)
    files = [(tmp_path / f"noisy.{n}.exr", tmp_path / f"clean.{n}.exr") for n in range(FRAMES)]
    return Job(files)


def nothing(done: int, total: int) -> None:
    """Progress that nobody looks at."""


def done(job: Job, denoiser: Denoiser) -> list[Outcome]:
    return list(each(JobRun(job, denoiser), nothing, behind=True))


class Log:
    """Where frames are read, denoised and written, in their order."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.entries: list[tuple[str, str]] = []
        self.threads: dict[tuple[str, str], str] = {}
        self._watch(patch, exr, "read", lambda path, *_: path.stem)
        self._watch(patch, exr, "write", lambda target, *_: target.stem)
        self._watch(patch, Denoiser, "denoise", lambda _, frame, *__: frame.path.stem)

    def _watch(
        self, patch: pytest.MonkeyPatch, owner: Any, name: str, label: Callable[..., str]
    ) -> None:
        original = getattr(owner, name)

        def watched(*args: Any, **options: Any) -> Any:
            entry = name, label(*args)
            self.entries.append(entry)
            self.threads[entry] = threading.current_thread().name
            return original(*args, **options)

        patch.setattr(owner, name, watched)


def test_the_thread_that_reads_a_frame_brings_it_to_where_a_gpu_fetches_it(
    job: Job, denoiser: Denoiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []

    def staged(frame: Frame, device: torch.device) -> Frame:
        assert device == denoiser.device
        threads.append(threading.current_thread().name)
        return frame

    monkeypatch.setattr(job_run, "staged", staged)
    assert not any(outcome.error for outcome in done(job, denoiser))
    assert len(threads) == FRAMES
    assert threads[1:] == [f"read noisy.{n}.exr" for n in range(1, FRAMES)]


def test_the_next_frame_is_read_and_the_last_one_written_in_other_threads(
    job: Job, denoiser: Denoiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(monkeypatch)
    assert not any(outcome.error for outcome in done(job, denoiser))
    assert sorted(log.entries) == sorted(
        (what, f"{which}.{n}")
        for what, which in (("read", "noisy"), ("denoise", "noisy"), ("write", "clean"))
        for n in range(FRAMES)
    )
    main = threading.main_thread().name
    assert {name for (what, _), name in log.threads.items() if what == "denoise"} == {main}
    assert log.threads["read", "noisy.0"] == main
    for number in range(1, FRAMES):
        assert log.threads["read", f"noisy.{number}"] == f"read noisy.{number}.exr"
        assert log.threads["write", f"clean.{number}"] == f"write clean.{number}.exr"


@pytest.mark.parametrize("window", [1, 3])
@pytest.mark.parametrize("resume", [False, True])
def test_files_are_the_same_as_one_after_another(
    job: Job, denoiser: Denoiser, monkeypatch: pytest.MonkeyPatch, window: int, resume: bool
) -> None:
    job = replace(job, window=window, resume=resume)
    targets = [target for _, target in job.files]
    assert [outcome.target for outcome in done(job, denoiser)] == targets
    overlapped = [target.read_bytes() for target in targets]
    for target in targets:
        target.unlink()
    monkeypatch.setattr(Denoiser, "leaves", lambda *_: False)
    log = Log(monkeypatch)
    assert [outcome.target for outcome in done(job, denoiser)] == targets
    assert not any(name.startswith("read") for name in log.threads.values())
    assert [target.read_bytes() for target in targets] == overlapped


def test_frames_in_flight_count_as_memory(job: Job, denoiser: Denoiser) -> None:
    frame = exr.read(job.files[0][0])
    settings = Settings(max_memory=1 << 20)
    sizes = range(0, 1 << 20, 64)
    least = next(size for size in sizes if not denoiser.leaves(frame, settings, 1, size))
    assert least > 0
    assert denoiser.leaves(frame, replace(settings, max_memory=2 << 20), 1, least)
    assert not denoiser.leaves(frame, replace(settings, tile=8), 1, 0)


@pytest.mark.parametrize("window", [1, 3])
def test_a_frame_that_cannot_be_read_or_written_fails_in_its_own_turn(
    job: Job, denoiser: Denoiser, window: int
) -> None:
    job.files[1][0].write_bytes(job.files[1][0].read_bytes()[:-500])
    job.files[2][1].mkdir()
    found = done(replace(job, window=window), denoiser)
    assert [outcome.source for outcome in found] == [source for source, _ in job.files]
    kinds = [type(outcome.error) for outcome in found]
    assert kinds == [type(None), UnreadableFile, UnwritableFile, type(None)]
    assert str(job.files[1][0]) in str(found[1].error)
    assert str(job.files[2][1]) in str(found[2].error)


def test_a_file_that_is_replaced_after_it_was_read_ahead_is_read_again(
    job: Job, denoiser: Denoiser
) -> None:
    other = moving_frames(FRAMES + 1, 12, 15)[-1]
    expected = job.files[0][0].with_name("other.exr")
    exr.write_frame(expected, other)
    outcomes = each(JobRun(job, denoiser), nothing)
    next(outcomes)  # the second frame has been read, or is being read
    exr.write_frame(job.files[1][0], other, overwrite=True)
    assert not any(outcome.error for outcome in outcomes)
    alone = denoiser.denoise(exr.read(expected))
    np.testing.assert_array_equal(exr.read(job.files[1][1])["color"], alone["color"])


def test_a_claim_lasts_until_its_file_is_written(
    job: Job, denoiser: Denoiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, claimed = exr.write, []

    def slow(target: Path, *rest: Any) -> None:
        claimed.append(is_claimed(target))
        write(target, *rest)
        claimed.append(is_claimed(target))

    monkeypatch.setattr(exr, "write", slow)
    assert len(done(replace(job, resume=True), denoiser)) == FRAMES
    assert claimed == [True] * 2 * FRAMES
    assert not list(job.files[0][1].parent.joinpath(fingerprint.FOLDER).glob("*.claim"))


def test_who_waits_for_others_has_claimed_nothing(
    job: Job, denoiser: Denoiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or two machines would wait for the last frames of each other for ever."""
    job = replace(job, resume=True)
    others = claims.turns(job.files, JobRun(job, denoiser).made_of)
    other = next(others)
    claim = other.claim.pop_all()
    ours = [target for _, target in job.files[1:]]

    def nap(seconds: float) -> None:
        for thread in threading.enumerate():
            if thread.name.startswith("write"):
                thread.join()
        assert is_claimed(other.target)
        assert not any(is_claimed(target) for target in ours)
        claim.close()

    monkeypatch.setattr(time, "sleep", nap)
    assert [outcome.target for outcome in done(job, denoiser)] == [*ours, other.target]


def test_what_others_have_claimed_is_not_read_ahead(
    job: Job, denoiser: Denoiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = replace(job, resume=True)
    done(replace(job, files=job.files[2:3]), denoiser)
    log = Log(monkeypatch)
    assert sum(outcome.current for outcome in done(job, denoiser)) == 1
    assert ("read", "noisy.2") not in log.entries


def test_in_place_a_frame_is_written_before_the_next_one_is_denoised(
    job: Job, denoiser: Denoiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [source for source, _ in job.files]
    apart = done(replace(job, window=3), denoiser)
    assert not any(outcome.error for outcome in apart)
    there = replace(job, files=[(path, path) for path in paths], window=3, overwrite=True)
    assert not any(outcome.error for outcome in done(there, denoiser))
    for source, target in job.files:
        np.testing.assert_array_equal(exr.read(source)["color"], exr.read(target)["color"])


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, Cancelled])
def test_what_ends_a_job_leaves_the_file_that_is_being_written_whole(
    job: Job, denoiser: Denoiser, monkeypatch: pytest.MonkeyPatch, stop: type[BaseException]
) -> None:
    began, go_on, write = threading.Event(), threading.Event(), exr.write

    def slow(*args: Any) -> None:
        began.set()
        go_on.wait()
        write(*args)

    monkeypatch.setattr(exr, "write", slow)

    def progress(done: int, total: int) -> None:
        if done > total:  # the second frame, while the first one has no outcome yet
            assert began.wait(60)
            threading.Timer(0.1, go_on.set).start()
            raise stop

    with pytest.raises(stop):
        list(run(replace(job, resume=True), denoiser, progress))
    first, *others = [target for _, target in job.files]
    assert exr.read(first)
    assert not any(target.exists() for target in others)
    assert not list(first.parent.glob(".*.exr"))
    assert not list(first.parent.joinpath(fingerprint.FOLDER).glob("*.claim"))


def test_progress_grows_from_frame_to_frame(job: Job, denoiser: Denoiser) -> None:
    finished, seen = 0, []

    def progress(done: int, total: int) -> None:
        seen.append(finished + done / total)

    for _ in run(replace(job, window=3), denoiser, progress):
        finished += 1
    assert seen == sorted(seen)
    assert {1.0, 2.0, 3.0, 4.0} <= set(seen) == {one for one in seen if one <= 4.0}


def test_a_frame_that_was_not_asked_for_is_dropped(tmp_path: Path) -> None:
    paths = [tmp_path / f"{n}.exr" for n in range(3)]
    frames = moving_frames(3, 8, 8)
    for path, frame in zip(paths, frames, strict=True):
        exr.write_frame(path, frame)
    following: Iterator[Path | None] = iter([paths[1], None])
    read = ReadAhead(exr.read, lambda _: next(following), lambda _: True)
    for number in (0, 2):
        np.testing.assert_array_equal(read(paths[number])["color"], frames[number]["color"])


def test_what_other_threads_print_while_a_file_is_decoded_is_theirs(
    job: Job, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = OpenEXR.File

    def talkative(*args: Any, **options: Any) -> Any:
        if not options.get("header_only"):
            other = threading.Thread(target=print, args=("of another thread",))
            other.start()
            other.join()
            print("of OpenEXR")
            assert "of another thread" in capsys.readouterr().out
        return original(*args, **options)

    monkeypatch.setattr(OpenEXR, "File", talkative)
    exr_file.open_file(job.files[0][0])
    assert capsys.readouterr().out == "of OpenEXR\n"


def test_threads_that_decode_live_as_long_as_the_job(job: Job, denoiser: Denoiser) -> None:
    before = threading.enumerate()
    decoders = OpenEXR.global_thread_count()
    with exr_file.several_threads(3):
        assert OpenEXR.global_thread_count() == 3
    done(job, denoiser)
    started = [thread for thread in threading.enumerate() if thread not in before]
    for thread in started:
        if thread.name.startswith(("read ", "write ")):
            thread.join(60)
    # Those that compute stay, whoever was the first to need them.
    left = [one.name for one in started if one.is_alive() and not one.name.startswith("kpcn")]
    assert (left, OpenEXR.global_thread_count()) == ([], decoders)
