"""Where memory ends, tiles get smaller; where that does not help, a message says so."""

import gc
import json
import os
import subprocess
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from kpcn_core import exr, exr_file, inference, memory, tile_budget
from kpcn_core.denoiser import Denoiser
from kpcn_core.errors import OutOfMemory
from kpcn_core.frame import Frame
from kpcn_core.job import Job
from kpcn_core.job_run import JobRun, each
from kpcn_core.model import peak
from tests.frames import random_frame
from tests.networks import random_network, small_config
from tests.shots import Shot, make_shot

SIZE = 512
# `kpcn`, with so many bytes of address space beyond what it needs for a small frame.
LIMITED = """
import resource, sys
from pathlib import Path
from kpcn_core.cli.main import main
from kpcn_core.cli import denoise
from kpcn_core.denoiser import Denoiser
from tests.frames import random_frame
Denoiser.load(sys.argv[2], "cpu").denoise(random_frame(32, 32))
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
main(sys.argv[3:])
"""


@pytest.fixture
def denoiser() -> Denoiser:
    return Denoiser(random_network(), torch.device("cpu"))


@pytest.fixture
def shot(tmp_path: Path) -> Shot:
    made = make_shot(tmp_path)
    exr.write_frame(tmp_path / "large.exr", random_frame(SIZE, SIZE), overwrite=True)
    return made


def limited(shot: Shot, size: int, *options: str) -> "subprocess.CompletedProcess[str]":
    """Denoise large.exr to out.exr with so many bytes."""
    command = ["denoise", "large.exr", "-o", "out.exr", "--model", shot.model, "--device", "cpu"]
    script = [sys.executable, "-c", LIMITED, str(size), shot.model, *command, *options]
    # One thread: others would take address space of their own.
    environment = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent.parent)}
    return subprocess.run(
        script, cwd=shot.folder, capture_output=True, text=True, check=False, env=environment
    )


