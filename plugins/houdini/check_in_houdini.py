"""For a person with Houdini: does it do what the plugin relies on? It was written without Houdini.

Example:
    hython plugins/houdini/check_in_houdini.py "examples/noisy.####.exr"

It prints a line for each assumption, held or not, and ends with the number that did not hold. It
writes to a temporary folder only, and renders a few small frames with Karma, if that can be used.
Please send the output with the version of Houdini.
"""

from __future__ import annotations

import ast
import os
import sys
import tempfile
import traceback
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import hou

PLUGIN = Path(__file__).resolve().parent
if str(PLUGIN / "scripts" / "python") not in sys.path:
    sys.path.append(str(PLUGIN / "scripts" / "python"))  # if the plugin is not installed
os.environ.setdefault("KPCN_HOUDINI", PLUGIN.as_posix())

import kpcn_houdini  # noqa: E402
from kpcn_houdini import cop, rop  # noqa: E402

from kpcn_core.host_exr import Picture  # noqa: E402

# Type, category, the parm of its output, and others that are used.
ROPS = (
    ("ifd", "Driver", "vm_picture", ("soho_foreground", "postframe", "postrender", "prerender")),
    ("usdrender", "Driver", "outputimage", ("husk_postframe", "husk_tpostframe", "prerender")),
    ("usdrender_rop", "Lop", "outputimage", ("husk_postframe", "husk_postrender", "loppath")),
    ("karma", "Lop", "picture", ("postframe", "postrender", "soho_foreground")),
    ("rop_image", "Cop", "copoutput", ("postwrite", "postrender")),
    ("arnold", "Driver", "ar_picture", ("postframe",)),
    ("Redshift_ROP", "Driver", "RS_outputFileNamePrefix", ("postframe",)),
    ("ris", "Driver", "ri_display_0", ("postframe", "ri_device_0")),
)
PARENTS = {"Driver": "/out", "Lop": "/stage", "Cop": "/img"}


class Claim(NamedTuple):
    """Something that the plugin relies on, and whether it is so."""

    text: str
    held: bool
    found: object = ""


class Material(NamedTuple):
    """What to try it on, and where to write."""

    pattern: str
    folder: Path


def names(material: Material) -> Iterator[Claim]:
    """Whether Houdini's module has what the plugin uses of it."""
    used = set()
    for path in sorted(PLUGIN.rglob("*.py")):
        for item in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(item, ast.Attribute) and isinstance(item.value, ast.Name):
                used |= {item.attr} if item.value.id == "hou" else set()
    missing = sorted(name for name in used if not hasattr(hou, name))
    yield Claim("the hou module has all that the plugin uses", not missing, missing)


def rops(material: Material) -> Iterator[Claim]:
    """What kinds of ROPs have, and that they are as before after all."""
    for kind, category, output, others in ROPS:
        node = _make(kind, category)
        if node is None:
            yield Claim(f"{kind}: is here", False, "not in this Houdini, or no license for it")
            continue
        missing = [name for name in (output, *others) if node.parm(name) is None]
        yield Claim(f"{kind}: has the parms that the plugin uses", not missing, missing)
        parm = node.parm(output)
        if parm is not None:
            parm.set((material.folder / "shot.$F4.exr").as_posix())
            device = node.parm("ri_device_0")
            if device is not None:
                device.set("openexr")
            found = rop.files(node)
            yield Claim(f"{kind}: its files are found", found.endswith("shot.%04d.exr"), found)
        before = _values(node)
        kpcn_houdini.attach(node)
        added = node.parm("kpcn_window") is not None
        yield Claim(f"{kind}: kpcn can be attached", added and _values(node) != before)
        kpcn_houdini.detach(node)
        after = _values(node)
        changed = sorted(name for name in before if before[name] != after.get(name))
        yield Claim(f"{kind}: and detached, and all is as before", not changed, changed)
        node.destroy()


def scripts(material: Material) -> Iterator[Claim]:
    """What a ROP's Python scripts see, on one that renders nothing."""
    node = _make("null", "Driver") or _make("geometry", "Driver")
    if node is None or node.parm("postframe") is None:
        yield Claim("a ROP with scripts can be made", False)
        return
    seen: list[tuple[str, float]] = []
    hou.session.kpcn_seen = seen  # type: ignore[attr-defined]
    code = "import hou; hou.session.kpcn_seen.append(({!r}, hou.frame(), hou.pwd().path()))"
    for event in ("prerender", "postframe", "postrender"):
        for name, value in ((f"l{event}", "python"), (event, code.format(event))):
            _parm(node, name).set(value)
    assert isinstance(node, hou.RopNode)
    node.render(frame_range=(1, 2))
    events = [one[0] for one in seen]
    expected = ["prerender", "postframe", "postframe", "postrender"]
    yield Claim("scripts run before the render, after frames, at the end", events == expected, seen)
    frames = [one[1] for one in seen if one[0] == "postframe"]
    yield Claim("hou.frame() is the frame that was rendered", frames == [1, 2], frames)
    paths = {one[2] for one in seen}  # type: ignore[misc]
    yield Claim("hou.pwd() is the ROP", paths == {node.path()}, paths)
    _parm(node, "postframe").set("import hou; raise hou.OperationFailed('kpcn')")
    try:
        node.render(frame_range=(1, 2))
    except hou.Error as error:
        yield Claim("an error in a script stops the render", True, error)
    else:
        yield Claim("an error in a script stops the render", False, "it went on")
    node.destroy()


