"""The KpcnDenoise node: a Group with the panel, and a Read for the result beside the input."""

from __future__ import annotations

import nuke

from kpcn_nuke import knobs

RENDER, MASK = 0, 1  # the node's inputs
READ, SWITCH = "result", "show"  # names of its inner nodes
MARK = "result_look"  # our last knob: a node that has it is ours, whether Group or gizmo


def create() -> nuke.Node:
    """Make a node; where there are windows, connected to what is selected."""
    group = nuke.createNode("Group", inpanel=False) if nuke.GUI else nuke.nodes.Group()
    group.setName("KpcnDenoise1", uncollide=True)
    knobs.add(group)
    _fill(group)
    if nuke.GUI:
        group.showControlPanel()
    return group


def is_ours(node: nuke.Node) -> bool:
    """Whether it is a KpcnDenoise."""
    return node.knob(MARK) is not None


def is_attached(node: nuke.Node) -> bool:
    """Whether a node still exists; Nuke has nothing better to ask."""
    try:
        node.name()
    except ValueError:
        return False
    return True


def inner(node: nuke.Node, name: str) -> nuke.Node:
    """A node inside of ours."""
    assert isinstance(node, nuke.Group)
    found = node.node(name)
    assert found is not None, f"{node.fullName()} has no {name} inside"
    return found


def _fill(group: nuke.Node) -> None:
    assert isinstance(group, nuke.Group)
    with group:
        render = nuke.nodes.Input(name="render", number=RENDER)
        nuke.nodes.Input(name="mask", number=MASK)
        read = nuke.nodes.Read(name=READ)
        # A frame that is not denoised yet must not pass for one that is.
        read["on_error"].setValue("error")
        read["localizationPolicy"].setValue("off")
        switch = nuke.nodes.Switch(name=SWITCH, inputs=[render, read])
        switch["which"].setExpression("parent.show")
        nuke.nodes.Output(inputs=[switch])
