"""Writes mitsuba_aov.exr with Mitsuba's own `aov` integrator; `pip install kpcn[mitsuba]` first."""

from pathlib import Path

import mitsuba as mi

HERE = Path(__file__).parent
AOVS = "albedo:albedo,normal:sh_normal,depth:depth"


def main() -> None:
    mi.set_variant("scalar_rgb")
    scene = mi.cornell_box()
    scene["sensor"]["film"] |= {"width": 20, "height": 16, "rfilter": {"type": "box"}}
    scene["integrator"] = {"type": "aov", "aovs": AOVS, "image": {"type": "path", "max_depth": 4}}
    loaded = mi.load_dict(scene)
    mi.render(loaded, spp=4)
    loaded.sensors()[0].film().bitmap().write(str(HERE / "mitsuba_aov.exr"))


main()
