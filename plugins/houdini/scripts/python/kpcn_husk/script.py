"""The two scripts: after a frame, and after all frames of this process."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kpcn_core.errors import KpcnError
from kpcn_core.host_hook import Hook
from kpcn_husk.render import Render

_hooks: dict[tuple[tuple[str, str], ...], Hook] = {}  # husk keeps modules between its frames


def postframe(names: dict[str, Any]) -> None:
    """A frame was written.

    Args:
        names: what husk hands to its scripts: `stage`, and `husk_command` where it has that.
    """
    render = Render(os.environ, names)
    _attempt(render, lambda hook: hook.landed(*render.frames))
    _go_on(render.values.get("then_postframe"), names)


def postrender(names: dict[str, Any]) -> None:
    """All frames of this process were written; names as in `postframe`."""
    render = Render(os.environ, names)
    _attempt(render, lambda hook: hook.finish())
    _go_on(render.values.get("then_postrender"), names)


def _attempt(render: Render, action: Callable[[Hook], None]) -> None:
    """Denoise; whatever goes wrong is in the log, and ends the render only if it is to."""
    if not render.is_enabled:
        return
    try:
        action(_hook(render))
    except KpcnError as error:
        _failed(render, f"kpcn: {error}\n")
    except Exception:  # a bug of ours
        _failed(render, traceback.format_exc())


def _hook(render: Render) -> Hook:
    key = tuple(sorted(render.values.items()))
    if key not in _hooks:
        _hooks[key] = render.hook(_tell)
    return _hooks[key]


def _failed(render: Render, text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
    if render.is_strict:
        sys.stdout.flush()
        # What husk makes of an exception is not documented; a farm sees an exit code.
        os._exit(1)


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _go_on(path: str | None, names: dict[str, Any]) -> None:
    """Run the script that was set before ours, as husk would have."""
    if path:
        exec(compile(Path(path).read_bytes(), path, "exec"), names)
