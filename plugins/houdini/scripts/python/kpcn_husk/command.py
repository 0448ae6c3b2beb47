"""What husk's own command line says about its frames and files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

NUMBER = re.compile(r"-?\d+(\.\d+)?")


def words_of(command: object) -> list[str]:
    """The command as words; a text or a list, since which of them husk gives is not documented."""
    if isinstance(command, str):
        return shlex.split(command)
    if isinstance(command, (list, tuple)):
        return [str(word) for word in command]
    return []


def frames(words: Sequence[str]) -> list[int]:
    """The frames that this husk renders; none if its command does not say, or has half frames."""
    listed = _after(words, "--frame-list")
    first, count, step = (
        _after(words, short, long)[:1]
        for short, long in (("-f", "--frame"), ("-n", "--frame-count"), ("-i", "--frame-inc"))
    )
    try:
        if listed:
            return [_whole(word) for text in listed for word in text.replace(",", " ").split()]
        if not first:
            return []
        start, every = _whole(first[0]), _whole((step or ["1"])[0])
        return [start + index * every for index in range(_whole((count or ["1"])[0]))]
    except ValueError:
        return []


def output(words: Sequence[str]) -> str:
    """The first image that the command names; empty if the scene does."""
    return next(iter(_after(words, "-o", "--output")), "").partition(",")[0]


def _after(words: Sequence[str], *names: str) -> list[str]:
    """The words that belong to an option; numbers below zero do, other options do not."""
    found: list[str] = []
    taking = False
    for word in words:
        name, equals, value = word.partition("=")
        if word.startswith("-") and not NUMBER.fullmatch(word):
            taking = name in names
            if taking:
                found = [value] if equals else []
        elif taking:
            found.append(word)
    return found


def _whole(text: str) -> int:
    number = float(text)
    if number != int(number):
        raise ValueError(text)
    return int(number)
