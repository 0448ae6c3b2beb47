"""Shots that stand still: the noisy buffers of one view as the frames of a window.

Their frames differ by noise alone, as under a camera that nobody moves. It costs no more to render
than a single view, so windows learn from many more scenes than there are shots with motion.
"""

from collections.abc import Mapping, Sequence

import numpy as np

# A frame may have so many times the samples of another one of its window.
UNEVEN = 2


def reach_of(spp: Sequence[int]) -> int:
    """Frames before and after the centre that buffers of these samples per pixel suffice for."""
    named = {str(index): count for index, count in enumerate(spp)}
    frames = 1
    while frames < len(spp) and _even(named, _evenly(named, list(named), frames + 1)):
        frames += 1
    return (frames - 1) // 2


def dealt(spp: Mapping[str, int], frames: int, generator: np.random.Generator) -> list[list[str]]:
    """Some buffers of a view, in a random number, dealt among frames of about as many samples each.

    Args:
        spp: samples per pixel of each buffer.
        frames: of the window; no more than `reach_of` allows.
        generator: random numbers.

    Returns:
        The buffers of each frame, at least one.
    """
    names = generator.permutation(sorted(spp)).tolist()
    # Between one buffer a frame and all: as often few as many.
    count = round(frames * (len(names) / frames) ** generator.random())
    hands = _evenly(spp, names[:count], frames)
    return hands if _even(spp, hands) else _evenly(spp, names, frames)


def _evenly(spp: Mapping[str, int], names: Sequence[str], frames: int) -> list[list[str]]:
    """The largest buffers first, each to the frame that has the fewest samples so far."""
    hands: list[list[str]] = [[] for _ in range(frames)]
    for name in sorted(names, key=lambda name: -spp[name]):
        min(hands, key=lambda hand: _samples(spp, hand)).append(name)
    return hands


def _even(spp: Mapping[str, int], hands: Sequence[Sequence[str]]) -> bool:
    counts = [_samples(spp, hand) for hand in hands]
    return max(counts) <= UNEVEN * min(counts)


def _samples(spp: Mapping[str, int], names: Sequence[str]) -> int:
    return sum(spp[name] for name in names)
