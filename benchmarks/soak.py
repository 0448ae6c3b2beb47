"""A thousand small frames in one process: memory, open files, threads and what is left behind.

    python -m benchmarks.soak [--frames 1000] [--window 3] [--json benchmarks/soak.json]

Runs `kpcn denoise --resume` on a sequence as a process of its own, and looks at it from outside
after every few frames. The sequence is a few different frames over and over (links to their files).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from itertools import cycle
from pathlib import Path

import torch

from benchmarks import provenance
from kpcn_core import exr
from kpcn_core.aov import AOVS
from kpcn_core.frame import Frame

DIFFERENT = 8  # frames
EVERY = 50  # frames between two looks
SETTLED = 100  # frames until caches are full; memory is compared from there on
SEEN = ("color", "albedo", "normal", "diffuse", "specular", "forward", "backward")


def frame(height: int, width: int, seed: int) -> Frame:
    """Noise with little motion in every AOV that a window reads."""
    generator = torch.Generator().manual_seed(seed)
    aovs = {
        name: torch.rand(AOVS[name].channels, height, width, generator=generator).numpy()
        for name in SEEN
    }
    return Frame({**aovs, "color": aovs["diffuse"] + aovs["specular"]})


def sequence(folder: Path, count: int, height: int, width: int) -> None:
    """Write noisy.0001.exr to as many as are asked for."""
    originals = [folder / f"original-{number}.exr" for number in range(DIFFERENT)]
    for seed, path in enumerate(originals):
        exr.write_frame(path, frame(height, width, seed))
    for number, path in zip(range(1, count + 1), cycle(originals), strict=False):
        os.link(path, folder / f"noisy.{number:04d}.exr")


def look(pid: int) -> dict[str, int]:
    """What a process holds."""
    process = Path("/proc") / str(pid)
    status = dict(
        line.split(":", 1) for line in (process / "status").read_text().splitlines() if ":" in line
    )
    return {
        "MiB": int(status["VmRSS"].split()[0]) >> 10,
        "open files": len(list((process / "fd").iterdir())),
        "threads": int(status["Threads"]),
        "children": len((process / "task" / str(pid) / "children").read_text().split()),
    }


def run(folder: Path, window: int) -> list[dict[str, int]]:
    """Denoise the sequence; what the process held along the way."""
    command = [sys.executable, "-m", "kpcn_core", "denoise", str(folder / "noisy.####.exr")]
    command += ["-o", str(folder / "clean.####.exr"), "--window", str(window), "--resume"]
    seen: list[dict[str, int]] = []
    with subprocess.Popen([*command, "--device", "cpu"], stdout=subprocess.PIPE, text=True) as soak:
        assert soak.stdout
        done = 0
        for line in soak.stdout:
            done += ".exr" in line
            if ".exr" in line and (done == 1 or done % EVERY == 0):
                seen.append({"frames": done, **look(soak.pid)})
    if soak.returncode:
        raise SystemExit(f"kpcn denoise ended with {soak.returncode}")
    return seen


def left(folder: Path, count: int) -> dict[str, int]:
    """What is in the folder that should be, and what should not."""
    names = [path.name for path in folder.iterdir()]
    notes = [path.name for path in (folder / ".kpcn").iterdir()]
    return {
        "outputs": sum(name.startswith("clean.") for name in names),
        "notes": sum(name.endswith(".json") for name in notes),
        "claims left": sum(name.endswith(".claim") for name in notes),
        "other files left": len(names) - 2 * count - DIFFERENT - 1,
    }


def main() -> None:
    """Run it as a command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--size", type=int, nargs=2, default=(64, 96), metavar=("H", "W"))
    parser.add_argument("--window", type=int, default=3)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        sequence(folder, asked.frames, *asked.size)
        seen = run(folder, asked.window)
        found = left(folder, asked.frames)
    settled = [one["MiB"] for one in seen if one["frames"] >= SETTLED]
    growth = settled[-1] - settled[0] if settled else 0
    print("| " + " | ".join(seen[0]) + " |\n" + "|---" * len(seen[0]) + "|")
    for one in seen:
        print("| " + " | ".join(str(value) for value in one.values()) + " |")
    print(f"\nGrowth from frame {SETTLED} on: {growth} MiB. {found}")
    if asked.json:
        record = {
            "size": asked.size,
            "window": asked.window,
            "curve": seen,
            "MiB of growth after the first 100": growth,
            "left behind": found,
            "provenance": provenance.collect("benchmarks.soak", torch.device("cpu")),
        }
        asked.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
