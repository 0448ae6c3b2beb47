"""kpcn on a ROP: what is set and put back, which files and frames, and what is denoised when."""

import os
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kpcn_core import host_panel
from kpcn_core.errors import Refused
from tests.fakes import hou, husk
from tests.fakes.hou import nodes
from tests.houdini_host import PLUGIN, Session, values
from tests.shots import FRAMES, make_shot
from tests.test_hook import Worker

OUTPUTS = {
    "ifd": "vm_picture", "arnold": "ar_picture", "Redshift_ROP": "RS_outputFileNamePrefix",
    "ris": "ri_display_1", "rop_image": "copoutput", "karma": "picture", "bare": "picture",
    "usdrender": "outputimage", "usdrender_rop": "outputimage",
}  # fmt: skip
IN_PROCESS = ("ifd", "arnold", "Redshift_ROP", "ris", "rop_image", "karma", "bare")


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Session]:
    session = Session(monkeypatch, tmp_path)
    yield session
    session.close()


@pytest.fixture
def worker(host: Session, monkeypatch: pytest.MonkeyPatch) -> Worker:
    """In place of the real one."""
    made = Worker()
    monkeypatch.setattr(import_module("kpcn_husk.render"), "Client", lambda *names: made)
    return made


def rop(host: Session, kind: str, **parms: Any) -> Any:
    """A ROP that renders beauty.0001.exr … of frames 1 to 3."""
    ends = {"trange": "normal", "f1": 1.0, "f2": 3.0}
    return host.rop(kind, **{OUTPUTS[kind]: "$HIP/beauty.$F4.exr", **ends, **parms})


def writer(host: Session) -> Any:
    return lambda number: (host.folder / f"beauty.{number:04d}.exr").write_bytes(b"noisy")


@pytest.mark.parametrize("kind", OUTPUTS)
def test_detach_leaves_the_rop_as_it_was(host: Session, kind: str) -> None:
    node = rop(host, kind)
    before = values(node)
    host.plugin.attach(node)
    assert values(node) != before or node._callbacks
    assert node.parm("kpcn_asymmetry").eval() == 1.0
    attached = values(node)
    host.plugin.attach(node)
    assert values(node) == attached
    host.plugin.detach(node)
    assert values(node) == before
    assert node.userData("kpcn") is None
    assert not getattr(node, "_callbacks", [])
    host.plugin.detach(node)
    assert [line[:5] for line in host.state.undo] == ["kpcn:", "kpcn:"]


def test_what_was_changed_by_hand_since_stays(host: Session) -> None:
    node = rop(host, "ifd")
    host.plugin.attach(node)
    host.set(node, postframe="print('mine')", soho_foreground=0)
    host.plugin.detach(node)
    assert node.parm("postframe").eval() == "print('mine')"
    assert node.parm("soho_foreground").eval() == 0


