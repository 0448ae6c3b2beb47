"""JSON-RPC 2.0 as lines of UTF-8 JSON, one a message. Standard library only: hosts import this."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, NoReturn

MAX_LINE = 16 << 20  # bytes; a longer line is refused without being kept

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603


class RpcError(Exception):
    """What a reply carries instead of a result.

    Attributes:
        code: one of this module's, or an application's own.
        message: for a person.
        data: for a program.
        request: id of the request that it answers; None if that cannot be told.
    """

    def __init__(
        self,
        code: int,
        message: str,
        data: Mapping[str, Any] | None = None,
        request: int | str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = dict(data or {})
        self.request = request


@dataclass(frozen=True)
class Request:
    """A call; without an id it is a notification, which is never answered."""

    method: str
    params: Mapping[str, Any] = field(default_factory=dict)
    id: int | str | None = None


@dataclass(frozen=True)
class Reply:
    """The answer to a request: a result, or an error."""

    id: int | str | None
    result: Any = None
    error: RpcError | None = None


def lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Lines until the stream ends, none longer than `MAX_LINE` + 1 bytes; blank ones are skipped.

    The rest of a longer line is read and dropped, so that `decode` refuses what came of it.
    """
    while True:
        line = stream.readline(MAX_LINE + 1)
        if not line:
            return
        if len(line) > MAX_LINE:
            _skip_line(stream, line)
        if line.strip():
            yield line


def encode(message: Request | Reply) -> bytes:
    """One line, with its end.

    Raises:
        RpcError: it would be longer than `MAX_LINE`.
    """
    line = json.dumps(_envelope(message), allow_nan=False, separators=(",", ":")).encode() + b"\n"
    if len(line) > MAX_LINE:
        raise RpcError(
            INVALID_REQUEST,
            f"A message of {len(line)} bytes is longer than the {MAX_LINE} allowed.",
            request=message.id,
        )
    return line


def decode(line: bytes) -> Request | Reply:
    """The message in a line.

    Raises:
        RpcError: it is too long, not JSON, or not JSON-RPC 2.0.
    """
    if len(line) > MAX_LINE:
        raise RpcError(INVALID_REQUEST, f"A line is longer than {MAX_LINE} bytes.")
    try:
        data = json.loads(line.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RpcError(PARSE_ERROR, f"A line is not JSON: {error}.") from error
    if not isinstance(data, dict):
        raise RpcError(INVALID_REQUEST, "A message must be one JSON object; batches are not read.")
    identity = _identity(data)
    if data.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, "A message must have 'jsonrpc': '2.0'.", request=identity)
    return _request(data, identity) if "method" in data else _reply(data, identity)


def _envelope(message: Request | Reply) -> dict[str, Any]:
    if isinstance(message, Request):
        envelope = {"jsonrpc": "2.0", "method": message.method, "params": dict(message.params)}
        return envelope if message.id is None else {**envelope, "id": message.id}
    if message.error is None:
        return {"jsonrpc": "2.0", "id": message.id, "result": message.result}
    error = {"code": message.error.code, "message": message.error.message}
    if message.error.data:
        error["data"] = message.error.data
    return {"jsonrpc": "2.0", "id": message.id, "error": error}


def _identity(data: dict[str, Any]) -> int | str | None:
    identity = data.get("id")
    if isinstance(identity, bool) or not isinstance(identity, (int, str, type(None))):
        raise RpcError(INVALID_REQUEST, "An 'id' must be a whole number or a text.")
    return identity


def _request(data: dict[str, Any], identity: int | str | None) -> Request:
    method, params = data["method"], data.get("params", {})
    if not isinstance(method, str):
        raise RpcError(INVALID_REQUEST, "A 'method' must be a text.", request=identity)
    if "id" in data and identity is None:
        raise RpcError(INVALID_REQUEST, "An 'id' must not be null.")
    if not isinstance(params, dict):
        raise RpcError(INVALID_PARAMS, "'params' must be an object, by name.", request=identity)
    return Request(method, params, identity)


def _reply(data: dict[str, Any], identity: int | str | None) -> Reply:
    if "error" not in data:
        if identity is None or "result" not in data:
            raise RpcError(
                INVALID_REQUEST, "A message has neither method nor result.", request=identity
            )
        return Reply(identity, data["result"])
    error = data["error"]
    if not isinstance(error, dict) or not isinstance(error.get("code"), int):
        raise RpcError(INVALID_REQUEST, "An 'error' must have a code.", request=identity)
    details = error.get("data")
    found = RpcError(
        error["code"],
        str(error.get("message", "")),
        details if isinstance(details, dict) else None,
        request=identity,
    )
    return Reply(identity, error=found)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _skip_line(stream: IO[bytes], line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = stream.readline(1 << 16)
