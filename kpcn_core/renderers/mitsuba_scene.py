"""Loading Mitsuba scenes: from XML or dictionaries, with what their integrator says of paths."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import drjit as dr
import mitsuba as mi

from kpcn_core.errors import InvalidScene
from kpcn_core.renderers.mitsuba_path import Limits

# Integrators whose image ours reproduces, and their default max_depth.
PATH_TRACERS = {
    "path": -1,
    "direct": 2,
    "prb": 6,
    "prb_basic": 6,
    "volpath": -1,
    "volpathmis": -1,
    "prbvolpath": 6,
}
# The last two only wrap one of these.
SUPPORTED = (*PATH_TRACERS, "aov", "moment")

Description = Path | Mapping[str, Any]  # an XML file, or Mitsuba's nested dictionaries


def load(scene: Description, parameters: Mapping[str, str], merge: bool) -> tuple[Any, Limits]:
    """Parse and build a scene; its integrator only says where paths end.

    Args:
        scene: where or what it is.
        parameters: values for the `$name` parameters of an XML file.
        merge: let Mitsuba merge meshes. Merged meshes lose their ids, by which motion matches them.

    Raises:
        InvalidScene: it cannot be loaded, or asks for what this renderer does not do.
    """
    label = str(scene) if isinstance(scene, Path) else "scene"
    config = mi.parser.ParserConfig(mi.variant())
    config.merge_meshes = config.merge_equivalent = merge
    try:
        with _resolving(scene), _two_threads():
            state = _parsed(config, scene, parameters)
            mi.parser.transform_all(config, state)
            limits = _limits(state, label)
            loaded = mi.parser.instantiate(config, state)
    except (RuntimeError, TypeError, ValueError) as error:
        raise InvalidScene(f"{label}: Mitsuba cannot load it: {_reason(error)}") from error
    if not isinstance(loaded, mi.Scene):
        raise InvalidScene(f"{label}: expected a scene; found {type(loaded).__name__}.")
    if not loaded.sensors():
        raise InvalidScene(f"{label}: the scene has no sensor. Add one to render from.")
    integrator = loaded.integrator()
    if integrator is not None and not any(map(_is_integrator, state.nodes)):
        raise _unsupported(label, f"integrator '{type(integrator).__name__}'")
    return loaded, limits


@contextmanager
def _two_threads() -> Iterator[None]:
    """At least: one that decodes an EXR waits for ever for another to do it."""
    before = dr.thread_count()
    dr.set_thread_count(max(before, 2))
    try:
        yield
    finally:
        dr.set_thread_count(before)


def _parsed(config: Any, scene: Description, parameters: Mapping[str, str]) -> Any:
    if isinstance(scene, Path):
        return mi.parser.parse_file(config, str(scene), **parameters)
    return mi.parser.parse_dict(config, dict(scene))


def _limits(state: Any, label: str) -> Limits:
    """What the scene's integrator says about paths; Mitsuba's defaults if it has none."""
    found = [node.props for node in state.nodes if _is_integrator(node)]
    strange = [props.plugin_name() for props in found if props.plugin_name() not in SUPPORTED]
    if strange:
        raise _unsupported(label, f"integrator '{strange[0]}'")
    if any(node.type == mi.ObjectType.Medium for node in state.nodes):
        raise _unsupported(label, "a participating medium")
    tracers = [props for props in found if props.plugin_name() in PATH_TRACERS]
    if not tracers:
        return Limits()
    props = tracers[0]
    return Limits(
        int(props.get("max_depth", PATH_TRACERS[props.plugin_name()])),
        int(props.get("rr_depth", Limits.rr_depth)),
        bool(props.get("hide_emitters", Limits.hide_emitters)),
    )


def _is_integrator(node: Any) -> bool:
    # The parser knows no type of a plugin in Python (`prb`) that a dictionary names.
    unknown = node.type == mi.ObjectType.Unknown and node.props.plugin_name() in SUPPORTED
    return bool(node.type == mi.ObjectType.Integrator or unknown)


def _unsupported(label: str, what: str) -> InvalidScene:
    return InvalidScene(
        f"{label}: it asks for {what}, which this path tracer does not reproduce. "
        f"Supported integrators, without media: {', '.join(SUPPORTED)}."
    )


def _reason(error: Exception) -> str:
    """Mitsuba's message on one line, without the place in its own source code."""
    return re.sub(r"\[\w+\.cpp:\d+\] ", "", " ".join(str(error).split()))


@contextmanager
def _resolving(scene: Description) -> Iterator[None]:
    """Let a file's relative paths start from its own folder."""
    if not isinstance(scene, Path):
        yield
        return
    if not scene.is_file():
        raise InvalidScene(f"{scene}: no such scene file.")
    resolver = mi.file_resolver()
    mi.set_file_resolver(mi.FileResolver(resolver))
    mi.file_resolver().prepend(str(scene.resolve().parent))
    try:
        yield
    finally:
        mi.set_file_resolver(resolver)
