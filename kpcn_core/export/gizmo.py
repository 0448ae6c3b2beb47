"""The gizmo around Nuke's Inference node, as text: layers into channels, and the color back.

Nodes are put on a stack: what comes last is a node's first input. In a Copy, that is B.
"""

from collections.abc import Iterable, Iterator

from kpcn_core.export.inputs import VARIANCE, Input
from kpcn_core.export.nuke_channels import ALPHA, MASK, RGB, Packing
from kpcn_core.features import ALBEDO_EPSILON

Knobs = Iterable[tuple[str, str]]

REPLACED = "mask.a"  # where the result says which pixels were NaN or Inf
SPECIAL = str.maketrans({character: f"\\{character}" for character in '\\"[]$'})


def text(name: str, packing: Packing) -> str:
    """The whole file.

    Args:
        name: of the gizmo and of its .cat.
        packing: what the module in the .cat is given.
    """
    lines = [
        "version 14.0 v1",
        "Gizmo {",
        f' onCreate "{_quoted(_on_create(packing))}"',
        " inputs 2",
        *_panel(name, packing),
        "}",
        *_nodes(name, packing),
        "end_group",
    ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """What goes between Tcl's quotes."""
    return text.translate(SPECIAL).replace("\n", "\\n")


def _layers(packing: Packing) -> list[Input]:
    """What a person chooses a layer of the render for."""
    return [one for one in packing.inputs if one != MASK and one.name != "color"]


def _on_create(packing: Packing) -> str:
    """Python: take layers that are called like AOVs, and tie the knobs to those of the module."""
    layers = [one.aov for one in _layers(packing)]
    ties = ["asymmetry", *(["use_mask"] if packing.has_mask else [])]
    return "\n".join([
        "this = nuke.thisNode()",
        "known = nuke.layers()",
        f"for aov in {layers}:",
        "    knob = this.node(aov)['in']",
        "    if knob.value() == 'none' and aov in known: knob.setValue(aov)",
        "for inference in ('full', 'half'):",
        f"    for name in {ties}:",
        "        knob = this.node(inference).knob(name)",
        "        if knob is not None: knob.setExpression('parent.' + name)",
    ])  # fmt: skip


def _panel(name: str, packing: Packing) -> Iterator[str]:
    yield f" addUserKnob {{20 tab l {name}}}"
    yield (
        ' addUserKnob {7 asymmetry l asymmetry t "λ from 1 to 10. Higher keeps more noise rather '
        'than lose detail." R 1 10}'
    )
    yield " asymmetry 1"
    if packing.has_mask:
        yield (
            ' addUserKnob {6 use_mask l "only where the mask is" t "The asymmetry applies where '
            "the alpha of the input 'mask' is 1, not where it is 0.\" +STARTLINE}"
        )
    yield ' addUserKnob {6 use_half l "half precision" t "Faster, a little less exact." +STARTLINE}'
    yield ' addUserKnob {6 useGPUIfAvailable l "use GPU if available" +STARTLINE}'
    yield " useGPUIfAvailable true"
    yield ' addUserKnob {26 layers l Layers T "Which layer of the render is what."}'
    for one in _layers(packing):
        yield f" addUserKnob {{41 in_{one.aov} l {one.aov} T {one.aov}.in}}"


def _nodes(name: str, packing: Packing) -> Iterator[str]:
    if packing.has_mask:
        yield from _node("Input", [("inputs", "0"), ("name", "mask"), ("number", "1")])
    yield from _node("Input", [("inputs", "0"), ("name", "render"), ("number", "0")])
    yield "set Nrender [stack 0]"
    if packing.has_mask:
        # The mask is below, and becomes A.
        yield from _copy("packed_mask", [(ALPHA, ALPHA)])
    yield "set Npacked [stack 0]"
    for one in _layers(packing):
        yield "push $Nrender"
        yield from _node("Shuffle", [("in", "none"), ("name", one.aov)])
        if one.name == "albedo":
            yield "set Nalbedo [stack 0]"
        yield from _summed(one)
        yield "push $Npacked"
        yield from _copy(f"packed_{one.name}", zip(RGB, packing.of(one.name), strict=False))
        yield "set Npacked [stack 0]"
    for inference, file in (("half", f"{name}_half"), ("full", name)):
        if inference == "full":
            yield "push $Npacked"
        yield from _inference(inference, file, packing)
    switch = [("inputs", "2"), ("which", "{{parent.use_half}}"), ("name", "precision")]
    yield from _node("Switch", switch)
    yield "push $Nrender"
    yield from _copy("denoised", [*zip(RGB, RGB, strict=True), (ALPHA, REPLACED)])
    yield from _node("Output", [("name", "Output1")])


def _summed(one: Input) -> Iterator[str]:
    """A variance summed over its channels, see `inputs.prepared`."""
    if not one.name.endswith(VARIANCE):
        return
    if one.name == "irradiance_variance":
        terms = [f"max(A{c},0)/pow(max(B{c},0)+{ALBEDO_EPSILON},2)" for c in "rgb"]
        yield "push $Nalbedo"
        expression = ("expr0", f'"{" + ".join(terms)}"')
        yield from _node("MergeExpression", [("inputs", "2"), expression, ("name", one.name)])
        return
    expression = ("expr0", '"max(r,0) + max(g,0) + max(b,0)"')
    yield from _node("Expression", [expression, ("name", one.name)])


def _inference(node: str, file: str, packing: Packing) -> Iterator[str]:
    ties = "asymmetry:{parent.asymmetry};" + "use_mask:{parent.use_mask};" * packing.has_mask
    yield from _node("Inference", [
        ("useGPUIfAvailable", "{{parent.useGPUIfAvailable}}"),
        ("modelFile", f'"\\[lsearch -inline \\[plugins -all {file}.cat] *.cat]"'),
        ("serialiseKnob", f"{{{ties}}}"),
        ("name", node),
    ])  # fmt: skip


def _copy(name: str, channels: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Channels of A into those of B, which lies on top."""
    knobs: list[tuple[str, str]] = [("inputs", "2")]
    for index, (source, target) in enumerate(channels):
        knobs += [(f"from{index}", source), (f"to{index}", target)]
    yield from _node("Copy", [*knobs, ("name", name)])


def _node(kind: str, knobs: Knobs) -> Iterator[str]:
    yield f" {kind} {{"
    yield from (f"  {name} {value}" for name, value in knobs)
    yield " }"
