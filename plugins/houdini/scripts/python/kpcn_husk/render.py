"""The render that this process is a part of, from variables and what husk hands to its scripts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kpcn_core import host_panel
from kpcn_core.client import Client
from kpcn_core.errors import Refused
from kpcn_core.host_frames import numbers
from kpcn_core.host_hook import Hook
from kpcn_core.host_landing import Landing
from kpcn_core.host_settings import default_output
from kpcn_husk import command, product

# Beside the panel's: the rendered files; whether to denoise; whether a failure ends the render; the
# time before which files are of an earlier one; scripts that run after ours.
OWN = ("input", "enable", "strict", "since", "then_postframe", "then_postrender")
ITEMS = (*host_panel.ITEMS, *OWN)


def make_hook(values: Mapping[str, str], source: str, tell: Callable[[str], None]) -> Hook:
    """What denoises a render.

    Args:
        values: by the names of `ITEMS`; what is not there has its first value.
        source: the rendered files.
        tell: called with each line for the log.

    Raises:
        Refused, UnknownName: a value cannot be meant.
    """
    settings = host_panel.settings(values)
    output = values.get("output_file") or default_output(source)
    frames = values.get("frame_range")
    landing = Landing(
        source,
        str(Path.cwd() / output),
        settings.window,
        numbers(frames) if frames else None,
        float(values.get("since") or 0),
    )
    client = Client("houdini", values.get("device") or "auto")
    return Hook(client, settings, landing, tell, host_panel.is_on(values.get("strict", "")))


class Render:
    """What a script of husk's is told.

    Args:
        variables: the environment.
        names: what husk hands to its scripts.
    """

    def __init__(self, variables: Mapping[str, str], names: Mapping[str, Any]) -> None:
        self.values = host_panel.from_environment(variables, ITEMS)
        self._names = names
        self._words = command.words_of(names.get("husk_command"))
        self.frames = command.frames(self._words)

    @property
    def is_enabled(self) -> bool:
        """Whether anything is to be denoised."""
        return host_panel.is_on(self.values.get("enable", "1"))

    @property
    def is_strict(self) -> bool:
        """Whether a frame that fails ends the render."""
        return host_panel.is_on(self.values.get("strict", ""))

    def source(self) -> str:
        """The rendered files.

        Raises:
            Refused: nothing says where they are.
        """
        found = self.values.get("input") or command.output(self._words) or self._product()
        if not found:
            raise Refused(
                "Which files are rendered? Set KPCN_INPUT to their pattern, as /shots/a.$F4.exr."
            )
        return str(Path.cwd() / found)

    def hook(self, tell: Callable[[str], None]) -> Hook:
        """What denoises it; errors as `source` and `make_hook`."""
        return make_hook(self.values, self.source(), tell)

    def _product(self) -> str:
        stage = self._names.get("stage")
        return product.pattern(stage, self.frames) if stage is not None else ""
