"""Computes what the gizmo around Inference gives, by what is known of Nuke's nodes.

A stream is a picture: names of channels to their pixels; a channel that it lacks reads as 0.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from kpcn_core.frame import Pixels
from tests.exports import loaded
from tests.fakes.nk import words

Stream = dict[str, Pixels]
COLORS = ("rgba.red", "rgba.green", "rgba.blue", "rgba.alpha")
MODEL = r"\[lsearch -inline \[plugins -all (\w+)\.cat] \*\.cat]"
FUNCTIONS = {"max": np.maximum, "pow": np.power, "__builtins__": {}}


class Gizmo:
    """The text of a gizmo, and the values of its knobs.

    Args:
        path: the gizmo; the modules of its .cat files lie beside it.
    """

    def __init__(self, path: Path) -> None:
        self.folder = path.parent
        found = list(words(path.read_text(encoding="utf-8")))
        assert found[0] == "version"
        assert found[3] == "Gizmo"
        assert found[-1] == "end_group"
        self.body = pairs(found[4])
        self.steps = found[5:-1]
        self.values: dict[str, float] = {"asymmetry": 1.0, "use_mask": 0, "use_half": 0}
        self.layers: dict[str, str] = {}
        self.ties: dict[tuple[str, str], str] = {}

    def create(self, layers: list[str]) -> None:
        """What happens when a node is made of it in a script with these layers."""
        code = self.body["onCreate"].replace("\\n", "\n")
        host = type("nuke", (), {"thisNode": lambda: _This(self), "layers": lambda: layers})
        exec(code, {"nuke": host})

    def run(self, inputs: Mapping[int, Stream]) -> Stream:
        """What comes out, given what is connected to its inputs."""
        stack: list[Stream] = []
        kept: dict[str, Stream] = {}
        steps = iter(self.steps)
        result: Stream = {}
        for step in steps:
            if step == "set":
                kept[next(steps)] = stack[-1]
                assert (next(steps), next(steps)) == ("[stack", "0]")
            elif step == "push":
                stack.append(kept[next(steps)[1:]])
            elif step == "Input":
                stack.append(inputs.get(int(pairs(next(steps))["number"]), {}))
            elif step == "Output":
                next(steps)
                result = stack.pop()
            else:
                knobs = pairs(next(steps))
                above = [stack.pop() for _ in range(int(knobs.get("inputs", "1")))]
                stack.append(getattr(self, step.lower())(knobs, *above))
        return result

    def shuffle(self, knobs: dict[str, str], above: Stream) -> Stream:
        layer = self.layers.get(knobs["name"], knobs["in"])
        channels = [name for name in above if name.startswith(f"{layer}.")]
        return {**above, **{to: above[one] for to, one in zip(COLORS, channels, strict=False)}}

    def copy(self, knobs: dict[str, str], b: Stream, a: Stream) -> Stream:
        blank = {"none": np.zeros_like(next(iter(b.values())))}  # where nothing is connected
        indices = [name[4:] for name in knobs if name.startswith("from")]
        return {**b, **{knobs[f"to{i}"]: channel(a or blank, knobs[f"from{i}"]) for i in indices}}

    def expression(self, knobs: dict[str, str], above: Stream) -> Stream:
        names = {letter: channel(above, full) for letter, full in zip("rgb", COLORS, strict=False)}
        return {**above, COLORS[0]: eval(knobs["expr0"], dict(FUNCTIONS), names)}

    def mergeexpression(self, knobs: dict[str, str], b: Stream, a: Stream) -> Stream:
        names = {
            f"{side}{letter}": channel(stream, full)
            for side, stream in (("A", a), ("B", b))
            for letter, full in zip("rgb", COLORS, strict=False)
        }
        return {**b, COLORS[0]: eval(knobs["expr0"], dict(FUNCTIONS), names)}

    def inference(self, knobs: dict[str, str], above: Stream) -> Stream:
        found = re.fullmatch(MODEL, knobs["modelFile"])
        assert found
        module = loaded(self.folder / f"{found[1]}.pt")
        about = json.loads((self.folder / "kpcn.json").read_text(encoding="utf-8"))
        for name in about["knobs"]:
            assert self.ties[knobs["name"], name] == f"parent.{name}"
            setattr(module, name, self.values[name])
        packed = np.stack([channel(above, name) for name in about["channels_in"]])
        with torch.no_grad():
            result = module(torch.from_numpy(packed)[None])[0].numpy()
        return {**above, **dict(zip(about["channels_out"], result, strict=True))}

    def switch(self, knobs: dict[str, str], *above: Stream) -> Stream:
        assert knobs["which"] == "{parent.use_half}"
        return above[int(self.values["use_half"])]


class _This:
    """`nuke.thisNode()`, as far as a gizmo's own script uses it."""

    def __init__(self, gizmo: Gizmo, inside: str = "", knob: str = "") -> None:
        self.gizmo, self.inside, self.name = gizmo, inside, knob

    def node(self, name: str) -> "_This":
        nodes = [pairs(body)["name"] for body in self.gizmo.steps if "name " in body]
        assert name in nodes, f"no node '{name}' inside; there are {nodes}"
        return _This(self.gizmo, name)

    def knob(self, name: str) -> "_This":
        return _This(self.gizmo, self.inside, name)

    def __getitem__(self, name: str) -> "_This":
        return self.knob(name)

    def value(self) -> str:
        return self.gizmo.layers.get(self.inside, "none")

    def setValue(self, value: str) -> None:
        self.gizmo.layers[self.inside] = value

    def setExpression(self, expression: str) -> None:
        self.gizmo.ties[self.inside, self.name] = expression


def pairs(body: str) -> dict[str, str]:
    """Names and values within braces; the last of several with one name."""
    found = list(words(body))
    return dict(zip(found[::2], found[1::2], strict=True))


def channel(stream: Stream, name: str) -> Pixels:
    """A channel, 0 where there is none."""
    like = next(iter(stream.values()))
    return stream.get(name, np.zeros_like(like)).astype(np.float32)
