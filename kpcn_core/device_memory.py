"""How much memory a device has left, and how its end looks in torch."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from kpcn_core import memory

# The last two are oneDNN's, whose convolutions need memory of their own, and that of a stack.
REFUSALS = (
    "can't allocate memory", "not enough memory", "out of memory", "could not create a primitive",
    "can't start new thread",
)  # fmt: skip


def free(device: torch.device) -> int | None:
    """Bytes that can still be taken on a device; see `memory.free` for the CPU's."""
    if device.type == "cuda":
        left, _ = torch.cuda.mem_get_info(device)
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return left + unused
    return memory.free()


def is_exhausted(error: BaseException) -> bool:
    """Whether an error says that memory could not be had, on any device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # What torch raises for the CPU's memory has no class of its own.
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in REFUSALS)


@contextmanager
def explained(label: object, device: torch.device) -> Iterator[None]:
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
    raise memory.exhausted(label, free(device), str(device))
