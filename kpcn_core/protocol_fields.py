"""Messages as dataclasses, read and written by their annotations. Standard library only.

A field that has its default is not sent, so a newer host gets on with an older worker until it uses
what that one lacks; the worker then refuses with `UNSUPPORTED`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from math import isfinite
from typing import Any, TypeVar

from kpcn_core.jsonrpc import INVALID_PARAMS, RpcError
from kpcn_core.protocol_errors import SHOWN, listed, unsupported


class Message:
    """Base of all that is sent as params, result or notification."""


M = TypeVar("M", bound=Message)


def write(message: Message) -> dict[str, Any]:
    """A message as JSON's types, without the fields that have their default."""
    return {
        item.name: _plain(getattr(message, item.name))
        for item in _fields(message)
        if getattr(message, item.name) != _default(item)
    }


def read(kind: type[M], data: object, tolerant: bool = False) -> M:
    """A message from JSON's types; every field is checked.

    Args:
        kind: the type expected.
        data: an object with the type's fields.
        tolerant: drop unknown fields, as a host does with what a newer worker adds.

    Raises:
        RpcError: `UNSUPPORTED` for unknown fields, `INVALID_PARAMS` for missing or wrong ones.
    """
    if not isinstance(data, dict):
        raise RpcError(INVALID_PARAMS, f"{kind.__name__}: expected an object.")
    known = {item.name: item for item in _fields(kind)}
    unknown = sorted(set(data) - set(known))
    if unknown and not tolerant:
        raise unsupported(f"{kind.__name__}: {listed(unknown)}", unknown, list(known))
    values = {name: _checked(kind, known[name], data[name]) for name in known if name in data}
    missing = [name for name in known if name not in data and _default(known[name]) is MISSING]
    if missing:
        raise RpcError(INVALID_PARAMS, f"{kind.__name__}: {listed(missing)} is missing.")
    return kind(**values)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)


def _is_list(value: object, check: Callable[[object], bool]) -> bool:
    return isinstance(value, (list, tuple)) and all(map(check, value))


# Annotation of a field -> what it is called, and whether a value is one.
CHECKS: dict[str, tuple[str, Callable[[object], bool]]] = {
    "str": ("a text", _is_text),
    "int": ("a whole number", _is_whole),
    "float": ("a number", _is_number),
    "bool": ("true or false", lambda value: isinstance(value, bool)),
    "int | str": ("a whole number or a text", lambda value: _is_text(value) or _is_whole(value)),
    "str | None": ("a text", lambda value: value is None or _is_text(value)),
    "int | None": ("a whole number", lambda value: value is None or _is_whole(value)),
    "tuple[str, ...]": ("a list of texts", lambda value: _is_list(value, _is_text)),
    "tuple[int, ...]": ("a list of whole numbers", lambda value: _is_list(value, _is_whole)),
    "Mapping[str, str]": (
        "an object of texts",
        lambda value: isinstance(value, dict) and _is_list([*value, *value.values()], _is_text),
    ),
}


def _checked(kind: type[Message], item: Field[Any], value: object) -> object:
    expected, check = CHECKS[str(item.type)]
    if not check(value):
        shown = repr(value)[:SHOWN]
        raise RpcError(
            INVALID_PARAMS, f"{kind.__name__}: '{item.name}' must be {expected}; it is {shown}."
        )
    return tuple(value) if isinstance(value, list) else value


def _fields(message: Message | type[Message]) -> tuple[Field[Any], ...]:
    return fields(message)  # type: ignore[arg-type]


def _default(item: Field[Any]) -> object:
    return item.default if item.default_factory is MISSING else item.default_factory()


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value
