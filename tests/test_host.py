"""What hosts share: a panel's values as a request, frame ranges, and what a run tells."""

import tomllib
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any, cast

import pytest

from kpcn_core import host_frames, source
from kpcn_core.client import Client, Done, Failed, Restarted
from kpcn_core.errors import Cancelled, KpcnError, MissingFrames, NotCached, Refused
from kpcn_core.host_frames import around, as_range, pattern_of, stretches
from kpcn_core.host_run import Run, Status, again
from kpcn_core.host_settings import (
    AS_THE_SOURCE,
    UNITS,
    Mask,
    Motion,
    Settings,
    assignments,
    default_output,
    names,
)
from kpcn_core.model.specialization import MAX_ASYMMETRY
from kpcn_core.protocol import Denoise, Denoised, FrameFailed, FrameWritten, Log, Progress, Render
from kpcn_core.sequence import numbers

IN, OUT = "/shots/noisy.####.exr", "/shots/clean.####.exr"


def test_a_panel_left_alone_asks_for_the_defaults() -> None:
    assert Settings().request(IN, OUT) == Denoise(IN, OUT, resume=True)


def test_every_setting_reaches_the_worker() -> None:
    settings = Settings(
        source="karma",
        layers={"albedo": "basecolor", "normal": "  "},
        motion=Motion(forward="velocity", units="clip", scale=(2.0, 1.0), flip=(False, True)),
        aovs=("color", "diffuse"),
        model="compact",
        window=7,
        flow=True,
        asymmetry=3.0,
        asymmetry_layer="mask.R",
        extra={"lg_*": "diffuse"},
        error_map=True,
        quality="high",
        overwrite=True,
    )
    request = settings.request(IN, OUT, "1-7")
    defaults = Denoise(IN, OUT)
    same = {
        f.name for f in fields(Denoise) if getattr(request, f.name) == getattr(defaults, f.name)
    }
    assert same == {"input", "output", "tile", "max_memory", "skip", "asymmetry_input"}
    assert request.layers["albedo"] == "basecolor"
    assert "normal" not in request.layers
    recipe = source.recipe(request.layers["forward"])
    assert recipe == source.Recipe(("velocity",), units="clip", scale=(2.0, -1.0))


def test_a_mask_comes_before_a_layer_and_neither_without_an_asymmetry() -> None:
    settings = Settings(asymmetry=2.0, asymmetry_layer="mask.R")
    mask = Mask("/tmp/mask.####.exr", "A")
    request = settings.request(IN, OUT, mask=mask)
    assert (request.asymmetry_layer, request.asymmetry_input) == ("A", mask.pattern)
    symmetric = replace(settings, asymmetry=1.0).request(IN, OUT, mask=mask)
    assert (symmetric.asymmetry_layer, symmetric.asymmetry_input) == (None, None)


def test_layer_names_with_quotes_survive() -> None:
    layers = Motion(forward='a "b" \\ c', units="pixels").layers()
    assert source.recipe(layers["forward"]).layers == ('a "b" \\ c',)
    assert Motion(forward="velocity").layers() == {"forward": "velocity"}
    assert Motion().layers() == {}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(asymmetry=0.5), "Asymmetry 0.5: must be 1 to 10"),
        (Settings(asymmetry=float("nan")), "must be 1 to 10"),
        (Settings(window=4), "Window 4: must be an odd number"),
        (Settings(motion=Motion(units="clip")), "no effect without a layer"),
        (Settings(motion=Motion(forward="v", scale=(2, 1))), "scale and flip need units"),
        (Settings(motion=Motion(flip=(True, False))), "scale and flip need units"),
    ],
)
def test_what_cannot_be_meant_is_refused(settings: Settings, expected: str) -> None:
    with pytest.raises(Refused, match=expected):
        settings.request(IN, OUT)


def test_the_input_is_never_the_output() -> None:
    with pytest.raises(Refused, match="is the input"):
        Settings(overwrite=True).request(IN, "/shots/./noisy.####.exr")


def test_what_the_panel_knows_is_what_the_worker_knows() -> None:
    assert set(UNITS) == set(source.UNITS)
    assert AS_THE_SOURCE not in UNITS
    assert MAX_ASYMMETRY == 10.0
    assert tomllib.loads(f"x = {Motion(forward='v', units='width').layers()['forward']}")


def test_lists_that_people_type() -> None:
    assert names(" color, diffuse\nspecular ") == ("color", "diffuse", "specular")
    assert names("  ") == ()
    assert assignments("lg_*=diffuse, fog = specular\n", "x") == {
        "lg_*": "diffuse",
        "fog": "specular",
    }
    assert assignments(" , ", "x") == {}
    for text in ("lg", "=diffuse", "lg="):
        with pytest.raises(Refused, match=r"Layers: '.*' must be NAME=VALUE"):
            assignments(text, "Layers")


def test_the_default_output_is_a_folder_beside_the_input() -> None:
    assert default_output("/shots/a.%04d.exr") == "/shots/denoised/a.%04d.exr"


