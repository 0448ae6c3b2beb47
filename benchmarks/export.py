"""The exported network beside the denoiser: differences, size and speed, and what encoders cost.

On the example's frame, whole, cut to an odd size, and several times side by side. One thread; speed
is CPU time as a part of the denoiser's, the median of rounds in which all take turns.

Example:
    python -m benchmarks.export
"""

import argparse
import json
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import onnxruntime
import torch

from benchmarks import provenance
from kpcn_core import exr, metrics
from kpcn_core.atomic import replaced
from kpcn_core.denoiser import Denoiser
from kpcn_core.export import onnx, torchscript
from kpcn_core.export.nuke_channels import packing
from kpcn_core.export.single_frame import SingleFrame
from kpcn_core.frame import Frame, Pixels
from kpcn_core.provenance import weights_name
from kpcn_core.settings import DEFAULT_MODEL, Asymmetry

EXAMPLES = Path(__file__).parent.parent / "examples"
CENTRE = 4
ENCODER = "split"
ASYMMETRIES = (1.0, 2.0, 4.0, 10.0)
MASKED = 4.0  # asymmetry where the mask is 1
FLOOR = 0.01  # of what differences are relative to
ROUNDS = 3
OUTPUT = Path(__file__).with_name("export.json")

Run = Callable[[Frame, Asymmetry], Pixels]


@dataclass(frozen=True)
class Exported:
    """An exported file.

    Attributes:
        name: for the tables.
        bytes: its size.
        run: denoises by it.
    """

    name: str
    bytes: int
    run: Run


class TorchScript:
    """A module for Nuke, read from its file."""

    def __init__(self, path: Path, frame: SingleFrame) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            self.module: Any = torch.jit.load(path)  # type: ignore[no-untyped-call]
        self.packing = packing(frame.planes)

    @torch.inference_mode()
    def __call__(self, frame: Frame, asymmetry: Asymmetry) -> Pixels:
        """A number, or the layer that `masked` makes."""
        aovs = {name: torch.from_numpy(pixels)[None] for name, pixels in frame.aovs.items()}
        mask = None
        if isinstance(asymmetry, np.ndarray):
            mask = torch.from_numpy(np.log(asymmetry) / np.log(MASKED))[None, None]
        self.module.asymmetry = MASKED if mask is not None else asymmetry
        self.module.use_mask = int(mask is not None)
        result: Pixels = self.module(self.packing.pack(aovs, mask))[0, :3].numpy()
        return result


class Onnx:
    """An ONNX file for one size, run by onnxruntime with one thread."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, frame: Frame, asymmetry: Asymmetry) -> Pixels:
        """λ as a plane."""
        plane = np.broadcast_to(np.float32(asymmetry), frame.size)
        images = {**frame.aovs, onnx.ASYMMETRY: plane[None]}
        given = {one.name: images[one.name][None] for one in self.session.get_inputs()}
        result: Pixels = self.session.run(["denoised"], given)[0][0]
        return result


def modules(folder: Path, frame: SingleFrame) -> Iterator[Exported]:
    """Both TorchScript files."""
    module = torchscript.NukeDenoiser(frame, packing(frame.planes))
    kinds = {"TorchScript": module, "TorchScript, half": torchscript.halved(module)}
    for name, one in kinds.items():
        path = folder / "kpcn.pt"
        torchscript.save(path, one, {})
        yield Exported(name, path.stat().st_size, TorchScript(path, frame))


def onnx_of(folder: Path, size: tuple[int, int]) -> Exported:
    """The ONNX file for a size."""
    path = folder / "kpcn.onnx"
    module = onnx.OnnxDenoiser.load(DEFAULT_MODEL, ENCODER)
    onnx.save(path, module, *size, {}, overwrite=True)
    return Exported("ONNX", path.stat().st_size, Onnx(path))


def frames(times: int) -> dict[str, Frame]:
    """The frame whole, cut to an odd size, and side by side.

    Without its sample counts: what restoration does with them is not exported. Nor are light and
    structure.
    """
    read = exr.read(EXAMPLES / f"noisy.{CENTRE:04d}.exr")
    aovs = {name: image for name, image in read.aovs.items() if name != "sample_count"}
    whole = replace(read, aovs=aovs)
    odd = {name: np.ascontiguousarray(image[:, :-1, :-1]) for name, image in whole.aovs.items()}
    many = {name: np.tile(image, (1, times, times)) for name, image in whole.aovs.items()}
    made = [replace(whole, aovs=aovs) for aovs in (whole.aovs, odd, many)]
    return {f"{frame.size[1]} x {frame.size[0]}": frame for frame in made}


def asymmetries(frame: Frame) -> dict[str, Asymmetry]:
    """Numbers, and a layer that rises from left to right."""
    height, width = frame.size
    mask = np.broadcast_to(np.linspace(0, 1, width, dtype=np.float32), (height, width))
    masked = np.power(np.float32(MASKED), mask)
    return {**{f"{value:g}": value for value in ASYMMETRIES}, "1 to 4, painted": masked}


def differences(one: Exported, frame: Frame, denoiser: Denoiser) -> Iterator[dict[str, Any]]:
    """How far a file is from the denoiser, relative to its values plus `FLOOR`."""
    for label, asymmetry in asymmetries(frame).items():
        expected = denoiser.denoise(frame, encoder=ENCODER, asymmetry=asymmetry)["color"]
        found = np.abs(one.run(frame, asymmetry) - expected) / (np.abs(expected) + FLOOR)
        yield {"λ": label, "max": float(found.max()), "mean": float(found.mean())}


def speed(files: Sequence[Exported], frame: Frame, denoiser: Denoiser) -> dict[str, float]:
    """CPU time as a part of the denoiser's; medians of rounds in which all take turns."""
    runs: dict[str, Run] = {
        "denoiser": lambda frame, λ: denoiser.denoise(frame, encoder=ENCODER, asymmetry=λ)["color"],
        **{one.name: one.run for one in files},
    }
    spent: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(ROUNDS + 2):  # TorchScript optimizes itself in the first two
        for name, run in runs.items():
            begun = time.process_time()
            run(frame, MASKED)
            if turn > 1:
                spent[name].append(time.process_time() - begun)
    medians = {name: statistics.median(times) for name, times in spent.items()}
    ratios = {name: medians[name] / medians["denoiser"] for name in medians if name != "denoiser"}
    return {"denoiser, seconds": medians["denoiser"], **ratios}


