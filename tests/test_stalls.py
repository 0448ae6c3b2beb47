"""A file server that stops answering in the middle of a file."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from numpy.testing import assert_array_equal

from kpcn_core import exr, patience
from kpcn_core.errors import UnreadableFile
from tests.frames import random_frame
from tests.stalling import stalling

SIZE = (160, 160)


@dataclass(frozen=True)
class Share:
    """A file on storage that stops in its middle, and the same file beside it."""

    stalled: Path
    whole: Path
    server: "subprocess.Popen[str]"

    def go_on(self) -> None:
        assert self.server.stdin
        self.server.stdin.write("\n")
        self.server.stdin.flush()

    def wait(self) -> None:
        """Until somebody waits for the server."""
        assert self.server.stdout
        assert self.server.stdout.readline() == "stalled\n"


@pytest.fixture
def share(tmp_path: Path) -> Iterator[Share]:
    whole = tmp_path / "in.exr"
    exr.write_frame(whole, random_frame(*SIZE))
    (tmp_path / "share").mkdir()
    try:
        with stalling(whole, tmp_path / "share", whole.stat().st_size // 2) as server:
            yield Share(tmp_path / "share" / "in.exr", whole, server)
    except OSError as error:
        pytest.skip(f"no FUSE here, or no right to mount it: {error}")


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "WARNING", 0.1)
    monkeypatch.setattr(patience, "LIMIT", 0.5)


@pytest.mark.usefixtures("hasty")
def test_storage_that_stops_answering_is_given_up(
    share: Share, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(UnreadableFile, match=r"in\.exr: its storage has not answered for 0\.5 s"):
        exr.read(share.stalled)
    assert "not answered for 0.1 s; waiting" in caplog.text
    share.go_on()


def test_storage_that_answers_again_is_waited_for(
    share: Share, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(patience, "WARNING", 0.1)
    threading.Timer(0.5, share.go_on).start()
    assert_array_equal(exr.read(share.stalled)["color"], exr.read(share.whole)["color"])
    assert "waiting" in caplog.text


def test_a_command_that_waits_for_storage_ends_when_it_is_asked_to(share: Share) -> None:
    target = share.whole.with_name("out.exr")
    command = [sys.executable, "-m", "kpcn_core", "denoise", str(share.stalled), "-o", str(target)]
    with subprocess.Popen(command) as denoise:
        share.wait()
        denoise.send_signal(signal.SIGTERM)
        while "(zombie)" not in Path(f"/proc/{denoise.pid}/status").read_text():
            time.sleep(0.1)
        # It has ended; of its reading thread the system lets go when the storage answers.
        share.go_on()
        assert denoise.wait() == 128 + signal.SIGTERM
    assert not target.exists()
