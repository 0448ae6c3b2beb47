"""Renders regions of a Blender file with Cycles; runs in Blender's own Python, so imports only bpy.

Started by ``cycles.py``: `blender -b -P cycles_script.py -- FILE MAP` or, where bpy was installed
by pip, `python cycles_script.py FILE MAP`. MAP is the JSON file of `regions.RegionRenderer`.
"""

import json
import sys
from pathlib import Path
from typing import Any

import bpy

PASSES = (
    "diffuse_direct", "diffuse_indirect", "diffuse_color",
    "glossy_direct", "glossy_indirect", "normal", "z",
)  # fmt: skip


def main() -> None:
    """Render every region to its file."""
    file, sampling_map = sys.argv[-2:]
    wanted = json.loads(Path(sampling_map).read_text(encoding="utf-8"))
    bpy.ops.wm.open_mainfile(filepath=file)
    scene: Any = bpy.context.scene
    prepare(scene, wanted)
    for region in wanted["regions"]:
        crop(scene.render, region, wanted)
        scene.cycles.samples = region["spp"]
        scene.render.filepath = region["output"]
        bpy.ops.render.render(write_still=True)


def prepare(scene: Any, wanted: dict[str, Any]) -> None:
    """The file's own settings, but for what sampling by regions needs."""
    render, cycles = scene.render, scene.cycles
    render.engine = "CYCLES"
    render.resolution_x, render.resolution_y = wanted["width"], wanted["height"]
    render.resolution_percentage = 100
    render.use_persistent_data = True  # the scene is not built again for each region
    render.use_compositing = render.use_sequencer = False
    render.use_border = render.use_crop_to_border = True
    render.use_file_extension = False
    cycles.seed = wanted["seed"]
    cycles.use_adaptive_sampling = cycles.use_denoising = False
    image = render.image_settings
    image.media_type, image.file_format = "MULTI_LAYER_IMAGE", "OPEN_EXR_MULTILAYER"
    image.color_depth = "32"
    for name in PASSES:
        setattr(bpy.context.view_layer, f"use_pass_{name}", True)


def crop(render: Any, region: dict[str, Any], whole: dict[str, Any]) -> None:
    """Set the border, whose y goes upwards."""
    left, right = region["x"], region["x"] + region["width"]
    top, bottom = region["y"], region["y"] + region["height"]
    render.border_min_x, render.border_max_x = left / whole["width"], right / whole["width"]
    render.border_min_y = 1 - bottom / whole["height"]
    render.border_max_y = 1 - top / whole["height"]


main()
