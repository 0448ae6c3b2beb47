"""Stands in for husk where it really has to render: Mitsuba behind husk's options.

As Karma by default, it writes neither variances nor sample counts.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from kpcn_core import exr
from kpcn_core.renderers.mitsuba import MitsubaRenderer

WITHOUT = ("_mse", "sample_count")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-f", "--frame", type=int, required=True)
    parser.add_argument("-n", "--frame-count", choices=["1"], required=True)
    parser.add_argument("-p", "--pixel-samples", type=int, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--lock-random", type=int, required=True)
    parser.add_argument("--make-output-path", action="store_true")
    parser.add_argument("-V", "--verbose")
    parser.add_argument("scene", type=Path)
    asked = parser.parse_args()
    renderer = MitsubaRenderer.from_file(asked.scene)
    frame = renderer.render(asked.pixel_samples, asked.lock_random).frame()
    aovs = {name: plane for name, plane in frame.aovs.items() if not name.endswith(WITHOUT)}
    exr.write_frame(asked.output, replace(frame, aovs=aovs))


if __name__ == "__main__":
    main()
