"""Parms, and the templates that spare ones are made of."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tests.fakes.hou.errors import OperationFailed
from tests.fakes.hou.state import current, main_thread

if TYPE_CHECKING:
    from tests.fakes.hou.nodes import OpNode

Value = int | float | str


class EnumValue:
    def __init__(self, name: str) -> None:
        self._name = name

    def name(self) -> str:
        return self._name


class stringParmType:
    Regular = EnumValue("Regular")
    FileReference = EnumValue("FileReference")


class fileType:
    Any = EnumValue("Any")
    Image = EnumValue("Image")


class ParmTemplate:
    """The base of all; `value` and `choices` are for the fake."""

    def __init__(self, name: str, label: str, value: Value, help: str | None = None) -> None:
        assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name), name
        self._name, self._label, self._help = name, label, help or ""
        self._value = value
        self._choices: Sequence[str] = ()

    def name(self) -> str:
        return self._name

    def label(self) -> str:
        return self._label

    def help(self) -> str:
        return self._help


class ToggleParmTemplate(ParmTemplate):
    def __init__(
        self, name: str, label: str, default_value: bool = False, help: str | None = None
    ) -> None:
        super().__init__(name, label, int(default_value), help)


class FloatParmTemplate(ParmTemplate):
    def __init__(
        self,
        name: str,
        label: str,
        num_components: int,
        default_value: Sequence[float] = (),
        min: float = 0.0,
        max: float = 10.0,
        help: str | None = None,
    ) -> None:
        assert num_components == 1
        assert min <= default_value[0] <= max
        super().__init__(name, label, float(default_value[0]), help)


class StringParmTemplate(ParmTemplate):
    def __init__(
        self,
        name: str,
        label: str,
        num_components: int,
        default_value: Sequence[str] = (),
        string_type: EnumValue = stringParmType.Regular,
        file_type: EnumValue = fileType.Any,
        menu_items: Sequence[str] = (),
        menu_labels: Sequence[str] = (),
        help: str | None = None,
    ) -> None:
        assert num_components == 1
        assert len(menu_items) == len(menu_labels)
        super().__init__(name, label, default_value[0], help)
        self._choices = menu_items


class MenuParmTemplate(ParmTemplate):
    """An integer with a token for each value."""

    def __init__(self, name: str, label: str, menu_items: Sequence[str]) -> None:
        super().__init__(name, label, 0)
        self._choices = menu_items


class FolderParmTemplate(ParmTemplate):
    def __init__(self, name: str, label: str, parm_templates: Sequence[ParmTemplate] = ()) -> None:
        super().__init__(name, label, 0)
        self._inside = tuple(parm_templates)

    def parmTemplates(self) -> tuple[ParmTemplate, ...]:
        return self._inside


class ParmTemplateGroup:
    def __init__(self, parm_templates: Sequence[ParmTemplate] = ()) -> None:
        self._templates = list(parm_templates)

    def entries(self) -> tuple[ParmTemplate, ...]:
        return tuple(self._templates)

    def find(self, name: str) -> ParmTemplate | None:
        return next((one for one in self._templates if one.name() == name), None)

    def append(self, parm_template: ParmTemplate) -> None:
        if self.find(parm_template.name()):
            raise OperationFailed("there is one of this name")
        self._templates.append(parm_template)

    def findFolder(self, label_or_labels: str) -> ParmTemplate | None:
        folders = (one for one in self._templates if isinstance(one, FolderParmTemplate))
        return next((one for one in folders if one.label() == label_or_labels), None)

    def remove(self, name_or_parm_template_or_indices: "str | ParmTemplate") -> None:
        given = name_or_parm_template_or_indices
        found = self.find(given) if isinstance(given, str) else given
        if found not in self._templates:
            raise OperationFailed("no such parm")
        assert found is not None
        self._templates.remove(found)


class Parm:
    def __init__(self, node: "OpNode", template: ParmTemplate) -> None:
        self._node, self._template = node, template
        self._raw: Any = template._value
        self._expression = False

    def name(self) -> str:
        return self._template.name()

    def node(self) -> "OpNode":
        return self._node

    def keyframes(self) -> tuple[object, ...]:
        return (object(),) if self._expression else ()

    @main_thread
    def set(self, value: Value) -> None:
        template = self._template
        if isinstance(template, StringParmTemplate):
            if not isinstance(value, str):
                raise TypeError(f"{self.name()} needs a text")
        elif isinstance(value, str):
            if value not in template._choices:
                raise TypeError(f"{self.name()} has no {value!r}")
            value = template._choices.index(value)
        self._raw, self._expression = value, False

    def rawValue(self) -> str:
        return str(self._raw)

    def unexpandedString(self) -> str:
        if self._expression or not isinstance(self._raw, str):
            raise OperationFailed("it has keyframes, or is no text")
        return self._raw

    def eval(self) -> Value:
        if isinstance(self._raw, str):
            return expanded(self._raw, current.frame)
        return self._raw  # type: ignore[no-any-return]

    def evalAsString(self) -> str:
        if isinstance(self._template, MenuParmTemplate):
            return self._template._choices[int(self._raw)]
        return str(self.eval())

    def evalAsStringAtFrame(self, frame: float) -> str:
        return expanded(self._raw, frame) if isinstance(self._raw, str) else str(self._raw)


def expanded(text: str, frame: float) -> str:
    """Variables replaced; a minus counts for no digit."""

    def number(match: re.Match[str]) -> str:
        width = int(match[1] or match[2] or 1)
        return f"{'-' if frame < 0 else ''}{abs(int(frame)):0{width}d}"

    text = re.sub(r"\$F(\d?)(?![A-Za-z])|\$\{F(\d?)\}", number, text)
    return re.sub(r"\$(\w+)", lambda match: current.variables.get(match[1], ""), text)
