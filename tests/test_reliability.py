"""Nothing is ever lost: what can go wrong with machines, disks and files, one test each."""

import json
import math
import multiprocessing
import os
import resource
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import OpenEXR
import pytest
import torch
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpcn_core import exr, fingerprint, weights
from kpcn_core.atomic import replaced
from kpcn_core.cli.main import main
from kpcn_core.denoiser import Denoiser
from kpcn_core.errors import InvalidWeights, KpcnError, UnreadableFile, UnwritableFile
from kpcn_core.fingerprint import is_ours, record
from tests.frames import random_frame
from tests.networks import random_network
from tests.shots import make_shot

# Stops for good at a stage of a write, and says so.
WRITER = """
import os, sys, time
from pathlib import Path
from typing import Any
from kpcn_core import atomic
from kpcn_core.cli.main import end_cleanly
end_cleanly()
stage, target = sys.argv[1], Path(sys.argv[2])

def stop(*_):
    print(stage, flush=True)
    time.sleep(600)

if stage == "flushing":
    os.fsync = stop
if stage == "renaming":
    Path.replace = stop
with atomic.replaced(target, overwrite=True) as temporary:
    if stage == "opened":
        stop()
    with temporary.open("wb") as file:
        file.write(b"new" * 1000)
        file.flush()
        if stage == "half written":
            stop()
        file.write(b"new" * 1000)
print("done", flush=True)
stop()
"""
OLD, NEW = b"old", b"new" * 2000


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("stage", ["opened", "half written", "flushing", "renaming", "done"])
def test_killed_at_any_stage_of_a_write_leaves_the_old_file_or_the_new_one(
    tmp_path: Path, stage: str, there: bool
) -> None:
    target = tmp_path / "out.exr"
    if there:
        target.write_bytes(OLD)
    command = [sys.executable, "-c", WRITER, stage, str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        assert writer.stdout.readline().strip() == stage
        writer.send_signal(signal.SIGKILL)
    if stage == "done":
        assert target.read_bytes() == NEW
    elif there:
        assert target.read_bytes() == OLD
    else:
        assert not target.exists()
    with replaced(target, overwrite=True) as temporary:
        temporary.write_bytes(NEW)
    assert target.read_bytes() == NEW


def test_asked_to_stop_it_leaves_nothing_half_written(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, "half written", str(tmp_path / "out.exr")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        assert writer.stdout.readline().strip() == "half written"
        writer.terminate()
    assert writer.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at(stage: str) -> None:
    """Let this process die where it comes to a stage of its first frame."""
    rename = Path.replace

    def renamed(path: Path, target: Path) -> None:
        if path.suffix == ".exr" and stage == "noted":
            die()
        rename(path, target)
        if path.suffix == ".exr":
            die()

    owner, name, value = {
        "reading": (exr, "read", die),
        "denoising": (Denoiser, "denoise", die),
        "writing": (OpenEXR.File, "write", die),
        "written": (os, "fsync", die),
        "flushed": (fingerprint, "record", die),
        "noted": (Path, "replace", renamed),
        "renamed": (Path, "replace", renamed),
    }[stage]
    setattr(owner, name, value)


STAGES = ("reading", "denoising", "writing", "written", "flushed", "noted", "renamed")


@pytest.mark.parametrize("stage", STAGES)
def test_killed_at_any_stage_of_a_frame_a_second_run_finishes(tmp_path: Path, stage: str) -> None:
    """Outputs of other options are there, and ours: the second run may replace them."""
    shot = make_shot(tmp_path)
    command = ["denoise", shot.noisy, "-o", str(tmp_path / "clean.####.exr"), "--resume"]
    command += ["--model", shot.model, "--device", "cpu"]

    def written(*options: str) -> list[bytes]:
        result = CliRunner().invoke(main, [*command, *options])
        assert result.exit_code == 0, result.output
        return [path.read_bytes() for path in shot.outputs("clean")]

    expected, old = written(), written("--asymmetry", "4")

    def killed() -> None:
        torch.set_num_threads(1)  # no other thread survives a fork
        kill_at(stage)
        CliRunner().invoke(main, command)

    process = multiprocessing.get_context("fork").Process(target=killed)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    for path, whole in zip(shot.outputs("clean"), zip(old, expected, strict=True), strict=True):
        assert path.read_bytes() in whole
    assert written() == expected


@contextmanager
def small_files() -> Iterator[None]:
    """No file may grow beyond 4 KiB in this process, as on a disk that is full by then.

    No fixture: pytest's own output, if it goes to a file, would meet the limit.
    """
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


def test_a_disk_that_fills_up_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "out.exr"
    target.write_bytes(OLD)
    with small_files(), pytest.raises(UnwritableFile, match=r"out\.exr: cannot be written"):
        exr.write_frame(target, random_frame(64, 64), overwrite=True)
    assert target.read_bytes() == OLD
    assert os.listdir(tmp_path) == ["out.exr"]  # noqa: PTH208 - hidden files, too


def mounted(folder: Path, *options: str) -> bool:
    command = ["mount", "-t", "tmpfs", *options, "tmpfs", str(folder)]
    return os.geteuid() == 0 and subprocess.run(command, check=False).returncode == 0


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    if not mounted(tmp_path, "-o", "size=64k"):
        pytest.skip("only the superuser may mount a small disk")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def test_a_full_disk_says_so_and_leaves_nothing(full_disk: Path) -> None:
    with pytest.raises(UnwritableFile, match=r"No space left|cannot be written"):
        exr.write_frame(full_disk / "out.exr", random_frame(128, 128))
    assert list(full_disk.iterdir()) == []


def test_a_read_only_disk_says_so(full_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(full_disk)], check=True)
    with pytest.raises(UnwritableFile, match="Read-only file system"):
        exr.write_frame(full_disk / "out.exr", random_frame(8, 8))


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may do everything")
def test_no_permission_says_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UnwritableFile, match="Permission denied"):
        exr.write_frame(tmp_path / "out.exr", random_frame(8, 8))


