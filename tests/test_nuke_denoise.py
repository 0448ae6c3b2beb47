"""From the node in a (fake) Nuke through a real worker to pixels, and what can go wrong."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
from click.testing import CliRunner

from kpcn_core.cli.main import main
from kpcn_core.errors import KpcnError, MissingFrames
from kpcn_core.protocol import Denoise, method_of
from kpcn_core.sequence import expand
from tests.fakes import nuke
from tests.fakes.nuke.nodes import Node
from tests.nuke_host import Session, end_worker, same, shown, status
from tests.shots import FRAMES, Shot, make_shot, wait_for_end

MOVING = str(Path(__file__).parent.parent / "examples" / "noisy.####.exr")  # has motion layers
MANY = range(1, 201)  # frames that take a while


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shot]:
    yield make_shot(tmp_path_factory.mktemp("shot"))
    end_worker()


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Session]:
    session = Session(monkeypatch, tmp_path)
    yield session
    assert session.state.undo == 0
    session.close()


@pytest.fixture
def node(host: Session, shot: Shot) -> Node:
    """A KpcnDenoise on the noisy sequence, whose result goes to the test's own folder."""
    return on(host, shot, host.read(shot.noisy, FRAMES[0], FRAMES[-1]))


def on(host: Session, shot: Shot, render: Node | None, mask: Node | None = None) -> Node:
    output = str(host.folder / "clean.####.exr")
    return host.node(render, mask, model=shot.model, output_file=output)


def clean(host: Session) -> list[Path]:
    return [host.folder / f"clean.{number:04d}.exr" for number in FRAMES]


def by_command(shot: Shot, pattern: str, output: Path, *options: str) -> str:
    """The same by `kpcn denoise`; its output's pattern."""
    target = str(output / "command.####.exr")
    command = ["denoise", pattern, "-o", target, "--model", shot.model, *options]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    return target


def long_range(host: Session, shot: Shot) -> Node:
    """A node with so many frames that there is time to disturb it."""
    for number in MANY:
        (host.folder / f"many.{number:04d}.exr").hardlink_to(shot.outputs("noisy")[0])
    return on(host, shot, host.read(host.folder / "many.####.exr", MANY[0], MANY[-1]))


def test_a_range_comes_back_as_the_command_makes_it(host: Session, node: Node, shot: Shot) -> None:
    host.press(node, "denoise_range")
    assert status(node) == "3 frames denoised."
    command = host.read(by_command(shot, shot.noisy, host.folder), FRAMES[0], FRAMES[-1])
    for number in FRAMES:
        assert same(shown(node, number), shown(command, number))
    assert {"rgba.red", "albedo.red", "normal.X", "mse.red"} <= shown(node, 1).keys()
    (task,) = host.state.tasks
    assert task.progress == sorted(task.progress)
    assert task.progress[-1] == 100
    assert "Frame 2 of 3" in task.text
    assert not host.state.messages


def test_one_frame_is_denoised_where_the_artist_is(host: Session, node: Node) -> None:
    host.state.frame = 2
    host.press(node, "denoise_frame")
    assert [path.exists() for path in clean(host)] == [False, True, False]
    assert not same(shown(node, 2), shown(node.input(0) or node, 2))
    with pytest.raises(RuntimeError, match="Missing frame"):
        shown(node, 1)  # what is not denoised does not pass for it


def test_the_input_can_be_shown_instead(host: Session, node: Node) -> None:
    assert node.input(0)
    node["show"].setValue("input")
    assert same(shown(node, 1), shown(node.input(0) or node, 1))


def test_frames_are_shown_while_the_range_runs(host: Session, shot: Shot) -> None:
    node = long_range(host, shot)
    host.click(node, "denoise_range")
    host.until((host.folder / "clean.0001.exr").exists)
    assert same(shown(node, 1), shown(host.read(host.folder / "clean.0001.exr"), 1))
    assert not (host.folder / f"clean.{MANY[-1]:04d}.exr").exists()
    host.click(node, "cancel")
    host.finish(node)


