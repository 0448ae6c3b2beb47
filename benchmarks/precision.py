"""What half precision loses: beside float32, and beside references where frames have one.

Every frame is denoised by the same code in each precision. How far results are from float32, how
far both are from the reference, and the largest number that a convolution gave: float16 ends at
65504. A file SCENE_SPP.exr has its reference in SCENE_reference.exr.

Example:
    python -m benchmarks.precision renders/bathroom_8.exr renders/room_32.exr --asymmetry 1 4
    python -m benchmarks.precision examples/noisy.0001.exr --device cuda
"""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import fmean

import numpy as np
from torch import Tensor, nn

from benchmarks import provenance
from benchmarks.quality_cases import REFERENCE
from kpcn_core import exr
from kpcn_core.atomic import check_writable, replaced
from kpcn_core.comparison import markdown
from kpcn_core.denoiser import Denoiser
from kpcn_core.device import PRECISIONS
from kpcn_core.frame import Pixels
from kpcn_core.metrics import dssim, smape
from kpcn_core.model.network import Network
from kpcn_core.provenance import weights_name
from kpcn_core.settings import DEFAULT_MODEL

EXACT = "float32"
OUTPUT = Path(__file__).with_name("precision.json")


@dataclass(frozen=True)
class Row:
    """One frame in one precision; None where there is no reference, or no layer was watched.

    Attributes:
        frame: its file's name.
        asymmetry: lambda.
        precision: of the features.
        smape: to the result in float32.
        dssim: likewise.
        largest: difference of a color to float32, relative to it and at least to the mean.
        left: SMAPE to the reference.
        more: how much more that is than in float32.
        dssim_left: DSSIM likewise.
        dssim_more: likewise.
        feature: the largest number in a convolution's result.
    """

    frame: str
    asymmetry: float
    precision: str
    smape: float
    dssim: float
    largest: float
    left: float | None
    more: float | None
    dssim_left: float | None
    dssim_more: float | None
    feature: float | None


def rows(denoisers: Mapping[str, Denoiser], path: Path, asymmetry: float) -> Iterator[Row]:
    """One frame in every precision, of which float32 is one."""
    scene = path.stem.rpartition("_")[0]
    frame, beside = exr.read(path), path.with_name(f"{scene}_{REFERENCE}.exr")
    reference = exr.read(beside)["color"] if beside.is_file() else None
    exact = denoisers[EXACT].denoise(frame, asymmetry=asymmetry)["color"]
    scale = np.maximum(np.abs(exact), np.abs(exact).mean())
    for name, denoiser in denoisers.items():
        with watched(denoiser.network) as seen:
            found = denoiser.denoise(frame, asymmetry=asymmetry)["color"]
        yield Row(
            path.stem,
            asymmetry,
            name,
            smape(found, exact),
            dssim(found, exact),
            float((np.abs(found - exact) / scale).max()),
            *_error(smape, found, exact, reference),
            *_error(dssim, found, exact, reference),
            max(seen, default=None),
        )


def _error(
    metric: Callable[[Pixels, Pixels], float],
    found: Pixels,
    exact: Pixels,
    reference: Pixels | None,
) -> tuple[float | None, float | None]:
    """An image's error, and how much more it is than another one's."""
    if reference is None:
        return None, None
    left = metric(found, reference)
    return left, left - metric(exact, reference)


@contextmanager
def watched(network: Network) -> Iterator[list[float]]:
    """The largest number of each result of a convolution; none where `encoding` replaces those."""
    seen: list[float] = []

    def look(layer: nn.Module, inputs: object, output: Tensor) -> None:
        seen.append(float(output.abs().max()))

    hooks = [
        module.register_forward_hook(look)
        for module in network.modules()
        if isinstance(module, nn.Conv2d)
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def means(found: Sequence[Row]) -> list[list[str]]:
    """Lines of a table, means over all frames; of `largest` and `feature` the largest."""
    lines = [["precision", "λ", *(one.name for one in fields(Row)[3:])]]
    groups: dict[tuple[str, float], list[Row]] = {}
    for row in found:
        groups.setdefault((row.precision, row.asymmetry), []).append(row)
    for (precision, asymmetry), group in groups.items():
        cells = []
        for column in fields(Row)[3:]:
            values = [value for row in group if (value := getattr(row, column.name)) is not None]
            combined = max if column.name in ("largest", "feature") else fmean
            cells.append(f"{combined(values):.2g}" if values else "")
        lines.append([precision, f"{asymmetry:g}", *cells])
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("frames", nargs="+", type=Path)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--asymmetry", nargs="+", type=float, default=[1.0])
    parser.add_argument("--json", type=Path, default=OUTPUT)
    options = parser.parse_args(arguments)
    check_writable(options.json, overwrite=True)
    denoisers = {name: Denoiser.load(options.model, options.device, name) for name in PRECISIONS}
    found = [
        row
        for path in options.frames
        for asymmetry in options.asymmetry
        for row in rows(denoisers, path, asymmetry)
    ]
    print(markdown(means(found)))
    origin = provenance.collect("benchmarks.precision", denoisers[EXACT].device, ["numpy"])
    origin["weights"] = weights_name(options.model)
    text = json.dumps({"provenance": origin, "rows": [asdict(row) for row in found]}, indent=1)
    with replaced(options.json, overwrite=True) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
