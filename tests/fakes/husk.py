"""Stands in for husk: writes frames and runs its scripts as husk does. Standard library only.

As seen in Houdini 22 and read in husk's help: a script is a path without spaces, whose text is run
with the `__name__` of builtins, in husk's own Python, with `stage` and the command's words at hand;
modules stay between frames. The frames are not rendered but copied, from FOLDER/NUMBER.exr.

Arguments: FOLDER, then husk's own: --frame-list or -f -n, -o, --postframe-script,
--postrender-script.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path


class Product:
    """A RenderProduct prim of a stage, and its productName."""

    def __init__(self, name: str) -> None:
        self._name = name

    def Traverse(self) -> list[Product]:
        return [self]

    def GetTypeName(self) -> str:
        return "RenderProduct"

    def GetAttribute(self, name: str) -> Product:
        assert name == "productName"
        return self

    def GetTimeSamples(self) -> list[float]:
        return []

    def Get(self, time: float) -> str:
        return self._name


def run(script: str, names: dict[str, object]) -> None:
    """As husk: the text of a file, and nothing of what `python FILE` sets up."""
    assert " " not in script, "too many positional options"
    exec(Path(script).read_text(encoding="utf-8"), {"__name__": "builtins", **names})


def main(folder: str, *words: str) -> None:
    """Write each frame, then run the scripts."""
    options = {words[i]: words[i + 1] for i in range(0, len(words), 2)}
    first = int(options.get("-f", "1"))
    numbers = options.get("--frame-list") or " ".join(
        str(number) for number in range(first, first + int(options.get("-n", "1")))
    )
    output = options["-o"]
    names: dict[str, object] = {"stage": Product(output)}
    if options.get("--tell-command") != "no":
        names["husk_command"] = ["husk", "shot.usd", *words]
    start = float(options.get("--start-at", "0"))
    time.sleep(max(0.0, start - time.time()))
    for number in map(int, numbers.split()):
        Path(output % number).write_bytes((Path(folder) / f"{number}.exr").read_bytes())
        if "--postframe-script" in options:
            run(options["--postframe-script"], names)
    if "--postrender-script" in options:
        run(options["--postrender-script"], names)
    assert "hou" not in sys.modules, "hou takes a license"
    assert "numpy" not in sys.modules


if __name__ == "__main__":
    main(*sys.argv[1:])