@pytest.mark.parametrize("kind", IN_PROCESS)
def test_each_frame_is_denoised_as_it_is_rendered(
    host: Session, worker: Worker, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    node = rop(host, kind)
    host.plugin.attach(node)
    host.render(node, [1, 2, 3], writer(host))
    assert worker.asked == ["1", "2", "3"]
    assert capsys.readouterr().out.splitlines()[0] == "kpcn: 1: 1 frame denoised."
    denoised = sorted(path.name for path in (host.folder / "denoised").glob("*.exr"))
    assert denoised == [f"beauty.{number:04d}.exr" for number in (1, 2, 3)]


def test_a_window_waits_for_its_frames_and_the_tail_comes_with_the_last(
    host: Session, worker: Worker
) -> None:
    node = rop(host, "ifd")
    host.plugin.attach(node)
    host.set(node, kpcn_window="3")
    host.render(node, [1, 2, 3], writer(host))
    assert worker.asked == ["1", "2-3"]


def test_a_picture_that_comes_after_the_scripts_is_denoised_with_the_next_or_at_the_end(
    host: Session, worker: Worker
) -> None:
    node = rop(host, "karma")
    host.plugin.attach(node)
    late: list[int] = []

    def write(number: int) -> None:
        for one in late:
            writer(host)(one)
        late[:] = [number]

    host.render(node, [1, 2, 3], write)
    assert worker.asked == ["1", "2"]
    writer(host)(3)
    host.plugin.finished(node)
    assert worker.asked == ["1", "2", "3"]


def test_an_artist_who_renders_again_gets_no_frame_with_neighbours_of_before(
    host: Session, worker: Worker
) -> None:
    for number in (1, 2, 3):
        writer(host)(number)
        os.utime(host.folder / f"beauty.{number:04d}.exr", (1e9, 1e9))
    host.state.graphical = True
    node = rop(host, "ifd")
    host.plugin.attach(node)
    host.set(node, kpcn_window="3")
    host.render(node, [1, 2, 3], writer(host))
    assert worker.asked == ["1", "2-3"]


def test_what_is_switched_off_denoises_nothing(host: Session, worker: Worker) -> None:
    node = rop(host, "arnold")
    host.plugin.attach(node)
    host.set(node, kpcn_enable=0)
    host.render(node, [1], writer(host))
    assert worker.asked == []


def test_a_frame_that_fails_stops_the_render_only_if_it_is_to(
    host: Session, worker: Worker, capsys: pytest.CaptureFixture[str]
) -> None:
    worker.bad = [2]
    node = rop(host, "ifd")
    host.plugin.attach(node)
    host.render(node, [1, 2, 3], writer(host))
    assert worker.asked == ["1", "2", "3"]
    assert "beauty.0002.exr: incomplete" in capsys.readouterr().out
    host.set(node, kpcn_strict=1)
    with pytest.raises(hou.OperationFailed, match=r"kpcn: .*beauty\.0002\.exr: incomplete"):
        host.render(node, [2, 3], writer(host))


def test_where_the_script_is_taken_events_are_listened_to(host: Session, worker: Worker) -> None:
    node = rop(host, "ifd", postframe="print('mine')", lpostframe="python")
    host.plugin.attach(node)
    assert node.parm("postframe").eval() == "print('mine')"
    host.render(node, [1, 2], writer(host))
    assert worker.asked == ["1", "2"]
    host.plugin.detach(node)
    host.render(node, [3], writer(host))
    assert worker.asked == ["1", "2"]


def test_where_nothing_can_be_hung_on_it_is_refused_and_nothing_changes(host: Session) -> None:
    taken = rop(host, "usdrender_rop", prerender="echo mine")
    driven = rop(host, "karma")
    driven.parm("postframe")._expression = True
    locked = rop(host, "ifd")
    locked._locked = True
    for node, expected in (
        (taken, "its script 'prerender' is missing or taken"),
        (driven, "its script 'postframe' is missing or taken"),
        (host.rop("null"), "its script 'postframe' is missing or taken"),
        (locked, "is inside a locked asset"),
    ):
        before = values(node)
        with pytest.raises(Refused, match=expected):
            host.plugin.attach(node)
        assert values(node) == before


def test_husks_script_needs_a_path_without_spaces(
    host: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KPCN_HOUDINI", "/opt/my plugins/houdini")
    with pytest.raises(Refused, match="husk takes no path with spaces"):
        host.plugin.attach(rop(host, "usdrender"))


def test_husk_denoises_with_the_parms_values(host: Session) -> None:
    shot = make_shot(host.folder / "rendered")
    for number, path in zip(FRAMES, shot.outputs("noisy"), strict=True):
        shutil.copy(path, host.folder / "rendered" / f"{number}.exr")
    host.state.variables |= {
        "PICTURE": str(host.folder / "beauty.%04d.exr"), "RENDERED": str(shot.folder),
    }  # fmt: skip
    own = host.folder / "own.py"
    own.write_text("print('own')\n")
    node = rop(host, "usdrender_rop", husk_postframe="$HIP/own.py")
    host.plugin.attach(node)
    assert Path(node.parm("husk_postframe").eval()) == PLUGIN / "kpcn-husk-postframe.py"
    host.set(node, kpcn_model=shot.model, kpcn_output_file="$HIP/clean/c.$F4.exr")
    host.render(node, [2, 1, 3])
    printed = host.state.messages[-1]
    assert printed.count("1 frame denoised.") == 3, printed
    assert printed.count("own") == 3
    assert len(list((host.folder / "clean").glob("c.*.exr"))) == 3
    host.plugin.detach(node)
    assert node.parm("husk_postframe")._raw == "$HIP/own.py"


def test_a_setting_that_cannot_be_meant_stops_husks_render_only_if_it_is_to(
    host: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    node = rop(host, "usdrender_rop")
    host.plugin.attach(node)
    host.set(node, kpcn_output_file="$HIP/$F4/clean.$F4.exr")
    host.plugin.prepare(node)
    assert os.environ["KPCN_ENABLE"] == "0"
    assert "the frame must be in the file's name, and once" in capsys.readouterr().out
    host.set(node, kpcn_strict=1)
    with pytest.raises(hou.OperationFailed, match="and once"):
        host.plugin.prepare(node)


def test_a_farm_can_ask_for_the_variables(host: Session) -> None:
    node = rop(host, "usdrender_rop")
    host.plugin.attach(node)
    host.set(node, kpcn_asymmetry=2.5, kpcn_window="7", kpcn_more_layers="albedo=basecolor")
    found = host.plugin.environment(node)
    assert found["KPCN_INPUT"] == str(host.folder / "beauty.%04d.exr")
    assert (found["KPCN_FRAME_RANGE"], found["KPCN_WINDOW"]) == ("1-3", "7")
    given = host_panel.from_environment(found, host_panel.ITEMS)
    assert host_panel.settings(given).asymmetry == 2.5
    host.set(node, kpcn_frame_range="1001-1100")
    assert host.plugin.environment(node)["KPCN_FRAME_RANGE"] == "1001-1100"


def test_a_name_that_the_scene_gives_is_read_from_its_stage(host: Session) -> None:
    lop = hou.LopNode("/stage/settings", "null", husk.Product("/a/from_stage.$F4.exr"))
    node = rop(host, "usdrender", outputimage="", loppath="/stage/settings")
    assert host.module("rop").files(node) == "/a/from_stage.$F4.exr"
    node = rop(host, "usdrender_rop", outputimage="")
    with pytest.raises(Refused, match="writes no EXR files"):
        host.module("rop").files(node)
    host.plugin.attach(node)
    assert "KPCN_INPUT" not in host.plugin.environment(node)  # husk knows
    node._inputs = (lop,)
    assert host.module("rop").files(node) == "/a/from_stage.$F4.exr"


def test_frames_are_those_that_the_rop_is_set_to(host: Session) -> None:
    frames = host.module("rop").frames
    node = rop(host, "ifd")
    assert frames(node) == "1-3"
    host.set(node, f3=2.0)
    assert frames(node) == "1,3"
    host.set(node, f1=1.5)
    assert frames(node) == ""
    host.set(node, f1=1.0, trange="off")
    assert frames(node) == ""


def test_scripts_inside_an_asset_find_the_node_around_it(host: Session, worker: Worker) -> None:
    node = rop(host, "karma")
    host.plugin.attach(node)
    inner = hou.OpNode(f"{node.path()}/rop_usdrender", "null")
    writer(host)(1)
    host.plugin.landed(inner, 1)
    assert worker.asked == ["1"]
    with pytest.raises(Refused, match="kpcn is not attached"):
        host.plugin.landed(host.rop("bare"), 1)


def test_the_tools_serve_the_selected_nodes(host: Session) -> None:
    host.state.graphical = True
    host.plugin.attach_selected()
    assert host.state.messages == ["Select the nodes first."]
    host.state.selected = [rop(host, "ifd"), host.rop("null")]
    host.plugin.attach_selected()
    assert "/out/null1: its script 'postframe' is missing" in host.state.messages[-1]
    assert host.state.selected[0].parm("kpcn_window") is not None
    host.plugin.detach_selected()
    assert host.state.selected[0].parm("kpcn_window") is None


def test_the_script_for_a_person_with_houdini_runs(
    host: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(PLUGIN))
    # hou.session is made for each scene, so that the stubs do not have it.
    monkeypatch.setattr(hou, "session", SimpleNamespace(), raising=False)
    nodes.networks()
    said: list[str] = []
    failed = import_module("check_in_houdini").main("none.####.exr", said.append)
    assert said[-1] == f"{failed} assumptions did not hold."
    failures = [line for line in said if line.startswith("FAILED")]
    # What the fake has not: scenes for Karma, and COPs that cook.
    assert len(failures) == failed == 2, failures
    assert "husk: could be tried" in failures[0]
    assert "snippets: could be tried" in failures[1]
    assert sum(line.startswith("held") for line in said) > 35
