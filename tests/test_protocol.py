"""Messages travel whole, and what is no message is refused."""

import io
import json
from dataclasses import fields

import pytest

from kpcn_core import errors, jsonrpc, protocol
from kpcn_core.errors import Cancelled, KpcnError, Unsupported, WorkerFailed
from kpcn_core.jsonrpc import MAX_LINE, Reply, Request, RpcError, decode, encode, lines
from kpcn_core.protocol import Denoise, Initialize, Inspected, Progress, Render
from kpcn_core.protocol_errors import CANCELLED, FAILED, UNSUPPORTED, exception, failure
from kpcn_core.protocol_fields import CHECKS, Message, read, write

MESSAGES = [
    Initialize(version=1, host="nuke", requires=("denoise",)),
    Denoise("a.####.exr", "b.####.exr", "1-3", layers={"albedo": "base"}, tile=64, overwrite=True),
    Denoise("a.exr", "b.exr", window=7, asymmetry=2.5, extra={"lg_*": "diffuse"}, quality="high"),
    Render("a.exr", "b.exr", asymmetry_layer="A", asymmetry_input="mask.exr"),
    Inspected("kpcn", "as asked", (-1, 0, 20, 10), ("R+G+B", "albedo"), {"color": "R G B"}),
    Progress(job="x", frame=1, frames=3, tile=2, tiles=4),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_is_the_same_after_the_wire(message: Message) -> None:
    line = encode(Request("any", write(message), 7))
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    request = decode(line)
    assert isinstance(request, Request)
    assert read(type(message), request.params) == message


def test_every_field_has_a_check() -> None:
    for kind in [*Message.__subclasses__(), *Denoise.__subclasses__()]:
        for item in fields(kind):  # type: ignore[arg-type]
            assert item.type in CHECKS, f"{kind.__name__}.{item.name}"


def test_defaults_are_not_sent_so_that_older_workers_understand() -> None:
    assert write(Denoise("a.exr", "b.exr")) == {"input": "a.exr", "output": "b.exr"}


def test_a_new_asymmetry_is_asked_for_by_another_method() -> None:
    assert protocol.method_of(Denoise("a.exr", "b.exr")) == "denoise"
    assert protocol.method_of(Render("a.exr", "b.exr")) == "render"


def test_a_name_that_is_not_utf_8_survives() -> None:
    name = b"caf\xe9.exr".decode("utf-8", "surrogateescape")
    request = decode(encode(Request("any", write(Denoise(name, "b.exr")))))
    assert isinstance(request, Request)
    assert request.params["input"] == name


@pytest.mark.parametrize("option", ["upscale", "precision", "cached"])
def test_what_comes_later_is_refused_by_its_name(option: str) -> None:
    with pytest.raises(RpcError, match=f"'{option}': not known to this worker") as caught:
        read(Denoise, {"input": "a", "output": "b", option: 3})
    assert caught.value.code == UNSUPPORTED
    assert caught.value.data["unsupported"] == [option]
    assert isinstance(exception(caught.value), Unsupported)


def test_a_host_overlooks_what_a_newer_worker_adds() -> None:
    data = {"job": 1, "frame": 0, "frames": 2, "memory": 5}
    assert read(Progress, data, tolerant=True) == Progress(1, 0, 2)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"input": "a"}, "'output' is missing"),
        ({"input": 1, "output": "b"}, "'input' must be a text; it is 1"),
        ({"input": "a\0", "output": "b"}, "'input' must be a text"),
        ({"input": "a", "output": "b", "tile": True}, "'tile' must be a whole number"),
        ({"input": "a", "output": "b", "tile": 1.5}, "'tile' must be a whole number"),
        ({"input": "a", "output": "b", "asymmetry": "3"}, "'asymmetry' must be a number"),
        ({"input": "a", "output": "b", "asymmetry": True}, "'asymmetry' must be a number"),
        ({"input": "a", "output": "b", "window": 7.0}, "'window' must be a whole number"),
        ({"input": "a", "output": "b", "aovs": "color"}, "'aovs' must be a list of texts"),
        ({"input": "a", "output": "b", "aovs": [1]}, "'aovs' must be a list of texts"),
        ({"input": "a", "output": "b", "layers": {"albedo": 1}}, "'layers' must be an object"),
        ({"input": "a", "output": "b", "overwrite": 1}, "'overwrite' must be true or false"),
        ({"input": "a", "output": "b", "overwrite": None}, "'overwrite' must be true or false"),
        ([], "expected an object"),
    ],
)
def test_wrong_params_say_what_was_expected(params: object, expected: str) -> None:
    with pytest.raises(RpcError, match=expected) as caught:
        read(Denoise, params)
    assert caught.value.code == jsonrpc.INVALID_PARAMS


