"""A renderer of crop windows as a command line: Mitsuba's. Arguments: scene, map."""

import json
import sys
from pathlib import Path

from kpcn_core import exr
from kpcn_core.renderers.mitsuba import MitsubaRenderer


def main() -> None:
    scene, sampling_map = map(Path, sys.argv[1:])
    wanted = json.loads(sampling_map.read_text())
    names = {"x": "x", "y": "y", "w": "width", "h": "height"}
    for number, region in enumerate(wanted["regions"]):
        crop = {short: str(region[name]) for short, name in names.items()}
        renderer = MitsubaRenderer.from_file(scene, crop)
        frame = renderer.render(region["spp"], wanted["seed"] + number).frame()
        exr.write_frame(Path(region["output"]), frame)


if __name__ == "__main__":
    main()