def test_where_memory_ends_a_frame_is_done_in_tiles(shot: Shot, denoiser: Denoiser) -> None:
    needed = peak.with_logits(small_config()) * SIZE**2
    # How much of the address space is lost between blocks is chance; so is what still fits.
    for eighths in (5, 4, 5, 6, 3, 7, 8, 9):
        run = limited(shot, needed * eighths // 8)
        if run.returncode == 0 and "out of memory; again in tiles of 256 pixels" in run.stderr:
            break
        assert run.returncode == 0 or "is not enough" in run.stderr, run.stderr
        (shot.folder / "out.exr").unlink(missing_ok=True)
    else:
        pytest.fail(run.stderr)
    whole = denoiser.denoise(exr.read(shot.folder / "large.exr"), max_memory=64 << 30)
    assert_close(exr.read(shot.folder / "out.exr")["color"], whole["color"], rtol=1e-5, atol=1e-5)


def test_where_tiles_do_not_help_it_says_so_and_leaves_nothing(shot: Shot) -> None:
    run = limited(shot, 24 << 20)  # the stack of a thread alone takes 8 MiB
    assert run.returncode == 1, run.stderr
    assert "large.exr: the memory of the device 'cpu' is not enough" in run.stderr
    assert "GiB are free by now. Close other programs" in run.stderr
    assert "Traceback" not in run.stderr
    assert not (shot.folder / "out.exr").exists()


def test_what_tiles_take_keeps_within_the_limit() -> None:
    limit = 0.4  # GiB, for a frame that would take more in one piece
    command = [sys.executable, "-m", "benchmarks.memory", "--here", f"1280x720,1,{limit}"]
    run = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert limit / 2 < json.loads(run.stdout)["tiles"] < 1.1 * limit


def test_frames_that_are_done_are_not_held(tmp_path: Path, denoiser: Denoiser) -> None:
    frames: list[weakref.ref[Frame]] = []
    read = exr.read

    def watched(*given: Any) -> Frame:
        assert sum(one() is not None for one in frames) <= 2  # this one's neighbours
        frame = read(*given)
        frames.append(weakref.ref(frame))
        return frame

    shot = make_shot(tmp_path)
    files = list(zip(shot.outputs("noisy"), shot.outputs("clean"), strict=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exr, "read", watched)
        for outcome in each(JobRun(Job(files), denoiser), lambda done, total: None):
            assert outcome.error is None
            gc.collect()
    assert len(frames) == len(files)


@contextmanager
def full_beyond(pixels: int, error: Exception) -> Iterator[list[int]]:
    """A device whose memory is full when more pixels are encoded; the sizes that were tried.

    What a CUDA device raises is raised where it raises it; there need not be one.
    """
    tried: list[int] = []
    original = inference.encode

    def encode(network: Any, parts: Any, *rest: Any) -> list[Tensor]:
        tried.append(parts["specular"].valid.numel())
        if tried[-1] > pixels:
            raise error
        return original(network, parts, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inference, "encode", encode)
        yield tried


ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    MemoryError(),
]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("window", [False, True])
def test_a_full_device_gets_smaller_tiles_and_the_next_frame_begins_with_them(
    denoiser: Denoiser, error: Exception, window: bool, caplog: pytest.LogCaptureFixture
) -> None:
    frame, limit = random_frame(192, 192), 170 * 170

    def done() -> Frame:
        if window:
            return denoiser.render(denoiser.window([denoiser.encode(frame)], 0))
        return denoiser.denoise(frame)

    whole = done()
    with full_beyond(limit, error) as tried:
        assert_close(done()["color"], whole["color"], rtol=1e-5, atol=1e-5)
        assert tried[0] > limit >= tried[-1]
        assert "out of memory; again in tiles of 96 pixels" in caplog.text
        tried.clear()
        done()
        assert max(tried) <= limit


@pytest.mark.parametrize("error", ERRORS)
def test_a_full_device_says_so_when_tiles_do_not_help(denoiser: Denoiser, error: Exception) -> None:
    with full_beyond(0, error), pytest.raises(OutOfMemory, match=r"not even for tiles of \d\d pix"):
        denoiser.denoise(random_frame(192, 192))


def test_other_errors_are_not_taken_for_a_full_device(denoiser: Denoiser) -> None:
    with full_beyond(0, RuntimeError("CUDA error: device-side assert")) as tried:
        with pytest.raises(RuntimeError, match="assert"):
            denoiser.denoise(random_frame(64, 64))
        assert len(tried) == 1


def test_what_is_free_decides_before_anything_fails(
    denoiser: Denoiser, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Beyond the limit of a container nothing fails: the process is killed."""
    limit = 200 * 200 * peak.alone(denoiser.network.config, 16, in_one_pass=False)
    monkeypatch.setattr(tile_budget, "free", lambda _: limit)
    with full_beyond(220 * 220, MemoryError()) as tried:
        denoiser.denoise(random_frame(256, 256))
    assert len(tried) > 1
    assert "there is no more free memory" in caplog.text
    caplog.clear()
    denoiser.denoise(random_frame(64, 64))
    assert not caplog.text


def test_pixels_that_cannot_fit_are_refused_before_they_are_read(
    shot: Shot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exr_file, "free", lambda: 1 << 20)
    with pytest.raises(OutOfMemory, match=r"large\.exr: its pixels take 0\.0 GiB: the memory"):
        exr.read(shot.folder / "large.exr")
    assert exr_file.open_header(shot.folder / "large.exr").parts


CGROUPS = {
    "2": ("0::/farm/job", "farm/job", ("memory.max", "memory.current", "inactive_file")),
    "1": (
        "4:cpu,memory:/farm/job\n0::/",
        "memory/farm/job",
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ),
}


@pytest.mark.parametrize("version", CGROUPS)
@pytest.mark.parametrize("above", [False, True])
def test_the_limits_of_control_groups_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, above: bool
) -> None:
    own, path, (limit, used, cache) = CGROUPS[version]
    folder = tmp_path / path
    folder.mkdir(parents=True)
    if above:  # the group itself has no limit, and the one around it has
        (folder / limit).write_text("max\n")
        folder = folder.parent
    (folder / limit).write_text("3000\n")
    (folder / used).write_text("2500\n")
    (folder / "memory.stat").write_text(f"anon 900\n{cache} 1500\n")
    (tmp_path / "own").write_text(own)
    monkeypatch.setattr(memory, "OWN_CGROUP", tmp_path / "own")
    monkeypatch.setattr(memory, "CGROUPS", tmp_path)
    assert memory.free() == 2000


def test_a_system_that_does_not_say_has_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "OWN_CGROUP", Path("/nowhere"))
    monkeypatch.setattr(memory, "MEMINFO", Path("/nowhere"))
    assert memory.free() is None
