"""A node's panel and inputs as a request to the worker. On Nuke's main thread."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import nuke

from kpcn_core.errors import Refused
from kpcn_core.host_frames import around, as_range
from kpcn_core.host_settings import Mask, Settings, default_output, make_folder
from kpcn_core.protocol import Denoise, Inspect
from kpcn_core.sequence_pattern import Pattern
from kpcn_nuke import knobs, render
from kpcn_nuke.inputs import Files, Graph, absolute, upstream
from kpcn_nuke.node import MASK, RENDER

EXR_CHANNEL = {"red": "R", "green": "G", "blue": "B", "alpha": "A"}  # as Nuke writes rgba


@dataclass(frozen=True)
class Prepared:
    """All that is needed to denoise frames of a node.

    Attributes:
        settings: of the panel.
        shown: the input's files, which the result is to look like.
        output: the files to write.
        mask: where the asymmetry applies, if one is connected.
        frames: which; None for a single file without a number.
    """

    settings: Settings
    shown: Files
    output: str
    mask: Mask | None
    frames: str | None

    def request(self) -> Denoise:
        """The message to the worker."""
        return self.settings.request(self.shown.pattern, self.output, self.frames, self.mask)

    def other(self, number: int, asymmetry: float) -> Prepared:
        """The same for another frame and asymmetry."""
        return replace(
            self,
            settings=replace(self.settings, asymmetry=asymmetry),
            frames=None if self.frames is None else str(number),
        )


def frame(node: nuke.Node, number: int) -> Prepared:
    """One frame; errors as `frame_range`."""
    return _prepare(node, _source(node), [number])


def frame_range(node: nuke.Node) -> Prepared:
    """The frames that the panel says, else all that the input has.

    Raises:
        Refused: nothing is connected, or a value of the panel cannot be meant.
        UnwritableFile: the output's folder cannot be made.
        Cancelled: the artist stopped the rendering of the input.
    """
    source = _source(node)
    text = str(node["frame_range"].value() or "").strip()
    frames = _numbers(text) if text else list(range(source.first, source.last + 1))
    return _prepare(node, source, frames)


def inspect(node: nuke.Node, number: int) -> Inspect:
    """What is in a frame of the input; errors as `frame_range`."""
    settings = knobs.settings(node)
    shown = _files(node, _source(node), [number], window=1)
    path = str(Pattern.parse(shown.pattern).path(number)) if _is_numbered(shown) else shown.pattern
    return Inspect(_in_view(path, nuke.views()[0]), settings.source, settings.all_layers())


def _prepare(node: nuke.Node, source: Files | Graph, frames: list[int]) -> Prepared:
    settings = knobs.settings(node)
    numbered = isinstance(source, Graph) or _is_numbered(source)
    if numbered:
        _check_within(source, frames)
    shown = _files(node, source, frames, settings.window)
    prepared = Prepared(
        settings,
        shown,
        _output(node, source),
        _mask(node, frames, shown),
        as_range(frames) if numbered else None,
    )
    prepared.request()  # refuses what cannot be meant, before anything is made on disk
    _make_folder(prepared.output)
    return prepared


def _check_within(source: Files | Graph, frames: list[int]) -> None:
    outside = [number for number in frames if not source.first <= number <= source.last]
    if outside:
        raise Refused(
            f"Frames {as_range(outside)}: the input has {source.first} to {source.last}. "
            f"Choose frames within."
        )


def _source(node: nuke.Node) -> Files | Graph:
    source = upstream(node.input(RENDER))
    if source is None:
        raise Refused("Nothing to denoise: connect a render to the input 'render'.")
    return source


def _files(node: nuke.Node, source: Files | Graph, frames: list[int], window: int) -> Files:
    """The input as files, rendered if need be."""
    if isinstance(source, Files):
        return source
    wanted = around(frames, window, source.first, source.last)
    pattern = render.render(source.node, f"{node.fullName()}.render", "all", wanted)
    return Files(pattern, source.first, source.last, {"raw": True})


def _mask(node: nuke.Node, frames: list[int], shown: Files) -> Mask | None:
    """Where the asymmetry applies: the mask input, written to files of its own."""
    source = node.input(MASK)
    if source is None:
        return None
    if len(nuke.views()) > 1:
        raise Refused(
            "The script has several views, and a mask input serves one. Disconnect it, and name a "
            "channel of the render beside 'mask' instead."
        )
    # A mask goes with the file of its number, and a still has one number in all frames.
    still = None if _is_numbered(shown) else Pattern.parse(shown.pattern).number
    wanted = frames if still is None else frames[:1]
    pattern = render.render(source, f"{node.fullName()}.mask", "rgba", wanted, still)
    return Mask(pattern, EXR_CHANNEL[str(node["mask_channel"].value())])


def _output(node: nuke.Node, source: Files | Graph) -> str:
    text = str(node["output_file"].value() or "").strip()
    if text:
        return absolute(nuke.tcl("subst", text) if "[" in text else text)
    if isinstance(source, Files):
        return default_output(source.pattern)
    script = Path(nuke.root().name())
    if not script.is_absolute():
        raise Refused("Name an output, or save the script: the result goes beside it.")
    view = "_%V" if len(nuke.views()) > 1 else ""
    return default_output((script.parent / f"{node.name()}{view}.%04d.exr").as_posix())


def _make_folder(output: str) -> None:
    for view in nuke.views():
        make_folder(Path(_in_view(output, view)).parent)


def _in_view(path: str, view: str) -> str:
    return path.replace("%V", view).replace("%v", view[:1])


def _is_numbered(files: Files) -> bool:
    return Pattern.parse(files.pattern).width > 0


def _numbers(text: str) -> list[int]:
    try:
        return [int(number) for number in nuke.FrameRanges(text).toFrameList()]
    except (RuntimeError, ValueError) as error:
        raise Refused(f"Frames '{text}': must be as 1001-1100 or 1,3,7-9.") from error
