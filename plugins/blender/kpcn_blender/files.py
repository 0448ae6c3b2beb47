"""Which files a scene renders, and where their denoised ones go."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bpy

from kpcn_blender import properties, setup
from kpcn_core.errors import Refused
from kpcn_core.host_settings import default_output
from kpcn_core.sequence_pattern import Pattern

# Two numbers without a digit in common: where the paths of their frames differ is the number.
ONE, OTHER = 111111, 222222


@dataclass(frozen=True)
class Sequence:
    """The files of one view of a scene, and those that one of its view layers becomes.

    Attributes:
        source: pattern of the files, or the path of a still.
        output: likewise.
        layer: name of the view layer that is denoised.
    """

    source: str
    output: str
    layer: str


@dataclass(frozen=True)
class Files:
    """How the files of one view are named.

    Attributes:
        view: empty if the scene has but one.
        before: the path up to the frame's number.
        width: digits of the number at least.
        after: the path from the number on.
    """

    view: str
    before: str
    width: int
    after: str

    @property
    def pattern(self) -> str:
        """As the worker takes it."""
        return f"{self.before}%0{self.width}d{self.after}"

    def stills(self) -> list[str]:
        """How a frame is called that is rendered by itself; it gets no number."""
        marks = "#" * self.width
        return [self.before + self.after, self.before, self.before + marks + self.after]


def files(scene: bpy.types.Scene) -> list[Files]:
    """The names of what a scene renders, one for each view.

    Raises:
        Refused: Blender cannot make a path of the output's.
    """
    return [_files(scene, view) for view in _views(scene)]


def sequences(scene: bpy.types.Scene) -> list[Sequence]:
    """What is to be denoised of an animation.

    Raises:
        Refused: several of them would be written to the same files, or see `files`.
    """
    return _outputs(scene, [(named.pattern, named.view) for named in files(scene)])


def stills(scene: bpy.types.Scene, since: float) -> list[Sequence]:
    """What is to be denoised of the still that was written last; empty if that is none.

    Args:
        scene: whose.
        since: files from before that time are none of it.

    Raises:
        Refused: see `sequences`; or the still's name has a placeholder.
    """
    found = []
    for named in files(scene):
        animated = str(Pattern.parse(named.pattern).path(scene.frame_current))
        newest = max([animated, *named.stills()], key=_changed)
        if newest != animated and _changed(newest) >= since:
            found.append((newest, named.view))
    for still, _ in found:
        if Pattern.parse(still).width:
            raise Refused(
                f"{still}: a still with a placeholder for the frame in its name. Render it as an "
                f"animation of one frame, or take the placeholder out."
            )
    return _outputs(scene, found)


def frames(scene: bpy.types.Scene) -> range:
    """The frames of the animation."""
    return range(scene.frame_start, scene.frame_end + 1, scene.frame_step)


def _outputs(scene: bpy.types.Scene, sources: list[tuple[str, str]]) -> list[Sequence]:
    layers = [layer.name for layer in setup.rendered_layers(scene)]
    template = str(properties.of(scene).output_file).strip()
    found = []
    for source, view in sources:
        for layer in layers:
            folder = layer if len(layers) > 1 else ""
            output = _filled(template, layer, view) if template else _beside(source, folder)
            found.append(Sequence(source, _for_still(scene, source, output), layer))
    if len({sequence.output for sequence in found}) < len(found):
        raise Refused(
            f"{found[0].output}: several view layers or views would be written to it. Put "
            f"{{layer}} or {{view}} into the output, as //denoised/{{layer}}/shot.####.exr."
        )
    return found


def _beside(source: str, folder: str) -> str:
    path = Path(default_output(source))
    return (path.parent / _plain(folder) / path.name).as_posix()


def _filled(template: str, layer: str, view: str) -> str:
    text = template.replace("{layer}", _plain(layer)).replace("{view}", _plain(view))
    path = _absolute(text)
    return path if path.lower().endswith(".exr") else f"{path}.exr"


def _for_still(scene: bpy.types.Scene, source: str, output: str) -> str:
    """A still's output has the number of its frame where the output has a placeholder."""
    if Pattern.parse(source).width:
        return output
    return (
        str(Pattern.parse(output).path(scene.frame_current))
        if Pattern.parse(output).width
        else output
    )


def _plain(name: str) -> str:
    """A name that can be part of a path, and is no placeholder."""
    return re.sub(r"[^\w.-]+", "_", name)


def _absolute(path: str) -> str:
    if path.startswith("//") and not bpy.data.filepath:
        raise Refused(f"{path}: // is the .blend file's folder. Save the file first.")
    return str(os.path.abspath(bpy.path.abspath(path))).replace(os.sep, "/")  # noqa: PTH100


def _views(scene: bpy.types.Scene) -> Iterator[str]:
    if not scene.render.use_multiview:
        yield ""
        return
    stereo = scene.render.views_format == "STEREO_3D"
    for view in scene.render.views:
        if view.use and (not stereo or view.name in ("left", "right")):
            yield view.name


def _files(scene: bpy.types.Scene, view: str) -> Files:
    one, other, zero = (_path(scene, view, number) for number in (ONE, OTHER, 0))
    start = next(i for i, (a, b) in enumerate(zip(one, other)) if a != b)
    after = one[start + len(str(ONE)) :]
    return Files(view, one[:start], len(zero) - start - len(after), after)


def _path(scene: bpy.types.Scene, view: str, frame: int) -> str:
    try:
        path: str = scene.render.frame_path(frame=frame, view=view)
    except RuntimeError as error:
        raise Refused(f"{scene.render.filepath}: no path for the output: {error}") from error
    return os.path.abspath(path).replace(os.sep, "/")  # noqa: PTH100 - links stay


def _changed(path: str) -> float:
    try:
        return Path(path).stat().st_mtime
    except OSError:
        return 0.0
