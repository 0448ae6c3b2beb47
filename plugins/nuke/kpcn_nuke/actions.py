"""What the node's buttons and knobs do. Called on Nuke's main thread."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable

import nuke

from kpcn_core.client import Client, Job
from kpcn_core.errors import Cancelled, KpcnError
from kpcn_core.host_run import Run, Status, again
from kpcn_core.protocol import Denoise, Inspected
from kpcn_nuke import request, result, session
from kpcn_nuke.inputs import upstream
from kpcn_nuke.node import RENDER, is_ours
from kpcn_nuke.request import Prepared
from kpcn_nuke.session import NodeJob

_last: dict[str, Prepared] = {}  # by full name of a node: what `live` asks for again


def _told(action: Callable[[nuke.Node], None]) -> Callable[[nuke.Node], None]:
    """Tell the artist what went wrong; in terminal mode, whoever called."""

    @functools.wraps(action)
    def telling(node: nuke.Node) -> None:
        try:
            action(node)
        except Cancelled:
            if not nuke.GUI:
                raise
            _say(node, "Cancelled.")
        except KpcnError as error:
            if not nuke.GUI:
                raise
            _say(node, "Not denoised.")
            nuke.message(str(error))

    return telling


@_told
def denoise_frame(node: nuke.Node) -> None:
    """Denoise the current frame; quickly, if only the asymmetry changed."""
    session.check_free(node)
    prepared = request.frame(node, nuke.frame())
    _start(node, prepared, again(prepared.request()), prepared.request())


@_told
def denoise_range(node: nuke.Node) -> None:
    """Denoise all frames that are not denoised yet, or whose files or settings changed."""
    session.check_free(node)
    prepared = request.frame_range(node)
    _start(node, prepared, prepared.request())


def cancel(node: nuke.Node) -> None:
    """Stop what runs for the node; frames that are finished stay."""
    job = session.running(node)
    if job:
        job.cancel()


def reload(node: nuke.Node) -> None:
    """Have the node show its result as it is on disk now."""
    result.restore(node)


@_told
def find_layers(node: nuke.Node) -> None:
    """Show on the panel how the input's layers are read."""
    session.check_free(node)
    job = _client(node).inspect(request.inspect(node, nuke.frame()))
    if nuke.GUI:
        threading.Thread(target=_await_layers, args=(node, job), daemon=True).start()
    else:
        _show_layers(node, _layers(job.result()))


def knob_changed(node: nuke.Node, knob: nuke.Knob) -> None:
    """Follow the artist: the asymmetry live, and the layers of a new input."""
    if not is_ours(node):
        return
    if knob.name() == "asymmetry" and node["live"].value():
        _live(node)
    elif knob.name() == "inputChange":
        source = upstream(node.input(RENDER))
        names = ", ".join(nuke.layers(node.input(RENDER))) if source else ""
        _show_layers(node, f"The input has {names}." if names else " ")


def _live(node: nuke.Node) -> None:
    """Render the current frame again for a new asymmetry: fast once its features are kept."""
    job = session.running(node)
    if job:
        job.then = functools.partial(_live, node)  # the slider's last value, once it is free
        return
    last = _last.get(node.fullName())
    if last is None:
        _say(node, "To follow the asymmetry live, denoise the frame first.")
        return
    asked = last.other(nuke.frame(), float(node["asymmetry"].value())).request()
    run = Run(_client(node), again(asked), asked)
    session.start(NodeJob(node, run, functools.partial(_show, node, quiet=True)))


def _start(node: nuke.Node, prepared: Prepared, *requests: Denoise) -> None:
    run = Run(_client(node), *requests)
    shown = prepared.shown
    result.show(node, prepared.output, shown.first, shown.last, shown.look)
    _last[node.fullName()] = prepared
    _say(node, "Denoising …")
    session.start(NodeJob(node, run, functools.partial(_show, node)))


def _show(node: nuke.Node, status: Status, quiet: bool = False) -> None:
    _say(node, status.line)
    for note in status.notes:
        nuke.warning(note)
    if status.written:
        result.refresh(node)
    if not nuke.GUI:
        for path in status.written:
            nuke.tprint(path)
    elif status.error and not isinstance(status.error, Cancelled) and not quiet:
        nuke.message(str(status.error))


def _await_layers(node: nuke.Node, job: Job[Inspected]) -> None:
    try:
        text = _layers(job.result())
    except (KpcnError, Cancelled) as error:
        text = str(error)
    nuke.executeInMainThread(_show_layers, args=(node, text))


def _show_layers(node: nuke.Node, text: str) -> None:
    node["found"].setValue(text)


def _layers(found: Inspected) -> str:
    lines = [f"{aov}: {recipe}" for aov, recipe in found.aovs.items()]
    return "\n".join([f"source: {found.source}, because of {found.reason}", *lines])


def _client(node: nuke.Node) -> Client:
    return session.client(str(node["device"].value() or "").strip() or "auto")


def _say(node: nuke.Node, text: str) -> None:
    node["status"].setValue(text)
