"""Results in Blender: an image of each sequence, and a node of it in the compositor."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import bpy

from kpcn_blender.files import Sequence
from kpcn_core.sequence_pattern import Pattern

MARK = "kpcn_output"  # property of our images: the pattern of their files


def show(sequence: Sequence) -> bpy.types.Image | None:
    """Have an image of what is denoised; the one of before if there is one.

    Returns:
        The image; None if nothing is denoised yet.
    """
    numbers = _numbers(sequence.output)
    if not numbers:
        return None
    pattern = Pattern.parse(sequence.output)
    path = str(pattern.path(numbers[0])) if pattern.width else sequence.output
    image = find(sequence)
    if image is None:
        image = bpy.data.images.load(path)
        image.name = f"KPCN {sequence.layer}"
        image[MARK] = sequence.output
    if image.filepath == path:
        image.reload()
    else:
        image.filepath = path
    tuple(image.size)  # only once Blender has read a file it knows of layers
    image.source = "SEQUENCE" if pattern.width else "FILE"
    return image


def find(sequence: Sequence) -> bpy.types.Image | None:
    """The image of a sequence, if there is one."""
    return next((one for one in bpy.data.images if one.get(MARK) == sequence.output), None)


def add_node(scene: bpy.types.Scene, sequence: Sequence) -> Any:
    """Have a node of the result in the scene's compositor; the one of before if there is one.

    Returns:
        The node, not connected to anything; None if nothing is denoised yet.
    """
    image = show(sequence)
    if image is None:
        return None
    tree = _tree(scene)
    node: Any = next((one for one in tree.nodes if getattr(one, "image", None) == image), None)
    if node is None:
        node = tree.nodes.new("CompositorNodeImage")
        node.image, node.label = image, image.name
    play(sequence, node)
    if node.has_layers:
        node.layer = sequence.layer
    return node


def play(sequence: Sequence, user: Any) -> None:
    """Have a node, or an editor's image user, show the file of each frame at that frame."""
    numbers = _numbers(sequence.output)
    first, last = numbers[0], numbers[-1]
    user.frame_start, user.frame_duration, user.frame_offset = first, last - first + 1, first - 1
    user.use_auto_refresh = True


def _numbers(output: str) -> list[int]:
    pattern = Pattern.parse(output)
    if pattern.width:
        return list(pattern.on_disk())
    return [pattern.number] if Path(output).exists() else []


def _tree(scene: bpy.types.Scene) -> Any:
    """The compositor's nodes; new ones give out what was rendered, as without a compositor."""
    if not hasattr(scene, "compositing_node_group"):  # before Blender 5
        scene.use_nodes = True
        return getattr(scene, "node_tree")  # noqa: B009 - the stubs are of Blender 5
    if scene.compositing_node_group is None:
        tree: Any = bpy.data.node_groups.new("Compositing", "CompositorNodeTree")
        tree.interface.new_socket(name="Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        # Without a Render Layers node, Blender writes no passes.
        rendered, output = (
            tree.nodes.new("CompositorNodeRLayers"),
            tree.nodes.new("NodeGroupOutput"),
        )
        output.location = (400, 0)
        tree.links.new(rendered.outputs["Image"], output.inputs[0])
        scene.compositing_node_group = tree
    return scene.compositing_node_group


def temporary(name: str) -> str:
    """A path in the folder of this session that Blender removes at its end."""
    return os.path.join(bpy.app.tempdir, name).replace(os.sep, "/")  # noqa: PTH118 - for Blender
