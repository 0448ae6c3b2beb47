"""The worker's end of its stdin and stdout, which nothing else may touch."""

import os
import sys
import threading
from typing import BinaryIO

from kpcn_core import protocol
from kpcn_core.jsonrpc import INTERNAL_ERROR, Reply, RpcError, encode
from kpcn_core.protocol_fields import Message


def claim_stdio() -> tuple[BinaryIO, BinaryIO]:
    """Take stdin and stdout for the protocol.

    From here on whatever libraries print, in Python or in C, goes to stderr, and whoever reads
    stdin finds nothing.

    Returns:
        What to read messages from, and what to write them to.
    """
    sys.stdout.flush()
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return os.fdopen(source, "rb"), os.fdopen(sink, "wb")


class Channel:
    """Sends messages, from any thread, each whole. Once the host is gone it sends nowhere."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self._lock = threading.Lock()

    def notify(self, message: Message) -> None:
        """Send a message that is not answered."""
        self._send(encode(protocol.notification(message)))

    def reply(self, reply: Reply) -> None:
        """Answer a request; an answer that is too long becomes an error."""
        try:
            self._send(encode(reply))
        except RpcError as error:
            self._send(encode(Reply(reply.id, error=RpcError(INTERNAL_ERROR, error.message))))

    def _send(self, line: bytes) -> None:
        try:
            with self._lock:
                self._sink.write(line)
                self._sink.flush()
        except OSError:
            return  # the host is gone; the end of stdin says so too