@pytest.mark.parametrize("name", ["日本語 é.exr", "a b'\"$(x);.exr", f"{'n' * 240}.exr", "é" * 120])
def test_any_name_that_a_file_system_allows(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    frame = random_frame(8, 8)
    exr.write_frame(path, frame)
    assert (exr.read(path)["color"] == frame["color"]).all()
    record(path, "made of this")
    assert is_ours(path)


def test_a_very_long_path(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["n" * 100] * 30)
    exr.write_frame(folder / "out.exr", random_frame(8, 8))
    assert exr.read(folder / "out.exr").size == (8, 8)


@pytest.mark.parametrize("name", ["n" * 300 + ".exr", "/".join(["n" * 200] * 40) + "/out.exr"])
def test_a_name_that_is_too_long_is_one_clear_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnwritableFile, match=r"cannot be written.*name too long"):
        exr.write_frame(tmp_path / name, random_frame(8, 8))


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    weights.save(path, random_network(), {})
    return path.read_bytes()


def header(data: bytes) -> tuple[dict[str, dict[str, Any]], bytes]:
    size = struct.unpack_from("<Q", data)[0]
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def packed(head: object, tensors: bytes) -> bytes:
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + tensors


def described(data: bytes, **changes: str) -> bytes:
    head, tensors = header(data)
    head["__metadata__"] |= changes
    return packed(head, tensors)


def of_another_shape(data: bytes) -> bytes:
    head, tensors = header(data)
    for name, entry in head.items():
        if name != "__metadata__":
            entry["shape"] = [math.prod(entry["shape"])]
    return packed(head, tensors)


