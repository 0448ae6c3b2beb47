"""The worker as a process, spoken to in raw lines."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from kpcn_core import jsonrpc
from kpcn_core.protocol import method_of
from kpcn_core.protocol_errors import CANCELLED, FAILED, NOT_INITIALIZED, UNSUPPORTED
from kpcn_core.protocol_fields import Message, write
from tests.shots import WORKER, Shot, make_shot, wait_for_end
from tests.test_protocol import NOT_MESSAGES

HELLO = {"version": 1, "host": "test"}


class Wire:
    """A worker's stdin and stdout."""

    def __init__(self) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(WORKER, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)

    def send(self, *raw: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"".join(line + b"\n" for line in raw))
        self.process.stdin.flush()

    def ask(self, identity: int | str, method: str, params: object) -> None:
        envelope = {"jsonrpc": "2.0", "id": identity, "method": method, "params": params}
        self.send(json.dumps(envelope).encode())

    def job(self, identity: int | str, message: Message) -> None:
        self.ask(identity, method_of(message), write(message))

    def next(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        assert found["jsonrpc"] == "2.0"
        return found

    def reply(self) -> dict[str, Any]:
        """The next message that answers a request; notifications are passed over."""
        return next(message for message in iter(self.next, None) if "method" not in message)

    def notification(self, method: str) -> dict[str, Any]:
        return next(message for message in iter(self.next, None) if message.get("method") == method)

    def error(self) -> int:
        code: int = self.reply()["error"]["code"]
        return code

    def end(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(100)

    def kill(self) -> None:
        with self.process:
            self.process.kill()


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Shot:
    return make_shot(tmp_path_factory.mktemp("shot"))


@pytest.fixture
def fresh() -> Iterator[Wire]:
    """A worker that was asked for nothing yet."""
    wire = Wire()
    yield wire
    wire.kill()


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    """A worker at work, shared by tests that leave it well."""
    shared = Wire()
    shared.ask("hello", "initialize", HELLO)
    assert shared.reply()["result"]["capabilities"] == ["denoise", "render", "inspect"]
    yield shared
    shared.kill()


def test_a_frame_is_denoised_with_progress(wire: Wire, shot: Shot) -> None:
    wire.job("a", shot.request("raw"))
    messages = [wire.next()]
    while "method" in messages[-1]:
        messages.append(wire.next())
    outputs = [str(path) for path in shot.outputs("raw")]
    assert messages[-1]["id"] == "a"
    assert messages[-1]["result"] == {"outputs": outputs}
    events = [(message["method"], message["params"]) for message in messages[:-1]]
    assert all(params["job"] == "a" for _, params in events)
    written = [params["output"] for method, params in events if method == "frameWritten"]
    assert written == outputs
    frames = [params["frame"] for method, params in events if method == "progress"]
    assert frames == sorted(frames)
    assert frames[-1] == len(outputs)


def test_a_file_is_inspected(wire: Wire, shot: Shot) -> None:
    wire.ask(1, "inspect", {"input": str(shot.outputs("noisy")[0])})
    result = wire.reply()["result"]
    assert result["source"] == "kpcn"
    assert result["display"] == [0, 0, 48, 40]
    assert "albedo" in result["layers"]
    assert "color_mse" in result["aovs"]


@pytest.mark.parametrize(("line", "code"), NOT_MESSAGES)
def test_what_is_no_message_gets_an_error(wire: Wire, line: bytes, code: int) -> None:
    wire.send(line)
    assert wire.error() == code


def test_a_huge_line_gets_an_error(wire: Wire) -> None:
    wire.send(b'{"jsonrpc":"2.0","id":1,"method":"' + b"x" * (2 * jsonrpc.MAX_LINE) + b'"}')
    assert wire.error() == jsonrpc.INVALID_REQUEST


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("train", {}, jsonrpc.METHOD_NOT_FOUND),
        ("__init__", {}, jsonrpc.METHOD_NOT_FOUND),
        ("progress", {}, jsonrpc.METHOD_NOT_FOUND),
        ("denoise", {}, jsonrpc.INVALID_PARAMS),
        ("denoise", {"input": "a", "output": "b", "upscale": 2}, UNSUPPORTED),
        ("denoise", {"input": "/none.exr", "output": "/b.exr"}, FAILED),
        ("inspect", {"input": "\ud800"}, jsonrpc.INTERNAL_ERROR),
        ("inspect", {"input": "/"}, FAILED),
        ("initialize", HELLO, jsonrpc.INVALID_REQUEST),
        ("cancel", {"job": None}, jsonrpc.INVALID_PARAMS),
    ],
)
def test_a_wrong_request_gets_an_error(wire: Wire, method: str, params: object, code: int) -> None:
    wire.ask("wrong", method, params)
    reply = wire.reply()
    assert reply["id"] == "wrong"
    assert reply["error"]["code"] == code


