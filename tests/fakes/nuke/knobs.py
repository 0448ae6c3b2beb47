"""Knobs of the fake: those kinds that are used, each with the values that Nuke allows."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tests.fakes.nuke.state import current, main_thread_class

if TYPE_CHECKING:
    from tests.fakes.nuke.nodes import Node

INVISIBLE = 0x400
STARTLINE = 0x1000


class Knob:
    """Base of all; a value of its type, flags, and the node that it is on."""

    empty: Any = ""

    def __init__(self, name: str, label: str = "") -> None:
        assert re.fullmatch(r"[A-Za-z_]\w*", name), f"'{name}' cannot be a knob's name"
        self._name, self._label, self._tip = name, label, ""
        self._node: Node | None = None
        self._value: Any = self.empty
        self._expression = ""
        self._flags = 0

    def name(self) -> str:
        return self._name

    def label(self) -> str:
        return self._label

    def node(self) -> "Node":
        assert self._node is not None
        return self._node

    def setTooltip(self, tooltip: str) -> None:
        self._tip = tooltip

    def tooltip(self) -> str:
        return self._tip

    def setFlag(self, flag: int) -> None:
        self._flags |= flag

    def clearFlag(self, flag: int) -> None:
        self._flags &= ~flag

    def getFlag(self, flag: int) -> bool:
        return bool(self._flags & flag)

    def setExpression(self, expression: str) -> bool:
        self._expression = expression
        return True

    def setValue(self, val: Any) -> bool:
        value = self.checked(val)
        changed = value != self._value
        self._value = value
        if changed and self._node is not None:
            self._node.check_attached()
            self._node.changed(self)
        return True

    def value(self) -> Any:
        if self._node is not None:
            self._node.check_attached()
            if self._expression:
                return self._node.evaluate_expression(self._expression)
        return self._value

    def checked(self, value: Any) -> Any:
        """The value as this kind of knob keeps it; raises TypeError for another type."""
        raise TypeError(f"{type(self).__name__} '{self._name}' has no value to set")


class Tab_Knob(Knob):
    pass


class String_Knob(Knob):
    def checked(self, value: Any) -> Any:
        if not isinstance(value, str):
            raise TypeError(f"{self._name} needs a text, not {value!r}")
        return value


class Text_Knob(String_Knob):
    def __init__(self, name: str, label: str = "", text: str = "") -> None:
        super().__init__(name, label)
        self._value = text


class File_Knob(String_Knob):
    def checked(self, value: Any) -> Any:
        # As Nuke keeps them: #### becomes %04d.
        return re.sub(r"#+", lambda hashes: f"%0{len(hashes[0])}d", super().checked(value))

    def value(self) -> Any:
        return super().value() or None

    def getEvaluatedValue(self) -> Any:
        text = super().value()
        return re.sub(r"%0?\d*d", lambda number: number[0] % current.frame, text) or None


class Script_Knob(String_Knob):
    def __init__(self, name: str, label: str = "", command: str = "") -> None:
        super().__init__(name, label)
        self._value = command

    def execute(self) -> None:
        """Run its Python as a click does."""
        import tests.fakes.nuke as nuke

        node = self.node()
        current.this.append((node, self))
        try:
            exec(self._value, {"nuke": nuke})
        finally:
            current.this.pop()


class PyScript_Knob(Script_Knob):
    pass


class Boolean_Knob(Knob):
    empty = False

    def checked(self, value: Any) -> Any:
        if not isinstance(value, (bool, int)):
            raise TypeError(f"{self._name} needs True or False, not {value!r}")
        return bool(value)


class Double_Knob(Knob):
    empty = 0.0

    def setRange(self, lower: float, upper: float) -> None:
        assert lower < upper

    def checked(self, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"{self._name} needs a number, not {value!r}")
        return float(value)


class Int_Knob(Knob):
    empty = 0

    def checked(self, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{self._name} needs a whole number, not {value!r}")
        return value


class Enumeration_Knob(Knob):
    def __init__(self, name: str, label: str, values: Sequence[str]) -> None:
        super().__init__(name, label)
        self._values = list(values)
        self._value = self._values[0]

    def values(self) -> Any:
        return list(self._values)

    def checked(self, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            value = self._values[value]
        if value not in self._values:
            raise TypeError(f"{self._name} has no '{value}', but {self._values}")
        return value

    def getValue(self) -> Any:
        return float(self._values.index(self.value()))


for kind in list(vars().values()):
    if isinstance(kind, type) and issubclass(kind, Knob):
        main_thread_class(kind)
