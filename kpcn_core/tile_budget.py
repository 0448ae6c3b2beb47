"""Frames in tiles that fit into memory, and in smaller ones when they turn out not to."""

import logging
from collections.abc import Callable
from typing import TypeVar

import torch

from kpcn_core import memory
from kpcn_core.device_memory import free, is_exhausted
from kpcn_core.frame import Frame
from kpcn_core.memory import exhausted, gib
from kpcn_core.settings import Settings
from kpcn_core.tiling import Tile, tile_size, tiles

log = logging.getLogger(__name__)

SMALLEST = 32  # side of a tile, pixels; the overlap around it is several times as wide

# Bytes that libraries take for any tile, and that get lost between blocks of memory; measured.
OVERHEAD = 96 << 20

Result = TypeVar("Result")


class TileBudget:
    """Chooses tiles for a network on a device, and remembers which were too large.

    Args:
        device: where the network computes.
        alignment: what a tile's start must be a multiple of.
    """

    def __init__(self, device: torch.device, alignment: int) -> None:
        self._device = device
        self._alignment = alignment
        self._largest: int | None = None

    def run(
        self,
        frame: Frame,
        settings: Settings,
        overlap: int,
        need: int,
        compute: Callable[[list[Tile]], Result],
    ) -> Result:
        """Compute a frame in tiles; where memory ends, again in tiles of half the side.

        Args:
            frame: what is computed.
            settings: how large tiles may be.
            overlap: how far the network sees beyond a tile, pixels.
            need: bytes that it needs for a pixel, at its peak.
            compute: does it; called again with other tiles after it failed.

        Raises:
            OutOfMemory: not even the smallest tiles fit.
        """
        pieces = self._pieces(frame, settings, overlap, need)
        while True:
            try:
                return compute(pieces)
            except Exception as error:
                if not is_exhausted(error):
                    raise
            # Only here, behind the handler, nothing holds what the failed attempt had allocated.
            size = self._smaller(frame, pieces)
            pieces = list(tiles(*frame.size, size, overlap, self._alignment))

    def leaves(self, frame: Frame, settings: Settings, need: int, size: int) -> bool:
        """Whether so many bytes are left for other things while a frame is computed, in one piece.

        On a GPU they are not taken from its memory, and may be half of what the machine has.
        """
        if self._device.type != "cpu":
            left = memory.free()
            return left is None or size <= left // 2
        left = _for_pixels(settings.max_memory) - need * frame.size[0] * frame.size[1]
        return settings.tile is None and size <= left

    def _pieces(self, frame: Frame, settings: Settings, overlap: int, need: int) -> list[Tile]:
        if settings.tile is not None:
            size = settings.tile, settings.tile
        else:
            memory = _for_pixels(self._memory(frame, settings.max_memory, need))
            size = tile_size(*frame.size, memory, need, overlap, self._alignment)
        chosen = settings.tile is None
        if self._largest is not None:
            chosen, size = False, (min(size[0], self._largest), min(size[1], self._largest))
        return list(tiles(*frame.size, size, overlap, self._alignment, wide_edges=chosen))

    def _memory(self, frame: Frame, asked: int, need: int) -> int:
        """What tiles may take. A GPU says when it is full; on the CPU we would be killed."""
        left = free(self._device) if self._device.type == "cpu" else None
        if left is None or left >= min(asked, need * frame.size[0] * frame.size[1]):
            return asked
        log.warning(
            "%s: in tiles of %s instead of %s: there is no more free memory",
            *(frame.label, gib(left), gib(asked)),
        )
        return left

    def _smaller(self, frame: Frame, pieces: list[Tile]) -> tuple[int, int]:
        height, width = (
            max(side.stop - side.start for side in sides)
            for sides in zip(*((tile.rows, tile.columns) for tile in pieces), strict=True)
        )
        half = max(height, width) // 2
        if half < SMALLEST:
            tried = f", not even for tiles of {max(height, width)} pixels"
            raise exhausted(frame.label, free(self._device), str(self._device), tried)
        log.warning("%s: out of memory; again in tiles of %d pixels", frame.label, half)
        self._largest = half
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        return min(height, half), min(width, half)


def _for_pixels(asked: int) -> int:
    return asked - min(OVERHEAD, asked // 3)