def test_notifications_and_blank_lines_are_not_answered(wire: Wire) -> None:
    wire.send(b"", b"  ", b'{"jsonrpc":"2.0","method":"denoise"}')
    wire.ask(5, "cancel", {"job": 99})
    assert wire.next() == {"jsonrpc": "2.0", "id": 5, "result": {"found": False}}


def test_requests_are_heard_while_a_job_runs(wire: Wire, shot: Shot) -> None:
    wire.job(1, shot.long_request("never"))
    wire.job(2, shot.request("waiting"))
    wire.notification("progress")
    wire.send(b"garbage")
    assert wire.error() == jsonrpc.PARSE_ERROR
    wire.job(2, shot.request("again"))
    assert wire.error() == jsonrpc.INVALID_REQUEST
    wire.ask(3, "cancel", {"job": 2})
    answers = [wire.reply(), wire.reply()]
    assert answers[0]["id"] == 2
    assert answers[0]["error"]["code"] == CANCELLED
    assert answers[1]["result"] == {"found": True}
    wire.ask(4, "cancel", {"job": 1})
    replies = {reply["id"]: reply for reply in (wire.reply(), wire.reply())}
    assert replies[4]["result"] == {"found": True}
    assert replies[1]["error"]["code"] == CANCELLED
    assert not list(shot.folder.glob("*never*"))
    assert not list(shot.folder.glob("*waiting*"))


def test_the_first_request_must_initialize(fresh: Wire) -> None:
    fresh.ask(1, "inspect", {"input": "a.exr"})
    assert fresh.error() == NOT_INITIALIZED
    fresh.ask(2, "initialize", {**HELLO, "version": 2})
    reply = fresh.reply()
    assert reply["error"]["code"] == UNSUPPORTED
    assert "version 1" in reply["error"]["message"]
    fresh.ask(3, "initialize", {**HELLO, "requires": ["denoise", "asymmetry"]})
    reply = fresh.reply()
    assert reply["error"]["code"] == UNSUPPORTED
    assert reply["error"]["data"]["unsupported"] == ["asymmetry"]
    assert fresh.end() == 0


def test_the_end_of_the_parent_ends_the_worker_though_its_stdin_stays_open() -> None:
    script = (
        "import subprocess, sys;"
        f"print(subprocess.Popen({WORKER!r}, stdin=0).pid, flush=True);"
        "__import__('time').sleep(600)"
    )
    end, ours = os.pipe()
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdin=end, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    os.write(ours, b"garbage\n")
    assert "error" in json.loads(parent.stdout.readline())
    parent.kill()
    parent.wait()
    wait_for_end(pid)
    for file in (end, ours):
        os.close(file)


def test_nothing_else_reaches_the_protocol() -> None:
    script = """
import os, sys
from kpcn_core.worker_channel import claim_stdio
source, sink = claim_stdio()
print("from Python")
os.write(1, b"from C\\n")
os.system("echo from a child")
assert sys.stdin.read() == ""
sink.write(source.read())
sink.close()
"""
    run = subprocess.run(
        [sys.executable, "-c", script], input="protocol", capture_output=True, text=True, check=True
    )
    assert run.stdout == "protocol"
    assert {"from Python", "from C", "from a child"} <= set(run.stderr.splitlines())


def test_shutdown_answers_what_is_left(wire: Wire, shot: Shot) -> None:
    """The last one: it ends the shared worker."""
    for identity in (1, 2):
        wire.job(identity, shot.long_request("shut"))
    wire.notification("progress")
    wire.ask(3, "shutdown", {})
    replies = {reply["id"]: reply for reply in (wire.reply(), wire.reply(), wire.reply())}
    assert replies[3]["result"] == {}
    assert replies[1]["error"]["code"] == replies[2]["error"]["code"] == CANCELLED
    assert wire.process.wait(100) == 0
    assert not list(shot.folder.glob("*shut*"))
