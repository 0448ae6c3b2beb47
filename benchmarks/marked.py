"""Parts of a document that commands write, between marks; what stands around them is a person's."""

import re
from collections.abc import Callable

BEGIN, END = "<!-- facts of {} -->", "<!-- end of facts -->"
MARKED = re.compile(r"<!-- facts of (?P<name>[\w-]+) -->\n.*?<!-- end of facts -->", re.DOTALL)


def names(text: str) -> list[str]:
    """What the marked parts of a document are about, in their order."""
    return [match["name"] for match in MARKED.finditer(text)]


def rewritten(text: str, body: Callable[[str], str]) -> str:
    """The document with every marked part replaced by what `body` gives for its name."""

    def part(match: re.Match[str]) -> str:
        return f"{BEGIN.format(match['name'])}\n\n{body(match['name'])}\n\n{END}"

    return MARKED.sub(part, text)
