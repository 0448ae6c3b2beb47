"""For a person with Nuke: does it do what the plugin relies on? The plugin was written without it.

Example:
    Nuke15.1 -t plugins/nuke/check_in_nuke.py "examples/noisy.####.exr" 1 7

It prints a line for each assumption, held or not, and ends with the number that did not hold. It
writes to a temporary folder only. Please send the output with the version of Nuke.
"""

from __future__ import annotations

import ast
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import nuke

PLUGIN = Path(__file__).resolve().parent
if str(PLUGIN) not in sys.path:
    sys.path.append(str(PLUGIN))  # before kpcn_nuke is imported, if the plugin is not installed

import kpcn_nuke  # noqa: E402
from kpcn_nuke import inputs, knobs, render, result, session  # noqa: E402
from kpcn_nuke.node import READ, SWITCH, inner  # noqa: E402

READ_KNOBS = (
    "file", "first", "last", "origfirst", "origlast", "on_error", "reload", "frame",
    "localizationPolicy", "disable", *inputs.LOOK,
)  # fmt: skip

CAT_KNOBS = (
    "torchScriptFile", "catFile", "channelsIn", "channelsOut", "modelId", "outputScale",
    "createCatFile",
)  # fmt: skip
CARRIERS = (
    "rgba", "forward", "backward", "disparityL", "disparityR", "depth", "mask", "rotopaint_mask",
    "mask_planartrack", "mask_splinewarp", "deep",
)  # fmt: skip


class Claim(NamedTuple):
    """Something that the plugin relies on, and whether it is so."""

    text: str
    held: bool
    found: object = ""


class Material(NamedTuple):
    """What to try it on, and where to write."""

    pattern: str
    first: int
    last: int
    folder: Path

    def read(self) -> nuke.Node:
        """A Read of the sequence."""
        return nuke.nodes.Read(file=self.pattern, first=self.first, last=self.last)

    def node(self, source: nuke.Node, name: str) -> nuke.Node:
        """A KpcnDenoise on a node, that writes to our folder."""
        node = kpcn_nuke.create()
        node.setInput(0, source)
        node["output_file"].setValue((self.folder / f"{name}.%04d.exr").as_posix())
        return node


def names(material: Material) -> Iterator[Claim]:
    """Whether Nuke's module has what the plugin uses of it."""
    used = set()
    for path in sorted(PLUGIN.rglob("*.py")):
        for item in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(item, ast.Attribute) and isinstance(item.value, ast.Name):
                used |= {item.attr} if item.value.id == "nuke" else set()
    missing = sorted(name for name in used if not hasattr(nuke, name))
    yield Claim("the nuke module has all that the plugin uses", not missing, missing)


def panel(material: Material) -> Iterator[Claim]:
    """The node, its knobs and its inner nodes."""
    node = kpcn_nuke.create()
    knobs.settings(node)
    yield Claim("a KpcnDenoise can be made, and its panel read", True)
    for value, expected in (("input", 0), ("result", 1)):
        node["show"].setValue(value)
        found = inner(node, SWITCH)["which"].value()
        yield Claim(f"show = {value} switches", found == expected, found)
    nuke.delete(node)
    try:
        node.fullName()
    except ValueError:
        yield Claim("a deleted node raises ValueError", True)
    else:
        yield Claim("a deleted node raises ValueError", False, "nothing was raised")


def reads(material: Material) -> Iterator[Claim]:
    """What Reads have, and say about their files."""
    read = material.read()
    missing = [name for name in READ_KNOBS if read.knob(name) is None]
    yield Claim("Read has the knobs that the plugin uses", not missing, missing)
    for name, value in (("on_error", "error"), ("localizationPolicy", "off")):
        read[name].setValue(value)
        yield Claim(f"Read's {name} can be '{value}'", read[name].value() == value)
    found = nuke.filename(read)
    yield Claim("nuke.filename gives the pattern, not a frame", "%" in str(found), found)
    seen = inputs.upstream(nuke.nodes.Dot(inputs=[read]))
    yield Claim("a Read is seen through a Dot", isinstance(seen, inputs.Files), seen)
    changed = nuke.nodes.Multiply(inputs=[read])
    seen = inputs.upstream(changed)
    yield Claim("a graph is not taken for files", isinstance(seen, inputs.Graph), seen)
    if isinstance(seen, inputs.Graph):
        frames = seen.first, seen.last
        yield Claim(
            "a graph has the frames of its Read", frames == (material.first, material.last), frames
        )


def small_things(material: Material) -> Iterator[Claim]:
    """Functions whose answers are relied on."""
    frames = nuke.FrameRanges("1-3,7").toFrameList()
    yield Claim("FrameRanges understands 1-3,7", list(frames) == [1, 2, 3, 7], frames)
    if "%V" not in material.pattern:
        yield Claim("the script has one view", len(nuke.views()) == 1, nuke.views())
    yield Claim("Root has a proxy switch", nuke.root()["proxy"].value() in (False, 0))
    folder = nuke.root().knob("project_directory")
    yield Claim("Root has a project_directory", isinstance(folder, nuke.File_Knob), folder)
    yield Claim("nothing is executing now", not nuke.executing())


