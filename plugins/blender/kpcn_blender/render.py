"""One render of a scene, whose frames are denoised as they land."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import bpy

from kpcn_blender import files, properties, session, setup
from kpcn_blender.files import Sequence
from kpcn_blender.follower import Follower
from kpcn_core.host_hook import Hook
from kpcn_core.host_landing import Landing, server_time
from kpcn_core.host_settings import Settings


class Render:
    """From the render's begin to its last denoised frame; it keeps nothing of Blender's.

    Args:
        scene: as it is when the render begins.

    Raises:
        Refused: it cannot be denoised as it is set.
        UnwritableFile: nothing can be written to the output's folder.
    """

    def __init__(self, scene: bpy.types.Scene) -> None:
        fields = properties.of(scene)
        self.strict = bool(fields.strict)
        self.blend = bpy.data.filepath
        self._alone = not fields.farm
        self._device = str(fields.device)
        self._settings = properties.settings(scene)
        setup.check(scene, self._settings.window)
        self._frames = files.frames(scene)
        self._sequences = files.sequences(scene)
        # By the clock of the files: those of an earlier render have not landed yet.
        folder = Path(self._sequences[0].source).parent
        self._since = server_time(folder) if folder.exists() else 0.0
        self._follower: Follower | None = None

    @property
    def running(self) -> bool:
        """Whether frames are still to be denoised."""
        return self._follower is not None and self._follower.running

    def landed(self, scene: bpy.types.Scene) -> None:
        """A frame of the scene was written; comes back at once.

        Raises:
            Refused: see ``files.stills``.
            KpcnError: if strict, what earlier frames failed with.
        """
        if self._follower is None:
            self._sequences = files.stills(scene, self._since) or self._sequences
            self._follower = self._follow()
        self._follower.landed(scene.frame_current)
        self._raise()

    def end(self) -> None:
        """No more frames will come."""
        if self._follower:
            self._follower.end()

    def wait(self) -> None:
        """Come back when all is denoised.

        Raises:
            KpcnError: if strict, what frames failed with.
        """
        if self._follower:
            self._follower.wait()
        self._raise()

    def cancel(self) -> None:
        """Give up what is not denoised yet."""
        if self._follower and self._follower.running:
            self._follower.cancel()

    def finished(self) -> list[Sequence]:
        """Once, when all is denoised: what there is now."""
        if self._follower is None or self._follower.running:
            return []
        found, self._sequences = self._sequences, []
        return found

    def _follow(self) -> Follower:
        client = session.client(self._device)
        hooks = [
            Hook(
                client,
                of_layer(self._settings, sequence),
                self._landing(sequence),
                self._teller(sequence),
                self.strict,
            )
            for sequence in self._sequences
        ]
        return Follower(hooks, self._alone, session.cancel)

    def _teller(self, sequence: Sequence) -> Callable[[str], None]:
        """Says which view layer it is about, if there are several."""
        several = len({one.layer for one in self._sequences}) > 1
        end = f" [{sequence.layer}]" if several else ""
        return lambda line: session.tell(f"{line}{end}")

    def _landing(self, sequence: Sequence) -> Landing:
        # What other machines rendered before this one began has landed, too.
        since = self._since if self._alone else 0.0
        return Landing(sequence.source, sequence.output, self._settings.window, self._frames, since)

    def _raise(self) -> None:
        if self._follower and self._follower.error:
            raise self._follower.error


def of_layer(settings: Settings, sequence: Sequence) -> Settings:
    """The settings for one view layer: its passes are read, unless the artist names others."""
    layers = {name: layer for name, layer in settings.layers.items() if layer.strip()}
    return replace(settings, layers={"color": f"{sequence.layer}.Combined", **layers})
