"""A file system that stops answering, as a file server does: FUSE, spoken by hand.

    python -m tests.stalling FILE FOLDER BYTES

shows FILE in FOLDER and answers no read beyond its first BYTES until a line comes on stdin. Linux
only, and for the superuser. A process of its own: a program that waits for it may hold all else.
"""

import ctypes
import os
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen, run

LOOKUP, FORGET, GETATTR, OPEN, READ, RELEASE, FLUSH, INIT = 1, 2, 3, 14, 15, 18, 25, 26
OPENDIR, RELEASEDIR, INTERRUPT, BATCH_FORGET = 27, 29, 36, 42
UNANSWERED = (FORGET, BATCH_FORGET, INTERRUPT)
MISSING, UNKNOWN = 2, 38  # error numbers
ROOT, FILE = 1, 2  # nodes
KEEP_CACHE = 2  # what was read once is not asked for again, as with NFS
FOLDER_MODE, FILE_MODE = 0o40755, 0o100644
HEADER = struct.Struct("<IIQQIIII")


class Server:
    """One folder with one file."""

    def __init__(self, source: Path, limit: int, device: int) -> None:
        self.name = source.name.encode()
        self.content = source.read_bytes()
        self.limit = limit
        self.device = device
        self.again = threading.Event()

    def serve(self) -> None:
        while True:
            try:
                request = os.read(self.device, 1 << 20)
            except OSError:  # unmounted
                return
            _, code, unique, node, *_ = HEADER.unpack_from(request)
            if code not in UNANSWERED:
                threading.Thread(
                    target=self.reply,
                    args=(unique, code, node, request[HEADER.size :]),
                    daemon=True,
                ).start()

    def reply(self, unique: int, code: int, node: int, body: bytes) -> None:
        error, answer = self.answer(code, node, body)
        os.write(self.device, struct.pack("<IiQ", 16 + len(answer), -error, unique) + answer)

    def answer(self, code: int, node: int, body: bytes) -> tuple[int, bytes]:
        if code == INIT:
            sizes = struct.pack("<4I2H2I2H8I", 7, 31, 0, 0, 12, 9, 1 << 16, 1, 16, *[0] * 9)
            return 0, sizes
        if code == LOOKUP:
            if node != ROOT or body.rstrip(b"\0") != self.name:
                return MISSING, b""
            return 0, struct.pack("<4Q2I", FILE, 0, 60, 60, 0, 0) + self.attributes(FILE)
        if code == GETATTR:
            return 0, struct.pack("<Q2I", 60, 0, 0) + self.attributes(node)
        if code in (OPEN, OPENDIR):
            return 0, struct.pack("<Q2I", 1, KEEP_CACHE, 0)
        if code == READ:
            _, offset, size = struct.unpack_from("<QQI", body)
            if offset + size > self.limit and not self.again.is_set():
                print("stalled", flush=True)
                self.again.wait()
            return 0, self.content[offset : offset + size]
        return (0 if code in (RELEASE, RELEASEDIR, FLUSH) else UNKNOWN), b""

    def attributes(self, node: int) -> bytes:
        mode, size = (FILE_MODE, len(self.content)) if node == FILE else (FOLDER_MODE, 0)
        return struct.pack("<6Q10I", node, size, 0, 1, 1, 1, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def mount(folder: Path) -> int:
    """The device to serve a folder from."""
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"stalling", os.fsencode(folder), b"fuse", 0, options):
        raise OSError(ctypes.get_errno(), "FUSE cannot be mounted")
    return device


@contextmanager
def stalling(source: Path, folder: Path, limit: int) -> Iterator["Popen[str]"]:
    """The server, whose stdin takes the line; raises OSError where FUSE cannot be had."""
    command = [sys.executable, "-m", "tests.stalling", str(source), str(folder), str(limit)]
    with Popen(command, stdin=PIPE, stdout=PIPE, text=True) as server:
        try:
            assert server.stdout
            if not server.stdout.readline():
                raise OSError("FUSE cannot be mounted")
            yield server
        finally:
            run(["umount", "--lazy", str(folder)], check=False, capture_output=True)
            server.kill()


def main() -> None:
    source, folder, limit = sys.argv[1:]
    server = Server(Path(source), int(limit), mount(Path(folder)))
    threading.Thread(target=server.serve, daemon=True).start()
    print("mounted", flush=True)
    sys.stdin.readline()
    server.again.set()
    sys.stdin.read()


if __name__ == "__main__":
    main()