def rendering(material: Material) -> Iterator[Claim]:
    """A temporary Write: layers, and what the worker makes of the file."""
    source = nuke.nodes.Multiply(inputs=[material.read()], value=1.0)
    pattern = render.render(source, "check", "all", [material.first])
    path = Path(pattern % material.first)
    yield Claim("a graph is rendered to an EXR", path.is_file(), path)
    before = path.stat().st_mtime_ns
    render.render(source, "check", "all", [material.first])
    yield Claim(
        "rendered twice, the files are the same byte by byte", path.stat().st_mtime_ns == before
    )
    writes = [node for node in nuke.root().nodes() if node.Class() == "Write"]
    yield Claim("no Write is left behind", not writes, writes)
    original = material.node(material.read(), "layers")
    rendered = material.node(source, "layers")
    seen = []
    for node in (original, rendered):
        kpcn_nuke.find_layers(node)
        seen.append(set(str(node["found"].value()).splitlines()[1:]))
    yield Claim("all AOVs survive rendering", len(seen[0]) <= len(seen[1]), seen[0] ^ seen[1])


def denoising(material: Material) -> Iterator[Claim]:
    """The whole way, without windows: a range, the picture, and a second time."""
    node = material.node(material.read(), "clean")
    kpcn_nuke.denoise_range(node)
    status = node["status"].value()
    yield Claim("a range is denoised", str(status).endswith("denoised."), status)
    path = material.folder / f"clean.{material.first:04d}.exr"
    direct = nuke.nodes.Read(file=path.as_posix(), first=material.first, last=material.first)
    spots = [(x, y) for x in (0.25, 0.5, 0.75) for y in (0.25, 0.5, 0.75)]
    values = [
        [
            nuke.sample(shown, channel, int(x * direct.width()), int(y * direct.height()))
            for x, y in spots
            for channel in ("rgba.red", "rgba.green", "rgba.blue")
        ]
        for shown in (node, direct)
    ]
    yield Claim("the node shows the denoised file", values[0] == values[1], values)
    same = [getattr(node, ask)() == getattr(material.read(), ask)() for ask in ("width", "height")]
    yield Claim("format and size are the input's", all(same), same)
    kpcn_nuke.denoise_range(node)
    status = node["status"].value()
    yield Claim("a second time nothing is left to do", str(status).startswith("0 frames"), status)


def scripts(material: Material) -> Iterator[Claim]:
    """What a script remembers: the Group its Read, the gizmo its knobs."""
    group = kpcn_nuke.create()
    gizmo = nuke.createNode("KpcnDenoise", inpanel=False)
    for node in (group, gizmo):
        result.show(node, "/none/clean.%04d.exr", 1001, 1100, {})
    texts = group.fullName(), gizmo.fullName()
    script = (material.folder / "check.nk").as_posix()
    nuke.scriptSaveAs(script, overwrite=1)
    nuke.scriptClear()
    nuke.scriptOpen(script)
    for kind, name in zip(("Group", "gizmo"), texts):
        node = nuke.toNode(name) or nuke.root()
        read = inner(node, READ)
        shown = read["file"].value(), read["first"].value(), read["last"].value()
        expected = ("/none/clean.%04d.exr", 1001, 1100)
        yield Claim(f"a {kind} in a saved script shows its result again", shown == expected, shown)


def cat_files(material: Material) -> Iterator[Claim]:
    """What build_cat.py uses; only NukeX has it."""
    node = nuke.createNode("CatFileCreator", inpanel=False)
    missing = [name for name in CAT_KNOBS if node.knob(name) is None]
    yield Claim("CatFileCreator (NukeX) has the knobs that build_cat.py uses", not missing, missing)
    nuke.delete(node)
    missing = sorted(set(CARRIERS) - set(nuke.layers()))
    yield Claim("every script has the layers that KpcnLive borrows", not missing, missing)


CHECKS = (names, panel, reads, small_things, rendering, denoising, scripts, cat_files)


def claims(material: Material) -> Iterator[Claim]:
    """All of them; a check that breaks is a claim that did not hold."""
    for check in CHECKS:
        try:
            yield from check(material)
        except Exception:  # go on with the other checks
            last = traceback.format_exc().strip()
            yield Claim(f"{check.__name__}: could be tried at all", False, last)


def main(pattern: str, first: str, last: str, tell: Callable[[str], None] = print) -> int:
    """Try everything on a sequence; returns how many assumptions did not hold."""
    tell(f"Nuke {nuke.NUKE_VERSION_STRING}, Python {sys.version.split()[0]}, {sys.platform}")
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        material = Material(str(Path(pattern).resolve()), int(first), int(last), Path(folder))
        for claim in claims(material):
            failed += not claim.held
            found = "" if claim.held else f": found {claim.found}"
            tell(f"{'held  ' if claim.held else 'FAILED'} {claim.text}{found}")
        session.end()
    tell(f"{failed} assumptions did not hold.")
    return failed


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1], sys.argv[2], sys.argv[3]) else 0)
