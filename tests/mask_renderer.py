"""A renderer that can only leave pixels out, as a command line: Mitsuba behind a mask.

Arguments: scene, map, output, seed, samples per pixel. What is left out is NaN, as in some
renderers, and no sample counts are written, so that the masks alone tell who took what.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from kpcn_core import exr
from kpcn_core.renderers.mitsuba import MitsubaRenderer


def main() -> None:
    scene, mask, output = map(Path, sys.argv[1:4])
    seed, spp = map(int, sys.argv[4:])
    white = exr.read(mask)["color"][0] > 0.5
    samples = (white * spp).astype(np.uint32)
    frame = MitsubaRenderer.from_file(scene).render(samples, seed).frame()
    aovs = {aov: np.where(white, pixels, np.nan) for aov, pixels in frame.aovs.items()}
    del aovs["sample_count"]
    exr.write_frame(output, replace(frame, aovs=aovs))


if __name__ == "__main__":
    main()
