"""The panel's buttons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from kpcn_blender import files, hook, properties, result, session, setup
from kpcn_blender.batch import Batch
from kpcn_blender.files import Sequence
from kpcn_blender.properties import scene_of
from kpcn_blender.render import of_layer
from kpcn_core.errors import Cancelled, KpcnError, Refused
from kpcn_core.host_frames import as_range
from kpcn_core.host_run import Status
from kpcn_core.host_settings import make_folder
from kpcn_core.protocol import Denoise
from kpcn_core.sequence_pattern import Pattern

INTERVAL = 0.1  # seconds between two looks at a running job
RENDERED = "Render Result"  # Blender's own image

_running: list[Batch] = []  # at most one


class _Denoise(bpy.types.Operator):
    """What operators that denoise have in common: they never block the windows."""

    _timer: bpy.types.Timer | None = None
    _sequences: list[Sequence]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Whether there is something to do."""
        return not _running and not hook.is_busy()

    def prepare(self, scene: bpy.types.Scene) -> list[tuple[Sequence, Denoise]]:
        """What is to be denoised."""
        raise NotImplementedError

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[Any]:
        """From a button: in the background, with progress."""
        if bpy.app.background:
            return self.execute(context)
        if not self._begin(context):
            return {"CANCELLED"}
        manager = _manager(context)
        self._timer = manager.event_timer_add(INTERVAL, window=context.window)
        manager.modal_handler_add(self)
        manager.progress_begin(0, 100)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[Any]:
        """From Blender's events, our timer's among them."""
        if event.type == "ESC":
            cancel()
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        status = _running[0].step()
        self._show(context, status)
        return self._finish(context, status) if status.ended else {"PASS_THROUGH"}

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender ends, or loads another file."""
        cancel()
        self._free(context)

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Do it."""
        if not self._begin(context):
            return {"CANCELLED"}
        status = _running[0].step(INTERVAL)
        while not status.ended:
            self._show(context, status)
            status = _running[0].step(INTERVAL)
        self._show(context, status)
        return self._finish(context, status)

    def _begin(self, context: bpy.types.Context) -> bool:
        try:
            prepared = self.prepare(scene_of(context))
            for sequence, _ in prepared:
                make_folder(Path(sequence.output).parent)
            client = session.client(str(properties.of(scene_of(context)).device))
            _running[:] = [Batch(client, [request for _, request in prepared])]
        except KpcnError as error:
            self.report({"ERROR"}, str(error))
            return False
        self._sequences = [sequence for sequence, _ in prepared]
        return True

    def _show(self, context: bpy.types.Context, status: Status) -> None:
        for note in status.notes:
            session.tell(f"kpcn: {note}")
        _manager(context).progress_update(int(100 * status.fraction))
        if context.workspace:
            context.workspace.status_text_set(f"KPCN: {status.line} (Esc cancels)")

    def _finish(self, context: bpy.types.Context, status: Status) -> set[Any]:
        self._free(context)
        session.lines.append(f"kpcn: {status.line}")
        for sequence in self._sequences:
            result.show(sequence)
        if isinstance(status.error, Cancelled):
            self.report({"WARNING"}, "Cancelled. What is finished stays.")
            return {"CANCELLED"}
        if status.error:
            self.report({"ERROR"}, str(status.error))
            return {"CANCELLED"}
        self.report({"INFO"}, status.line)
        return {"FINISHED"}

    def _free(self, context: bpy.types.Context) -> None:
        _running.clear()
        _manager(context).progress_end()
        if self._timer:
            _manager(context).event_timer_remove(self._timer)
            self._timer = None
        if context.workspace:
            context.workspace.status_text_set(None)


class KPCN_OT_denoise(_Denoise):  # noqa: N801 - as Blender wants it
    """Denoise the rendered frames that are on disk; those that are denoised already stay."""

    bl_idname = "kpcn.denoise"
    bl_label = "Denoise sequence"

    def prepare(self, scene: bpy.types.Scene) -> list[tuple[Sequence, Denoise]]:
        """All view layers and views of the animation, or of the still if there is only that."""
        settings = properties.settings(scene)
        setup.check(scene, settings.window)
        wanted = str(properties.of(scene).frame_range).strip()
        prepared = []
        for sequence in files.sequences(scene):
            there = [
                n for n in Pattern.parse(sequence.source).on_disk() if n in files.frames(scene)
            ]
            if there or wanted:
                numbers = wanted or as_range(there)
                request = of_layer(settings, sequence).request(
                    sequence.source, sequence.output, numbers
                )
                prepared.append((sequence, request))
        if not prepared:
            prepared = [
                (still, of_layer(settings, still).request(still.source, still.output))
                for still in files.stills(scene, 0)
            ]
        if not prepared:
            raise Refused(f"{files.sequences(scene)[0].source}: nothing is rendered yet.")
        return prepared


