"""The time of every stage of a frame on the CPU, with Open Image Denoise beside it in the same run.

Synthetic frames with every AOV (times do not depend on the pixels), from EXR files to EXR files.
CPU seconds unless --wall: with one thread they are what an idle machine would show, but for caches
that other programs share. All variants are measured in turn; medians.

Example:
    python -m benchmarks.speed --sizes 1920x1080 3840x2160 --models compact runs/fast.safetensors
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import provenance
from kpcn_core import exr, inference, oidn, weights
from kpcn_core.allocation import reuse_memory
from kpcn_core.atomic import replaced
from kpcn_core.denoiser import Denoiser
from kpcn_core.frame import Frame
from kpcn_core.model.network import Network
from kpcn_core.prepared import prepare
from kpcn_core.settings import DEFAULT_MODEL
from training import config

OUTPUT = Path(__file__).with_name("speed.json")
COLORS = ("diffuse", "specular", "albedo", "normal")
GEMM = 1024  # side of the matrices that measure the ceiling of arithmetic

Step = tuple[str, Callable[[], object]]


def synthetic(height: int, width: int) -> Frame:
    """A noisy frame with every AOV that the encoder "kpcn" reads."""
    random = np.random.default_rng(0)
    aovs = {name: random.random((3, height, width), np.float32) for name in COLORS}
    aovs["color"] = aovs["diffuse"] + aovs["specular"]
    noise = {
        f"{name}_mse": 0.1 * pixels.mean(axis=0, keepdims=True) for name, pixels in aovs.items()
    }
    return Frame(aovs | {name: np.repeat(plane, 3, axis=0) for name, plane in noise.items()})


def network_of(name: str) -> Network:
    """A network by name or path; of a training configuration, if it has no weights yet."""
    if name in {path.stem for path in config.CONFIGS.glob("*.toml")} and name != DEFAULT_MODEL:
        torch.manual_seed(0)
        return Network(config.load(name).network)
    return weights.load(weights.find(name))


def stages(denoiser: Denoiser, frame: Frame) -> Iterator[Step]:
    """What a frame goes through, one after another, and the whole of it."""
    network, device = denoiser.network, denoiser.device
    prepared = prepare(frame, True, {}, device)
    alignment = network.config.alignment
    grown = {
        name: inference._padded_component(one, alignment) for name, one in prepared.parts.items()
    }
    guides = {name: inference.padded(aov, alignment) for name, aov in prepared.aovs.items()}
    planes = network.planes(grown, guides, "kpcn")[0].contiguous(memory_format=torch.channels_last)
    encoded = network.encoders["kpcn"](planes)
    kept = denoiser.window([denoiser.encode(frame)], 0)
    denoiser.render(kept, asymmetry=2.0)
    yield "components", lambda: prepare(frame, True, {}, device)
    yield (
        "input planes",
        lambda: network.planes(grown, guides, "kpcn")[0].contiguous(
            memory_format=torch.channels_last
        ),
    )
    yield "encoder", lambda: network.encoders["kpcn"](planes)
    yield "trunk", lambda: network.trunk(encoded)
    yield "pyramids", lambda: inference.layers(network, prepared.images)
    yield "kernels, joins, compositing", lambda: denoiser.render(kept)
    yield "denoise", lambda: denoiser.denoise(frame)
    yield "another lambda", lambda: denoiser.render(kept, asymmetry=2.0)


def end_to_end(denoiser: Denoiser, frame: Frame, folder: Path) -> Iterator[Step]:
    """From EXR to EXR: ours, and OIDN with the same files."""
    source, target = folder / "noisy.exr", folder / "clean.exr"
    exr.write_frame(source, frame, overwrite=True)
    clean = exr.read(source)

    def through(work: Callable[[Frame], Frame]) -> Callable[[], object]:
        return lambda: exr.write(target, work(exr.read(source)), ("color",), overwrite=True)

    yield "read", lambda: exr.read(source)
    yield "write", lambda: exr.write(target, clean, ("color",), overwrite=True)
    yield "EXR to EXR", through(denoiser.denoise)
    yield "EXR to EXR, OIDN high", through(oidn.denoise)


def ceilings() -> dict[str, float]:
    """What this machine can do: GFLOP/s of a product of matrices, GB/s of a copy."""
    left, right = torch.rand(GEMM, GEMM), torch.rand(GEMM, GEMM)
    large = torch.rand(1 << 26)
    product = min(seconds(lambda: left @ right, time.perf_counter) for _ in range(10))
    copy = min(seconds(lambda: large.clone(), time.perf_counter) for _ in range(5))
    return {"GFLOP/s": 2e-9 * GEMM**3 / product, "GB/s": 8e-9 * len(large) / copy}


def seconds(work: Callable[[], object], clock: Callable[[], float]) -> float:
    """How long something takes."""
    begun = clock()
    work()
    return clock() - begun


def measure(
    models: list[str], height: int, width: int, rounds: int, clock: Callable[[], float]
) -> dict[str, dict[str, float]]:
    """Model to stage to its median seconds; OIDN is one of the models."""
    frame = synthetic(height, width)
    found: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        steps = [
            (model, *step)
            for model in models
            for denoiser in [Denoiser(network_of(model), torch.device("cpu"))]
            for step in (*stages(denoiser, frame), *end_to_end(denoiser, frame, Path(folder)))
        ]
        steps += [("oidn", *step) for step in peers(frame)]
        for _ in range(rounds + 1):  # the first warms up
            for model, stage, work in steps:
                found.setdefault((model, stage), []).append(seconds(work, clock))
    table: dict[str, dict[str, float]] = {}
    for (model, stage), times in found.items():
        table.setdefault(model, {})[stage] = statistics.median(times[1:])
    return table


def peers(frame: Frame) -> Iterator[Step]:
    """Open Image Denoise at its qualities, and with its guides denoised first."""
    yield "high", lambda: oidn.denoise(frame)
    yield "fast", lambda: oidn.denoise(frame, quality="fast")
    yield "high, guides prefiltered", lambda: oidn.denoise(frame, clean_aux=True)


def ratios(table: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """What the goals are about."""
    peer = table["oidn"]
    return {
        model: {
            "denoise / OIDN high": times["denoise"] / peer["high"],
            "denoise / OIDN fast": times["denoise"] / peer["fast"],
            "denoise / OIDN high, guides prefiltered": times["denoise"]
            / peer["high, guides prefiltered"],
            "EXR to EXR / OIDN high": times["EXR to EXR"] / times["EXR to EXR, OIDN high"],
            "another lambda / denoise": times["another lambda"] / times["denoise"],
        }
        for model, times in table.items()
        if model != "oidn"
    }


def markdown(table: dict[str, dict[str, float]]) -> str:
    """A row for each stage, a column for each model."""
    rows = dict.fromkeys(stage for times in table.values() for stage in times)
    lines = ["| | " + " | ".join(table) + " |", "|---" * (len(table) + 1) + "|"]
    for row in rows:
        cells = [f"{times[row]:.2f}" if row in times else "" for times in table.values()]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Print tables, and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", nargs="+", default=["1920x1080", "3840x2160"])
    parser.add_argument("--models", nargs="+", default=[DEFAULT_MODEL, "compact-fast"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--wall", action="store_true", help="Wall time, for an idle machine.")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    asked = parser.parse_args()
    reuse_memory()
    clock = time.perf_counter if asked.wall else time.process_time
    content: dict[str, Any] = {
        **provenance.collect("benchmarks.speed", torch.device("cpu"), ("numpy", "numba", "pyoidn")),
        "clock": "wall" if asked.wall else "CPU", "threads": torch.get_num_threads(),
        "load": [round(load, 1) for load in os.getloadavg()], "ceilings": ceilings(), "sizes": {},
    }  # fmt: skip
    for size in asked.sizes:
        width, height = map(int, size.split("x"))
        table = measure(asked.models, height, width, asked.rounds, clock)
        content["sizes"][size] = {"seconds": table, "ratios": ratios(table)}
        print(f"\n{size}\n\n{markdown(table)}\n\n{markdown(ratios(table))}", flush=True)
        with replaced(asked.output, overwrite=True) as temporary:
            temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
