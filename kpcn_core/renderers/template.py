"""Command lines with placeholders, as `render {map} {output}`."""

import os
import re
import shlex
from collections.abc import Collection, Mapping

from kpcn_core.errors import UnknownName

PLACEHOLDER = re.compile(r"\{(\w+)\}")


def parsed(command: str, needed: Collection[str], possible: Collection[str]) -> list[str]:
    """The words of a template; split as a shell does, though no shell is to run it.

    Args:
        command: the template.
        needed: placeholders that it must have.
        possible: further ones that it may have.

    Raises:
        UnknownName: it lacks one, has an unknown one, or cannot be split.
    """
    try:
        words = shlex.split(command, posix=os.name == "posix")
    except ValueError as error:
        raise UnknownName(f"The render command cannot be split into words: {error}.") from error
    found = {name for word in words for name in PLACEHOLDER.findall(word)}
    if not found.issuperset(needed) or not found.issubset({*needed, *possible}):
        raise UnknownName(
            f"The render command has the placeholders {_listed(sorted(found))}; it needs "
            f"{_listed(needed)}, and may have "
            f"{_listed([name for name in possible if name not in needed])}."
        )
    return words


def filled(words: list[str], values: Mapping[str, object]) -> list[str]:
    """The words with every placeholder replaced."""
    return [PLACEHOLDER.sub(lambda match: str(values[match[1]]), word) for word in words]


def _listed(names: Collection[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names) or "none"
