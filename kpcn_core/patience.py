"""Storage that stops answering, such as a file server: it is said, and in the end given up.

A read may hang in the kernel, where no signal reaches the program, and OpenEXR lets nothing else
run in the meantime. So files are first brought into the system's cache by a thread of their own.
"""

import logging
import threading
from pathlib import Path

from kpcn_core.errors import UnreadableFile

log = logging.getLogger(__name__)

WARNING = 30.0  # seconds without a byte until it is said
LIMIT = 600.0  # seconds without a byte until it is given up
PIECE = 1 << 20  # bytes


def fetch(path: Path, most: int | None = None) -> None:
    """Read a file, or the first bytes of it, so that whoever reads it next need not wait.

    Slow storage is no error: only the time without any byte counts.

    Args:
        path: what is no file is left to whoever opens it.
        most: how many bytes; None for all.

    Raises:
        UnreadableFile: nothing came for `LIMIT` seconds, or the system reports an error.
    """
    fetching = _Fetching(path, most)
    fetching.start()
    arrived, waited = 0, 0.0
    while fetching.is_alive():
        fetching.join(WARNING)
        if not fetching.is_alive():
            break
        waited = 0.0 if fetching.arrived > arrived else waited + WARNING
        arrived = fetching.arrived
        if waited >= LIMIT:
            raise UnreadableFile(
                f"{path}: its storage has not answered for {waited:g} s, {arrived} bytes into the "
                f"file. Check the file server or the mount, then try again."
            )
        if waited:
            log.warning("%s: its storage has not answered for %g s; waiting", path, waited)
    if fetching.error is not None:
        reason = fetching.error.strerror
        raise UnreadableFile(
            f"{path}: cannot be read: {reason}. Check the name and its permissions."
        ) from fetching.error


class _Fetching(threading.Thread):
    """Reads, and counts what has arrived. A daemon: it must not keep a process that gave up."""

    def __init__(self, path: Path, most: int | None) -> None:
        super().__init__(name=f"fetch {path.name}", daemon=True)
        self.arrived = 0
        self.error: OSError | None = None
        self._path, self._most = path, most

    def run(self) -> None:
        """Read to the end, or as far as was asked."""
        try:
            self._read()
        except OSError as error:
            self.error = error

    def _read(self) -> None:
        if not self._path.is_file():  # opening a pipe would wait for somebody who writes
            return
        buffer = bytearray(min(PIECE, self._most or PIECE))
        with self._path.open("rb", buffering=0) as file:
            while self._most is None or self.arrived < self._most:
                count = file.readinto(buffer)
                if not count:
                    return
                self.arrived += count
