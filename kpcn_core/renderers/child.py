"""A renderer's process: awaited, timed, and ended with everything it started."""

import os
import shlex
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from kpcn_core.errors import RenderFailed

TAIL = 5  # lines of the renderer's output that an error shows


def run(words: Sequence[str], output: Path, seconds: float | None = None) -> None:
    """Run a command to its end.

    Args:
        words: the command.
        output: file for what it prints.
        seconds: how long it may take; None is forever.

    Raises:
        RenderFailed: it cannot be started, ends with an error, or takes too long.
    """
    with output.open("wb") as file:
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a group of its own, which can be ended as one
            )
        except OSError as error:
            raise RenderFailed(
                f"The renderer cannot be started: {error}. Its command: {shlex.join(words)}"
            ) from error
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired as error:
        raise RenderFailed(
            f"The renderer was ended: it took longer than {seconds:g} s. {printed(words, output)}"
        ) from error
    finally:
        _end(process)
    if code != 0:
        raise RenderFailed(f"The renderer {_ended(code)}. {printed(words, output)}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and its children, whether it still runs or not."""
    if process.poll() is not None:
        return
    if os.name == "posix":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _ended(code: int) -> str:
    if code < 0:
        return f"was killed by signal {-code} ({signal.Signals(-code).name})"
    return f"ended with exit code {code}"


def printed(words: Sequence[str], output: Path) -> str:
    """The command, and the end of what it printed; for an error's message."""
    lines = output.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-TAIL:]
    said = " | ".join(line.strip() for line in lines) or "nothing"
    return f"Its command: {shlex.join(words)}. It last printed: {said}"