@pytest.mark.parametrize("frames", [[1], [1, 2, 3], [3, 1, 2, 7, 7], [-5, -4, 0, 2], []])
def test_a_range_has_the_same_frames_for_the_worker(frames: list[int]) -> None:
    assert (numbers(as_range(frames)) if frames else []) == sorted(set(frames))
    assert [n for a, b in stretches(frames) for n in range(a, b + 1)] == sorted(set(frames))


@pytest.mark.parametrize("text", ["7", "1001-1003", "1-9x2", "1-9:2", "-5-5", "1, 3,7-9", "-5--1"])
def test_a_typed_range_has_the_same_frames_for_the_worker(text: str) -> None:
    assert host_frames.numbers(text) == numbers(text.replace(" ", ""))


@pytest.mark.parametrize("text", ["", "a", "1-", "1-9x0", "1.5"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="is no range of frames"):
        host_frames.numbers(text)


def test_windows_end_with_the_input() -> None:
    assert around([1, 5], 5, 1, 7) == [1, 2, 3, 4, 5, 6, 7]
    assert around([4], 1, 1, 7) == [4]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({7: "/a/shot_v007.0007.exr"}, "/a/shot_v007.%04d.exr"),
        ({1: "/a/sh1_v001.0001.exr", 2: "/a/sh1_v001.0002.exr"}, "/a/sh1_v001.%04d.exr"),
        ({9: "/a/v9.9.x9.exr", 10: "/a/v9.10.x9.exr"}, "/a/v9.%01d.x9.exr"),
        ({1: "/a/still_v001.exr", 2: "/a/still_v001.exr"}, "/a/still_v001.exr"),
        ({1: "/a/1/shot.1.exr", 2: "/a/2/shot.2.exr"}, None),
        ({1: "/a/shot1.1.exr", 2: "/a/shot2.2.exr"}, None),
        ({1: "/a/beauty.exr"}, None),
        ({5: "/a/shot.0006.exr"}, None),
    ],
)
def test_a_pattern_is_found_behind_the_names_of_frames(
    names: dict[int, str], expected: str | None
) -> None:
    assert pattern_of(names) == expected


class Stand:
    """A client whose jobs do what a test says; the real one is in test_client.py."""

    def __init__(self, *jobs: Iterable[Any]) -> None:
        self.jobs = [list(events) for events in jobs]
        self.asked: list[Denoise] = []
        self.cancelled = 0

    def denoise(self, message: Denoise) -> "Stand":
        self.asked.append(message)
        return self

    def poll(self, wait: float) -> list[Any]:
        return self.jobs.pop(0)

    def cancel(self) -> None:
        self.cancelled += 1


def run(stand: Stand, *requests: Denoise) -> Run:
    return Run(cast(Client, stand), *requests)


REQUEST = Denoise(IN, OUT, "1-3")
DONE = Done(Denoised(()))


def test_a_run_tells_what_is_new() -> None:
    events: list[list[Any]] = [
        [Progress(1, 0, 3, 1, 2), Log(1, "INFO", "quiet"), Log(1, "WARNING", "loud")],
        [FrameWritten(1, "a", "x"), FrameWritten(1, "b", "y", current=True)],
        [Restarted("It said: out of memory."), FrameWritten(1, "c", "z"), DONE],
    ]
    first, second, third = run(Stand(*events), REQUEST).follow()
    assert first == Status(1 / 6, "Frame 1 of 3", notes=("loud",))
    assert second.written == ("x", "y")
    assert "out of memory" in third.notes[0]
    assert third.written == ("z",)
    assert third.ended
    assert (third.fraction, third.line) == (1.0, "2 frames denoised, 1 unchanged.")


def test_cached_features_are_tried_before_all_is_computed() -> None:
    stand = Stand([Failed(NotCached("gone"))], [FrameWritten(1, "a", "x"), DONE])
    run(stand, again(REQUEST), REQUEST).finish()
    assert [type(asked) for asked in stand.asked] == [Render, Denoise]
    assert replace(cast(Denoise, Render(**vars(REQUEST)))) == again(REQUEST)
    with pytest.raises(NotCached):
        run(Stand([Failed(NotCached("gone"))]), again(REQUEST)).finish()


def test_a_cancelled_run_asks_for_nothing_more() -> None:
    stand = Stand([Failed(NotCached("gone"))], [DONE])
    cancelled = run(stand, again(REQUEST), REQUEST)
    cancelled.cancel()
    assert cancelled.step().ended
    assert stand.cancelled == 1
    assert len(stand.asked) == 1
    status = run(Stand([Failed(Cancelled("…"))]), REQUEST).step()
    assert (status.line, type(status.error)) == ("Cancelled.", Cancelled)


def test_frames_that_failed_are_in_the_error() -> None:
    failed = [FrameFailed(1, f"{n}.exr", "x", "UnreadableFile", f"{n}.exr: bad") for n in range(7)]
    events = [FrameWritten(1, "a", "x"), *failed, Failed(KpcnError("7 of 8; see above."))]
    with pytest.raises(KpcnError, match=r"7 of 8 frames were not written:\n0.exr: bad\n") as error:
        run(Stand(events), REQUEST).finish()
    assert "… and 2 more." in str(error.value)
    with pytest.raises(MissingFrames, match="4-9"):
        run(Stand([Failed(MissingFrames("4-9 are missing"))]), REQUEST).finish()
