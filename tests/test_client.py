"""The client with real workers: results, progress, cancelling, and what it survives."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kpcn_core import client_launch
from kpcn_core.client import Client, Done, Event, Failed, Job, Restarted
from kpcn_core.errors import Cancelled, KpcnError, MissingFrames, Unsupported, WorkerFailed
from kpcn_core.protocol import Denoise, FrameFailed, FrameWritten, Inspect, Log, Progress
from tests.shots import WORKER, Shot, make_shot, wait_for_end


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Shot:
    return make_shot(tmp_path_factory.mktemp("shot"))


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Shared: every test starts with the worker that the one before left, or with a new one."""
    shared = Client("test", environment={**os.environ, "KPCN_PYTHON": sys.executable})
    yield shared
    shared.close()


def pid(client: Client) -> int:
    assert client.worker is not None
    return client.worker.pid


def wait_for(job: Job[Any], happened: Callable[[Event[Any]], bool]) -> Event[Any]:
    return next(event for event in job if happened(event))


def is_progress(event: Event[Any]) -> bool:
    return isinstance(event, Progress)


def same_files(paths: list[Path], others: list[Path]) -> bool:
    return [path.read_bytes() for path in paths] == [path.read_bytes() for path in others]


def test_a_range_is_as_by_the_command_bit_for_bit(client: Client, shot: Shot) -> None:
    job = client.denoise(shot.request("client"))
    events = list(job)
    assert isinstance(events[-1], Done)
    assert events[-1].result.outputs == tuple(map(str, shot.outputs("client")))
    assert same_files(shot.outputs("client"), shot.by_command("command"))
    written = [event.output for event in events if isinstance(event, FrameWritten)]
    assert written == list(map(str, shot.outputs("client")))
    shares = [event.fraction for event in events if isinstance(event, Progress)]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert any(isinstance(event, Log) for event in events)
    assert job.finished
    assert job.poll() == []


def test_jobs_run_in_order_and_each_has_its_own_events(client: Client, shot: Shot) -> None:
    jobs = [client.denoise(shot.request(name)) for name in ("first", "second")]
    seen = client.inspect(Inspect(str(shot.outputs("noisy")[0])))
    assert "color" in seen.result().aovs
    assert all(job.finished for job in jobs)
    for name, job in zip(("first", "second"), jobs, strict=True):
        written = [event.output for event in job.poll() if isinstance(event, FrameWritten)]
        assert written == list(map(str, shot.outputs(name)))


def test_errors_are_those_of_the_library(client: Client, shot: Shot) -> None:
    with pytest.raises(MissingFrames, match="no such file"):
        client.denoise(Denoise("/none.exr", "/out.exr")).result()
    skipped = replace(shot.request("skip"), frames="1-9")
    with pytest.raises(MissingFrames, match="6 of 9 frames are missing: 4-9"):
        client.denoise(skipped).result()


def test_a_frame_that_fails_does_not_stop_the_others(client: Client, shot: Shot) -> None:
    for path in shot.outputs("noisy"):
        (shot.folder / path.name.replace("noisy", "partly")).write_bytes(path.read_bytes())
    (shot.folder / "partly.0002.exr").write_bytes(b"nothing")
    request = replace(shot.request("rest"), input=str(shot.folder / "partly.####.exr"))
    events = list(client.denoise(request))
    failed = [event for event in events if isinstance(event, FrameFailed)]
    assert [event.kind for event in failed] == ["UnreadableFile"]
    assert [path.exists() for path in shot.outputs("rest")] == [True, False, True]
    assert isinstance(events[-1], Failed)
    assert isinstance(events[-1].error, KpcnError)
    assert "1 of 3 frames were not written" in str(events[-1].error)


def test_cancelling_leaves_the_worker_as_it_is(client: Client, shot: Shot) -> None:
    running = client.denoise(shot.long_request("cancelled"))
    waiting = client.denoise(shot.request("cancelled"))
    wait_for(running, is_progress)
    before = pid(client)
    waiting.cancel()
    running.cancel()
    running.cancel()
    for job in (running, waiting):
        with pytest.raises(Cancelled):
            job.result()
    job.cancel()
    assert not list(shot.folder.glob("*cancelled*"))
    client.inspect(Inspect(str(shot.outputs("noisy")[0]))).result()
    assert pid(client) == before


def test_a_worker_that_does_not_obey_is_killed(client: Client, shot: Shot) -> None:
    job = client.denoise(shot.long_request("stuck"))
    wait_for(job, is_progress)
    before = pid(client)
    os.kill(before, signal.SIGSTOP)
    job.cancel()
    assert job.poll() is not None  # the host goes on
    with pytest.raises(Cancelled):
        job.result()
    wait_for_end(before)
    assert client.inspect(Inspect(str(shot.outputs("noisy")[0]))).result()
    assert pid(client) != before


def test_a_worker_that_is_killed_is_reported_and_the_job_goes_on(
    client: Client, shot: Shot
) -> None:
    job = client.denoise(shot.request("killed", tile=2))
    wait_for(job, lambda event: isinstance(event, FrameWritten))
    os.kill(pid(client), signal.SIGKILL)
    restarted = wait_for(job, lambda event: isinstance(event, Restarted))
    assert isinstance(restarted, Restarted)
    assert "killed by signal 9" in restarted.reason
    assert f"denoise {shot.noisy}" in restarted.reason
    assert job.result().outputs == tuple(map(str, shot.outputs("killed")))
    assert not list(shot.folder.glob(".*killed*"))


