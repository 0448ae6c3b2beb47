"""File names with a placeholder for the frame number, as every program writes them.

Standard library only, Python 3.9 syntax: hosts import this.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from kpcn_core.errors import UnknownName

# Nuke, RV and Katana (a lone # or @ only between separators: it may be part of a name); printf;
# Houdini; husk and RenderMan.
PLACEHOLDER = re.compile(
    r"##+|@@+|(?<![^._-])[#@](?![^._-])|%0?(?P<printf>\d*)d|\$(?:F(?P<houdini>\d?)(?![A-Za-z])|\{F(?P<braces>\d?)\})"
    r"|<[fF](?P<husk>\d?)>"
)
TILE_OF_A_TEXTURE = re.compile(r"<UDIM>|%\(UDIM\)d", re.IGNORECASE)
# shot.1001-1100####.exr; only behind a dot, since v002####.exr has a version, and no range.
RANGE = re.compile(r"(?:^|(?<=\.))-?\d[-\d,x]*$")
NUMBER = re.compile(r"(?:^|[._])(-?\d+)$")
EXAMPLE = "Write for example shot.####.exr."


@dataclass(frozen=True)
class Pattern:
    """A path whose name has at most one placeholder for the frame number.

    Attributes:
        text: as it was written.
        folder: where the files lie.
        before: the name up to the number.
        width: digits of the number at least, filled with zeros; 0 for a name without a placeholder.
        after: the name from the number on.
        frames: a range that the name holds, as shot.1001-1100####.exr does; else empty.
    """

    text: str
    folder: Path
    before: str
    width: int
    after: str
    frames: str = ""

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Read ####, @@@@, %04d, $F4, ${F4} or <F4>; a name that has none is a single file.

        Raises:
            UnknownName: there are several placeholders, one in a folder's name, or a texture's.
        """
        folder, name = Path(text).parent, Path(text).name
        if TILE_OF_A_TEXTURE.search(text):
            raise UnknownName(f"{text}: UDIM tiles are no frames of a shot. {EXAMPLE}")
        found = list(PLACEHOLDER.finditer(name))
        if not found:
            if PLACEHOLDER.search(str(folder)) and not folder.exists():
                raise UnknownName(
                    f"{text}: the placeholder for the frame must be in the file's name, not in a "
                    f"folder's. {EXAMPLE}"
                )
            return cls(text, folder, name, 0, "")
        if len(found) > 1:
            raise UnknownName(
                f"{text}: expected one placeholder for the frame; found "
                f"{' and '.join(match[0] for match in found)}. {EXAMPLE}"
            )
        before, after = name[: found[0].start()], name[found[0].end() :]
        inside = RANGE.search(before)
        if inside:
            before = before[: inside.start()]
        return cls(text, folder, before, _width(found[0]), after, inside[0] if inside else "")

    @property
    def number(self) -> int:
        """The frame number in the name of a single file; 0 if it has none."""
        match = NUMBER.search(Path(self.before).stem)
        return int(match[1]) if match else 0

    def path(self, number: int) -> Path:
        """The file to write for a frame. A minus counts as a digit, as in printf and Nuke: -005."""
        return self.folder / f"{self.before}{number:0{self.width}d}{self.after}"

    def on_disk(self) -> dict[int, Path]:
        """The files that are there, by their frame numbers, in order.

        Negative numbers are also found as Houdini writes them, where a minus counts for nothing:
        -0005.
        """
        found: dict[int, Path] = {}
        for name in self._names():
            number = int(name[len(self.before) : len(name) - len(self.after)])
            path = self.folder / name
            if path == self.path(number) or (number < 0 and path == self._houdini(number)):
                found[number] = path
        return dict(sorted(found.items()))

    def likely(self) -> str:
        """A pattern that would find files of another padding; empty if there are none."""
        names = sorted(self._names())
        if not names:
            return ""
        digits = len(names[0]) - len(self.before) - len(self.after)
        return f"{self.before}{'#' * digits}{self.after}"

    def _houdini(self, number: int) -> Path:
        sign = "-" if number < 0 else ""
        return self.folder / f"{self.before}{sign}{abs(number):0{self.width}d}{self.after}"

    def _names(self) -> list[str]:
        """Names in the folder that have any number in this place."""
        name = re.compile(rf"{re.escape(self.before)}-?\d+{re.escape(self.after)}", re.ASCII)
        # One listing: asking a file server for ten thousand files one by one takes minutes.
        try:
            return [entry.name for entry in self.folder.iterdir() if name.fullmatch(entry.name)]
        except OSError:
            return []


def _width(match: re.Match[str]) -> int:
    if match[0][0] in "#@":
        return len(match[0])
    return int(next((digits for digits in match.groups() if digits), 1))
