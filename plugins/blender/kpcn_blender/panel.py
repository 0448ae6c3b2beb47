"""The panel in the render properties."""

from __future__ import annotations

import bpy

from kpcn_blender import operators, properties, session, setup
from kpcn_core.host_panel import FIELDS, MOTION

LOOK = ("asymmetry", "asymmetry_layer", "window", "quality", "model", "device")
OUTPUT = ("output_file", "frame_range", "overwrite", "error_map")
LAYERS = (
    "source", "source_file", *(f"aov_{aov}" for aov in FIELDS), "more_layers", "clean",
    "extra_layers",
)  # fmt: skip


class _Panel(bpy.types.Panel):
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "render"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.scene is not None and str(context.scene.render.engine) == "CYCLES"

    def fields(self, context: bpy.types.Context, names: tuple[str, ...]) -> None:
        """Fields one below the other."""
        assert self.layout is not None
        self.layout.use_property_split = True
        for name in names:
            self.layout.prop(properties.of(properties.scene_of(context)), name)


class RENDER_PT_kpcn(_Panel):  # noqa: N801 - as Blender wants it
    """Switch, look, buttons, and what was last heard."""

    bl_label = "KPCN Denoising"
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012 - Blender's own

    def draw_header(self, context: bpy.types.Context) -> None:
        """The switch."""
        assert self.layout is not None
        self.layout.prop(properties.of(properties.scene_of(context)), "enabled", text="")

    def draw(self, context: bpy.types.Context) -> None:
        """All else."""
        assert self.layout is not None
        scene, layout = properties.scene_of(context), self.layout
        lacking = setup.lacking(scene, int(properties.of(scene).window))
        if lacking:
            box = layout.box()
            box.label(text=f"To be set: {', '.join(lacking)}", icon="ERROR")
            box.operator(operators.KPCN_OT_set_up.bl_idname)
        self.fields(context, LOOK)
        row = layout.row(align=True)
        row.operator(operators.KPCN_OT_denoise.bl_idname)
        row.operator(operators.KPCN_OT_denoise_result.bl_idname)
        row.operator(operators.KPCN_OT_cancel.bl_idname, text="", icon="CANCEL")
        row = layout.row(align=True)
        row.operator(operators.KPCN_OT_show.bl_idname)
        row.operator(operators.KPCN_OT_add_to_compositor.bl_idname)
        for line in list(session.lines):  # the render's thread adds to it
            layout.label(text=line)


class RENDER_PT_kpcn_output(_Panel):  # noqa: N801
    """Files."""

    bl_label = "Output"
    bl_parent_id = "RENDER_PT_kpcn"
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012

    def draw(self, context: bpy.types.Context) -> None:
        """The fields."""
        self.fields(context, (*OUTPUT, "strict", "farm"))


class RENDER_PT_kpcn_layers(_Panel):  # noqa: N801
    """Layers."""

    bl_label = "Layers"
    bl_parent_id = "RENDER_PT_kpcn"
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012

    def draw(self, context: bpy.types.Context) -> None:
        """The fields."""
        self.fields(context, LAYERS)


class RENDER_PT_kpcn_motion(_Panel):  # noqa: N801
    """Motion."""

    bl_label = "Motion"
    bl_parent_id = "RENDER_PT_kpcn"
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012

    def draw(self, context: bpy.types.Context) -> None:
        """What windows need to know."""
        assert self.layout is not None
        if properties.scene_of(context).render.use_motion_blur:
            self.layout.label(text="Motion blur: no pass Vector; estimate the motion", icon="INFO")
        self.fields(context, MOTION)


CLASSES = (
    RENDER_PT_kpcn,
    RENDER_PT_kpcn_output,
    RENDER_PT_kpcn_layers,
    RENDER_PT_kpcn_motion,
)
