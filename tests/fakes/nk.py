"""Reads the text of a gizmo into nodes of the fake, as Nuke reads its scripts."""

from collections.abc import Iterator

from tests.fakes.nuke import knobs
from tests.fakes.nuke.knobs import INVISIBLE, STARTLINE, Knob
from tests.fakes.nuke.nodes import Group, Node
from tests.fakes.nuke.state import current

KINDS = {
    "1": knobs.String_Knob, "2": knobs.File_Knob, "4": knobs.Enumeration_Knob,
    "6": knobs.Boolean_Knob, "7": knobs.Double_Knob, "20": knobs.Tab_Knob,
    "22": knobs.PyScript_Knob, "26": knobs.Text_Knob,
}  # fmt: skip


def load(text: str) -> Group:
    """The node that a gizmo's text describes."""
    found = list(words(text))
    assert found[:2] == ["version", "13.0"]
    assert found[3] == "Gizmo"
    assert found[-1] == "end_group"
    group = Group("Group", current.root)
    _set(group, found[4])
    stack: list[Node] = []
    for kind, body in zip(found[5:-1:2], found[6:-1:2], strict=True):
        stack.append(_node(group, kind, body, stack))
    assert len(stack) == 2, "what is left are the output, and the mask that nothing is fed by"
    return group


def words(text: str) -> Iterator[str]:
    """Tcl's words: bare, in quotes with backslashes, or in braces, which nest."""
    rest = text.strip()
    while rest:
        if rest[0] == "{":
            end = _closing(rest)
            yield rest[1:end]
        elif rest[0] == '"':
            end = next(i for i in range(1, len(rest)) if rest[i] == '"' and rest[i - 1] != "\\")
            yield _plain(rest[1:end])
        else:
            end = next((i for i in range(len(rest)) if rest[i].isspace()), len(rest)) - 1
            yield rest[: end + 1]
        rest = rest[end + 1 :].lstrip()


def _closing(text: str) -> int:
    depth = 0
    for index, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return index
    raise AssertionError(f"no end of {text[:40]}")


def _plain(quoted: str) -> str:
    return quoted.replace("\\[", "[").replace("\\]", "]").replace("\\$", "$").replace('\\"', '"')


def _node(group: Group, kind: str, body: str, stack: list[Node]) -> Node:
    node = Node(kind, group)
    values = _pairs(body)
    for index in range(int(values.pop("inputs", "1"))):
        node.setInput(index, stack.pop())
    node.setName(values.pop("name"))
    for name, value in values.items():
        if value.startswith("{"):
            node[name].setExpression(value[1:-1])
        else:
            node[name].setValue(int(value) if value.isdecimal() else value)
    return node


def _pairs(body: str) -> dict[str, str]:
    found = list(words(body))
    return dict(zip(found[::2], found[1::2], strict=True))


def _set(group: Group, body: str) -> None:
    found = list(words(body))
    for name, value in zip(found[::2], found[1::2], strict=True):
        if name == "addUserKnob":
            group.addKnob(_knob(value))
        elif name != "inputs":
            group[name].setValue(float(value) if _is_number(group[name]) else value)


def _is_number(knob: Knob) -> bool:
    return isinstance(knob, knobs.Double_Knob)


def _knob(text: str) -> Knob:
    number, name, *rest = words(text)
    flags = [word for word in rest if word[:1] in "+-" and word[1:].isupper()]
    options = [word for word in rest if word not in flags]
    if number == "7":
        assert options[-3] == "R"
        options = options[:-3]
    given = dict(zip(options[::2], options[1::2], strict=True))
    kind = KINDS[number]
    if number == "4":
        knob: Knob = knobs.Enumeration_Knob(name, given["l"], list(words(given["M"])))
    elif number in ("22", "26"):
        knob = kind(name, given["l"], given["T"])
    else:
        knob = kind(name, given["l"])
    knob.setTooltip(given.get("t", ""))
    for flag in flags:
        bit = {"STARTLINE": STARTLINE, "INVISIBLE": INVISIBLE}[flag[1:]]
        (knob.setFlag if flag[0] == "+" else knob.clearFlag)(bit)
    return knob
