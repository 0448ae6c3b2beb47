"""Several machines on one sequence: each frame is done once, by whoever claims it first.

A claim is a file beside the output, which its owner touches now and then; when that stops, because
a machine died, another one takes over. Claims save work, nothing depends on them: files appear
whole or not at all, and two machines that did write the same frame would write the same file.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from filelock import SoftFileLease, Timeout

from kpcn_core.errors import KpcnError, UnwritableFile
from kpcn_core.fingerprint import beside, is_current

log = logging.getLogger(__name__)

LEASE = 60.0  # seconds without a sign of life until a claim is void; the same on all machines
CLAIM = "claim"
POLL = 1.0  # seconds between two looks at what others are doing


class Turn(NamedTuple):
    """A file whose turn it is.

    Attributes:
        source: the input.
        target: the output.
        made_of: its fingerprint, taken before it is read; empty if it cannot be read.
        done: the output is there and current; there is nothing to do.
        claim: ends with the turn, when the next one is asked for; `pop_all` keeps it longer.
    """

    source: Path
    target: Path
    made_of: str
    done: bool
    claim: ExitStack


def turns(
    files: Sequence[tuple[Path, Path]],
    made_of: Callable[[Path], str],
    *,
    lease: float = LEASE,
    poll: float = POLL,
) -> Iterator[Turn]:
    """Every file once, in order; while its turn lasts, or longer, it is claimed.

    Frames that others have claimed come last: when they are done, or when the others are gone. So
    the end of this iteration is the end of the sequence, on every machine.

    Args:
        files: each input with its output.
        made_of: the fingerprint of an input with all that its output depends on.
        lease: seconds after which the claim of a machine that died is void.
        poll: seconds to wait before looking again.

    Raises:
        UnwritableFile: no claim can be written beside an output.
    """
    claims = {target: _Claim(target, lease) for _, target in files}
    left, waiting = list(files), False
    while left:
        taken = []
        for source, target in left:
            turn = _turn(source, target, made_of)
            if turn.done:  # most of them, when a long sequence is resumed: not worth a claim
                yield turn
                continue
            with ExitStack() as claim:
                ours = claim.enter_context(claims[target].held())
                turn = _turn(source, target, made_of)
                if ours or turn.done:
                    yield turn._replace(claim=claim)
                else:
                    taken.append((source, target))
        if taken:
            if not waiting:
                log.warning("waiting for %d frames that others are denoising", len(taken))
            waiting = True
            time.sleep(poll)
        left = taken


def _turn(source: Path, target: Path, made_of: Callable[[Path], str]) -> Turn:
    try:
        fingerprint = made_of(source)
    except KpcnError:
        return Turn(source, target, "", False, ExitStack())  # whoever reads it says why
    return Turn(source, target, fingerprint, is_current(target, fingerprint), ExitStack())


def is_claimed(target: Path) -> bool:
    """Whether there is a claim to an output, of whomever."""
    return beside(target, CLAIM).exists()


class _Claim:
    """Remembers what it saw of another's claim, to tell whether that one still lives."""

    def __init__(self, target: Path, lease: float) -> None:
        self._target = target
        self._path = beside(target, CLAIM)
        # Whatever thread writes the output ends the claim.
        self._lease = SoftFileLease(self._path, lease_duration=lease, timeout=0, thread_local=False)
        self._blank: tuple[tuple[int, int], float] | None = None

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Whether it is ours, until the end of the block."""
        try:
            self._path.parent.mkdir(exist_ok=True)
            self._lease.acquire()
        except Timeout:
            self._end_if_blank()
            yield False
            return
        except OSError as error:
            raise UnwritableFile(
                f"{self._target}: cannot be claimed: {error.strerror or error}. "
                f"Check the folder's permissions and free space."
            ) from error
        try:
            yield True
        finally:
            self._lease.release()

    def _end_if_blank(self) -> None:
        """Void a claim whose owner died before it wrote its name, which the library never does.

        The next look may then claim the output.
        """
        with suppress(OSError):
            found = self._path.stat()
            seen = (found.st_ino, found.st_ctime_ns)
            if found.st_size:
                self._blank = None
            elif self._blank is None or self._blank[0] != seen:
                self._blank = seen, time.monotonic()
            elif time.monotonic() - self._blank[1] >= self._lease.lease_duration:
                self._path.unlink()
