"""How much memory the machine has left, and the error for its end."""

from pathlib import Path

from kpcn_core.errors import OutOfMemory

MEMINFO = Path("/proc/meminfo")
OWN_CGROUP = Path("/proc/self/cgroup")
CGROUPS = Path("/sys/fs/cgroup")
# Version 2 and 1: the limit, what is used, and the name of its reclaimable part in memory.stat.
CGROUP_FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def free() -> int | None:
    """Bytes that this process can still take; None where the system does not say.

    The least of what the machine has and what the limits of its control groups, such as a
    container's or a farm's, leave. Beyond those no allocation fails: the process is killed.
    """
    known = [left for left in (_of_machine(), *_of_cgroups()) if left is not None]
    return min(known, default=None)


def exhausted(label: object, left: int | None, device: str = "cpu", tried: str = "") -> OutOfMemory:
    """The error for a person.

    Args:
        label: what could not be done for lack of memory.
        left: bytes that are still free, if that is known.
        device: whose memory it is.
        tried: what was done to do with less.
    """
    still = "" if left is None else f"; {gib(left)} are free by now"
    return OutOfMemory(
        f"{label}: the memory of the device '{device}' is not enough{tried}{still}. "
        f"Close other programs, use a shorter --window, or another --device."
    )


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
