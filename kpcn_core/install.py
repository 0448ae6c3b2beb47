"""Make a host find its plugin, and the plugin this Python, without touching what else is there."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from kpcn_core.atomic import check_writable, replaced
from kpcn_core.client_launch import config_path
from kpcn_core.errors import MissingDependency, UnknownName, UnreadableFile
from kpcn_core.install_blender import blender
from kpcn_core.install_houdini import houdini
from kpcn_core.install_nuke import nuke

ENCODING = {"encoding": "utf-8", "errors": "surrogateescape"}  # whatever is there stays


@dataclass(frozen=True)
class Change:
    """A file, and what is to be in it.

    Attributes:
        path: which.
        before: what is in it; None: it is not there.
        after: what will be in it; None: it will not be there.
    """

    path: Path
    before: str | None
    after: str | None

    def __str__(self) -> str:
        """The change as a diff."""
        old, new = ((text or "").splitlines(keepends=True) for text in (self.before, self.after))
        return "".join(unified_diff(old, new, str(self.path), str(self.path)))

    def apply(self) -> None:
        """Make it so.

        Raises:
            UnwritableFile: the file or its folder is read-only.
        """
        if self.after is None:
            check_writable(self.path, overwrite=True).unlink()
            return
        with replaced(self.path, overwrite=True) as temporary:
            temporary.write_bytes(self.after.encode(**ENCODING))


Edits = list[tuple[Path, Callable[[str], str]]]  # files, and what their text becomes

# Host -> what is to be edited, for (its home or None, the plugin's folder, whether to install).
HOSTS: dict[str, Callable[[Path | None, Path, bool], Edits]] = {
    "nuke": nuke,
    "houdini": houdini,
    "blender": blender,
}


def changes(host: str, home: Path | None = None, uninstall: bool = False) -> list[Change]:
    """What is to be changed so that a host has its plugin, or has it no more.

    Args:
        host: one of `HOSTS`.
        home: the host's own folder; None for the usual one.
        uninstall: take out what was put in. The note about this Python stays: other hosts use it.

    Raises:
        UnknownName: no such host.
        MissingDependency: the plugin is not installed with kpcn.
        UnreadableFile: a file that is to be changed is damaged.
    """
    if host not in HOSTS:
        raise UnknownName(f"No plugin for '{host}'. There are {', '.join(HOSTS)}.")
    edits = HOSTS[host](home, plugin_folder(host), not uninstall)
    if not uninstall:
        edits = [(config_path(os.environ), _with_this_python), *edits]
    found = [_change(path, edit) for path, edit in edits]
    return [change for change in found if change.before != change.after]


def plugin_folder(host: str) -> Path:
    """Where a host's plugin is: in the checkout, or where pip put it.

    Raises:
        MissingDependency: nowhere.
    """
    checkout = Path(__file__).parent.parent / "plugins" / host
    if checkout.is_dir():
        return checkout
    try:
        installed = files("kpcn") or ()
    except PackageNotFoundError:
        installed = ()
    for path in installed:
        for depth in range(1, 3):  # files of the folder itself, or of a package in it
            if path.parts[-3 - depth : -depth] == ("kpcn", "plugins", host):
                return Path(str(path.locate())).resolve().parents[depth - 1]
    raise MissingDependency(
        f"The plugin for {host} is not installed with kpcn in {sys.prefix}. "
        f"Install kpcn again: pip install --force-reinstall --no-deps kpcn"
    )


def _change(path: Path, edit: Callable[[str], str]) -> Change:
    try:
        before = path.read_bytes().decode(**ENCODING) if path.exists() else None
        after = edit(before or "")
    except (OSError, ValueError) as error:
        raise UnreadableFile(
            f"{path}: cannot be changed: {error}. Mend it, or move it away."
        ) from error
    return Change(path, before, after or None)


def _with_this_python(text: str) -> str:
    """The note for plugins, see ``client_launch``; what else is in it stays."""
    noted = json.loads(text) if text.strip() else {}
    if not isinstance(noted, dict):
        raise ValueError("expected an object of JSON")
    if noted.get("python") == sys.executable:
        return text
    return json.dumps({**noted, "python": sys.executable}, indent=2) + "\n"


def summary(done: Sequence[Change], dry_run: bool) -> list[str]:
    """A line a change, for a person."""
    if not done:
        return ["Nothing to change."]
    verb = "would change" if dry_run else "changed"
    return [f"{verb} {change.path}" for change in done]
