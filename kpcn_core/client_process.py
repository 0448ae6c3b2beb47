"""A worker's process as a host sees it: lines in, lines out, never waiting. Stdlib only."""

from __future__ import annotations

import queue
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from kpcn_core.errors import WorkerFailed
from kpcn_core.jsonrpc import lines

TAIL = 20  # lines of stderr that are kept
TAIL_WIDTH = 500  # bytes of each
PATIENCE = 2.0  # seconds for what should come at once after the process ended


class WorkerProcess:
    """Starts a process; three threads read and write, so that no caller ever waits for a pipe.

    Args:
        command: what to run.
        environment: the variables that it gets.
        heard: called with each line from its stdout, on a thread of ours.
        ended: called once after the process ended, on the same thread.

    Raises:
        WorkerFailed: the process cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        heard: Callable[[WorkerProcess, bytes], None],
        ended: Callable[[WorkerProcess], None],
    ) -> None:
        self._heard, self._ended = heard, ended
        self._tail: deque[str] = deque(maxlen=TAIL)
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        pipe = subprocess.PIPE
        try:
            self._process = subprocess.Popen(
                list(command),
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                env=dict(environment),
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise WorkerFailed(
                f"The worker cannot be started: {command[0]}: {error.strerror or error}. "
                f"Set KPCN_PYTHON to the Python in which kpcn is installed."
            ) from error
        self._stderr_thread = self._thread(self._read_stderr)
        self._thread(self._read_stdout)
        self._thread(self._write_stdin)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def send(self, line: bytes) -> None:
        """Write a line to its stdin, soon."""
        self._outgoing.put(line)

    def note(self, line: bytes) -> None:
        """Keep a line for `story`."""
        self._tail.append(line[:TAIL_WIDTH].decode("utf-8", "replace").rstrip())

    def close(self) -> None:
        """Close its stdin once all is written, upon which it ends."""
        self._outgoing.put(None)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def story(self) -> str:
        """How it ended, with its last lines on stderr."""
        code = self._process.poll()
        how = "was killed by signal" if code is not None and code < 0 else "ended with exit code"
        last = "\n".join(self._tail) or "(nothing)"
        return f"The worker {how} {abs(code or 0)}. Its last lines on stderr:\n{last}"

    def wait(self, timeout: float) -> bool:
        """Whether it ends within some seconds."""
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _thread(self, target: Callable[[], None]) -> threading.Thread:
        # A daemon: the host may end without waiting for us.
        thread = threading.Thread(target=target, name="kpcn worker", daemon=True)
        thread.start()
        return thread

    def _read_stdout(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            for line in lines(stream):
                self._heard(self, line)
        if not self.wait(PATIENCE):
            self.kill()
            self._process.wait()
        self.close()
        self._stderr_thread.join(PATIENCE)  # a grandchild may hold it open
        self._ended(self)

    def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as stream:
            for line in lines(stream):
                self.note(line)

    def _write_stdin(self) -> None:
        assert self._process.stdin is not None
        try:
            with self._process.stdin as stream:
                for line in iter(self._outgoing.get, None):
                    stream.write(line)
                    stream.flush()
        except OSError:
            return  # it is gone, which the end of its stdout tells