def test_a_job_that_brings_down_two_workers_fails_and_the_next_one_runs(
    shot: Shot, tmp_path: Path
) -> None:
    script = f"""
import os, sys
from pathlib import Path
for life in (Path({str(tmp_path)!r}, "first"), Path({str(tmp_path)!r}, "second")):
    if not life.exists():
        life.touch()
        sys.exit("out of luck")
os.execv(sys.executable, {WORKER!r})
"""
    client = Client(command=[sys.executable, "-c", script])
    unlucky, after = (client.denoise(shot.request(name)) for name in ("unlucky", "after"))
    with pytest.raises(WorkerFailed, match=r"ended with exit code 1(?s:.*)out of luck"):
        unlucky.result()
    assert len(after.result().outputs) == len(shot.outputs("after"))
    assert not any(path.exists() for path in shot.outputs("unlucky"))
    client.close()


def test_a_worker_that_lacks_a_capability_is_not_used() -> None:
    client = Client(requires=["asymmetry"])
    with pytest.raises(Unsupported, match="asymmetry: not known to this worker"):
        client.denoise(Denoise("a.exr", "b.exr")).result()
    client.close()


def test_a_host_that_is_killed_takes_its_worker_along(shot: Shot) -> None:
    script = f"""
import time
from kpcn_core.client import Client
from kpcn_core.protocol import Denoise, Progress
client = Client()
request = {shot.long_request("host")!r}
next(event for event in client.denoise(request) if isinstance(event, Progress))
print(client.worker.pid, flush=True)
time.sleep(600)
"""
    host = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert host.stdout is not None
    worker = int(host.stdout.readline())
    with host:
        host.kill()
    wait_for_end(worker)
    assert not list(shot.folder.glob("*host*"))


def test_a_worker_that_never_reads_does_not_hold_up_the_host() -> None:
    client = Client(command=[sys.executable, "-c", "import time; time.sleep(600)"])
    many = tuple(f"{number:01000}" for number in range(1000))  # more than a pipe holds
    job = client.denoise(Denoise("a.####.exr", "b.####.exr", skip=many))
    assert job.poll() == []
    client.close(timeout=0)
    with pytest.raises(Cancelled):
        job.result()


def test_what_is_no_worker_is_reported_with_what_it_said() -> None:
    script = "import sys; print('hello'); sys.exit('no module named kpcn_core')"
    client = Client(command=[sys.executable, "-c", script])
    events = list(client.denoise(Denoise("a.exr", "b.exr")))
    assert isinstance(events[0], Restarted)
    assert isinstance(events[-1], Failed)
    assert isinstance(events[-1].error, WorkerFailed)
    assert "exit code 1" in str(events[-1].error)
    assert "no module named kpcn_core" in str(events[-1].error)
    assert "hello" in str(events[-1].error)


def test_a_python_that_cannot_be_run_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(WorkerFailed, match="cannot be started"):
        Client(command=[str(tmp_path)]).start()


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path), "APPDATA": str(tmp_path), **more}


def test_the_python_is_the_variables_then_the_config_files_then_this_one(tmp_path: Path) -> None:
    plain = environment(tmp_path)
    assert client_launch.find_python(plain, "/opt/python3.9") == "/opt/python3.9"
    config = client_launch.config_path(plain)
    config.parent.mkdir()
    config.write_text(json.dumps({"python": sys.executable}))
    assert client_launch.find_python(plain, "/opt/python3.9") == sys.executable
    other = tmp_path / "other"
    other.touch()
    assert client_launch.find_python({**plain, "KPCN_PYTHON": str(other)}) == str(other)


def test_a_host_is_not_taken_for_a_python(tmp_path: Path) -> None:
    with pytest.raises(WorkerFailed, match=r"Nuke15\.1.*Set KPCN_PYTHON"):
        client_launch.find_python(environment(tmp_path), "/opt/Nuke15.1")
    missing = environment(tmp_path, KPCN_PYTHON="/none/python")
    with pytest.raises(WorkerFailed, match="KPCN_PYTHON names the Python /none/python"):
        client_launch.find_python(missing)


@pytest.mark.parametrize("text", ["", "[]", "{}", "{"])
def test_a_damaged_config_file_is_refused(tmp_path: Path, text: str) -> None:
    plain = environment(tmp_path)
    config = client_launch.config_path(plain)
    config.parent.mkdir()
    config.write_text(text)
    with pytest.raises(WorkerFailed, match="expected"):
        client_launch.find_python(plain)


def test_the_hosts_python_and_libraries_do_not_reach_the_worker() -> None:
    hosts = {"PYTHONPATH": "/host", "PYTHONHOME": "/host", "LD_LIBRARY_PATH": "/host/lib"}
    cleaned = client_launch.worker_environment({**hosts, "PATH": "/bin", "HOME": "/me"})
    assert cleaned == {"PATH": "/bin", "HOME": "/me", "PYTHONNOUSERSITE": "1"}
