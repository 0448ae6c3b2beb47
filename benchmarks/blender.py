"""What Blender's render hook makes of noisy Cycles frames, beside `kpcn denoise` on the same files.

An animation is rendered in the real Blender with the add-on on; its middle frame is compared with a
converged render of it. KPCN_TEST_BLENDER names another Blender than that of `make`.

Example:
    python -m benchmarks.blender --samples 4 16 64 --windows 1 3
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import provenance
from kpcn_core import exr
from kpcn_core.atomic import replaced
from kpcn_core.metrics import METRICS
from kpcn_core.provenance import weights_name
from kpcn_core.settings import DEFAULT_MODEL
from tests.blender_host import Blender

OUTPUT = Path(__file__).with_name("blender.json")
SIZE = (192, 108)
CENTRE = 2  # of frames 1 to 3
CONVERGED = 2048
NAMES = ("smape", "mrse", "dssim")


def measure(samples: list[int], windows: list[int], folder: Path) -> Iterator[dict[str, Any]]:
    """A row for each number of samples and window."""
    blender = Blender(folder)
    reference = f"{CENTRE:04d}.exr"
    blender.run(rendering(folder / "converged_####", CONVERGED, seed=1, only=CENTRE))
    converged = color(folder / f"converged_{reference}")
    for spp in samples:
        for window in windows:
            noisy = folder / f"noisy_{spp}_{window}_####"
            blender.run(rendering(noisy, spp, window=window))
            by_hook = folder / "denoised" / noisy.name.replace("####", reference)
            by_command = commanded(f"{noisy}.exr", window, folder / "command")
            images = {
                "noisy": color(folder / noisy.name.replace("####", reference)),
                "hook": color(by_hook),
                "command": color(by_command),
            }
            difference = np.abs(images["hook"] - images["command"]) / (1e-3 + images["command"])
            yield {
                "samples": spp,
                "window": window,
                "hook against command": float(difference.max()),
                **{
                    f"{name} {image}": METRICS[name].measure(pixels, converged)
                    for name in NAMES
                    for image, pixels in images.items()
                },
            }
    blender.close()


def rendering(path: Path, samples: int, window: int = 1, seed: int = 0, only: int = 0) -> str:
    """Code that renders the tests' scene; with the hook, but for a single frame."""
    return f"""
        import blender_scene
        scene = blender_scene.make({str(path)!r}, {samples}, {seed})
        scene.render.resolution_x, scene.render.resolution_y = {SIZE}
        scene.kpcn.window = "{window}"
        scene.kpcn.enabled = True
        if {only}:
            scene.kpcn.enabled = False
            image = scene.render.image_settings
            image.media_type, scene.cycles.use_denoising = "MULTI_LAYER_IMAGE", False
            scene.frame_start = scene.frame_end = {only}
        blender_scene.render(scene)
    """


def commanded(pattern: str, window: int, folder: Path) -> Path:
    """The middle frame by `kpcn denoise`."""
    folder.mkdir(exist_ok=True)
    output = folder / Path(pattern).name
    frame = str(CENTRE)
    command = [sys.executable, "-P", "-m", "kpcn_core", "denoise", pattern, "-o", str(output)]
    subprocess.run([*command, "--window", str(window), "--frames", frame], check=True)
    return folder / output.name.replace("####", f"{CENTRE:04d}")


def color(path: Path) -> np.ndarray[Any, Any]:
    """The beauty."""
    return exr.read(path)["color"]


def main() -> None:
    """Print a table, and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--samples", type=int, nargs="+", default=[4, 16, 64])
    parser.add_argument("--windows", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--output", type=Path, default=OUTPUT)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = list(measure(asked.samples, asked.windows, Path(folder)))
    print(markdown(rows))
    origin = provenance.collect("benchmarks.blender", torch.device("cpu"), ("numpy",))
    content = {
        **origin, "network": weights_name(DEFAULT_MODEL), "size": SIZE, "frame": CENTRE,
        "converged": CONVERGED, "load": [round(load, 1) for load in os.getloadavg()],
        "results": rows,
    }  # fmt: skip
    with replaced(asked.output, overwrite=True) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def markdown(rows: list[dict[str, Any]]) -> str:
    """A row for each measurement."""
    lines = ["| " + " | ".join(rows[0]) + " |", "|---" * len(rows[0]) + "|"]
    for row in rows:
        shown = (
            f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()
        )
        lines.append("| " + " | ".join(shown) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
