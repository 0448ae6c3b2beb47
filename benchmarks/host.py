"""What a host sees of the worker: times through the client, on the example sequence.

A frame denoised in full, and again for another λ; a job cancelled; a worker killed. Beside the
sequence's own size, frames that are it side by side, as many times as asked.

Example:
    python -m benchmarks.host --times 4 --windows 7
"""

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import provenance
from kpcn_core import exr
from kpcn_core.atomic import replaced
from kpcn_core.client import Client, Failed, Restarted
from kpcn_core.errors import Cancelled
from kpcn_core.frame import Frame
from kpcn_core.host_run import again
from kpcn_core.protocol import Denoise, FrameWritten, Progress
from kpcn_core.provenance import weights_name
from kpcn_core.settings import DEFAULT_MODEL

NOISY = Path(__file__).parent.parent / "examples" / "noisy.####.exr"
FRAMES = range(1, 8)
CENTRE = 4
ROUNDS = 3
OUTPUT = Path(__file__).with_name("host.json")


def measure(times: int, window: int, folder: Path) -> Iterator[tuple[str, float | str]]:
    """Names of measurements, and seconds or words."""
    client = Client("benchmark", environment={**os.environ, "KPCN_PYTHON": sys.executable})
    pattern = enlarged(times, folder)
    request = Denoise(pattern, str(folder / "out.####.exr"), window=window, overwrite=True)
    first = Path(pattern.replace("####", "0001"))
    height, width = exr.read(first).size
    yield "size", f"{width} x {height}, window {window}"
    begun = time.perf_counter()
    client.denoise(replace(request, frames=str(CENTRE))).result()
    yield "first frame, with the worker's start", time.perf_counter() - begun
    yield from interactive(client, request)
    begun = time.perf_counter()
    client.denoise(request).result()
    yield f"all {len(FRAMES)} frames", time.perf_counter() - begun
    yield "cancelled, until the job had ended", cancelled(client, request)
    yield "worker killed, until its next frame was there", recovered(client, request)
    client.close()


def interactive(client: Client, request: Denoise) -> Iterator[tuple[str, float | str]]:
    """One frame in full, and for other λ; the median of some rounds."""
    full, cached = [], []
    for turn in range(ROUNDS):
        one = replace(request, frames=str(CENTRE), asymmetry=1.0 + turn)
        full.append(seconds(client, one))
        cached.append(seconds(client, again(replace(one, asymmetry=5.0 + turn))))
    yield "a frame", statistics.median(full)
    yield "the frame for another λ", statistics.median(cached)


def seconds(client: Client, request: Denoise) -> float:
    """How long a request takes, until its file is there."""
    begun = time.perf_counter()
    client.denoise(request).result()
    return time.perf_counter() - begun


def cancelled(client: Client, request: Denoise) -> float:
    """How long it takes from cancelling a job at work to its end."""
    job = client.denoise(request)
    next(event for event in job if isinstance(event, Progress))
    begun = time.perf_counter()
    job.cancel()
    end = list(job)[-1]
    assert isinstance(end, Failed)
    assert isinstance(end.error, Cancelled)
    return time.perf_counter() - begun


def recovered(client: Client, request: Denoise) -> float:
    """How long it takes from the death of a worker to the next frame of its job."""
    job = client.denoise(request)
    events = iter(job)
    next(event for event in events if isinstance(event, FrameWritten))
    assert client.worker is not None
    os.kill(client.worker.pid, signal.SIGKILL)
    begun = time.perf_counter()
    next(event for event in events if isinstance(event, Restarted))
    next(event for event in events if isinstance(event, FrameWritten))
    taken = time.perf_counter() - begun
    job.result()
    return taken


def enlarged(times: int, folder: Path) -> str:
    """The example sequence, each frame that many times side by side in both directions."""
    for number in FRAMES:
        frame = exr.read(Path(str(NOISY).replace("####", f"{number:04d}")))
        planes = {name: np.tile(pixels, (1, times, times)) for name, pixels in frame.aovs.items()}
        exr.write_frame(folder / f"in.{number:04d}.exr", Frame(planes))
    return str(folder / "in.####.exr")


def main() -> None:
    """Print a table, and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--times", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--windows", type=int, nargs="+", default=[1, 7])
    parser.add_argument("--output", type=Path, default=OUTPUT)
    asked = parser.parse_args()
    tables: list[dict[str, Any]] = []
    for times, window in product(asked.times, asked.windows):
        with tempfile.TemporaryDirectory() as folder:
            tables.append(dict(measure(times, window, Path(folder))))
    print(markdown(tables))
    origin = provenance.collect("benchmarks.host", torch.device("cpu"), ("numpy",))
    content = {
        **origin, "network": weights_name(DEFAULT_MODEL),
        "load": [round(load, 1) for load in os.getloadavg()], "results": tables,
    }  # fmt: skip
    with replaced(asked.output, overwrite=True) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def markdown(tables: list[dict[str, Any]]) -> str:
    """A row for each measurement, a column for each size."""
    lines = ["| " + " | ".join(["seconds", *(table["size"] for table in tables)]) + " |"]
    lines.append("|---" * (len(tables) + 1) + "|")
    for name in [name for name in tables[0] if name != "size"]:
        lines.append("| " + " | ".join([name, *(f"{t[name]:.2f}" for t in tables)]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
