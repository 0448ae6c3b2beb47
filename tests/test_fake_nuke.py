"""The fake Nuke has nothing that types-nuke lacks, and refuses what Nuke would."""

import ast
import threading
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.fakes import nuke
from tests.fakes.nuke import knobs, nodes, progress, state
from tests.fakes.nuke.nodes import Root

Definition = ast.FunctionDef | ast.ClassDef | ast.AnnAssign

FOLDER = Path(str(distribution("types-nuke").locate_file("nuke-stubs")))
FILES = ("_nuke.pyi", "callbacks.pyi", "executeInMain.pyi")
KINDS = [
    kind
    for module in (knobs, nodes, progress)
    for kind in vars(module).values()
    if isinstance(kind, type) and kind.__module__ == module.__name__
]


@pytest.fixture(autouse=True)
def script() -> None:
    state.reset().root = Root()


@cache
def stubs() -> dict[str, list[Definition]]:
    """Names of Nuke's module, with all that defines them."""
    found: dict[str, list[Definition]] = {}
    for file in FILES:
        for item in ast.parse((FOLDER / file).read_text()).body:
            if isinstance(item, ast.FunctionDef | ast.ClassDef):
                found.setdefault(item.name, []).append(item)
            elif isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                found.setdefault(item.target.id, []).append(item)
    return found


def methods(name: str) -> dict[str, list[Definition]]:
    """Methods of a class in the stubs, inherited ones included."""
    found: dict[str, list[Definition]] = {}
    for kind in stubs()[name]:
        assert isinstance(kind, ast.ClassDef)
        for base in kind.bases:
            if isinstance(base, ast.Name) and base.id in stubs():
                found |= methods(base.id)
        for item in kind.body:
            if isinstance(item, ast.FunctionDef):
                found.setdefault(item.name, []).append(item)
    return found


def parameters(definition: Definition) -> list[str] | None:
    """Names of parameters; None if the stubs do not say."""
    assert isinstance(definition, ast.FunctionDef)
    if definition.args.vararg:
        return None
    return [argument.arg for argument in definition.args.args if argument.arg != "self"]


def fits(function: object, definitions: list[Definition]) -> bool:
    code = getattr(getattr(function, "__wrapped__", function), "__code__", None)
    if code is None:
        return True
    ours = [name for name in code.co_varnames[: code.co_argcount] if name not in ("self", "cls")]
    options = [parameters(definition) for definition in definitions]
    return any(names is None or ours == names[: len(ours)] for names in options)


@pytest.mark.parametrize("name", nuke.__all__)
def test_every_name_is_nukes(name: str) -> None:
    assert name in stubs(), f"nuke has no {name}"
    value = getattr(nuke, name)
    if isinstance(stubs()[name][0], ast.FunctionDef):
        assert fits(value, stubs()[name]), f"{name} takes other arguments"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_method_is_nukes(kind: type) -> None:
    named = next(base for base in kind.__mro__ if base.__name__ in stubs())
    known = methods(named.__name__)
    for name, function in vars(kind).items():
        if callable(function) and name[0].isalpha() and name[0] + name[1:] in public(kind):
            assert name in known, f"nuke.{kind.__name__} has no {name}"
            assert fits(function, known[name]), f"{kind.__name__}.{name} takes other arguments"


def public(kind: type) -> set[str]:
    """Methods for the plugin, and not for the fake itself."""
    ours = {"checked", "check_attached", "evaluate_expression", "changed", "empty"}
    return {name for name in vars(kind) if not name.startswith("_")} - ours


def test_what_nuke_has_not_is_refused() -> None:
    read = nuke.nodes.Read()
    with pytest.raises(NameError, match="knob filename does not exist"):
        read["filename"]
    assert read.knob("filename") is None
    with pytest.raises(AttributeError):
        nuke.nodes.Reader()
    with pytest.raises(AttributeError):
        nuke.alert  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(TypeError, match="needs a whole number"):
        read["first"].setValue("1")
    with pytest.raises(TypeError, match="has no 'ignore'"):
        read["on_error"].setValue("ignore")


def test_exr_knobs_appear_with_the_file_type() -> None:
    write = nuke.nodes.Write()
    assert write.knob("datatype") is None
    write["file_type"].setValue("exr")
    assert write["datatype"].values() == ["16 bit half", "32 bit float"]  # type: ignore[attr-defined]


def test_a_deleted_node_is_detached() -> None:
    read = nuke.nodes.Read()
    nuke.delete(read)
    with pytest.raises(ValueError, match="not attached"):
        read["file"]


def test_only_the_main_thread_may_use_the_api() -> None:
    caught: list[BaseException] = []

    def use() -> None:
        for attempt in (nuke.frame, lambda: nuke.nodes.Read(), read.name):
            try:
                attempt()
            except AssertionError as error:
                caught.append(error)

    read = nuke.nodes.Read()
    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert len(caught) == 3


def test_files_are_written_with_nukes_placeholders() -> None:
    read = nuke.nodes.Read(file="/shots/a.####.exr")
    assert read["file"].value() == "/shots/a.%04d.exr"
    assert nuke.nodes.Read()["file"].value() is None