class KPCN_OT_denoise_result(_Denoise):  # noqa: N801
    """Denoise what was rendered last, without files of yours (F12)."""

    bl_idname = "kpcn.denoise_result"
    bl_label = "Denoise render result"

    def prepare(self, scene: bpy.types.Scene) -> list[tuple[Sequence, Denoise]]:
        """Each view layer, from a temporary file."""
        settings = properties.settings(scene)
        setup.check(scene, settings.window)
        rendered = bpy.data.images.get(RENDERED)
        path = result.temporary("kpcn_rendered.exr")
        try:
            if rendered is None:
                raise Refused("Nothing is rendered yet.")
            rendered.save_render(path, scene=scene)
        except RuntimeError as error:
            raise Refused(f"Nothing is rendered yet, or it cannot be saved: {error}") from error
        prepared = []
        for number, layer in enumerate(setup.rendered_layers(scene)):
            still = Sequence(path, result.temporary(f"kpcn_denoised_{number}.exr"), layer.name)
            prepared.append((still, of_layer(settings, still).request(still.source, still.output)))
        return prepared


class KPCN_OT_cancel(bpy.types.Operator):  # noqa: N801
    """Stop denoising; what is finished stays."""

    bl_idname = "kpcn.cancel"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Whether there is something to do."""
        return bool(_running) or hook.is_busy()

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Do it."""
        cancel()
        return {"FINISHED"}


class KPCN_OT_set_up(bpy.types.Operator):  # noqa: N801
    """Set the output's format and the passes that denoising needs, in all view layers."""

    bl_idname = "kpcn.set_up"
    bl_label = "Set up"

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Do it."""
        fields = properties.of(scene_of(context))
        fields.before = setup.apply(scene_of(context), int(fields.window), fields.before)
        return {"FINISHED"}


class KPCN_OT_add_to_compositor(bpy.types.Operator):  # noqa: N801
    """Add the denoised frames to the compositor, an image node for each view layer."""

    bl_idname = "kpcn.add_to_compositor"
    bl_label = "Add to compositor"

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Do it."""
        try:
            found = [
                result.add_node(scene_of(context), one)
                for one in files.sequences(scene_of(context))
            ]
        except KpcnError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if None in found:
            self.report({"ERROR"}, "Nothing is denoised yet.")
            return {"CANCELLED"}
        return {"FINISHED"}


class KPCN_OT_show(bpy.types.Operator):  # noqa: N801
    """Show the denoised frames in an image editor that is open."""

    bl_idname = "kpcn.show"
    bl_label = "Show result"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Whether there is something to do."""
        return bool(_image_editors(context))

    def execute(self, context: bpy.types.Context) -> set[Any]:
        """Do it."""
        try:
            sequence = files.sequences(scene_of(context))[0]
        except KpcnError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        image = result.show(sequence)
        if image is None:
            self.report({"ERROR"}, "Nothing is denoised yet.")
            return {"CANCELLED"}
        for editor in _image_editors(context):
            editor.image = image
            result.play(sequence, editor.image_user)
        return {"FINISHED"}


def cancel() -> None:
    """Stop whatever runs; comes back at once."""
    hook.cancel()
    for batch in _running:
        batch.cancel()


def _manager(context: bpy.types.Context) -> bpy.types.WindowManager:
    assert context.window_manager is not None
    return context.window_manager


def _image_editors(context: bpy.types.Context) -> list[bpy.types.SpaceImageEditor]:
    spaces = [area.spaces.active for area in context.screen.areas] if context.screen else []
    return [space for space in spaces if isinstance(space, bpy.types.SpaceImageEditor)]


CLASSES = (
    KPCN_OT_denoise,
    KPCN_OT_denoise_result,
    KPCN_OT_cancel,
    KPCN_OT_set_up,
    KPCN_OT_add_to_compositor,
    KPCN_OT_show,
)
