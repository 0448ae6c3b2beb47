"""The node itself: its panel, its inner nodes, the gizmo, the menu."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from kpcn_core import host_settings, settings, source
from kpcn_core.aov import AOVS
from kpcn_core.host_settings import SOURCES, Settings
from kpcn_core.settings import OUTPUTS
from tests.fakes import nk, nuke
from tests.fakes.nuke.nodes import Group, Node
from tests.nuke_host import PLUGIN, Session
from tests.shots import make_shot


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Session]:
    session = Session(monkeypatch, tmp_path)
    session.start()
    yield session
    session.close()


def knobs_of(node: Node) -> dict[str, tuple[object, ...]]:
    return {
        name: (type(knob), knob.label(), knob.tooltip(), knob._value, knob._flags)
        for name, knob in node.knobs().items()
        if name != "name"
    }


def inside(group: Node) -> set[tuple[object, ...]]:
    assert isinstance(group, Group)
    return {
        (
            node.Class(),
            node.name(),
            tuple(above.name() if (above := node.input(i)) else None for i in (0, 1)),
            tuple((name, knob._value, knob._expression) for name, knob in node.knobs().items()),
        )
        for node in group.nodes()
    }


def test_the_menu_makes_the_node(host: Session) -> None:
    exec(host.state.commands["KpcnDenoise"], {})
    (node,) = nuke.root().nodes()
    assert node.fullName() == "KpcnDenoise1"
    exec(host.state.commands["KpcnDenoise"], {})
    assert nuke.root().nodes()[1].name() == "KpcnDenoise2"


def test_the_gizmos_text_is_the_same_node(host: Session) -> None:
    text = (PLUGIN / "KpcnDenoise.gizmo").read_text(encoding="utf-8")
    assert text == host.module("gizmo").text(), "write it again: python -m tests.write_gizmo"
    gizmo, group = nk.load(text), host.plugin.create()
    assert knobs_of(gizmo) == knobs_of(group)
    assert inside(gizmo) == inside(group)


def test_a_new_node_asks_for_what_the_command_does_by_default(host: Session) -> None:
    settings = host.module("knobs").settings(host.plugin.create())
    assert settings.request("a.exr", "b.exr") == Settings().request("a.exr", "b.exr")


def test_a_gizmo_in_a_script_shows_its_result_again(host: Session) -> None:
    node = host.plugin.create()
    node["result_file"].setValue("/shots/clean.%04d.exr")
    node["result_range"].setValue("-5-1100")
    node["result_look"].setValue('{"raw": true, "unknown": 1}')
    restore = next(call for event, _, call in host.state.callbacks if event == "onCreate")
    host.state.this.append((node, None))
    restore()
    host.state.this.pop()
    read = node.node("result")
    values = {name: read[name].value() for name in ("file", "first", "last", "origfirst", "raw")}
    assert values == {
        "file": "/shots/clean.%04d.exr", "first": -5, "last": 1100, "origfirst": -5, "raw": True,
    }  # fmt: skip


def test_other_groups_are_left_alone(host: Session) -> None:
    group = nuke.nodes.Group()
    group.addKnob(nuke.Double_Knob("asymmetry", ""))
    group["asymmetry"].setValue(3.0)  # calls what listens to knobs
    assert not host.state.messages


def test_the_panel_offers_what_the_worker_knows(host: Session) -> None:
    panel = host.module("panel")
    assert set(SOURCES) == {"auto", *source.names()}
    assert set(panel.FIELDS) <= set(AOVS)
    tip = next(item.tip for item in panel.PANEL if item.name == "clean")
    assert all(aov in tip for aov in OUTPUTS)
    assert host_settings.QUALITIES == settings.QUALITIES


def test_a_menu_that_fails_does_not_keep_nuke_from_starting(
    host: Session, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delattr(nuke, "menu")
    host.start()
    assert "has no attribute 'menu'" in capsys.readouterr().err


def test_without_windows_there_is_no_menu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    session = Session(monkeypatch, tmp_path)
    monkeypatch.setattr(nuke, "GUI", False)
    session.start()
    assert not session.state.commands
    assert session.plugin.create().name() == "KpcnDenoise1"


def test_the_script_for_a_person_with_nuke_runs(
    host: Session, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setattr(nuke, "GUI", False)
    shot = make_shot(tmp_path_factory.mktemp("shot"))
    check = import_module("check_in_nuke")
    said: list[str] = []
    failed = check.main(shot.noisy, "1", "3", said.append)
    assert said[-1] == f"{failed} assumptions did not hold."
    failures = [line for line in said if line.startswith("FAILED")]
    assert len(failures) == failed == 2  # what the fake has not: scripts that are saved
    assert "scriptClear" in failures[0]
    assert "scripts: could be tried" in failures[1]
    assert sum(line.startswith("held") for line in said) > 20
