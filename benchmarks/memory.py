"""How much memory denoising takes beside what it may: `--max-memory` on the CPU.

A process for each row. What a frame itself takes (pixels, components, results, of a window also
features) is measured before its tiles are computed; the limit is for their computation. All frames
of a window are the same one, which so takes its memory once.

Example:
    python -m benchmarks.memory 3840x2160,1,1 3840x2160,1,4 7680x4320,1,4,guides 1920x1080,7,2
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from benchmarks import provenance
from kpcn_core.allocation import give_back, reuse_memory
from kpcn_core.atomic import replaced
from kpcn_core.bench.frames import synthetic
from kpcn_core.denoiser import Denoiser
from kpcn_core.encoded import Encoded
from kpcn_core.frame import Frame
from kpcn_core.prepared import Prepared, prepare
from kpcn_core.settings import DEFAULT_MODEL, Settings

OUTPUT = Path(__file__).with_name("memory.json")
GUIDES = ("color", "albedo", "normal")
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESIDENT, PEAK = "VmRSS", "VmHWM"
GIB = 1 << 30


def resident(which: str) -> int:
    """Bytes of this process in memory, now or at most since `forget_peak`."""
    lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    return int(lines[which].split()[0]) << 10


def forget_peak() -> None:
    """Let the peak begin again from what is resident now."""
    CLEAR.write_text("5")


def denoise(denoiser: Denoiser, frame: Frame, settings: Settings, window: int) -> list[int]:
    """Denoise a window; bytes resident when its frames were there, and at most after that."""
    seen: list[int] = []

    def measured(made: Prepared | Encoded) -> Prepared | Encoded:
        give_back()  # freed blocks are nobody's
        seen[:] = [resident(RESIDENT)]
        forget_peak()
        return made

    if window == 1:
        with patch("kpcn_core.denoiser.prepare", lambda *given: measured(prepare(*given))):
            denoiser.denoise(frame, max_memory=settings.max_memory)
    else:
        kept = denoiser.window([denoiser.encode(frame, settings)] * window, window // 2)
        measured(kept)
        denoiser.render(kept, settings)
    return [*seen, resident(PEAK)]


def guides(height: int, width: int) -> Frame:
    """A frame with what Open Image Denoise reads, and no more."""
    random = np.random.default_rng(0)
    return Frame({name: random.random((3, height, width), np.float32) for name in GUIDES})


def row(size: str, window: str, limit: str, aovs: str = "all") -> dict[str, Any]:
    """One measurement, in this process."""
    reuse_memory()
    width, height = map(int, size.split("x"))
    denoiser = Denoiser.load(DEFAULT_MODEL, "cpu")
    settings, frames = Settings(max_memory=int(float(limit) * GIB)), int(window)
    denoise(denoiser, synthetic(64, 64), settings, frames)
    give_back()
    before = resident(RESIDENT)
    frame = guides(height, width) if aovs == "guides" else synthetic(height, width)
    begun = time.process_time()
    held, peak = denoise(denoiser, frame, settings, frames)
    results = frame["color"].nbytes * (4 if "diffuse" in frame else 1)  # for each component
    return {
        "size": size,
        "AOVs": aovs,
        "window": frames,
        "limit": float(limit),
        "program": before / GIB,
        "frames": (held - before + results) / GIB,
        "tiles": (peak - held - results) / GIB,
        "peak": peak / GIB,
        "CPU seconds": round(time.process_time() - begun, 1),
    }


def main() -> None:
    """Print a table, and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("rows", nargs="+", metavar="WxH,WINDOW,GIB[,guides]")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.here:
        print(json.dumps(row(*asked.rows[0].split(","))))
        return
    found = provenance.collect("benchmarks.memory", torch.device("cpu"), ("numpy", "numba"))
    rows: list[dict[str, Any]] = []
    for one in asked.rows:
        command = [sys.executable, "-m", "benchmarks.memory", "--here", one]
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        rows.append(json.loads(run.stdout))
        if len(rows) == 1:
            print("| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
        cells = (f"{one:.2f}" if isinstance(one, float) else str(one) for one in rows[-1].values())
        print("| " + " | ".join(cells) + " |", flush=True)
        with replaced(asked.output, overwrite=True) as temporary:
            temporary.write_text(json.dumps({**found, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