NOT_MESSAGES = [
    (b"garbage", jsonrpc.PARSE_ERROR),
    (b'{"jsonrpc": "2.0", "id": 1', jsonrpc.PARSE_ERROR),
    (b"\xff\xfe", jsonrpc.PARSE_ERROR),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "x", "params": {"a": NaN}}', jsonrpc.PARSE_ERROR),
    (b"[" * 100_000, jsonrpc.PARSE_ERROR),
    (b"9" * 10_000, jsonrpc.PARSE_ERROR),
    (b"[]", jsonrpc.INVALID_REQUEST),
    (b"null", jsonrpc.INVALID_REQUEST),
    (b'{"id": 1, "method": "x"}', jsonrpc.INVALID_REQUEST),
    (b'{"jsonrpc": "2.0", "id": true, "method": "x"}', jsonrpc.INVALID_REQUEST),
    (b'{"jsonrpc": "2.0", "id": null, "method": "x"}', jsonrpc.INVALID_REQUEST),
    (b'{"jsonrpc": "2.0", "id": {}, "method": "x"}', jsonrpc.INVALID_REQUEST),
    (b'{"jsonrpc": "2.0", "id": 1, "method": 5}', jsonrpc.INVALID_REQUEST),
    (b'{"jsonrpc": "2.0", "id": 1}', jsonrpc.INVALID_REQUEST),
    (b'{"jsonrpc": "2.0", "id": 1, "error": "no"}', jsonrpc.INVALID_REQUEST),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "x", "params": [1]}', jsonrpc.INVALID_PARAMS),
]


@pytest.mark.parametrize(("line", "code"), NOT_MESSAGES)
def test_what_is_no_message_is_refused(line: bytes, code: int) -> None:
    with pytest.raises(RpcError) as caught:
        decode(line)
    assert caught.value.code == code


def test_a_line_that_is_too_long_is_dropped_to_its_end() -> None:
    stream = io.BytesIO(b"x" * (3 * MAX_LINE) + b"\n\n" + b'{"jsonrpc":"2.0","method":"y"}\n')
    first, second = lines(stream)
    assert len(first) == MAX_LINE + 1
    with pytest.raises(RpcError, match="longer than"):
        decode(first)
    assert decode(second) == Request("y")


def test_no_line_that_is_too_long_is_sent() -> None:
    with pytest.raises(RpcError, match="longer than"):
        encode(Reply(1, "x" * MAX_LINE))


@pytest.mark.parametrize(
    "error",
    [getattr(errors, name) for name in dir(errors) if name[0].isupper() and name != "Cancelled"],
)
def test_a_persons_error_is_of_the_same_class_in_the_host(error: type[KpcnError]) -> None:
    sent = decode(encode(Reply(1, error=failure(error("a.exr: no such file.")))))
    assert isinstance(sent, Reply)
    assert sent.error is not None
    received = exception(sent.error)
    assert type(received) is error
    assert str(received) == "a.exr: no such file."


def test_other_errors_have_a_class_too() -> None:
    assert type(exception(RpcError(CANCELLED, "Cancelled."))) is Cancelled
    assert type(exception(RpcError(jsonrpc.INTERNAL_ERROR, "bug"))) is WorkerFailed
    assert type(exception(RpcError(FAILED, "new", {"kind": "OfANewerWorker"}))) is KpcnError
    assert type(exception(RpcError(FAILED, "odd", {"kind": "__doc__"}))) is KpcnError


def test_an_unknown_method_names_those_there_are() -> None:
    with pytest.raises(RpcError, match="no method 'train'; it has initialize, denoise") as caught:
        protocol.request_kind("train")
    assert caught.value.code == jsonrpc.METHOD_NOT_FOUND
    assert json.dumps(caught.value.data)
