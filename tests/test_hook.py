"""What a render hook asks for, and what the render's log says; the worker itself is a stand-in."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from kpcn_core import host_panel
from kpcn_core.client import Client, Done, Failed
from kpcn_core.errors import KpcnError, Refused, UnreadableFile, WorkerFailed
from kpcn_core.host_hook import Hook
from kpcn_core.host_landing import Landing
from kpcn_core.host_settings import AS_THE_SOURCE, Motion, Settings
from kpcn_core.protocol import Denoise, Denoised, FrameFailed, FrameWritten
from kpcn_core.sequence import numbers
from kpcn_core.sequence_pattern import Pattern


class Worker:
    """Writes what it is asked for, but for frames that it cannot read."""

    def __init__(self, bad: Sequence[int] = ()) -> None:
        self.bad = bad
        self.asked: list[str | None] = []
        self.error: KpcnError | None = None

    def denoise(self, message: Denoise) -> "Worker":
        self.asked.append(message.frames)
        self._message = message
        return self

    def poll(self, wait: float) -> list[Any]:
        if self.error:
            return [Failed(self.error)]
        source, output = Pattern.parse(self._message.input), Pattern.parse(self._message.output)
        frames = numbers(self._message.frames or "")
        events = [self._frame(str(source.path(one)), output.path(one), one) for one in frames]
        failed = [event for event in events if isinstance(event, FrameFailed)]
        if not failed:
            return [*events, Done(Denoised(()))]
        if len(frames) == 1:
            return [Failed(UnreadableFile(failed[0].message))]
        return [*events, Failed(KpcnError(f"{len(failed)} of {len(frames)} …"))]

    def _frame(self, source: str, output: Path, number: int) -> FrameFailed | FrameWritten:
        if number in self.bad:
            return FrameFailed(1, source, str(output), "UnreadableFile", f"{source}: incomplete")
        output.write_bytes(b"clean")
        return FrameWritten(1, source, str(output))


class Render:
    """A folder in which frames land, and the hook that sees them."""

    def __init__(self, folder: Path, worker: Worker, window: int = 1, strict: bool = False) -> None:
        self.folder, self.worker = folder, worker
        self.log: list[str] = []
        source, output = str(folder / "noisy.####.exr"), str(folder / "new" / "clean.####.exr")
        landing = Landing(source, output, window, range(1, 6))
        settings = Settings(window=window)
        self.hook = Hook(cast(Client, worker), settings, landing, self.log.append, strict)

    def land(self, *frames: int) -> None:
        for frame in frames:
            (self.folder / f"noisy.{frame:04d}.exr").write_bytes(b"noisy")
            self.hook.landed(frame)


def test_each_frame_is_asked_for_when_it_is_ready(tmp_path: Path) -> None:
    render = Render(tmp_path, Worker(), window=3)
    render.land(1, 3, 2, 4, 5)
    render.hook.finish()
    assert render.worker.asked == ["1-2", "3", "4-5"]
    assert render.log[0] == "kpcn: 1-2: 2 frames denoised."
    assert render.hook.failed == []


def test_a_frame_that_fails_is_told_and_the_render_goes_on(tmp_path: Path) -> None:
    render = Render(tmp_path, Worker(bad=[2]))
    render.land(1, 2, 3)
    render.hook.finish()
    assert render.worker.asked == ["1", "2", "3"]
    assert render.hook.failed == [2]
    assert [line for line in render.log if "incomplete" in line] == [
        f"kpcn: {tmp_path / 'noisy.0002.exr'}: incomplete"
    ]
    assert render.log[-1] == "kpcn: not denoised: 2."


def test_of_several_frames_each_failure_is_told_once(tmp_path: Path) -> None:
    render = Render(tmp_path, Worker(bad=[4, 5]), window=3)
    render.land(1, 2, 3, 4, 5)
    assert render.hook.failed == [4, 5]
    for frame in (4, 5):
        assert "\n".join(render.log).count(f"noisy.{frame:04d}.exr: incomplete") == 1
    assert "kpcn: 4-5: 0 frames denoised." in render.log


def test_if_strict_a_failure_stops_the_render(tmp_path: Path) -> None:
    render = Render(tmp_path, Worker(bad=[2]), strict=True)
    render.land(1)
    with pytest.raises(UnreadableFile, match=r"noisy\.0002\.exr: incomplete"):
        render.land(2)


def test_a_frame_that_is_still_being_written_is_no_failure(tmp_path: Path) -> None:
    worker = Worker()
    render = Render(tmp_path, worker, strict=True)

    def poll(wait: float) -> list[Any]:
        (tmp_path / "noisy.0001.exr").write_bytes(b"more of it")
        return [Failed(UnreadableFile("incomplete"))]

    worker.poll = poll  # type: ignore[method-assign]
    render.land(1)
    assert (render.hook.failed, render.log) == ([], ["kpcn: 1: 0 frames denoised."])


def test_a_worker_that_cannot_start_does_not_stop_the_render(tmp_path: Path) -> None:
    worker = Worker()
    worker.error = WorkerFailed("Set KPCN_PYTHON to the Python in which kpcn is installed.")
    render = Render(tmp_path, worker)
    render.land(1)
    assert render.log[-1:] == ["kpcn: Set KPCN_PYTHON to the Python in which kpcn is installed."]


def test_who_is_not_alone_leaves_what_waits_for_others(tmp_path: Path) -> None:
    render = Render(tmp_path, Worker(), window=3)
    render.land(1, 2, 3)
    render.hook.finish()
    assert render.worker.asked == ["1", "2"]
    assert render.log[-1] == "kpcn: frame 3 waits for 4."
    render.hook.finish(alone=True)
    assert render.worker.asked == ["1", "2", "3"]


def test_a_panel_left_alone_has_the_defaults() -> None:
    assert host_panel.settings({}) == Settings(layers=dict.fromkeys(host_panel.FIELDS, ""))
    assert all(host_panel.ITEMS[name] for name in (*host_panel.MOTION, "output_file"))


def test_texts_will_do_as_on_an_environment() -> None:
    values = {
        "asymmetry": "2.5", "window": "7", "flow": "1", "overwrite": "off", "error_map": "0",
        "forward_layer": "velocity", "motion_units": "clip", "flip_y": "True", "source": "karma",
        "aov_albedo": "basecolor", "more_layers": "depth=Z", "model": None,
    }  # fmt: skip
    found = host_panel.settings(values)
    assert (found.asymmetry, found.window, found.flow, found.overwrite) == (2.5, 7, True, False)
    assert found.motion == Motion("velocity", units="clip", flip=(False, True))
    assert (found.layers["albedo"], found.layers["depth"]) == ("basecolor", "Z")
    assert (found.source, found.model, found.error_map) == ("karma", "", False)
    assert host_panel.settings({"motion_units": AS_THE_SOURCE}).motion == Motion()


def test_values_come_through_an_environment() -> None:
    values = {"window": 7, "flow": True, "overwrite": False, "model": "", "input": "/a.$F4.exr"}
    variables = host_panel.environment(values)
    assert variables["KPCN_FLOW"] == "1"
    found = host_panel.from_environment({**variables, "PATH": "/"}, [*host_panel.ITEMS, "input"])
    assert found.pop("input") == "/a.$F4.exr"
    assert host_panel.settings(found) == host_panel.settings({"window": 7, "flow": True})


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(Refused, match="window: 'wide' is no number"):
        host_panel.settings({"window": "wide"})