HOSTILE: dict[str, Callable[[bytes], bytes]] = {
    "a header of an exabyte": lambda data: struct.pack("<Q", 1 << 60) + data[8:],
    "a header of a gigabyte": lambda data: struct.pack("<Q", 1 << 30) + data[8:],
    "a header that is no JSON": lambda data: struct.pack("<Q", 4) + b"{{{{" + data,
    "a header that is a list": lambda data: packed([], header(data)[1]),
    "a pickle": lambda data: b"\x80\x04cos\nsystem\n(S'touch pwned'\ntR.",
    "an archive of pickles": lambda data: b"PK\x03\x04" + data,
    "cut in its tensors": lambda data: data[: len(data) // 2],
    "more than it says": lambda data: data + b"more",
    "another format": lambda data: described(data, format="kpcn-99"),
    "a hash of something else": lambda data: described(data, sha256="0" * 64),
    "tensors of another shape": of_another_shape,
}
CONFIGS = (
    "{",
    "[]",
    '{"colour": 1}',
    '{"channels": "many"}',
    '{"channels": 100000000}',
    '{"channels": [100000000]}',
)


@pytest.mark.parametrize("config", CONFIGS)
def test_a_hostile_config_is_refused(tmp_path: Path, network: bytes, config: str) -> None:
    path = tmp_path / "evil.safetensors"
    path.write_bytes(described(network, config=config))
    with pytest.raises(InvalidWeights, match=r"evil\.safetensors"):
        weights.load(path)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_weights_are_refused(tmp_path: Path, network: bytes, name: str) -> None:
    path = tmp_path / "evil.safetensors"
    path.write_bytes(HOSTILE[name](network))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InvalidWeights, match=r"evil\.safetensors"):
        weights.load(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # KiB
    assert not Path("pwned").exists()


def test_nothing_of_ours_unpickles() -> None:
    """`torch.load` runs what it reads; so do these."""
    folder = Path(weights.__file__).parent
    code = "\n".join(path.read_text() for path in folder.rglob("*.py"))
    for word in ("torch.load(", "import pickle", "pickle.load", "allow_pickle=True", "marshal"):
        assert word not in code


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("images")
    exr.write_frame(folder / "a.exr", random_frame(12, 16))
    golden = Path(__file__).parent / "golden"
    found = [folder / "a.exr", golden / "cycles5_multipart.0002.exr", golden / "mitsuba_aov.exr"]
    return [path.read_bytes() for path in found]


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_a_mutated_image_is_read_or_refused(
    tmp_path: Path, images: list[bytes], data: st.DataObject
) -> None:
    """The long version is benchmarks/fuzz_exr.py."""
    content = bytearray(data.draw(st.sampled_from(images)))
    for _ in range(data.draw(st.integers(1, 4))):
        # Half of the changes are in the header, where they do the most harm.
        end = data.draw(st.sampled_from((1500, len(content))))
        place = data.draw(st.integers(0, min(end, len(content)) - 1))
        content[place] = data.draw(st.integers(0, 255))
    path = tmp_path / "mutated.exr"
    path.write_bytes(content)
    try:
        exr.read(path)
    except KpcnError as refused:
        message = str(refused)
    else:
        return
    assert str(path) in message


def test_a_stalled_pipe_is_no_file(tmp_path: Path) -> None:
    """Opening it would wait for ever for somebody who writes."""
    pipe = tmp_path / "in.exr"
    os.mkfifo(pipe)
    with pytest.raises(UnreadableFile, match=r"in\.exr: expected .*pipe"):
        exr.read(pipe)


def test_many_frames_leave_no_open_files_and_no_memory(tmp_path: Path) -> None:
    """A short soak; the long one is benchmarks/soak.py."""
    path = tmp_path / "frame.exr"

    def once() -> None:
        exr.write_frame(path, random_frame(32, 32), overwrite=True)
        exr.read(path)

    for _ in range(20):
        once()
    files, memory = len(list(Path("/proc/self/fd").iterdir())), resident()
    for _ in range(200):
        once()
    assert len(list(Path("/proc/self/fd").iterdir())) <= files
    assert resident() - memory < 20 << 20


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()
