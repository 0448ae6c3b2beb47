"""Several machines on one sequence do no work twice, and finish what others left."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kpcn_core.claims import CLAIM, turns
from kpcn_core.errors import UnwritableFile
from kpcn_core.fingerprint import FOLDER, beside, made_of, record

LEASE = 1.0

# Denoises by writing its own name; stops for good before it writes the frame `last`.
MACHINE = """
import os, sys, time
from pathlib import Path
import filelock._lease
from tests.test_claims import files_of, fingerprint, LEASE
from kpcn_core.claims import turns
from kpcn_core.fingerprint import record
folder, name, last, skew = Path(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4])
if skew:  # renews its claims by a clock that is wrong by so many seconds
    filelock._lease.touch = lambda path, **_: os.utime(path, (time.time() + skew,) * 2)
for turn in turns(files_of(folder), fingerprint, lease=LEASE, poll=0.05):
    if turn.done:
        continue
    print(turn.target.name, flush=True)
    if turn.target.name == last:
        time.sleep(600)
    time.sleep(0.02)
    turn.target.write_text(name)
    record(turn.target, turn.made_of)
"""


def files_of(folder: Path) -> list[tuple[Path, Path]]:
    return [(folder / f"in.{n}.exr", folder / f"out.{n}.exr") for n in range(12)]


def fingerprint(path: Path) -> str:
    return made_of([path], {"window": 1})


def machine(folder: Path, name: str, last: str = "", skew: float = 0.0) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", MACHINE, str(folder), name, last, str(skew)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for source, _ in files_of(tmp_path):
        source.write_text("noisy")
    return tmp_path


def work(folder: Path) -> list[str]:
    """Do what is left, in this process; the names of what was done."""
    done = []
    for turn in turns(files_of(folder), fingerprint, lease=LEASE, poll=0.05):
        if not turn.done:
            turn.target.write_text("us")
            record(turn.target, turn.made_of)
            done.append(turn.target.name)
    return done


def test_two_machines_share_the_frames(folder: Path) -> None:
    machines = [machine(folder, name) for name in "AB"]
    done = [process.communicate(timeout=60)[0].split() for process in machines]
    assert all(process.returncode == 0 for process in machines)
    assert sorted(done[0] + done[1]) == sorted(target.name for _, target in files_of(folder))
    assert not list((folder / FOLDER).glob("*.claim"))


def test_what_is_current_is_not_done_again(folder: Path) -> None:
    assert len(work(folder)) == 12
    assert work(folder) == []
    (folder / "in.3.exr").write_text("rendered again")
    (folder / "out.5.exr").unlink()
    assert work(folder) == ["out.3.exr", "out.5.exr"]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_machine_that_dies_or_hangs_is_replaced(folder: Path, how: signal.Signals) -> None:
    other = machine(folder, "dead", last="out.2.exr")
    assert other.stdout
    while "out.2" not in other.stdout.readline():
        pass
    other.send_signal(how)
    try:
        done = work(folder)
    finally:
        other.kill()
        other.communicate()
    assert done[-1] == "out.2.exr"
    assert len(done) == 10
    assert (folder / "out.2.exr").read_text() == "us"


def test_a_machine_that_dies_before_it_wrote_its_name_is_replaced(folder: Path) -> None:
    claim = beside(folder / "out.2.exr", CLAIM)
    claim.parent.mkdir()
    claim.touch()
    began = time.monotonic()
    assert work(folder)[-1] == "out.2.exr"
    assert time.monotonic() - began >= LEASE  # it might have been about to
    assert not list((folder / FOLDER).glob("*.claim"))


@pytest.mark.parametrize("skew", [-3600.0, 3600.0])
def test_the_clock_of_a_machine_does_not_matter_to_its_claims(folder: Path, skew: float) -> None:
    other = machine(folder, "skewed", last="out.2.exr", skew=skew)
    assert other.stdout
    while "out.2" not in other.stdout.readline():
        pass
    us = threading.Thread(target=work, args=(folder,))
    us.start()
    us.join(timeout=3 * LEASE)
    assert us.is_alive()  # it waits: a claim that is renewed holds
    assert not (folder / "out.2.exr").exists()
    other.kill()
    other.communicate()
    us.join()
    assert (folder / "out.2.exr").read_text() == "us"


def test_the_end_waits_for_what_others_do(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = files_of(folder)[:2]
    first = turns(files, fingerprint, lease=LEASE)
    ours = next(first)
    naps = []

    def finish(seconds: float) -> None:
        naps.append(seconds)
        ours.target.write_text("A")
        record(ours.target, ours.made_of)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "sleep", finish)
        second = [turn.target.name for turn in turns(files, fingerprint, lease=LEASE, poll=3)]
    assert second == ["out.1.exr", "out.0.exr"]
    assert naps == [3]
    assert "waiting for 1 frames" in caplog.text
    assert [turn.target.name for turn in first] == ["out.1.exr"]


def test_an_input_that_is_missing_gets_its_turn_all_the_same(folder: Path) -> None:
    (folder / "in.0.exr").unlink()
    first = next(turns(files_of(folder), fingerprint))
    assert (first.source.name, first.made_of, first.done) == ("in.0.exr", "", False)


def test_a_folder_that_cannot_be_written_is_an_error(folder: Path) -> None:
    (folder / FOLDER).write_text("in the way")
    with pytest.raises(UnwritableFile, match=r"out\.0\.exr: cannot be claimed"):
        next(turns(files_of(folder), fingerprint))