def husk(material: Material) -> Iterator[Claim]:
    """A render by husk, denoised by its post-frame script: the whole way."""
    stage = hou.node("/stage")
    assert stage is not None
    sphere, camera = stage.createNode("sphere"), stage.createNode("camera")
    camera.setInput(0, sphere)
    node = stage.createNode("usdrender_rop")
    node.setInput(0, camera)
    assert isinstance(node, hou.OpNode)
    output = material.folder / "karma.$F4.exr"
    wanted: dict[str, int | str] = {
        "outputimage": output.as_posix(), "trange": "normal", "f1": 1, "f2": 2,
        "override_res": "specific", "res_user1": 64, "res_user2": 48,
    }  # fmt: skip
    for name, value in wanted.items():
        _parm(node, name).deleteAllKeyframes()
        _parm(node, name).set(value)
    kpcn_houdini.attach(node)
    _parm(node, "execute").pressButton()
    for number in (1, 2):
        rendered = material.folder / f"karma.{number:04d}.exr"
        yield Claim(f"husk rendered frame {number}", rendered.is_file())
        clean = material.folder / "denoised" / rendered.name
        yield Claim(f"husk's post-frame script denoised frame {number}", clean.is_file())
    for one in (node, camera, sphere):
        one.destroy()


def layers(material: Material) -> Iterator[Claim]:
    """A layer made by us, read back."""
    plane = array("f", map(float, range(6)))
    like = hou.ImageLayer()
    like.setDataWindow(2, 1, 3, 2)
    like.setDisplayWindow(0, 0, 8, 4)
    made = cop._layer(Picture(3, 2, dict.fromkeys("RGBA", plane)), like)
    size = tuple(made.bufferResolution())
    yield Claim("a layer has the size of its window", size == (3, 2), size)
    back = array("f", made.allBufferElements(hou.imageLayerStorageType.Float32, 4))
    yield Claim("a layer's first row is the bottom one of the picture", back[0] == 3.0, list(back))
    corner = made.dataWindow().min()
    found = corner.x(), corner.y()
    yield Claim("a layer's data window is that of its source", found == (2, 1), found)


def snippets(material: Material) -> Iterator[Claim]:
    """A Python Snippet COP: set up, cooked, denoised."""
    node = _make("pythonsnippet", "Cop")
    if node is None:
        yield Claim("there are Python Snippet COPs", False, "Houdini 21 has them")
        return
    cop.set_up(node)
    inputs = node.inputNames()
    yield Claim("it has the inputs", tuple(inputs)[:1] == ("color",), inputs)
    parent = node.parent()
    assert parent is not None
    file = parent.createNode("file")
    path = material.pattern.replace("####", "0001")
    _parm(file, "filename").set(path)
    node.setInput(0, file)
    try:
        shown = node.layer(0)  # type: ignore[attr-defined]
    except hou.Error as error:
        yield Claim("it denoises a picture", False, (error, node.errors()))
        return
    yield Claim("it denoises a picture", shown is not None and shown.channelCount() == 4)


CHECKS = (names, rops, scripts, layers, husk, snippets)


def _make(kind: str, category: str) -> hou.OpNode | None:
    parent = hou.node(PARENTS[category])
    if parent is None and category == "Cop":
        root = hou.node("/obj")
        parent = root.createNode("copnet") if root is not None else None
    if parent is None:
        return None
    try:
        made = parent.createNode(kind)
    except hou.OperationFailed:
        return None
    assert isinstance(made, hou.OpNode)
    return made


def _parm(node: Any, name: str) -> hou.Parm:
    found = node.parm(name)
    if found is None:
        raise KeyError(f"{node.path()} has no parm {name}")
    assert isinstance(found, hou.Parm)
    return found


def _values(node: hou.OpNode) -> dict[str, str]:
    return {parm.name(): parm.rawValue() for parm in node.parms()}


def claims(material: Material) -> Iterator[Claim]:
    """All of them; a check that breaks is a claim that did not hold."""
    for check in CHECKS:
        try:
            yield from check(material)
        except Exception:  # go on with the other checks
            last = traceback.format_exc().strip()
            yield Claim(f"{check.__name__}: could be tried at all", False, last)


def main(pattern: str, tell: Callable[[str], None] = print) -> int:
    """Try everything; returns how many assumptions did not hold."""
    tell(f"Houdini {hou.applicationVersionString()}, Python {sys.version.split()[0]}")
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for claim in claims(Material(str(Path(pattern).resolve()), Path(folder))):
            failed += not claim.held
            found = "" if claim.held else f": found {claim.found}"
            tell(f"{'held  ' if claim.held else 'FAILED'} {claim.text}{found}")
    tell(f"{failed} assumptions did not hold.")
    return failed


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1]) else 0)
