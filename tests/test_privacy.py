"""No command talks to anybody: no connection, no name look-up, no port."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kpcn_core import exr, weights
from tests.frames import random_frame
from tests.networks import random_network

ROOT = Path(__file__).parent.parent
# Ends the process at the first event of Python's that reaches for the network.
GUARDED = """
import os, sys
FORBIDDEN = ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname",
             "socket.sendto", "socket.sendmsg", "urllib.Request", "http.client.connect")
def guard(event, arguments):
    if event in FORBIDDEN:
        os.write(2, f"{event} {arguments}".encode())
        os._exit(99)
sys.addaudithook(guard)
"""
RUN = "from kpcn_core.cli.main import main; main()"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in (1, 2):
        exr.write_frame(tmp_path / f"noisy.{number:04}.exr", random_frame(24, 32, seed=number))
    weights.save(tmp_path / "w.safetensors", random_network(), {"steps": "0"})
    return tmp_path


def guarded(folder: Path, script: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", GUARDED + script, *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.mark.parametrize(
    "words",
    [
        "denoise noisy.####.exr -o clean.####.exr --model w.safetensors --window 3 --flow --resume",
        "compare noisy.0001.exr noisy.0002.exr --reference noisy.0002.exr --oidn --report p.html",
        "inspect noisy.0001.exr",
        "farm noisy.####.exr -o clean.####.exr --template job.json",
        "doctor",
        "models",
    ],
    ids=lambda words: words.split()[0],
)
def test_commands_reach_for_no_network(folder: Path, words: str) -> None:
    run = guarded(folder, RUN, *words.split())
    assert run.returncode == 0, run.stderr


def test_the_guard_would_notice(folder: Path) -> None:
    run = guarded(folder, "import socket; socket.getaddrinfo('localhost', 80)")
    assert run.returncode == 99
    assert "socket.getaddrinfo" in run.stderr
