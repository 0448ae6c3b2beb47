"""Motion of frames that have none: dense optical flow by OpenCV (DIS, Kroeger et al. 2016).

Rendered vectors are better wherever they exist: flow follows what is seen, so it is wrong for
reflections, shadows and whatever is hidden in one of the frames.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpcn_core.errors import InvalidPixels
from kpcn_core.extras import extra
from kpcn_core.frame import Frame, Pixels

# Standard deviation in pixels of the blur that keeps noise from being followed.
BLUR = 1.5
MIDDLE_GREY = 0.18

Grey = NDArray[np.uint8]


def with_flow(frame: Frame, previous: Frame | None, following: Frame | None) -> Frame:
    """A frame with the motion AOVs that it lacks, estimated from its neighbours.

    Args:
        frame: the frame.
        previous: the one before it in the shot, if there is one.
        following: the one after it.

    Raises:
        MissingDependency: OpenCV is not installed.
        InvalidPixels: the frames differ in size.
    """
    neighbours = {"backward": previous, "forward": following}
    estimated = {
        aov: flow(frame, other)
        for aov, other in neighbours.items()
        if other is not None and aov not in frame
    }
    return frame.with_aovs(**estimated)


def flow(frame: Frame, other: Frame) -> Pixels:
    """Where the pixels of a frame are in another: pixels, +x right, +y down [2,H,W]."""
    if frame.size != other.size:
        raise InvalidPixels(
            f"{other.label}: is {list(other.size)} pixels; {frame.label} is {list(frame.size)}. "
            f"Flow is between frames of one size."
        )
    guide = next(aov for aov in ("albedo", "color") if aov in frame and aov in other)
    here, there = (_grey(one, guide) for one in (frame, other))
    found = _dis().calc(here, there, None)
    return np.ascontiguousarray(np.moveaxis(found, -1, 0), dtype=np.float32)


def _dis() -> Any:
    cv2 = _cv2()
    return cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)


def _grey(frame: Frame, guide: str) -> Grey:
    """What flow follows: the albedo, which has no noise and no shadows, else the tone-mapped color.

    8 bits, as the algorithm asks for; both frames are mapped alike.
    """
    values = np.nan_to_num(frame[guide], posinf=0.0, neginf=0.0).clip(0.0).mean(axis=0)
    if guide == "color":
        values = values / (values + MIDDLE_GREY)
    blurred = _cv2().GaussianBlur(values.astype(np.float32), (0, 0), BLUR)
    return np.asarray((blurred.clip(0.0, 1.0) * 255).round(), dtype=np.uint8)


def _cv2() -> Any:
    with extra("flow"):
        import cv2
    return cv2
