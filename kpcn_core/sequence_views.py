"""Stereo: patterns with Nuke's %V (left, right) or %v (l, r)."""

import re
from collections.abc import Iterator
from glob import escape, iglob

from kpcn_core.errors import MissingFrames, UnknownName
from kpcn_core.sequence_pattern import PLACEHOLDER

VIEW = re.compile("%[Vv]")
NAME = {"%V": r"[^\W_]+", "%v": r"[^\W_]"}


def views(pattern: str, output: str) -> list[tuple[str, str]]:
    """Both patterns once for every view on disk; the two themselves if they have none.

    Args:
        pattern: a path; %V in it stands for the name of a view, %v for its first letter.
        output: a path with the same.

    Raises:
        MissingFrames: no view is on disk.
        UnknownName: one has a view and the other has not, or %V and %v are mixed.
    """
    kinds = sorted({*VIEW.findall(pattern), *VIEW.findall(output)})
    if not kinds:
        return [(pattern, output)]
    if len(kinds) > 1 or not VIEW.search(pattern) or not VIEW.search(output):
        raise UnknownName(
            f"{pattern}, {output}: expected the same placeholder for the view in both, %V or %v. "
            f"Write for example shot_%V.####.exr and clean_%V.####.exr."
        )
    names = sorted(set(_on_disk(pattern, NAME[kinds[0]])))
    if not names:
        raise MissingFrames(f"{pattern}: no such files, in any view. Check the folder's name.")
    return [(VIEW.sub(name, pattern), VIEW.sub(name, output)) for name in names]


def _on_disk(pattern: str, name: str) -> Iterator[str]:
    # A backslash or a bracket in a path is a character, and no part of an expression.
    parts = VIEW.split(pattern)
    numbered = [PLACEHOLDER.split(part)[:: PLACEHOLDER.groups + 1] for part in parts]
    wild = "*".join("*".join(map(escape, pieces)) for pieces in numbered)
    exact = [r"-?\d+".join(map(re.escape, pieces)) for pieces in numbered]
    form = re.compile(f"{exact[0]}(?P<view>{name}){'(?P=view)'.join(exact[1:])}")
    for path in iglob(wild):  # noqa: PTH207 - keeps "./" and the like as they were written
        match = form.fullmatch(path)
        if match:
            yield match["view"]
