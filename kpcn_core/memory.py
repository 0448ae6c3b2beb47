"""How much memory is left, and how its end looks."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from kpcn_core.errors import OutOfMemory

MEMINFO = Path("/proc/meminfo")
OWN_CGROUP = Path("/proc/self/cgroup")
CGROUPS = Path("/sys/fs/cgroup")
# Version 2 and 1: the limit, what is used, and the name of its reclaimable part in memory.stat.
CGROUP_FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
CPU = torch.device("cpu")
REFUSALS = ("can't allocate memory", "not enough memory", "out of memory")


def available(device: torch.device) -> int | None:
    """Bytes that can still be taken on a device; None where the system does not say.

    On the CPU the least of what the machine has and what the limits of its control groups, such as
    a container's or a farm's, leave. Beyond those no allocation fails: the process is killed.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return free + unused
    known = [left for left in (_of_machine(), *_of_cgroups()) if left is not None]
    return min(known, default=None)


def is_exhausted(error: BaseException) -> bool:
    """Whether an error says that memory could not be had, on any device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # What torch raises for the CPU's memory has no class of its own.
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in REFUSALS)


def exhausted(label: object, device: torch.device = CPU, tried: str = "") -> OutOfMemory:
    """The error for a person.

    Args:
        label: what could not be done for lack of memory.
        device: whose memory it is.
        tried: what was done to do with less.
    """
    left = available(device)
    free = "" if left is None else f"; {gib(left)} are free by now"
    return OutOfMemory(
        f"{label}: the memory of the device '{device}' is not enough{tried}{free}. "
        f"Close other programs, use a shorter --window, or another --device."
    )


@contextmanager
def explained(label: object, device: torch.device = CPU) -> Iterator[None]:
    """Turn the end of memory in a block into an error for a person.

    Raises:
        OutOfMemory: memory could not be had.
    """
    try:
        yield
        return
    except Exception as error:
        if not is_exhausted(error):
            raise
    # Not from the handler: the first error would keep what was allocated until then.
    raise exhausted(label, device)


def gib(size: int) -> str:
    """Bytes for a person."""
    return f"{size / 2**30:.1f} GiB"


def _of_machine() -> int | None:
    try:
        lines = MEMINFO.read_text().splitlines()
    except OSError:
        return None
    words = next((line.split() for line in lines if line.startswith("MemAvailable:")), None)
    return int(words[1]) << 10 if words else None


def _of_cgroups() -> list[int | None]:
    """What each of our control groups, and of those around them, leaves."""
    try:
        lines = OWN_CGROUP.read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root = CGROUPS / "memory" if controllers else CGROUPS
        own = Path(path.lstrip("/"))
        found += [_left(root / folder) for folder in (own, *own.parents)]
    return found


def _left(folder: Path) -> int | None:
    for limit, used, reclaimable in CGROUP_FILES:
        try:
            most = int((folder / limit).read_text())  # "max" is no number: no limit
            taken = int((folder / used).read_text())
            stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        except (OSError, ValueError):
            continue
        return max(0, most - taken + int(stat.get(reclaimable, 0)))
    return None
