"""Nodes of the fake: a graph whose pictures can be computed, see ``picture``."""

from collections.abc import Sequence
from typing import Any

from tests.fakes.nuke import tables
from tests.fakes.nuke.knobs import Enumeration_Knob, Knob
from tests.fakes.nuke.state import call, current, main_thread, main_thread_class


class Node:
    """A node of a class that `tables.KNOBS` has."""

    def __init__(self, kind: str, parent: "Group | None") -> None:
        self._kind, self._parent = kind, parent
        self._inputs: dict[int, Node] = {}
        self._knobs: dict[str, Knob] = {}
        self._attached = True
        self.cache: dict[str, object] = {}  # files that a Read holds until it is reloaded
        for knob in [*tables.common(), *tables.KNOBS[kind]()]:
            self._add(knob)
        if parent is not None:
            parent._nodes.append(self)
            self.setName(f"{kind}1", uncollide=True)

    def Class(self) -> str:
        return self._kind

    def name(self) -> str:
        self.check_attached()
        return str(self._knobs["name"]._value)

    def fullName(self) -> str:
        above = self.parent()
        return self.name() if above is current.root else f"{above.fullName()}.{self.name()}"

    def setName(self, name: str, uncollide: bool = True) -> None:
        taken = {node._knobs["name"]._value for node in self.parent()._nodes if node is not self}
        stem, number = name.rstrip("0123456789"), 1
        while uncollide and name in taken:
            number += 1
            name = f"{stem}{number}"
        self._knobs["name"]._value = name

    def parent(self) -> "Group":
        assert self._parent is not None
        return self._parent

    def addKnob(self, knob: Knob) -> None:
        assert knob.name() not in self._knobs, f"{self._kind} has a knob '{knob.name()}' already"
        self._add(knob)

    def knob(self, p: str) -> Knob | None:
        self.check_attached()
        return self._knobs.get(p)

    def knobs(self) -> dict[str, Knob]:
        return dict(self._knobs)

    def input(self, index: int) -> "Node | None":
        self.check_attached()
        return self._inputs.get(index)

    def setInput(self, i: int, node: "Node | None") -> bool:
        self._inputs.pop(i, None)
        if node is not None:
            self._inputs[i] = node
        return True

    def firstFrame(self) -> int:
        return self._range()[0]

    def lastFrame(self) -> int:
        return self._range()[1]

    def width(self) -> int:
        return self._size()[1]

    def height(self) -> int:
        return self._size()[0]

    def showControlPanel(self) -> None:
        self.check_attached()

    def __getitem__(self, name: str) -> Knob:
        self.check_attached()
        if name not in self._knobs:
            raise NameError(f"knob {name} does not exist")
        return self._knobs[name]

    def check_attached(self) -> None:
        """As Nuke does when a node was deleted."""
        if not self._attached:
            raise ValueError("A PythonObject is not attached to a node")

    def changed(self, knob: Knob) -> None:
        """A Write has more knobs once it knows its file type."""
        if self._kind == "Write" and knob.name() == "file_type" and knob.value() == "exr":
            for more in tables.write_exr():
                self._add(more)
        call("knobChanged", self, knob)

    def evaluate_expression(self, expression: str) -> float:
        """Only `parent.knob`, of a choice or a number."""
        above, _, name = expression.partition(".")
        assert above == "parent", f"the fake evaluates no '{expression}'"
        knob = self.parent()[name]
        return knob.getValue() if isinstance(knob, Enumeration_Knob) else float(knob.value())

    def _range(self) -> tuple[int, int]:
        if self._kind == "Read":
            return self._knobs["first"]._value, self._knobs["last"]._value
        feeding = self._inputs.get(0)
        root = current.root
        assert root is not None
        if feeding is None:
            return root._knobs["first_frame"]._value, root._knobs["last_frame"]._value
        return feeding._range()

    def _size(self) -> tuple[int, ...]:
        from tests.fakes.nuke.picture import picture

        return next(iter(picture(self, current.frame).values())).shape

    def _add(self, knob: Knob) -> None:
        knob._node = self
        self._knobs[knob._name] = knob


class Group(Node):
    """A node with nodes inside; `with group:` has them made there."""

    def __init__(self, kind: str = "Group", parent: "Group | None" = None) -> None:
        self._nodes: list[Node] = []
        super().__init__(kind, parent)

    def node(self, s: str) -> Node | None:
        return next((node for node in self._nodes if node.name() == s), None)

    def nodes(self) -> list[Node]:
        return list(self._nodes)

    def __enter__(self) -> "Group":
        current.inside.append(self)
        return self

    def __exit__(self, *error: object) -> None:
        current.inside.pop()


class Root(Group):
    """The script."""

    def __init__(self) -> None:
        super().__init__("Root")
        self._knobs["name"]._value = "Root"
        self._knobs["first_frame"]._value, self._knobs["last_frame"]._value = 1, 100


class NodeConstructor:
    """`nuke.nodes.Read`."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def __call__(self, inputs: Sequence[Node] = (), **knobs: Any) -> Node:
        parent = current.inside[-1] if current.inside else current.root
        node = Group("Group", parent) if self._kind == "Group" else Node(self._kind, parent)
        for index, feeding in enumerate(inputs):
            node.setInput(index, feeding)
        name = knobs.pop("name", None)
        if name:
            node.setName(name)
        for knob, value in knobs.items():
            node[knob].setValue(value)
        call("onCreate", node)
        return node


class Nodes:
    """`nuke.nodes`; refuses classes that the fake does not know."""

    def __getattr__(self, item: str) -> NodeConstructor:
        if item not in tables.KNOBS:
            raise AttributeError(f"the fake knows no node class '{item}'")
        return NodeConstructor(item)


for kind in (Node, Group, Root, NodeConstructor):
    main_thread_class(kind)


@main_thread
def delete(n: Node) -> None:
    n.parent()._nodes.remove(n)
    n._attached = False