def encoders(denoiser: Denoiser) -> dict[str, float]:
    """SMAPE that each encoder leaves of the noisy frame's."""
    noisy = exr.read(EXAMPLES / f"noisy.{CENTRE:04d}.exr")
    reference = exr.read(EXAMPLES / f"reference.{CENTRE:04d}.exr")["color"]
    before = metrics.smape(noisy["color"], reference)
    return {
        name: metrics.smape(denoiser.denoise(noisy, encoder=name)["color"], reference) / before
        for name in denoiser.network.config.encoders
    }


def measure(times: int) -> dict[str, Any]:
    """All tables."""
    denoiser = Denoiser.load()
    single = SingleFrame.load(DEFAULT_MODEL, ENCODER)
    parity: list[dict[str, Any]] = []
    fast: list[dict[str, Any]] = []
    sizes: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        scripted = list(modules(Path(folder), single))
        for size, frame in frames(times).items():
            files = [*scripted, onnx_of(Path(folder), frame.size)]
            sizes |= {one.name: one.bytes for one in files}
            for one in files:
                with (
                    patch("kpcn_core.composite.gains", lambda *_: {}),
                    patch("kpcn_core.structure.factor", lambda *_: None),
                ):
                    rows = list(differences(one, frame, denoiser))
                parity += [{"size": size, "file": one.name, **row} for row in rows]
            fast.append({"size": size, **speed(files, frame, denoiser)})
    return {
        "encoder": ENCODER, "parity": parity, "speed": fast, "bytes": sizes,
        "smape left": encoders(denoiser),
    }  # fmt: skip


def markdown(found: Mapping[str, Any]) -> str:
    """The tables."""
    lines = ["| pixels | file | λ | max | mean |", "|---|---|---|---|---|"]
    for row in found["parity"]:
        lines.append(
            f"| {row['size']} | {row['file']} | {row['λ']} | {row['max']:.1e} | {row['mean']:.1e} |"
        )
    names = [name for name in found["speed"][0] if name != "size"]
    lines += ["", "| pixels | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for row in found["speed"]:
        lines.append(
            "| " + " | ".join([row["size"], *(f"{row[name]:.2f}" for name in names)]) + " |"
        )
    lines += ["", "| file | MB |", "|---|---|"]
    lines += [f"| {name} | {size / 1e6:.1f} |" for name, size in found["bytes"].items()]
    lines += ["", "| encoder | SMAPE left |", "|---|---|"]
    lines += [f"| {name} | {100 * left:.1f} % |" for name, left in found["smape left"].items()]
    return "\n".join(lines)


def main() -> None:
    """Print tables, and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--times", type=int, default=4)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    found = measure(asked.times)
    print(markdown(found))
    packages = ("numpy", "onnx", "onnxruntime")
    origin = provenance.collect("benchmarks.export", torch.device("cpu"), packages)
    load = [round(value, 1) for value in os.getloadavg()]
    content = {**origin, "network": weights_name(DEFAULT_MODEL), "load": load, **found}
    with replaced(asked.output, overwrite=True) as temporary:
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
