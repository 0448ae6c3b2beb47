"""Memory for large images: as torch has it, and used again."""

import subprocess
import sys

import pytest

from kpcn_core.ops.memory import LINE, channels_last, room

# Blocks that are freed and asked for again, with one that stays between them.
AGAIN = """
import resource
from kpcn_core.allocation import reuse_memory
from kpcn_core.ops.memory import room

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

reuse_memory()
stay, held = [], [room(4096, 4096).fill_(1.0)]
start = faults()
for _ in range(8):
    stay.append(room(1000).fill_(1.0))
    held.clear()
    held.append(room(4096, 4096).fill_(1.0))
print(faults() - start)
"""


@pytest.mark.parametrize("shape", [(1,), (3, 5), (2, 7, 33, 5)])
def test_shape_and_place(shape: tuple[int, ...]) -> None:
    for found in [room(*shape) for _ in range(8)]:
        assert found.shape == shape
        assert found.is_contiguous()
        assert found.data_ptr() % LINE == 0
        found.fill_(1.0)


def test_the_channels_of_a_pixel_lie_side_by_side() -> None:
    found = channels_last(48, 6, 10)
    assert found.shape == (1, 48, 6, 10)
    assert found.stride()[1:] == (1, 480, 48)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of glibc")
def test_what_was_freed_is_used_again() -> None:
    """Eight times 64 MiB: 131072 pages of 4 KiB, or 256 of 2 MiB, if they were new each time."""
    ran = subprocess.run([sys.executable, "-c", AGAIN], capture_output=True, text=True, check=True)
    assert int(ran.stdout) < 64