def test_what_is_no_file_is_rendered_first(host: Session, shot: Shot) -> None:
    read = host.read(shot.noisy, FRAMES[0], FRAMES[-1])
    node = on(host, shot, nuke.nodes.Multiply(inputs=[read], value=0.5))
    host.press(node, "denoise_range")
    assert status(node) == "3 frames denoised."
    rendered = next(host.folder.glob("kpcn-*/*render")) / "frame.####.exr"
    command = host.read(by_command(shot, str(rendered), host.folder), FRAMES[0], FRAMES[-1])
    for number in FRAMES:
        assert same(shown(node, number), shown(command, number))
    assert all(inner.Class() != "Write" for inner in nuke.root().nodes())


def test_a_render_that_is_the_same_again_leaves_its_file(host: Session, shot: Shot) -> None:
    read = host.read(shot.noisy, FRAMES[0], FRAMES[-1])
    multiply = nuke.nodes.Multiply(inputs=[read], value=0.5)
    node = on(host, shot, multiply)
    host.press(node, "find_layers")
    (path,) = host.folder.glob("kpcn-*/*render/*.exr")
    before = path.stat()
    host.press(node, "find_layers")
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    multiply["value"].setValue(0.25)
    host.press(node, "find_layers")
    assert path.stat().st_ino != before.st_ino


@pytest.mark.parametrize("kind", ["Dot", "NoOp"])
def test_nodes_that_change_nothing_are_seen_through(host: Session, shot: Shot, kind: str) -> None:
    read = host.read(shot.noisy, FRAMES[0], FRAMES[-1])
    node = on(host, shot, getattr(nuke.nodes, kind)(inputs=[read]))
    host.press(node, "denoise_frame")
    assert not list(host.folder.glob("kpcn-*"))
    assert clean(host)[0].exists()


@pytest.mark.parametrize(
    "knobs", [{"frame_mode": "offset", "frame": "5"}, {"file": "/shots/[value version].%04d.exr"}]
)
def test_a_read_whose_frames_are_not_its_files_is_no_file(
    host: Session, shot: Shot, knobs: dict[str, str]
) -> None:
    inputs = host.module("inputs")
    found = inputs.upstream(host.read(shot.noisy, 1, 3))
    assert (found.first, found.last) == (1, 3)
    assert found.pattern == shot.noisy.replace("####", "%04d")
    assert isinstance(inputs.upstream(host.read(shot.noisy, last=3)), inputs.Files)
    other = host.read(shot.noisy)
    for name, value in knobs.items():
        other[name].setValue(value)
    assert isinstance(inputs.upstream(other), inputs.Graph)


def test_paths_may_be_relative_to_the_project(host: Session, shot: Shot) -> None:
    nuke.root()["project_directory"].setValue(str(shot.folder))
    node = on(host, shot, host.read("noisy.####.exr", 1, 3))
    node["output_file"].setValue("relative/clean.####.exr")
    host.press(node, "denoise_frame")
    assert (shot.folder / "relative" / "clean.0001.exr").exists()


def test_without_an_output_the_result_goes_beside_the_input(host: Session, shot: Shot) -> None:
    for path in shot.outputs("noisy"):
        (host.folder / path.name).hardlink_to(path)
    node = host.node(host.read(host.folder / "noisy.####.exr", 1, 3), model=shot.model)
    host.press(node, "denoise_frame")
    assert (host.folder / "denoised" / "noisy.0001.exr").exists()


