"""The fake Houdini has nothing that types-houdini lacks, and refuses what Houdini would."""

import ast
import threading
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import hou
from tests.fakes.hou import nodes, parms, state

STUBS = Path(str(distribution("types-houdini").locate_file("hou-stubs/__init__.pyi")))
KINDS = sorted(
    (kind for name in hou.__all__ if isinstance(kind := getattr(hou, name), type)),
    key=lambda kind: kind.__name__,
)


@pytest.fixture(autouse=True)
def session() -> None:
    state.reset()


@cache
def stubs() -> dict[str, ast.FunctionDef | ast.ClassDef]:
    """What Houdini's module has."""
    body = ast.parse(STUBS.read_text(encoding="utf-8")).body
    return {item.name: item for item in body if isinstance(item, ast.FunctionDef | ast.ClassDef)}


@cache
def members(name: str) -> dict[str, list[ast.stmt]]:
    """What a class in the stubs has, inherited things included; methods may be overloaded."""
    definition = stubs()[name]
    assert isinstance(definition, ast.ClassDef)
    found: dict[str, list[ast.stmt]] = {}
    for base in definition.bases:
        if isinstance(base, ast.Name) and base.id in stubs():
            found |= members(base.id)
    for item in definition.body:
        if isinstance(item, ast.FunctionDef):
            found.setdefault(item.name, []).append(item)
        elif isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            found[item.target.id] = [item]
    return found


def fits(ours: Any, theirs: ast.stmt) -> bool:
    """Whether all of our parameters are among theirs, in their order."""
    function = getattr(ours, "__func__", ours)
    code = getattr(function, "__wrapped__", function).__code__
    names = [name for name in code.co_varnames[: code.co_argcount] if name != "self"]
    assert isinstance(theirs, ast.FunctionDef)
    if theirs.args.vararg:
        return True
    known = [argument.arg for argument in theirs.args.args if argument.arg != "self"]
    return names == [name for name in known if name in names]


@pytest.mark.parametrize("name", hou.__all__)
def test_every_name_is_houdinis(name: str) -> None:
    assert name in stubs(), f"hou has no {name}"
    value, theirs = getattr(hou, name), stubs()[name]
    if isinstance(theirs, ast.FunctionDef):
        assert fits(value, theirs), f"{name} takes other arguments"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_method_is_houdinis(kind: type) -> None:
    known = members(kind.__name__)
    for name, value in vars(kind).items():
        if name.startswith("_") and name != "__init__":
            continue
        assert name in known, f"hou.{kind.__name__} has no {name}"
        methods = [item for item in known[name] if isinstance(item, ast.FunctionDef)]
        # ParmTemplate itself cannot be made, and nodes are not made by calling their class.
        if methods and not (name == "__init__" and kind in MADE_OTHERWISE):
            assert any(fits(value, one) for one in methods), f"{kind.__name__}.{name}"


MADE_OTHERWISE = (
    hou.EnumValue, hou.Node, hou.OpNode, hou.RopNode, hou.LopNode, hou.Parm, hou.ParmTemplate,
    hou.BoundingRect, hou.Vector2,
)  # fmt: skip


def test_what_houdini_has_not_is_refused() -> None:
    node = nodes.make("/out/mantra1", "ifd")
    assert node.parm("husk_postframe") is None
    with pytest.raises(TypeError, match="needs a text"):
        node.parm("vm_picture").set(1)  # type: ignore[union-attr]
    with pytest.raises(TypeError, match="has no 'sometimes'"):
        node.parm("trange").set("sometimes")  # type: ignore[union-attr]
    with pytest.raises(hou.OperationFailed):
        node.parm("soho_foreground").unexpandedString()  # type: ignore[union-attr]
    with pytest.raises(AttributeError):
        getattr(hou, "rops")  # noqa: B009 - mypy knows that it is not there
    with pytest.raises(hou.OperationFailed, match="no such parm"):
        node.parmTemplateGroup().remove("kpcn_folder")


def test_names_are_expanded_as_houdini_does() -> None:
    state.current.variables["HIP"] = "/shots"
    assert parms.expanded("$HIP/a.$F4.exr", 7) == "/shots/a.0007.exr"
    assert parms.expanded("$HIP/a.${F}.exr", -7) == "/shots/a.-7.exr"


def test_a_layer_forgets_its_pixels_when_its_shape_changes() -> None:
    layer = hou.ImageLayer()
    layer.setChannelCount(3)
    layer.setDataWindow(0, 0, 2, 2)
    layer.setAllBufferElements(b"\1" * 48)
    layer.setStorageType(hou.imageLayerStorageType.Float16)
    with pytest.raises(hou.OperationFailed, match="incorrect size"):
        layer.setAllBufferElements(b"\1" * 48)
    assert not any(layer._buffer)


def test_only_the_main_thread_may_use_the_api() -> None:
    caught: list[BaseException] = []
    node = nodes.make("/out/mantra1", "ifd")

    def use() -> None:
        for attempt in (hou.frame, lambda: node.parm("vm_picture"), hou.ImageLayer):
            try:
                attempt()
            except AssertionError as error:
                caught.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert len(caught) == 3
