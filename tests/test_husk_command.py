"""What husk's command line and stage say about frames and files."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

PLUGIN = Path(__file__).parent.parent / "plugins" / "houdini"


@pytest.fixture(autouse=True)
def plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PLUGIN / "scripts" / "python"))


def module(name: str) -> Any:
    return import_module(f"kpcn_husk.{name}")


@pytest.mark.parametrize(
    ("command", "frames", "output"),
    [
        ("husk -f 7 -n 1 shot.usd -o a.$F4.exr", [7], "a.$F4.exr"),
        (["husk", "--frame", "1", "--frame-count=3", "-i", "2", "s.usd"], [1, 3, 5], ""),
        ("husk --frame-list '1 5 9' --output b.exr,c.exr", [1, 5, 9], "b.exr"),
        ("husk --frame-list 1 5 9 -V 3 s.usd", [1, 5, 9], ""),
        ("husk -f -3 -n 2", [-3, -2], ""),
        ("husk -f 1.0 -n 2", [1, 2], ""),
        ("husk -f 1.5 s.usd", [], ""),
        ("husk s.usd", [], ""),
        (None, [], ""),
    ],
)
def test_frames_and_output_are_in_the_command(
    command: object, frames: list[int], output: str
) -> None:
    words = module("command").words_of(command)
    assert module("command").frames(words) == frames
    assert module("command").output(words) == output


class Attribute:
    def __init__(self, names: dict[float, str], default: str = "") -> None:
        self.names, self.default = names, default

    def GetTimeSamples(self) -> list[float]:
        return sorted(self.names)

    def Get(self, time: float) -> str:
        return self.names.get(time, self.default)


class Prim:
    def __init__(self, kind: str, attribute: Attribute) -> None:
        self.kind, self.attribute = kind, attribute

    def GetTypeName(self) -> str:
        return self.kind

    def GetAttribute(self, name: str) -> Attribute:
        assert name == "productName"
        return self.attribute


class Stage:
    def __init__(self, *prims: Prim) -> None:
        self.prims = prims

    def Traverse(self) -> tuple[Prim, ...]:
        return self.prims


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        (Attribute({1.0: "/a/b.0001.exr", 2.0: "/a/b.0002.exr"}), "/a/b.%04d.exr"),
        (Attribute({}, "/a/b.$F4.exr"), "/a/b.$F4.exr"),
        (Attribute({}, "/a/b.0007.exr"), "/a/b.%04d.exr"),
        (Attribute({}), ""),
    ],
)
def test_the_stage_names_the_files(attribute: Attribute, expected: str) -> None:
    camera = Prim("Camera", Attribute({}, "/no.exr"))
    stage = Stage(camera, Prim("RenderProduct", attribute))
    assert module("product").pattern(stage, [7]) == expected


def test_where_nothing_names_the_files_the_variable_is_asked_for() -> None:
    from kpcn_core.errors import Refused

    with pytest.raises(Refused, match="Set KPCN_INPUT"):
        module("render").Render({}, {"stage": Stage()}).source()
    assert "hou" not in sys.modules