def test_an_output_may_be_an_expression(
    host: Session, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOT", str(host.folder / "expressed"))
    node["output_file"].setValue("[getenv SHOT]/clean.####.exr")
    host.press(node, "denoise_frame")
    assert (host.folder / "expressed" / "clean.0001.exr").exists()


def test_stereo_views_have_files_of_their_own(host: Session, shot: Shot) -> None:
    host.state.views = ("left", "right")
    for view, path in zip(host.state.views, shot.outputs("noisy"), strict=False):
        (host.folder / f"eye_{view}.0001.exr").hardlink_to(path)
    node = host.node(host.read(host.folder / "eye_%V.####.exr"), model=shot.model)
    host.press(node, "denoise_range")
    assert status(node) == "2 frames denoised."
    assert (host.folder / "denoised" / "eye_right.0001.exr").exists()
    assert not same(shown(node, 1, "left"), shown(node, 1, "right"))


def test_a_mask_for_several_views_is_refused(host: Session, node: Node) -> None:
    host.state.views = ("left", "right")
    node.setInput(1, node.input(0))
    assert "a mask input serves one" in told(host, node)


def test_cancelling_ends_the_job_and_keeps_what_is_done(host: Session, shot: Shot) -> None:
    node = long_range(host, shot)
    host.click(node, "denoise_range")
    host.until((host.folder / "clean.0001.exr").exists)
    host.press(node, "cancel")
    assert status(node) == "Cancelled."
    assert (host.folder / "clean.0001.exr").exists()
    assert len(list(host.folder.glob("clean.*.exr"))) < len(MANY)
    assert not host.state.messages
    worker = host.worker
    host.press(node, "find_layers")
    host.until(lambda: "source: kpcn" in str(node["found"].value()))
    assert host.worker == worker


def test_nukes_own_cancel_button_works_too(host: Session, shot: Shot) -> None:
    node = long_range(host, shot)
    host.click(node, "denoise_range")
    host.until((host.folder / "clean.0001.exr").exists)
    host.state.tasks[0].pressed = True
    host.finish(node)
    assert status(node) == "Cancelled."


def test_a_worker_that_hangs_is_killed_by_cancelling(host: Session, shot: Shot) -> None:
    node = long_range(host, shot)
    host.click(node, "denoise_range")
    host.until((host.folder / "clean.0001.exr").exists)
    worker = host.worker
    os.kill(worker, signal.SIGSTOP)
    host.press(node, "cancel")
    assert status(node) == "Cancelled."
    wait_for_end(worker)


def test_a_worker_that_is_killed_is_reported_and_the_range_goes_on(
    host: Session, shot: Shot
) -> None:
    node = long_range(host, shot)
    node["frame_range"].setValue("1-20")
    host.click(node, "denoise_range")
    host.until(lambda: any(task.text[-1:] == ["Frame 3 of 20"] for task in host.state.tasks))
    os.kill(host.worker, signal.SIGKILL)
    host.finish(node)
    assert status(node) == "20 frames denoised."
    assert "killed by signal 9" in host.state.warnings[0]
    assert len(list(host.folder.glob("clean.*.exr"))) == 20


def test_a_worker_that_cannot_start_is_told(
    host: Session, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_worker()
    monkeypatch.setenv("KPCN_PYTHON", "/none/python")
    host.press(node, "denoise_frame")
    assert "KPCN_PYTHON names the Python /none/python" in host.state.messages[0]
    assert status(node) == "Not denoised."
    end_worker()


def test_a_node_deleted_at_work_takes_its_job_along(host: Session, shot: Shot) -> None:
    node = long_range(host, shot)
    host.click(node, "denoise_range")
    host.until((host.folder / "clean.0001.exr").exists)
    nuke.delete(node)
    host.finish(node)
    assert len(list(host.folder.glob("clean.*.exr"))) < len(MANY)


def told(host: Session, node: Node, button: str = "denoise_range") -> str:
    """What a button that fails tells the artist."""
    host.press(node, button)
    host.until(lambda: bool(host.state.messages))
    (message,) = host.state.messages
    return message


def test_frames_that_are_missing_are_named(host: Session, shot: Shot) -> None:
    node = on(host, shot, host.read(shot.noisy, 1, 9))
    assert "6 of 9 frames are missing: 4-9" in told(host, node)


def test_a_frame_that_fails_does_not_stop_the_others(host: Session, shot: Shot) -> None:
    for path in shot.outputs("noisy"):
        (host.folder / path.name).hardlink_to(path)
    (host.folder / "noisy.0002.exr").unlink()
    (host.folder / "noisy.0002.exr").write_bytes(b"nothing")
    message = told(host, on(host, shot, host.read(host.folder / "noisy.####.exr", 1, 3)))
    assert "1 of 3 frames were not written" in message
    assert "noisy.0002.exr" in message
    assert [path.exists() for path in clean(host)] == [True, False, True]


def test_nothing_connected_is_refused(host: Session, shot: Shot) -> None:
    assert "connect a render" in told(host, on(host, shot, None))


@pytest.mark.parametrize(
    ("knob", "value", "expected"),
    [
        ("frame_range", "1-4", "Frames 4: the input has 1 to 3"),
        ("frame_range", "all", "must be as 1001-1100"),
        ("model", "none", "none"),
        ("asymmetry", 11.0, "must be 1 to 10"),
        ("extra_layers", "lg_key", "'lg_key' must be NAME=VALUE"),
        ("more_layers", "depth", "'depth' must be NAME=VALUE"),
        ("aov_albedo", "none", "no layer 'none'"),
        ("motion_units", "clip", "has no effect without a layer"),
        ("flip_y", True, "scale and flip need units"),
        ("clean", "normal", "cannot be denoised"),
        ("source_file", "/none.toml", "cannot be read"),
    ],
)
def test_what_cannot_be_meant_is_told(
    host: Session, node: Node, knob: str, value: object, expected: str
) -> None:
    node[knob].setValue(value)
    assert expected in told(host, node, "denoise_range")
    assert not any(path.exists() for path in clean(host))


def test_the_input_is_never_the_output(host: Session, node: Node, shot: Shot) -> None:
    node["output_file"].setValue(shot.noisy)
    node["overwrite"].setValue(True)
    assert "is the input" in told(host, node)


def test_files_of_others_are_not_replaced(host: Session, node: Node) -> None:
    clean(host)[0].write_bytes(b"a file of someone else")
    assert "exists already" in told(host, node)
    assert clean(host)[0].read_bytes() == b"a file of someone else"


def test_proxy_mode_is_refused_only_where_pixels_would_be_lost(host: Session, shot: Shot) -> None:
    nuke.root()["proxy"].setValue(True)
    read = host.read(shot.noisy, FRAMES[0], FRAMES[-1])
    host.press(on(host, shot, read), "denoise_frame")
    assert not host.state.messages
    assert "Proxy mode" in told(host, on(host, shot, nuke.nodes.Multiply(inputs=[read])))


def test_a_render_that_fails_or_is_cancelled_leaves_nothing(host: Session, shot: Shot) -> None:
    node = on(host, shot, nuke.nodes.Multiply(inputs=[host.read(shot.noisy, 1, 9)]))
    host.state.cancels_renders = True
    host.press(node, "denoise_range")
    assert status(node) == "Cancelled."
    host.state.cancels_renders = False
    assert "Nuke cannot render it" in told(host, node)
    assert all(inner.Class() != "Write" for inner in nuke.root().nodes())


def test_a_still_is_denoised_wherever_the_artist_is(host: Session, shot: Shot) -> None:
    host.state.frame = 1001
    node = host.node(host.read(shot.outputs("noisy")[0]), host.read(shot.outputs("noisy")[1]))
    for name, value in {"model": shot.model, "asymmetry": 2.0}.items():
        node[name].setValue(value)
    node["output_file"].setValue(str(host.folder / "still.exr"))
    host.press(node, "denoise_frame")
    assert status(node) == "1 frame denoised."
    assert "rgba.red" in shown(node, 1001)


def test_a_worker_is_not_taken_from_another_node(host: Session, shot: Shot) -> None:
    node = long_range(host, shot)
    host.click(node, "denoise_range")
    other = on(host, shot, host.read(shot.noisy, 1, 3))
    other["device"].setValue("cuda:7")
    assert "Another node is being denoised" in told(host, other)
    host.press(node, "cancel")


def test_a_node_does_one_thing_at_a_time(host: Session, shot: Shot) -> None:
    node = long_range(host, shot)
    host.click(node, "denoise_range")
    host.click(node, "denoise_range")
    assert "being denoised already" in host.state.messages[0]
    host.press(node, "cancel")


def test_nothing_is_denoised_while_nuke_renders(host: Session, node: Node) -> None:
    host.state.executing = True
    assert "Nuke is rendering" in told(host, node)


def test_without_windows_a_range_is_done_when_the_call_returns(
    host: Session,
    node: Node,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(nuke, "GUI", False)
    host.plugin.denoise_range(node)
    assert capsys.readouterr().out.splitlines() == [str(path) for path in clean(host)]
    assert all(path.exists() for path in clean(host))
    assert not host.state.tasks
    node["frame_range"].setValue("1-3")
    monkeypatch.setattr(host.module("request"), "as_range", lambda frames: "1-4")
    with pytest.raises(MissingFrames, match="1 of 4 frames are missing"):
        host.plugin.denoise_range(node)
    with pytest.raises(KpcnError, match="connect a render"):
        host.plugin.denoise_range(on(host, Shot(host.folder), None))
    host.plugin.find_layers(node)
    assert "albedo: albedo" in str(node["found"].value())


def test_frames_that_did_not_change_are_skipped(host: Session, node: Node) -> None:
    host.press(node, "denoise_range")
    before = [path.stat().st_mtime_ns for path in clean(host)]
    host.press(node, "denoise_range")
    assert status(node) == "0 frames denoised, 3 unchanged."
    clean(host)[1].unlink()
    host.press(node, "denoise_range")
    assert status(node) == "1 frame denoised, 2 unchanged."
    node["asymmetry"].setValue(3.0)
    host.press(node, "denoise_range")
    assert status(node) == "3 frames denoised."
    after = [path.stat().st_mtime_ns for path in clean(host)]
    assert all(old != new for old, new in zip(before, after, strict=True))
    assert not host.state.messages


def test_a_window_is_looked_at_as_the_command_does(host: Session, shot: Shot) -> None:
    host.state.frame = 2
    node = on(host, shot, host.read(MOVING, 1, 7))
    node["window"].setValue("3")
    host.press(node, "denoise_frame")
    options = ("--window", "3", "--frames", "2")
    command = host.read(by_command(shot, MOVING, host.folder, *options), 2, 2)
    assert same(shown(node, 2), shown(command, 2))


def test_a_window_that_must_be_rendered_is_rendered_whole(host: Session, shot: Shot) -> None:
    host.state.frame = 2
    node = on(host, shot, nuke.nodes.Multiply(inputs=[host.read(MOVING, 1, 7)], value=1.0))
    node["window"].setValue("3")
    host.press(node, "denoise_frame")
    assert len(list(host.folder.glob("kpcn-*/*render/*.exr"))) == 3
    assert status(node) == "1 frame denoised."


def with_mask(host: Session, pattern: str, mask: Node) -> str:
    """A sequence with the mask's alpha as a layer `mask`; its pattern."""
    for number, path in expand(pattern):
        file = OpenEXR.File(str(path), separate_channels=True)
        channels = {name: channel.pixels for name, channel in file.channels().items()}
        channels["mask.R"] = shown(mask, number)["rgba.alpha"]
        OpenEXR.File(file.header(), channels).write(str(host.folder / f"masked.{number:04d}.exr"))
    return str(host.folder / "masked.####.exr")


def test_a_mask_says_where_the_asymmetry_applies(host: Session, node: Node, shot: Shot) -> None:
    mask = nuke.nodes.Multiply(inputs=[host.read(shot.noisy, 1, 3)], value=0.75)
    node.setInput(1, mask)
    node["asymmetry"].setValue(4.0)
    host.press(node, "denoise_range")
    assert status(node) == "3 frames denoised."
    assert not list(host.folder.glob("kpcn-*/*render"))  # the render itself is read where it is
    masked = with_mask(host, shot.noisy, mask)
    options = ("--asymmetry", "4", "--asymmetry-layer", "mask.R")
    command = host.read(by_command(shot, masked, host.folder, *options), 1, 3)
    for number in FRAMES:
        expected = shown(command, number)
        assert np.array_equal(shown(node, number)["rgba.red"], expected["rgba.red"])
    inside = host.node(
        host.read(masked, 1, 3), model=shot.model, asymmetry=4.0, asymmetry_layer="mask.R"
    )
    host.press(inside, "denoise_range")
    assert same(shown(inside, 2), shown(command, 2))


@pytest.mark.parametrize("window", ["1", "7"])
def test_the_example_with_a_mask_by_the_shipped_network(host: Session, window: str) -> None:
    read = host.read(MOVING, 1, 7)
    mask = nuke.nodes.Multiply(inputs=[read], value=0.5)
    output = str(host.folder / "clean.####.exr")
    node = host.node(read, mask, asymmetry=4.0, window=window, output_file=output)
    host.press(node, "denoise_range")
    assert status(node) == "7 frames denoised."
    masked, target = with_mask(host, MOVING, mask), str(host.folder / "command.####.exr")
    options = ["--window", window, "--asymmetry", "4", "--asymmetry-layer", "mask.R"]
    result = CliRunner().invoke(main, ["denoise", masked, "-o", target, *options])
    assert result.exit_code == 0, result.output
    command = host.read(target, 1, 7)
    for number in range(1, 8):
        assert np.array_equal(
            shown(node, number)["rgba.green"], shown(command, number)["rgba.green"]
        )


def test_the_slider_is_followed_from_cached_features(host: Session, node: Node) -> None:
    host.start()
    node["live"].setValue(True)
    node["asymmetry"].setValue(2.0)
    assert "denoise the frame first" in status(node)
    host.press(node, "denoise_frame")
    before = shown(node, 1)
    methods = sent(host)
    for value in (3.0, 4.0, 5.0):  # faster than anyone could follow
        node["asymmetry"].setValue(value)
    host.finish(node)
    host.until(lambda: host.module("session").running(node) is None)
    assert methods == ["render", "render"]
    assert not same(before, shown(node, 1))
    host.press(node, "denoise_frame")
    assert status(node) == "0 frames denoised, 1 unchanged."  # it shows what 5 makes
    host.state.frame = 9
    node["asymmetry"].setValue(6.0)
    host.finish(node)
    assert "1 of 1 frames are missing" in status(node)
    assert not host.state.messages  # no window while the slider moves


def sent(host: Session) -> list[str]:
    """Methods that the worker is asked for, from now on."""
    (client,) = host.module("session")._clients.values()
    found: list[str] = []
    denoise = client.denoise

    def spying(message: Denoise) -> object:
        found.append(method_of(message))
        return denoise(message)

    client.denoise = spying
    return found


def test_the_layers_of_a_new_input_are_shown(host: Session, node: Node, shot: Shot) -> None:
    host.start()
    node.addKnob(nuke.Knob("inputChange"))
    nuke_state = host.state
    nuke_state.this.append((node, node["inputChange"]))
    host.plugin.knob_changed(nuke.thisNode(), nuke.thisKnob())
    nuke_state.this.pop()
    assert "albedo" in str(node["found"].value())
